/* elements.h: arrays. */
#ifndef ELEMENTS_H
#define ELEMENTS_H

#include "literal.h"
#include "negate.h"

enum { DISTINCT_MAX = 8 }; /* values an array without doubles may be made of */

/* The schemas of element i; i beyond all prefixes for the rest. */
static parts of_element(schema *c, const parts *list, uint32_t i, uint32_t also)
{
    parts sub = {0};
    for (uint32_t k = 0; k < list->n; k++) {
        uint32_t s = list->at[k].v, p = get(c->t, s, "prefixItems"), e = p ? c->t->v[p].first : 0;
        for (uint32_t skip = i; skip > 0 && e; skip--)
            e = c->t->v[e].next;
        if (!e)
            e = get(c->t, s, "items");
        if (e)
            add_part(c, &sub, e);
    }
    if (also)
        add_part(c, &sub, also);
    return sub;
}

static uint32_t element(schema *c, const parts *list, uint32_t i, uint32_t also)
{
    parts sub = of_element(c, list, i, also);
    return rule_for(c, &sub);
}

typedef struct {
    uint32_t min, max, prefix, contains;
    bool unique;
} array_rules;

static void read_array_rules(schema *c, const parts *list, array_rules *a)
{
    *a = (array_rules){0};
    counts(c, list, "minItems", "maxItems", &a->min, &a->max);
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t s = list->at[i].v, p = get(c->t, s, "prefixItems"), u = get(c->t, s, "uniqueItems"), k = get(c->t, s, "contains");
        if (p && c->t->v[p].count > a->prefix)
            a->prefix = c->t->v[p].count;
        a->unique |= u && c->t->v[u].kind == V_TRUE && a->max > 1;
        if (get(c->t, s, "unevaluatedItems"))
            unsupported(c, "unevaluatedItems");
        if (k && (a->contains || get(c->t, s, "minContains") || get(c->t, s, "maxContains")))
            unsupported(c, "several contains, minContains or maxContains");
        a->contains = k ? k : a->contains;
        uint32_t items = get(c->t, s, "items");
        if (items && c->t->v[items].kind == V_LIST)
            schema_error(c, "items is a list: use prefixItems", "", 0);
    }
    if (a->contains && (a->prefix > 0 || a->max != UNBOUNDED || a->min > 1)) {
        unsupported(c, "contains beside prefixItems, minItems or maxItems");
        a->contains = 0;
    }
    if (a->prefix > COUNT_MAX)
        schema_error(c, "counts are supported up to 4096: prefixItems", "", 0);
}

/* Elements and commas to the end: any before, one that fits, any behind. */
static uint32_t containing(schema *c, const parts *list, uint32_t contains, uint32_t close)
{
    net *g = c->g;
    uint32_t rest = element(c, list, 0, 0), fit = element(c, list, 0, contains), behind = hole(g), before = hole(g);
    uint32_t more = word(g, ",", blank(c, call(g, rest, behind)));
    if (!g->err) {
        g->nodes[behind].next = more;
        g->nodes[behind].other = close;
    }
    uint32_t either_way = either(g, call(g, fit, behind), call(g, rest, before));
    fill(g, before, word(g, ",", blank(c, either_way)));
    return either(g, call(g, fit, behind), call(g, rest, before));
}

/* --- uniqueItems ------------------------------------------------------------------------ */

static void note_distinct(schema *c, uint32_t v, uint32_t *values, uint32_t *n)
{
    for (uint32_t i = 0; i < *n; i++)
        if (equal(c, v, values[i]))
            return;
    if (*n < DISTINCT_MAX)
        values[*n] = v;
    ++*n;
}

/* The values an element may have, if they are few: of its first const or enum, or of its
 * types. More than DISTINCT_MAX if they are not. */
static uint32_t few_values(schema *c, parts *sub, uint32_t *values)
{
    uint32_t types = T_ALL, n = 0, k;
    bool listed = false;
    if (!flatten(c, sub))
        return 0;
    for (uint32_t i = 0; i < sub->n && !listed; i++) {
        uint32_t s = sub->at[i].v, one = get(c->t, s, "const"), list = get(c->t, s, "enum");
        listed = one || list;
        for (uint32_t v = next_constant(c, one, list, 0); v; v = next_constant(c, one, list, v)) {
            bool good = true;
            for (uint32_t j = 0; j < sub->n && good; j++)
                good = fits(c, v, sub->at[j].v, 0);
            if (good)
                note_distinct(c, v, values, &n);
        }
    }
    if (listed)
        return n;
    for (uint32_t i = 0; i < sub->n; i++)
        types &= (k = get(c->t, sub->at[i].v, "type")) ? type_bits(c, k) : T_ALL;
    if (types & ~(uint32_t)(T_NULL | T_BOOLEAN))
        return DISTINCT_MAX + 1;
    static const value_kind small[] = {V_NULL, V_FALSE, V_TRUE};
    for (uint32_t i = types & T_NULL ? 0 : 1; i < (types & T_BOOLEAN ? 3 : 1); i++) {
        uint32_t v = make(c, small[i]);
        bool good = v != 0;
        for (uint32_t j = 0; j < sub->n && good; j++)
            good = fits(c, v, sub->at[j].v, 0);
        if (good)
            note_distinct(c, v, values, &n);
    }
    return n;
}

/* Arrays of different values: what is left to choose from is the state. False if they
 * are too many. */
static bool unique_net(schema *c, const parts *list, const array_rules *a, uint32_t close, uint32_t *out)
{
    net *g = c->g;
    parts sub = of_element(c, list, 0, 0);
    uint32_t values[DISTINCT_MAX], rules[DISTINCT_MAX], at[1 << DISTINCT_MAX], n = few_values(c, &sub, values);
    if (n > DISTINCT_MAX || a->prefix > 0 || a->contains)
        return false;
    for (uint32_t i = 0; i < n; i++)
        rules[i] = literal(c, values[i], RETURN, 0);
    for (uint32_t taken = 1u << n; taken-- > 0;) { /* what has more taken comes first */
        uint32_t had = (uint32_t)__builtin_popcount(taken);
        uint32_t ways = had >= a->min && had <= a->max ? close : DEAD;
        for (uint32_t i = 0; i < n; i++) {
            if (taken >> i & 1 || had >= a->max)
                continue;
            uint32_t one = call_leaf(g, rules[i], at[taken | 1u << i]);
            if (one != DEAD && had > 0)
                one = word(g, ",", blank(c, one));
            ways = either(g, ways, one);
        }
        at[taken] = ways;
    }
    *out = at[0];
    return true;
}

/* --- all -------------------------------------------------------------------------------- */

static uint32_t array_net(schema *c, const parts *list, uint32_t next)
{
    net *g = c->g;
    array_rules a;
    read_array_rules(c, list, &a);
    uint32_t close = blank(c, word(g, "]", next)), out;
    if (g->err)
        return DEAD;
    if (a.unique) {
        if (unique_net(c, list, &a, close, &out))
            return word(g, "[", blank(c, out));
        unsupported(c, "uniqueItems, of other than up to 8 constants");
    }
    if (a.contains)
        return word(g, "[", blank(c, containing(c, list, a.contains, close)));
    uint32_t k = a.prefix > a.min ? a.prefix : a.min, rest = element(c, list, a.prefix, 0);
    if (a.max == UNBOUNDED) {
        k = k > 0 ? k : 1;
        out = hole(g);
        uint32_t more = word(g, ",", blank(c, call(g, rest, out)));
        if (!g->err) {
            g->nodes[out].next = more;
            g->nodes[out].other = close;
        }
    } else {
        k = a.max;
        out = a.max >= a.min ? close : DEAD;
    }
    while (k > 0 && !g->err) {
        k--;
        uint32_t item = call(g, k < a.prefix ? element(c, list, k, 0) : rest, out);
        if (k > 0)
            item = item == DEAD ? DEAD : word(g, ",", blank(c, item));
        out = either(g, item, k >= a.min ? close : DEAD);
    }
    return word(g, "[", blank(c, out));
}

#endif
