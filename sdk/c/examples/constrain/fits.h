/* fits.h: does a value that is given satisfy a schema? For const and enum. */
#ifndef FITS_H
#define FITS_H

#include "numbers.h"
#include "reference.h"

static bool fits(schema *c, uint32_t v, uint32_t s, uint32_t depth);

/* Whether a text has a match of a pattern, or a number is a multiple. The rule asked
 * for last is remembered. */
static bool holds(schema *c, uint32_t rule, bool pattern, const uint8_t *p, uint32_t n)
{
    uint32_t noted;
    if (!work(c, c->tried_of != rule ? LANGUAGE_WORK : 10 + n / 10))
        return false;
    if (c->tried_of != rule) {
        drop_languages(&c->tried);
        if (pattern)
            add_pattern(c, &c->tried, WANTED, rule, PLAIN);
        else
            add_multiples(c, &c->tried, WANTED, rule, false);
        c->tried_of = rule;
    }
    if (c->tried.err && !c->g->err)
        c->g->err = c->tried.err;
    if (c->g->err || c->tried.n == 0)
        return false;
    return !c->tried.at[0].none && takes(&c->tried, p, n, &noted);
}

static bool number_fits(schema *c, uint32_t v, uint32_t s)
{
    static const char *const names[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"};
    decimal x, y;
    if (!read_decimal(text_of(c->t, v), c->t->v[v].len, &x))
        return false;
    for (uint32_t k = 0; k < 4; k++) {
        uint32_t b = get(c->t, s, names[k]);
        if (!b || !read_decimal(text_of(c->t, b), c->t->v[b].len, &y))
            continue;
        int32_t less = compare(&x, &y);
        if ((k & 1 ? less > 0 : less < 0) || (k >= 2 && less == 0))
            return false;
    }
    uint32_t m = get(c->t, s, "multipleOf");
    return !m || holds(c, m, false, text_of(c->t, v), c->t->v[v].len);
}

static bool count_fits(schema *c, uint32_t n, uint32_t s, const char *least, const char *most)
{
    uint32_t min = count_of(c, s, least), max = count_of(c, s, most);
    return (min == UNBOUNDED || n >= min) && n <= max;
}

static uint32_t characters(const uint8_t *p, uint32_t n)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++)
        count += (p[i] & 0xc0) != 0x80;
    return count;
}

static bool text_fits(schema *c, uint32_t v, uint32_t s)
{
    uint32_t p = get(c->t, s, "pattern"), n = c->t->v[v].len;
    if (!count_fits(c, characters(text_of(c->t, v), n), s, "minLength", "maxLength"))
        return false;
    return !p || holds(c, p, true, text_of(c->t, v), n);
}

static bool list_fits(schema *c, uint32_t v, uint32_t s, uint32_t depth)
{
    uint32_t prefix = get(c->t, s, "prefixItems"), rest = get(c->t, s, "items"), like = get(c->t, s, "contains"), had = 0;
    uint32_t p = prefix ? c->t->v[prefix].first : 0, unique = get(c->t, s, "uniqueItems");
    for (uint32_t k = c->t->v[v].first; k; k = c->t->v[k].next) {
        uint32_t sub = p ? p : rest;
        if (sub && !fits(c, k, sub, depth + 1))
            return false;
        had += like && fits(c, k, like, depth + 1);
        for (uint32_t o = c->t->v[k].next; o && unique && c->t->v[unique].kind == V_TRUE; o = c->t->v[o].next)
            if (equal(c, k, o))
                return false;
        p = p ? c->t->v[p].next : 0;
    }
    uint32_t min = count_of(c, s, "minContains");
    if (like && (had < (min == UNBOUNDED ? 1 : min) || had > count_of(c, s, "maxContains")))
        return false;
    return count_fits(c, c->t->v[v].count, s, "minItems", "maxItems");
}

/* The key of a member, as a text. */
static uint32_t key_value(schema *c, uint32_t k)
{
    uint32_t i = new_value(c->t, V_TEXT);
    if (!i) {
        schema_error(c, "too large", "", 0);
        return 0;
    }
    c->t->v[i].text = c->t->v[k].key;
    c->t->v[i].len = c->t->v[k].keylen;
    return i;
}

/* Whether the member k of an object satisfies what a schema says of it. */
static bool member_fits(schema *c, uint32_t k, uint32_t s, uint32_t depth)
{
    uint32_t named = get(c->t, s, "properties"), patterns = get(c->t, s, "patternProperties"), names = get(c->t, s, "propertyNames");
    uint32_t sub = named ? get_n(c->t, named, key_of(c->t, k), c->t->v[k].keylen) : 0;
    bool said = sub != 0;
    if (sub && !fits(c, k, sub, depth + 1))
        return false;
    for (uint32_t p = patterns ? c->t->v[patterns].first : 0; p; p = c->t->v[p].next) {
        uint32_t expression = key_value(c, p);
        if (!holds(c, expression, true, key_of(c->t, k), c->t->v[k].keylen))
            continue;
        said = true;
        if (!fits(c, k, p, depth + 1))
            return false;
    }
    if (names) {
        uint32_t name = key_value(c, k);
        if (!fits(c, name, names, depth + 1))
            return false;
    }
    uint32_t rest = get(c->t, s, "additionalProperties");
    return said || !rest || fits(c, k, rest, depth + 1);
}

/* Whether the object has all properties of a list of names. */
static bool has_all(schema *c, uint32_t v, uint32_t list)
{
    for (uint32_t r = list ? c->t->v[list].first : 0; r; r = c->t->v[r].next)
        if (!get_n(c->t, v, text_of(c->t, r), c->t->v[r].len))
            return false;
    return true;
}

static bool map_fits(schema *c, uint32_t v, uint32_t s, uint32_t depth)
{
    static const char *const dependent[] = {"dependentRequired", "dependentSchemas", "dependencies"};
    for (uint32_t k = c->t->v[v].first; k; k = c->t->v[k].next)
        if (!member_fits(c, k, s, depth))
            return false;
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t d = get(c->t, s, dependent[i]);
        for (uint32_t k = d ? c->t->v[d].first : 0; k; k = c->t->v[k].next) {
            if (!get_n(c->t, v, key_of(c->t, k), c->t->v[k].keylen))
                continue;
            if (c->t->v[k].kind == V_LIST ? !has_all(c, v, k) : !fits(c, v, k, depth + 1))
                return false;
        }
    }
    return has_all(c, v, get(c->t, s, "required")) && count_fits(c, c->t->v[v].count, s, "minProperties", "maxProperties");
}

/* allOf, anyOf, oneOf, not, if, $ref. */
static bool others_fit(schema *c, uint32_t v, uint32_t s, uint32_t depth)
{
    static const char *const lists[] = {"allOf", "anyOf", "oneOf"};
    uint32_t k;
    if ((k = get(c->t, s, "$ref")) && (k = resolve(c, k)) && !fits(c, v, k, depth + 1))
        return false;
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t list = get(c->t, s, lists[i]), n = 0;
        if (!list)
            continue;
        for (uint32_t a = c->t->v[list].first; a; a = c->t->v[a].next)
            n += fits(c, v, a, depth + 1);
        if (i == 0 ? n < c->t->v[list].count : i == 1 ? n == 0 : n != 1)
            return false;
    }
    if ((k = get(c->t, s, "not")) && fits(c, v, k, depth + 1))
        return false;
    if ((k = get(c->t, s, "if"))) {
        k = get(c->t, s, fits(c, v, k, depth + 1) ? "then" : "else");
        return !k || fits(c, v, k, depth + 1);
    }
    return true;
}

static bool fits(schema *c, uint32_t v, uint32_t s, uint32_t depth)
{
    uint32_t k;
    if (c->t->v[s].kind != V_MAP || depth > DEPTH_MAX)
        return c->t->v[s].kind == V_TRUE;
    if (!work(c, 20 + c->t->v[s].count))
        return false;
    if ((k = get(c->t, s, "type")) && !(type_bits(c, k) & kind_bits(c, v)))
        return false;
    if ((k = get(c->t, s, "const")) && !equal(c, v, k))
        return false;
    if ((k = get(c->t, s, "enum")) && !among(c, v, k))
        return false;
    if (!others_fit(c, v, s, depth))
        return false;
    switch (c->t->v[v].kind) {
    case V_NUMBER: return number_fits(c, v, s);
    case V_TEXT: return text_fits(c, v, s);
    case V_LIST: return list_fits(c, v, s, depth);
    case V_MAP: return map_fits(c, v, s, depth);
    }
    return true;
}

#endif
