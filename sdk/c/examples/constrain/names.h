/* names.h: the properties schemas name, and keys that are none of them. */
#ifndef NAMES_H
#define NAMES_H

#include "literal.h"
#include "negate.h"

enum { PATTERNS_MAX = 8 };

/* A name lies at t->bytes, which move while schemas are derived. */
typedef struct {
    uint32_t text, n;
    bool required;
} name;

typedef struct {
    const tree *t;
    name *at;
    uint32_t n;
} names;

static const uint8_t *name_text(const names *l, uint32_t i) { return l->t->bytes + l->at[i].text; }

static bool has_name(const names *l, uint32_t text, uint32_t n, uint32_t *i)
{
    for (*i = 0; *i < l->n; ++*i)
        if (l->at[*i].n == n && memcmp(name_text(l, *i), l->t->bytes + text, n) == 0)
            return true;
    return false;
}

static void add_name(schema *c, names *l, uint32_t text, uint32_t n, bool required)
{
    uint32_t i;
    if (!has_name(l, text, n, &i)) {
        if (l->n == NAMES_MAX) {
            schema_error(c, "more than 1000 properties", "", 0);
            return;
        }
        l->at[l->n++] = (name){text, n, false};
    }
    l->at[i].required |= required;
}

/* All properties the list names, in its order. */
static void collect(schema *c, const parts *list, names *l)
{
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t s = list->at[i].v, p = get(c->t, s, "properties");
        for (uint32_t k = p ? c->t->v[p].first : 0; k; k = c->t->v[k].next)
            add_name(c, l, c->t->v[k].key, c->t->v[k].keylen, false);
    }
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t r = get(c->t, list->at[i].v, "required");
        for (uint32_t k = r ? c->t->v[r].first : 0; k; k = c->t->v[k].next)
            add_name(c, l, c->t->v[k].text, c->t->v[k].len, true);
    }
}

/* A pattern for names, of one of the schemas: its value is what it says of those. */
typedef struct {
    uint32_t s, v;
} pattern;

/* What a list of schemas says of an object. */
typedef struct {
    const parts *list;
    names l, sorted;
    pattern patterns[PATTERNS_MAX];
    uint32_t patterns_n;
    bool ruled;    /* propertyNames are there */
    uint32_t pair; /* with patterns, or rules: the rule of a key that is not named, and its value */
    uint32_t min, max;
} object_rules;

static void read_patterns(schema *c, object_rules *o)
{
    for (uint32_t i = 0; i < o->list->n; i++) {
        uint32_t s = o->list->at[i].v, p = get(c->t, s, "patternProperties"), r = get(c->t, s, "propertyNames");
        o->ruled |= r && c->t->v[r].kind != V_TRUE;
        for (uint32_t k = p ? c->t->v[p].first : 0; k; k = c->t->v[k].next) {
            if (o->patterns_n == PATTERNS_MAX) {
                unsupported(c, "more than 8 patternProperties of one object");
                return;
            }
            o->patterns[o->patterns_n++] = (pattern){s, k};
        }
    }
}

/* What propertyNames says of a name. False if there can be none. */
static bool add_name_rules(schema *c, languages *l, uint32_t s, writing w)
{
    static const char *const known[] = {"pattern", "minLength", "maxLength", "format", "type", "enum", "const", "not", "$ref", "allOf"};
    parts list = {1, {{s, 0}}};
    if (!flatten(c, &list))
        return false;
    for (uint32_t i = 0; i < list.n; i++) {
        uint32_t v = list.at[i].v, n = 0, one = get(c->t, v, "const"), many = get(c->t, v, "enum"), type = get(c->t, v, "type");
        for (uint32_t k = 0; k < sizeof known / sizeof *known; k++)
            n += get(c->t, v, known[k]) != 0;
        if (n != c->t->v[v].count || (get(c->t, v, "not") && !forbids(c, v)))
            unsupported(c, "propertyNames beyond pattern, length, enum and const");
        if (type && !(type_bits(c, type) & T_STRING))
            return false;
        if (one || many)
            add_constants(c, l, WANTED, one, many, w);
    }
    add_string_rules(c, &list, l, w);
    return true;
}

/* Names, as patterns and propertyNames have them; other: less those that are named.
 * False if there is none. */
static bool add_names(schema *c, languages *l, const object_rules *o, bool other, writing w)
{
    for (uint32_t k = 0; k < o->patterns_n; k++)
        add_expression(l, NOTED, key_of(c->t, o->patterns[k].v), c->t->v[o->patterns[k].v].keylen, false, w);
    add_lengths(l, 0, UNBOUNDED, w);
    net *g = other ? add_language(l, AVOIDED) : NULL;
    uint32_t out = DEAD;
    for (uint32_t i = 0; g && i < o->l.n; i++)
        out = either(g, out, json_text(g, name_text(&o->l, i), o->l.at[i].n, RETURN));
    if (g)
        end_language(l, out);
    for (uint32_t i = 0; i < o->list->n; i++) {
        uint32_t r = get(c->t, o->list->at[i].v, "propertyNames");
        if (r && !add_name_rules(c, l, r, w))
            return false;
    }
    return true;
}

/* --- without patterns ------------------------------------------------------------------ */

static uint32_t code_point(const uint8_t *p, uint32_t n, uint32_t *len)
{
    int32_t k = sw_char(p, n);
    *len = k > 0 ? (uint32_t)k : 1;
    if (k <= 1)
        return k == 1 ? p[0] : 0xfffd;
    uint32_t x = p[0] & (0xffu >> (k + 1));
    for (int32_t i = 1; i < k; i++)
        x = x << 6 | (p[i] & 0x3f);
    return x;
}

/* The rest of a key, and its quote, that is none of names from..to, which are sorted
 * and the same up to byte at. A character none goes on with leads to `any`. */
static uint32_t other_key(schema *c, const names *l, uint32_t from, uint32_t to, uint32_t at, uint32_t any, uint32_t end, uint32_t depth)
{
    net *g = c->g;
    if (depth > 300)
        return schema_error(c, "a property's name is longer than 300 characters", "", 0);
    bool taken = from < to && l->at[from].n == at;
    from += taken;
    uint32_t out = taken ? DEAD : end, n = 0;
    span *rest = sw_alloc((to - from + 1) * sizeof *rest, 16);
    if (!rest)
        return schema_error(c, "no memory", "", 0);
    uint32_t low = 0;
    while (from < to) {
        uint32_t len, x = code_point(name_text(l, from) + at, l->at[from].n - at, &len), until = from + 1, other;
        while (until < to && code_point(name_text(l, until) + at, l->at[until].n - at, &other) == x)
            until++;
        span one = {x, x};
        out = either(g, out, character(g, &one, 1, QUOTED, other_key(c, l, from, until, at + len, any, end, depth + 1)));
        if (x > low)
            rest[n++] = (span){low, x - 1};
        low = x + 1;
        from = until;
    }
    rest[n++] = (span){low, 0x10ffff};
    out = either(g, out, character(g, rest, n, QUOTED, any));
    sw_free(rest, 0, 16);
    return out;
}

/* Names in order of their bytes, which is that of their characters. */
static void sort_names(names *l)
{
    for (uint32_t i = 1; i < l->n; i++) {
        name x = l->at[i];
        uint32_t j = i;
        for (; j > 0; j--) {
            const name *y = &l->at[j - 1];
            int order = memcmp(name_text(l, j - 1), l->t->bytes + x.text, y->n < x.n ? y->n : x.n);
            if (order < 0 || (order == 0 && y->n <= x.n))
                break;
            l->at[j] = *y;
        }
        l->at[j] = x;
    }
}

/* A key that is none of the names, with its colon. */
static uint32_t free_key(schema *c, const names *sorted, uint32_t next)
{
    net *g = c->g;
    uint32_t end = word(g, "\"", word(g, ":", blank(c, next))), any = any_number(g, c->quoted, end);
    return word(g, "\"", sorted->n > 0 ? other_key(c, sorted, 0, sorted->n, 0, any, end, 0) : any);
}

#endif
