/* negate.h: keywords that say what must not be, or what follows from what, rewritten as
 * schemas of which one must be satisfied: not, if, dependentRequired, oneOf. What does
 * not satisfy a schema satisfies one of a list of others (De Morgan's laws). */
#ifndef NEGATE_H
#define NEGATE_H

#include "fits.h"

/* --- schemas that are derived -------------------------------------------------------- */

enum { DERIVED_MAX = 5000 };

/* A new value; 0 and an error if there are too many. */
static uint32_t make(schema *c, value_kind kind)
{
    uint32_t i = ++c->derived > DERIVED_MAX ? 0 : new_value(c->t, kind);
    if (!i)
        schema_error(c, "too large: too many conditions together", "", 0);
    return i;
}

static uint32_t with(schema *c, uint32_t map, const char *key, uint32_t child)
{
    uint32_t at = c->t->used, n = (uint32_t)strlen(key);
    if (!map || !child || !keep(c->t, key, n)) {
        schema_error(c, "too large", "", 0);
        return map;
    }
    append(c->t, map, child, at, n);
    return map;
}

/* The same, the key being that of another value, or another text. */
static uint32_t with_key_of(schema *c, uint32_t map, uint32_t other, uint32_t child)
{
    if (map && child)
        append(c->t, map, child, c->t->v[other].key, c->t->v[other].keylen);
    return map;
}

static uint32_t put_in(schema *c, uint32_t list, uint32_t child)
{
    if (list && child)
        append(c->t, list, child, 0, 0);
    else
        schema_error(c, "too large", "", 0);
    return list;
}

static uint32_t again(schema *c, uint32_t v)
{
    uint32_t i = ++c->derived > DERIVED_MAX ? 0 : alias(c->t, v);
    if (!i)
        schema_error(c, "too large: too many conditions together", "", 0);
    return i;
}

/* {"type": ...} of a set of types. */
static uint32_t of_types(schema *c, uint32_t bits)
{
    uint32_t map = make(c, V_MAP), types = make(c, V_TYPES);
    c->t->v[types].count = types ? bits : 0;
    return with(c, map, "type", types);
}

/* {"allOf": [a, b]} */
static uint32_t all_of(schema *c, uint32_t a, uint32_t b)
{
    return with(c, make(c, V_MAP), "allOf", put_in(c, put_in(c, make(c, V_LIST), a), b));
}

/* An object without, or with, the property a name (a text) says. */
static uint32_t without_property(schema *c, uint32_t name)
{
    uint32_t properties = make(c, V_MAP), no = make(c, V_FALSE);
    if (properties && no)
        append(c->t, properties, no, c->t->v[name].text, c->t->v[name].len);
    return with(c, make(c, V_MAP), "properties", properties);
}

static uint32_t with_property(schema *c, uint32_t name)
{
    return with(c, of_types(c, T_OBJECT), "required", put_in(c, make(c, V_LIST), again(c, name)));
}

/* --- not ------------------------------------------------------------------------------ */

static uint32_t negation(schema *c, uint32_t s, uint32_t depth);
static uint32_t branches(schema *c, uint32_t s, uint32_t condition);
static uint32_t dependencies(schema *c, uint32_t d);

/* {KEYWORD: n} for strings, arrays or objects. */
static void add_count(schema *c, uint32_t out, uint32_t types, const char *keyword, uint32_t n)
{
    char b[12];
    uint32_t i = sizeof b, at = c->t->used, v = make(c, V_NUMBER);
    do
        b[--i] = (char)('0' + n % 10);
    while (n /= 10);
    if (!v || !keep(c->t, b + i, (uint32_t)sizeof b - i))
        return;
    c->t->v[v].text = at;
    c->t->v[v].len = (uint32_t)sizeof b - i;
    put_in(c, out, with(c, of_types(c, types), keyword, v));
}

/* Bounds and counts: the other side of them. False if the keyword is none. */
static bool negate_bound(schema *c, uint32_t out, uint32_t k)
{
    static const struct {
        const char *name, *other;
        uint8_t types;
        int8_t step; /* 0: a bound */
    } bounds[] = {{"minimum", "exclusiveMaximum", T_INTEGER | T_FRACTION, 0}, {"maximum", "exclusiveMinimum", T_INTEGER | T_FRACTION, 0},
        {"exclusiveMinimum", "maximum", T_INTEGER | T_FRACTION, 0}, {"exclusiveMaximum", "minimum", T_INTEGER | T_FRACTION, 0},
        {"minLength", "maxLength", T_STRING, -1}, {"maxLength", "minLength", T_STRING, 1}, {"minItems", "maxItems", T_ARRAY, -1},
        {"maxItems", "minItems", T_ARRAY, 1}, {"minProperties", "maxProperties", T_OBJECT, -1}, {"maxProperties", "minProperties", T_OBJECT, 1}};
    for (uint32_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        if (!sw_is(key_of(c->t, k), c->t->v[k].keylen, bounds[i].name))
            continue;
        uint32_t holder = with(c, make(c, V_MAP), bounds[i].name, again(c, k));
        uint32_t n = bounds[i].step ? count_of(c, holder, bounds[i].name) : 0;
        if (!bounds[i].step)
            put_in(c, out, with(c, of_types(c, bounds[i].types), bounds[i].other, again(c, k)));
        else if (n > 0 || bounds[i].step > 0)
            add_count(c, out, bounds[i].types, bounds[i].other, n + (uint32_t)bounds[i].step);
        return true;
    }
    return false;
}

/* Adds the ways not to satisfy any of the schemas of a list at once (anyOf), or one of
 * them (allOf). */
static void negate_list(schema *c, uint32_t out, uint32_t list, bool every, uint32_t depth)
{
    uint32_t all = every ? make(c, V_LIST) : 0;
    for (uint32_t s = c->t->v[list].first; s && !c->g->err; s = c->t->v[s].next) {
        uint32_t ways = negation(c, s, depth + 1);
        if (every)
            put_in(c, all, with(c, make(c, V_MAP), "anyOf", again(c, ways)));
        for (uint32_t w = every ? 0 : c->t->v[ways].first; w; w = c->t->v[w].next)
            put_in(c, out, again(c, w));
    }
    if (every)
        put_in(c, out, with(c, make(c, V_MAP), "allOf", all));
}

/* A property that is there and does not satisfy its schema. */
static void negate_properties(schema *c, uint32_t out, uint32_t properties, uint32_t depth)
{
    for (uint32_t p = c->t->v[properties].first; p && !c->g->err; p = c->t->v[p].next) {
        uint32_t ways = negation(c, p, depth + 1);
        for (uint32_t w = c->t->v[ways].first; w && !c->g->err; w = c->t->v[w].next) {
            uint32_t one = with_key_of(c, make(c, V_MAP), p, again(c, w)), name = key_value(c, p);
            put_in(c, out, with(c, with_property(c, name), "properties", one));
        }
    }
}

static bool says_nothing_of_values(schema *c, uint32_t k)
{
    static const char *const names[] = {"title", "description", "$comment", "default", "examples", "deprecated", "readOnly", "writeOnly",
        "$schema", "$id", "$anchor", "$defs", "definitions", "then", "else"};
    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++)
        if (sw_is(key_of(c->t, k), c->t->v[k].keylen, names[i]))
            return true;
    return false;
}

/* Adds the ways not to satisfy what is a list of schemas, or is rewritten as one. False
 * if keyword k is neither. */
static bool negate_lists(schema *c, uint32_t out, uint32_t s, uint32_t k, uint32_t depth)
{
    const uint8_t *key = key_of(c->t, k);
    uint32_t n = c->t->v[k].keylen;
    if (sw_is(key, n, "allOf") || sw_is(key, n, "anyOf"))
        negate_list(c, out, k, key[1] == 'n', depth);
    else if (sw_is(key, n, "dependentRequired") || sw_is(key, n, "dependentSchemas") || sw_is(key, n, "dependencies"))
        negate_list(c, out, dependencies(c, k), false, depth);
    else if (sw_is(key, n, "if") && (get(c->t, s, "then") || get(c->t, s, "else")))
        negate_list(c, out, branches(c, s, k), true, depth);
    else
        return sw_is(key, n, "if");
    return true;
}

/* Adds the ways not to satisfy keyword k of schema s. */
static void negate_keyword(schema *c, uint32_t out, uint32_t s, uint32_t k, uint32_t depth)
{
    const uint8_t *key = key_of(c->t, k);
    uint32_t n = c->t->v[k].keylen, to;
    if (says_nothing_of_values(c, k) || negate_bound(c, out, k) || negate_lists(c, out, s, k, depth))
        return;
    if (sw_is(key, n, "type")) {
        put_in(c, out, of_types(c, T_ALL & ~type_bits(c, k)));
    } else if (sw_is(key, n, "const") || sw_is(key, n, "enum") || sw_is(key, n, "pattern") || sw_is(key, n, "multipleOf")) {
        put_in(c, out, with(c, make(c, V_MAP), "not", with_key_of(c, make(c, V_MAP), k, again(c, k))));
    } else if (sw_is(key, n, "required")) {
        for (uint32_t r = c->t->v[k].first; r && !c->g->err; r = c->t->v[r].next) {
            uint32_t types = make(c, V_TYPES), map = without_property(c, r);
            c->t->v[types].count = types ? T_OBJECT : 0;
            put_in(c, out, with(c, map, "type", types));
        }
    } else if (sw_is(key, n, "properties")) {
        negate_properties(c, out, k, depth);
    } else if (sw_is(key, n, "not")) {
        put_in(c, out, again(c, k));
    } else if (sw_is(key, n, "$ref") && (to = resolve(c, k))) {
        uint32_t ways = negation(c, to, depth + 1);
        for (uint32_t w = c->t->v[ways].first; w; w = c->t->v[w].next)
            put_in(c, out, again(c, w));
    } else if (!c->g->err) {
        char what[80] = "not, of ";
        uint32_t len = n < 64 ? n : 64;
        memcpy(what + 8, key, len);
        what[8 + len] = 0;
        unsupported(c, what);
        put_in(c, out, make(c, V_TRUE));
    }
}

/* A list of schemas: what does not satisfy s satisfies one of them. */
static uint32_t negation(schema *c, uint32_t s, uint32_t depth)
{
    if (c->t->v[s].negated)
        return c->t->v[s].negated;
    uint32_t out = make(c, V_LIST);
    if (depth > 20)
        schema_error(c, "not, of schemas nested too deep, or in a circle", "", 0);
    if (c->t->v[s].kind == V_FALSE)
        put_in(c, out, make(c, V_TRUE));
    for (uint32_t k = c->t->v[s].kind == V_MAP ? c->t->v[s].first : 0; k && !c->g->err; k = c->t->v[k].next)
        negate_keyword(c, out, s, k, depth);
    c->t->v[s].negated = out;
    return out;
}

/* --- if, dependentRequired, oneOf -------------------------------------------------------- */

/* A list: the condition and what follows then, or not the condition and what follows else. */
static uint32_t branches(schema *c, uint32_t s, uint32_t condition)
{
    if (c->t->v[condition].derived)
        return c->t->v[condition].derived;
    uint32_t then = get(c->t, s, "then"), other = get(c->t, s, "else"), out = make(c, V_LIST);
    put_in(c, out, then ? all_of(c, again(c, condition), again(c, then)) : again(c, condition));
    uint32_t ways = negation(c, condition, 0);
    for (uint32_t w = c->t->v[ways].first; w && !c->g->err; w = c->t->v[w].next)
        put_in(c, out, other ? all_of(c, again(c, w), again(c, other)) : again(c, w));
    c->t->v[condition].derived = out;
    return out;
}

/* A list of schemas that must all be satisfied: a property is not there, or what depends
 * on it is so. */
static uint32_t dependencies(schema *c, uint32_t d)
{
    if (c->t->v[d].derived)
        return c->t->v[d].derived;
    uint32_t out = make(c, V_LIST);
    for (uint32_t k = c->t->v[d].first; k && !c->g->err; k = c->t->v[k].next) {
        uint32_t name = key_value(c, k), then = again(c, k), ways = make(c, V_LIST);
        if (c->t->v[k].kind == V_LIST)
            then = with(c, make(c, V_MAP), "required", then);
        put_in(c, ways, without_property(c, name));
        put_in(c, ways, all_of(c, with_property(c, name), then));
        put_in(c, out, with(c, make(c, V_MAP), "anyOf", ways));
    }
    c->t->v[d].derived = out;
    return out;
}

/* Types a schema may admit, by its own keywords. */
static uint32_t may_be(schema *c, uint32_t s)
{
    if (c->t->v[s].kind == V_FALSE)
        return 0;
    uint32_t bits = T_ALL, k = get(c->t, s, "type"), e = get(c->t, s, "enum"), had = 0;
    if (k)
        bits = type_bits(c, k);
    if ((k = get(c->t, s, "const")))
        bits &= kind_bits(c, k);
    for (k = e ? c->t->v[e].first : 0; k; k = c->t->v[k].next)
        had |= kind_bits(c, k);
    return e ? bits & had : bits;
}

static bool disjoint(schema *c, uint32_t a, uint32_t b, uint32_t depth);

/* Whether a property that both require has no value in common. */
static bool apart_by_property(schema *c, uint32_t a, uint32_t b, uint32_t depth)
{
    uint32_t p = get(c->t, a, "properties"), q = get(c->t, b, "properties"), ra = get(c->t, a, "required"), rb = get(c->t, b, "required");
    if (depth > 2 || !p || !q || !ra || !rb || (may_be(c, a) & may_be(c, b)) != T_OBJECT)
        return false;
    for (uint32_t k = c->t->v[ra].first; k; k = c->t->v[k].next) {
        uint32_t x = get_n(c->t, p, text_of(c->t, k), c->t->v[k].len), y = get_n(c->t, q, text_of(c->t, k), c->t->v[k].len);
        if (x && y && among(c, k, rb) && disjoint(c, x, y, depth + 1))
            return true;
    }
    return false;
}

/* Whether two schemas have no value in common, as far as can be told: by their types,
 * by constants, or by a property both require. */
static bool disjoint(schema *c, uint32_t a, uint32_t b, uint32_t depth)
{
    uint32_t r;
    for (uint32_t hops = 0; hops < 8; hops++) {
        if ((r = get(c->t, a, "$ref")) && c->t->v[a].count == 1)
            a = resolve(c, r);
        if ((r = get(c->t, b, "$ref")) && c->t->v[b].count == 1)
            b = resolve(c, r);
    }
    if (!a || !b || (may_be(c, a) & may_be(c, b)) == 0)
        return true;
    for (uint32_t turn = 0; turn < 2; turn++) {
        uint32_t x = turn ? b : a, y = turn ? a : b, e = get(c->t, x, "enum"), k = get(c->t, x, "const"), n = 0;
        if (k && !fits(c, k, y, 0))
            return true;
        for (uint32_t v = e ? c->t->v[e].first : 0; v; v = c->t->v[v].next)
            n += fits(c, v, y, 0);
        if (e && n == 0)
            return true;
    }
    return apart_by_property(c, a, b, depth);
}

/* A list of schemas for oneOf: each, and none of those it may overlap with. */
static uint32_t only_one(schema *c, uint32_t list)
{
    if (c->t->v[list].derived)
        return c->t->v[list].derived;
    uint32_t out = make(c, V_LIST);
    for (uint32_t a = c->t->v[list].first; a && !c->g->err; a = c->t->v[a].next) {
        uint32_t all = put_in(c, make(c, V_LIST), again(c, a));
        for (uint32_t b = c->t->v[list].first; b && !c->g->err; b = c->t->v[b].next)
            if (a != b && !disjoint(c, a, b, 0))
                put_in(c, all, with(c, make(c, V_MAP), "anyOf", again(c, negation(c, b, 0))));
        put_in(c, out, with(c, make(c, V_MAP), "allOf", all));
    }
    c->t->v[list].derived = out;
    return out;
}

#endif
