/* grammar.h: configurations and what they became. Sequences with the same one share it;
 * those that nobody has are kept until their place is needed. */
#ifndef GRAMMAR_H
#define GRAMMAR_H

#include "mask.h"
#include "schema.h"

enum { GRAMMARS = 64 };
enum { DEPTH = 32, DEPTH_MOST = 150 };

/* A configuration and the machine it became; sequences share it. */
typedef struct {
    machine m;
    uint8_t *key; /* the configuration's bytes; NULL: the slot is free */
    uint32_t key_n, users;
    uint64_t used;
    int32_t ends[ENDS_MAX];
    uint32_t ends_n, max_tokens; /* 0: any number */
    bool free; /* everything is allowed */
} grammar;

static grammar grammars[GRAMMARS];
static grammar *standard; /* the plugin's own, or NULL */
static uint64_t grammar_clock;

static int32_t bad(const char *what) { return sw_fail(SW_EINVAL, what); }

static int32_t read_ends(grammar *x, const tree *t, uint32_t list)
{
    x->ends_n = 0;
    if (t->v[list].kind != V_LIST || t->v[list].count == 0 || t->v[list].count > ENDS_MAX)
        return bad("ends: want an array of 1 to 64 token ids");
    for (uint32_t k = t->v[list].first; k; k = t->v[k].next) {
        uint32_t id = 0;
        for (uint32_t i = 0; i < t->v[k].len && id <= SW_MAX_VOCAB; i++)
            id = id * 10 + (uint32_t)(text_of(t, k)[i] - '0');
        if (t->v[k].kind != V_NUMBER || id >= vocab.n)
            return bad("ends: want ids of the vocabulary");
        x->ends[x->ends_n++] = (int32_t)id;
    }
    return SW_OK;
}

/* A whole number of the configuration; `other` if it is not there, UNBOUNDED if it is
 * no whole number from 1 to most. */
static uint32_t whole_number(const tree *t, uint32_t config, const char *key, uint32_t other, uint32_t most)
{
    uint32_t v = get(t, config, key), x = 0;
    if (!v)
        return other;
    for (uint32_t i = 0; i < t->v[v].len && x <= most; i++)
        x = text_of(t, v)[i] >= '0' && text_of(t, v)[i] <= '9' ? x * 10 + (uint32_t)(text_of(t, v)[i] - '0') : UNBOUNDED;
    return t->v[v].kind == V_NUMBER && x >= 1 && x <= most ? x : UNBOUNDED;
}

/* A flag of the configuration: 0, 1, or -1 if it is neither true nor false. */
static int32_t flag(const tree *t, uint32_t config, const char *key)
{
    uint32_t v = get(t, config, key);
    return !v || t->v[v].kind == V_FALSE ? 0 : t->v[v].kind == V_TRUE ? 1 : -1;
}

/* The schema's root: json true is the schema true; text is read as JSON. */
static uint32_t schema_root(tree *t, uint32_t config)
{
    uint32_t s = get(t, config, "schema");
    if (!s)
        return new_value(t, V_TRUE);
    if (t->v[s].kind != V_TEXT)
        return s;
    uint32_t n = t->v[s].len;
    uint8_t *copy = sw_alloc(n + 1, 16); /* the tree's bytes move while it grows */
    if (!copy)
        return 0;
    memcpy(copy, text_of(t, s), n);
    json j = {copy, copy + n};
    uint32_t root = from_json(t, &j, 0), at = (uint32_t)(j.at - copy);
    bool more = root && look_at(&j) != 0;
    sw_free(copy, 0, 16);
    if (root && !more)
        return root;
    sw_fail(SW_EINVAL, "schema: not JSON, or too large or deep, at byte ");
    sw_fail_number(at);
    return 0;
}

static int32_t known_keys(const tree *t, uint32_t config)
{
    static const char *const keys[] = {"json", "schema", "regex", "ends", "max_tokens", "depth", "compact", "lenient", "seed"};
    for (uint32_t k = t->v[config].first; k; k = t->v[k].next) {
        bool known = false;
        for (uint32_t i = 0; i < sizeof keys / sizeof *keys; i++)
            known |= sw_is(key_of(t, k), t->v[k].keylen, keys[i]);
        if (known)
            continue;
        bad("unknown key ");
        sw_fail_text(key_of(t, k), t->v[k].keylen);
        sw_fail_text("; known are json, schema, regex, ends, max_tokens, depth, compact, lenient", 74);
        return SW_EINVAL;
    }
    return SW_OK;
}

static int32_t read_limits(grammar *x, const tree *t, uint32_t config)
{
    for (uint32_t i = 0; i < vocab.ends_n; i++)
        x->ends[i] = vocab.ends[i];
    x->ends_n = vocab.ends_n;
    uint32_t ends = get(t, config, "ends");
    int32_t err = ends ? read_ends(x, t, ends) : SW_OK;
    if (err)
        return err;
    if (x->ends_n == 0)
        return bad("no token of the vocabulary is known to end an answer: name it in ends");
    x->max_tokens = whole_number(t, config, "max_tokens", 0, 1 << 20);
    if (x->max_tokens == UNBOUNDED)
        return bad("max_tokens: want a whole number from 1 to 1048576");
    return SW_OK;
}

/* Makes a grammar of a configuration that was read. */
static int32_t make_grammar(grammar *x, tree *t, uint32_t config)
{
    int32_t json_any = flag(t, config, "json"), compact = flag(t, config, "compact"), lenient = flag(t, config, "lenient");
    uint32_t regex_v = get(t, config, "regex"), schema_v = get(t, config, "schema");
    int32_t err = known_keys(t, config);
    if (err)
        return err;
    if (json_any < 0 || compact < 0 || lenient < 0)
        return bad("json, compact and lenient are true or false");
    if (json_any + (regex_v != 0) + (schema_v != 0) > 1)
        return bad("give one of json, schema and regex");
    x->free = !json_any && !regex_v && !schema_v;
    if (x->free)
        return SW_OK;
    if ((err = read_limits(x, t, config)))
        return err;
    uint32_t depth = whole_number(t, config, "depth", DEPTH, DEPTH_MOST);
    if (depth == UNBOUNDED)
        return bad("depth: want a whole number from 1 to 150");
    net_begin(&x->m.g);
    if (regex_v) {
        if (t->v[regex_v].kind != V_TEXT)
            return bad("regex: want text");
        x->m.entry = regex_net(&x->m.g, text_of(t, regex_v), t->v[regex_v].len, PLAIN, 0, RETURN);
    } else {
        uint32_t root = schema_root(t, config);
        if (!root)
            return SW_EINVAL;
        x->m.entry = schema_net(&x->m.g, t, root, compact, lenient);
    }
    if (x->m.g.err)
        return x->m.g.err;
    err = machine_begin(&x->m, depth, TABLE_MAX);
    if (!err && x->max_tokens && x->m.states[x->m.start].dist > x->max_tokens) {
        err = bad("max_tokens: the shortest answer may need ");
        sw_fail_number(x->m.states[x->m.start].dist);
    }
    return err;
}

static void drop_grammar(grammar *x)
{
    drop_masks(&x->m);
    machine_end(&x->m);
    sw_free(x->key, 0, 16);
    memset(x, 0, sizeof *x);
}

/* The grammar of a configuration made before; NULL. */
static grammar *known_grammar(const sw_reader *config)
{
    uint32_t n = (uint32_t)(config->end - config->at);
    for (uint32_t i = 0; i < GRAMMARS; i++) {
        grammar *x = &grammars[i];
        if (x->key && x->key_n == n && memcmp(x->key, config->at, n) == 0)
            return x;
    }
    return NULL;
}

/* The grammar no sequence has for longest, or a free slot; NULL if there is none. With
 * full, one that has memory to give. */
static grammar *spare_grammar(bool full)
{
    grammar *spare = NULL;
    for (uint32_t i = 0; i < GRAMMARS; i++) {
        grammar *x = &grammars[i];
        if (x->users == 0 && x != standard && (x->key || !full) && (!spare || x->used < spare->used))
            spare = x;
    }
    return spare;
}

static int32_t fill_grammar(grammar *x, const sw_reader *config)
{
    x->key_n = (uint32_t)(config->end - config->at);
    x->key = sw_alloc(x->key_n + 1, 16);
    if (!x->key)
        return sw_fail(SW_ENOMEM, "no memory for the grammar");
    memcpy(x->key, config->at, x->key_n);
    tree t = {0};
    sw_reader r = *config;
    uint32_t root = from_msgpack(&t, &r, 0);
    int32_t err = root && t.v[root].kind == V_MAP ? make_grammar(x, &t, root) : bad("the configuration is not a map, or too large");
    sw_free(t.v, 0, 16);
    sw_free(t.bytes, 0, 16);
    if (err)
        drop_grammar(x);
    return err;
}

/* The grammar of a configuration, made if it is not there. Where memory is short, those
 * nobody has go first. */
static int32_t find_grammar(const sw_reader *config, grammar **found)
{
    grammar *x = known_grammar(config), *old;
    int32_t err = SW_OK;
    if (!x) {
        if (!(x = spare_grammar(false)))
            return sw_fail(SW_EBUSY, "64 different grammars are in use");
        drop_grammar(x);
        err = fill_grammar(x, config);
    }
    while (err == SW_ENOMEM && (old = spare_grammar(true))) {
        drop_grammar(old);
        err = fill_grammar(x, config);
    }
    if (err)
        return err;
    x->used = ++grammar_clock;
    *found = x;
    return SW_OK;
}

#endif
