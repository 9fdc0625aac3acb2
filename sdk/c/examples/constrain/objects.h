/* objects.h: objects. Properties come in the order the schemas name them, others behind. */
#ifndef OBJECTS_H
#define OBJECTS_H

#include "names.h"

enum { COUNTED_MAX = 64 }; /* properties counted beside names */

/* What a schema says of properties it does not name. */
static uint32_t additional(schema *c, uint32_t s)
{
    static const char *const applies[] = {"$ref", "allOf", "anyOf", "oneOf", "if", "not", "dependentSchemas"};
    uint32_t a = get(c->t, s, "additionalProperties"), u = get(c->t, s, "unevaluatedProperties");
    if (a || !u)
        return a;
    for (uint32_t k = 0; k < sizeof applies / sizeof *applies; k++)
        if (c->t->v[u].kind != V_TRUE && get(c->t, s, applies[k]))
            unsupported(c, "unevaluatedProperties beside other schemas");
    return u;
}

/* The rule of a property's value: of a name, or of one nobody names; noted: the patterns
 * it matches. */
static uint32_t property(schema *c, const object_rules *o, const name *x, uint32_t noted)
{
    parts sub = {0};
    for (uint32_t i = 0; i < o->list->n; i++) {
        uint32_t s = o->list->at[i].v, p = x ? get(c->t, s, "properties") : 0;
        uint32_t v = p ? get_n(c->t, p, c->t->bytes + x->text, x->n) : 0;
        bool said = v != 0;
        if (v)
            add_part(c, &sub, v);
        for (uint32_t k = 0; k < o->patterns_n; k++)
            if (noted >> k & 1 && o->patterns[k].s == s) {
                said = true;
                add_part(c, &sub, o->patterns[k].v);
            }
        if (!said && (v = additional(c, s)))
            add_part(c, &sub, v);
    }
    return rule_for(c, &sub);
}

/* --- keys by pattern ------------------------------------------------------------------- */

/* Behind a key nobody names: its value, by the patterns it matches. */
typedef struct {
    schema *c;
    const object_rules *o;
    uint32_t ends[1 << PATTERNS_MAX]; /* 0: not made */
} pair_ends;

static uint32_t pair_end(void *context, uint32_t noted)
{
    pair_ends *e = context;
    if (!e->ends[noted]) {
        uint32_t v = property(e->c, e->o, NULL, noted);
        e->ends[noted] = v == DEAD ? DEAD : word(e->c->g, "\":", blank(e->c, v));
    }
    return e->ends[noted];
}

/* The rule of a key nobody names and its value; DEAD if there can be none. */
static uint32_t pair_rule(schema *c, const object_rules *o)
{
    languages l = {0};
    pair_ends *e = sw_alloc(sizeof *e, 16);
    uint32_t out = DEAD;
    if (!e)
        return schema_error(c, "no memory", "", 0);
    memset(e, 0, sizeof *e);
    e->c = c;
    e->o = o;
    if (add_names(c, &l, o, true, QUOTED))
        out = meet(c, &l, pair_end, e);
    drop_languages(&l);
    sw_free(e, 0, 16);
    return word(c->g, "\"", out);
}

/* Which patterns a name matches. False if propertyNames forbids it. */
static bool name_fits(schema *c, languages *l, const name *x, uint32_t *noted)
{
    *noted = 0;
    bool good = l->n == 0 || takes(l, c->t->bytes + x->text, x->n, noted);
    if (l->err && !c->g->err)
        c->g->err = l->err;
    return good;
}

/* --- pairs --------------------------------------------------------------------------------- */

/* A pair nobody names, and what follows. */
static uint32_t free_pair(schema *c, const object_rules *o, uint32_t next)
{
    if (o->patterns_n > 0 || o->ruled)
        return call(c->g, o->pair, next);
    uint32_t v = property(c, o, NULL, 0);
    return v == DEAD ? DEAD : free_key(c, &o->sorted, call(c->g, v, next));
}

/* Pairs nobody names, from min to max of them, and the end. first: none came before. */
static uint32_t free_pairs(schema *c, const object_rules *o, uint32_t min, uint32_t max, bool first, uint32_t close)
{
    net *g = c->g;
    uint32_t out, k = min;
    if (max == UNBOUNDED) {
        out = hole(g);
        uint32_t pair = free_pair(c, o, out), more = pair == DEAD ? DEAD : word(g, ",", blank(c, pair));
        if (!g->err) {
            g->nodes[out].next = more;
            g->nodes[out].other = close;
        }
        k = first && k == 0 ? 1 : k;
    } else {
        out = max >= min ? close : DEAD;
        k = max;
    }
    while (k > 0 && !g->err) {
        k--;
        uint32_t pair = free_pair(c, o, out);
        if (pair != DEAD && (k > 0 || !first))
            pair = word(g, ",", blank(c, pair));
        out = either(g, pair, k >= min ? close : DEAD);
    }
    return out;
}

/* Puts a name before what may follow: after[k] is that behind k pairs; from most on they
 * are not counted, or there can be no more. */
static void put_name(schema *c, const object_rules *o, const name *x, uint32_t value, uint32_t *after, uint32_t most)
{
    net *g = c->g;
    for (uint32_t k = 0; k <= most && !g->err; k++) {
        bool no_more = o->max != UNBOUNDED && k == most;
        uint32_t pair = no_more ? DEAD : call(g, value, after[k < most ? k + 1 : most]);
        if (pair != DEAD)
            pair = key_then(c, c->t->bytes + x->text, x->n, pair);
        if (pair != DEAD && k > 0)
            pair = word(g, ",", blank(c, pair));
        after[k] = either(g, pair, x->required ? DEAD : after[k]);
    }
}

static uint32_t pairs_net(schema *c, object_rules *o, uint32_t close)
{
    uint32_t after[COUNTED_MAX + 1], noted, most = o->max != UNBOUNDED ? o->max : o->min > 1 ? o->min : 1;
    if (o->l.n == 0)
        return free_pairs(c, o, o->min, o->max, true, close);
    if (most > COUNTED_MAX || most * o->l.n > 4000) {
        unsupported(c, "minProperties or maxProperties beyond 64 beside properties or required");
        o->min = 0;
        o->max = UNBOUNDED;
        most = 1;
    }
    for (uint32_t k = 0; k <= most; k++) {
        uint32_t max = o->max == UNBOUNDED ? UNBOUNDED : o->max - k;
        after[k] = free_pairs(c, o, o->min > k ? o->min - k : 0, max, k == 0, close);
    }
    languages l = {0};
    bool none = (o->patterns_n > 0 || o->ruled) && !add_names(c, &l, o, false, PLAIN);
    work(c, l.n * LANGUAGE_WORK + o->l.n * 10);
    for (uint32_t i = o->l.n; i > 0 && !c->g->err; i--) {
        const name *x = &o->l.at[i - 1];
        bool good = !none && name_fits(c, &l, x, &noted);
        put_name(c, o, x, good ? property(c, o, x, noted) : DEAD, after, most);
    }
    drop_languages(&l);
    return after[0];
}

static uint32_t object_net(schema *c, const parts *list, uint32_t next)
{
    object_rules o = {.list = list, .l = {c->t, sw_alloc(2 * NAMES_MAX * sizeof(name), 16), 0}};
    if (!o.l.at)
        return schema_error(c, "no memory", "", 0);
    collect(c, list, &o.l);
    counts(c, list, "minProperties", "maxProperties", &o.min, &o.max);
    read_patterns(c, &o);
    o.sorted = (names){c->t, o.l.at + NAMES_MAX, o.l.n};
    memcpy(o.sorted.at, o.l.at, o.l.n * sizeof *o.l.at);
    sort_names(&o.sorted);
    if (o.patterns_n > 0 || o.ruled)
        o.pair = pair_rule(c, &o);
    uint32_t first = pairs_net(c, &o, blank(c, word(c->g, "}", next)));
    sw_free(o.l.at, 0, 16);
    return word(c->g, "{", blank(c, first));
}

#endif
