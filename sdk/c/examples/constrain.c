//go:build ignore

/* constrain: a sampler that lets a model write only what a JSON schema, or a regular
 * expression, allows.
 *
 * The grammar becomes a net over bytes (constrain/net.h), its states are found when a
 * text first leads there (constrain/machine.h), and the tokens that may follow are
 * those of the vocabulary's trie that do not leave it (constrain/vocabulary.h). Masks
 * are kept by state: a step costs a copy. While the model computes, sw_plan makes them.
 *
 * Configuration of the plugin, or of a request, which then counts alone:
 *     json        true: any JSON value
 *     schema      a JSON schema (draft 2020-12), as a value or as JSON text, which
 *                 keeps the order of properties
 *     regex       a regular expression all of the answer must match
 *     ends        [id, ...] tokens that end an answer; left out, those whose text is
 *                 one of the usual (</s>, <|im_end|>, ...)
 *     max_tokens  the answer, its end left out, will not be longer: as the room gets
 *                 short only tokens are allowed that leave a way to the end
 *     depth       how many values a value may be inside of, 1 to 150; 32
 *     compact     true: no white space between JSON's parts
 *     lenient     true: keywords that cannot be enforced are ignored, not refused
 * With none of json, schema and regex, everything is allowed.
 */
#define SANDWARP_SAMPLER
#define SANDWARP_ACCEPT
#define SANDWARP_FEATURES SW_FEATURE_VOCAB
#include "../sandwarp.h"

#include "constrain/mask.h"
#include "constrain/schema.h"

SW_EXPORT(sw_plan) int32_t sw_plan(uint32_t rows);
SW_EXPORT(sw_seq_fork) int32_t sw_seq_fork(uint64_t src, uint64_t dst);
SW_EXPORT(sw_seq_rollback) int32_t sw_seq_rollback(uint64_t seq, uint32_t n);

/* --- grammars ---------------------------------------------------------------------- */

enum { GRAMMARS = 64, SEQUENCES = 1024 };
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

typedef struct {
    grammar *g; /* NULL: everything is allowed */
    uint32_t state;
    bool ended; /* by an end token */
    bool lost;  /* a token was chosen that is not allowed */
    int32_t *ids;
    uint32_t n, cap;
} sequence;

static sw_slot slots[SEQUENCES];
static sequence sequences[SEQUENCES];

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
    err = machine_begin(&x->m, depth);
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

/* The grammar of a configuration, made if it is not there. */
static int32_t find_grammar(const sw_reader *config, grammar **found)
{
    uint32_t n = (uint32_t)(config->end - config->at);
    grammar *spare = NULL;
    for (uint32_t i = 0; i < GRAMMARS; i++) {
        grammar *x = &grammars[i];
        if (x->key && x->key_n == n && memcmp(x->key, config->at, n) == 0) {
            *found = x;
            x->used = ++grammar_clock;
            return SW_OK;
        }
        if (x->users == 0 && x != standard && (!spare || x->used < spare->used))
            spare = x;
    }
    if (!spare)
        return sw_fail(SW_EBUSY, "64 different grammars are in use");
    drop_grammar(spare);
    spare->used = ++grammar_clock;
    spare->key = sw_alloc(n + 1, 16);
    if (!spare->key)
        return sw_fail(SW_ENOMEM, "no memory for the grammar");
    memcpy(spare->key, config->at, n);
    spare->key_n = n;
    tree t = {0};
    sw_reader r = *config;
    uint32_t root = from_msgpack(&t, &r, 0);
    int32_t err = root && t.v[root].kind == V_MAP ? make_grammar(spare, &t, root) : bad("the configuration is not a map, or too large");
    sw_free(t.v, 0, 16);
    sw_free(t.bytes, 0, 16);
    if (err)
        drop_grammar(spare);
    else
        *found = spare;
    return err;
}

/* --- sequences ------------------------------------------------------------------------ */

static bool is_end(const grammar *x, int32_t id)
{
    for (uint32_t i = 0; i < x->ends_n; i++)
        if (x->ends[i] == id)
            return true;
    return false;
}

/* Goes on by a token. False if the machine is full. */
static bool follow(sequence *s, int32_t id)
{
    machine *m = &s->g->m;
    if (s->ended || s->lost || id < 0 || (uint32_t)id >= vocab.n) {
        s->lost |= !s->ended;
        return true;
    }
    if (is_end(s->g, id)) {
        s->ended = m->states[s->state].dist == 0;
        s->lost = !s->ended;
        return true;
    }
    const uint8_t *p;
    uint32_t n = token_bytes((uint32_t)id, &p), state = s->state;
    for (uint32_t i = 0; i < n && state != NOWHERE; i++)
        if ((state = next_state(m, state, p[i])) == UNKNOWN)
            return false;
    s->state = state;
    s->lost = state == NOWHERE;
    return true;
}

/* Follows the sequence's tokens from the start. */
static bool follow_all(sequence *s)
{
    s->state = s->g->m.start;
    s->ended = s->lost = false;
    for (uint32_t i = 0; i < s->n; i++)
        if (!follow(s, s->ids[i]))
            return false;
    return true;
}

/* Forgets the states of a full machine, and finds those of its sequences again. */
static int32_t begin_again(grammar *x)
{
    drop_masks(&x->m);
    bool good = restart(&x->m);
    for (uint32_t i = 0; i < SEQUENCES && good; i++)
        if (slots[i].state == 1 && sequences[i].g == x)
            good = follow_all(&sequences[i]);
    return good ? SW_OK : sw_fail(SW_E2BIG, "the grammar has too many states: bound lengths lower, or repeat less");
}

static void empty(sequence *s)
{
    if (s->g)
        s->g->users--;
    sw_free(s->ids, 0, 16);
    *s = (sequence){0};
}

int32_t sw_configure(const uint8_t *message, uint32_t n)
{
    sw_message m;
    int32_t err = sw_read_message(message, n, &m);
    if (!err)
        err = read_vocabulary();
    if (err || m.config.at == m.config.end)
        return err;
    err = find_grammar(&m.config, &standard);
    if (!err && standard->free)
        standard = NULL;
    return err;
}

/* Whether a request's configuration says nothing but a seed, or nothing at all. */
static bool says_nothing(sw_reader r)
{
    if (r.at == r.end)
        return true;
    uint32_t pairs = sw_peek(&r) == SW_TYPE_MAP ? sw_read_map(&r) : 2, n;
    const uint8_t *key = pairs == 1 ? sw_read_text(&r, &n) : NULL;
    return pairs == 0 || (key && sw_is(key, n, "seed"));
}

int32_t sw_seq_open(uint64_t seq, const uint8_t *message, uint32_t n)
{
    sw_message m;
    int32_t err = sw_read_message(message, n, &m);
    grammar *x = standard;
    if (!err && !says_nothing(m.config))
        err = find_grammar(&m.config, &x);
    if (err)
        return err;
    int32_t slot = sw_slot_open(slots, SEQUENCES, seq);
    if (slot < 0)
        return slot;
    sequence *s = &sequences[slot];
    empty(s);
    if (x && !x->free) {
        s->g = x;
        s->state = x->m.start;
        x->users++;
    }
    return SW_OK;
}

int32_t sw_seq_close(uint64_t seq)
{
    int32_t slot = sw_slot_close(slots, SEQUENCES, seq);
    if (slot < 0)
        return slot;
    empty(&sequences[slot]);
    return SW_OK;
}

int32_t sw_seq_fork(uint64_t src, uint64_t dst)
{
    int32_t from = sw_slot_find(slots, SEQUENCES, src);
    int32_t to = from < 0 ? from : sw_slot_open(slots, SEQUENCES, dst);
    if (to < 0)
        return to;
    sequence *s = &sequences[from], *d = &sequences[to];
    empty(d);
    *d = *s;
    d->ids = NULL;
    d->cap = 0;
    if (d->g)
        d->g->users++;
    if (!room(&d->ids, &d->cap, s->n + 1, sizeof *d->ids)) {
        d->n = 0;
        sw_slot_close(slots, SEQUENCES, dst);
        empty(d);
        return sw_fail(SW_ENOMEM, "no memory for the sequence");
    }
    memcpy(d->ids, s->ids, s->n * sizeof *s->ids);
    return SW_OK;
}

int32_t sw_accept(uint64_t seq, const int32_t *tokens, uint32_t n)
{
    int32_t slot = sw_slot_find(slots, SEQUENCES, seq), err = SW_OK;
    if (slot < 0)
        return slot;
    sequence *s = &sequences[slot];
    if (!s->g)
        return SW_OK;
    if (!room(&s->ids, &s->cap, s->n + n, sizeof *s->ids))
        return sw_fail(SW_ENOMEM, "no memory for the tokens");
    for (uint32_t i = 0; i < n && !err; i++) {
        s->ids[s->n++] = tokens[i];
        if (!follow(s, tokens[i]))
            err = begin_again(s->g);
    }
    return err;
}

int32_t sw_seq_rollback(uint64_t seq, uint32_t n)
{
    int32_t slot = sw_slot_find(slots, SEQUENCES, seq);
    if (slot < 0)
        return slot;
    sequence *s = &sequences[slot];
    if (!s->g)
        return SW_OK;
    if (n > s->n)
        return sw_fail(SW_EINVAL, "more tokens to take back than were accepted");
    s->n -= n;
    return follow_all(s) ? SW_OK : begin_again(s->g);
}

/* --- every step --------------------------------------------------------------------------- */

/* Masks that may still be made in this call: a budget pays for so many. What a plan
 * leaves is made when it is needed. */
static uint32_t masks_left;
enum { PLANNED = 2 };

/* The mask of a state, made if it is not there; NULL and an error in sw_fail. One for
 * less than all ways to the end is not kept. */
static mask *mask_of(sequence *s, uint32_t most)
{
    grammar *x = s->g;
    for (int turn = 0; turn < 2; turn++) {
        uint32_t slot = x->m.states[s->state].mask;
        mask *k = slot ? &masks[slot - 1] : NULL;
        if (k && k->farthest <= most) {
            k->used = ++masks_clock;
            return k;
        }
        uint32_t bound = k ? most : FAR; /* the whole one first: it may do */
        if (masks_left == 0)
            return NULL;
        masks_left--;
        if (!(k = mask_slot())) {
            sw_fail(SW_ENOMEM, "no memory for a mask");
            return NULL;
        }
        if (!fill_mask(&x->m, s->state, bound, x->ends, x->ends_n, k)) {
            if (begin_again(x))
                return NULL;
            continue;
        }
        k->used = bound == FAR ? ++masks_clock : 0;
        if (bound == FAR) {
            k->owner = &x->m;
            k->state = s->state;
            x->m.states[s->state].mask = (uint32_t)(k - masks) + 1;
        }
        if (bound == most || k->farthest <= most)
            return k;
        turn = 0; /* now the bounded one */
    }
    sw_fail(SW_E2BIG, "the grammar has too many states: bound lengths lower, or repeat less");
    return NULL;
}

/* The most bytes a token may leave to go: one token a byte is always there, if the
 * vocabulary has all bytes. FAR if there is room enough. */
static uint32_t room_left(const sequence *s)
{
    if (!s->g->max_tokens)
        return FAR;
    return s->g->max_tokens > s->n ? s->g->max_tokens - s->n - 1 : 0;
}

/* Answers a row. */
static int32_t answer(uint32_t i, sequence *s)
{
    sw_row *row = sw_row_at(i);
    uint32_t *bits = sw_mask_at(i), words = (sw_window->vocab + 31) / 32;
    if (s->lost)
        return sw_fail(SW_EINVAL, "a token was chosen that the grammar does not allow");
    if (s->ended || (s->g->max_tokens && s->n >= s->g->max_tokens)) {
        sw_pick(row, s->g->ends[0]);
        return SW_OK;
    }
    uint32_t most = room_left(s);
    mask *k = mask_of(s, most);
    if (k && k->count == 0 && most < FAR) /* the vocabulary lacks bytes: the way back is not there */
        k = mask_of(s, FAR);
    if (!k)
        return masks_left == 0 ? SW_OK : SW_E2BIG;
    if (k->count == 0)
        return sw_fail(SW_EINVAL, "no token of the vocabulary goes on with the grammar");
    if (k->count == 1 && (uint32_t)k->only < sw_window->vocab) {
        sw_pick(row, k->only);
        return SW_OK;
    }
    memcpy(bits, k->bits, (words < vocab.words ? words : vocab.words) * 4);
    row->action = SW_CHOICE_MASK;
    return SW_OK;
}

static int32_t answer_rows(uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++) {
        int32_t slot = sw_slot_find(slots, SEQUENCES, sw_row_at(i)->seq);
        if (slot < 0)
            return sw_fail(slot, "the sequence is not open");
        int32_t err = sequences[slot].g ? answer(i, &sequences[slot]) : SW_OK;
        if (err)
            return err;
    }
    return SW_OK;
}

int32_t sw_sample(uint32_t rows)
{
    masks_left = UNBOUNDED;
    return answer_rows(rows);
}

/* While the model computes there is time to make masks. */
int32_t sw_plan(uint32_t rows)
{
    masks_left = PLANNED;
    return answer_rows(rows);
}
