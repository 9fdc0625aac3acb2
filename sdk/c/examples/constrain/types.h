/* types.h: JSON's types, and whether two values are equal. */
#ifndef TYPES_H
#define TYPES_H

#include "parts.h"

enum { T_NULL = 1, T_BOOLEAN = 2, T_INTEGER = 4, T_FRACTION = 8, T_STRING = 16, T_ARRAY = 32, T_OBJECT = 64, T_ALL = 127 };

static uint32_t type_bits(schema *c, uint32_t type)
{
    static const struct {
        const char *name;
        uint32_t bits;
    } types[] = {{"null", T_NULL}, {"boolean", T_BOOLEAN}, {"integer", T_INTEGER}, {"number", T_INTEGER | T_FRACTION},
        {"string", T_STRING}, {"array", T_ARRAY}, {"object", T_OBJECT}};
    uint32_t bits = 0;
    if (c->t->v[type].kind == V_TYPES)
        return c->t->v[type].count;
    if (c->t->v[type].kind == V_LIST) {
        for (uint32_t k = c->t->v[type].first; k; k = c->t->v[k].next)
            if (c->t->v[k].kind == V_TEXT)
                bits |= type_bits(c, k);
        return bits;
    }
    for (uint32_t k = 0; k < sizeof types / sizeof *types; k++)
        if (text_is(c->t, type, types[k].name))
            bits = types[k].bits;
    if (!bits)
        schema_error(c, "unknown type: ", text_of(c->t, type), c->t->v[type].len);
    return bits;
}

static uint32_t kind_bits(schema *c, uint32_t v)
{
    static const uint8_t of[] = {0, T_NULL, T_BOOLEAN, T_BOOLEAN, T_INTEGER | T_FRACTION, T_STRING, T_ARRAY, T_OBJECT};
    decimal d;
    if (c->t->v[v].kind == V_NUMBER && read_decimal(text_of(c->t, v), c->t->v[v].len, &d))
        return d.np == 0 ? T_INTEGER : T_FRACTION;
    return of[c->t->v[v].kind];
}

static bool equal(schema *c, uint32_t a, uint32_t b)
{
    decimal x, y;
    if (c->t->v[a].kind == V_NUMBER && c->t->v[b].kind == V_NUMBER && read_decimal(text_of(c->t, a), c->t->v[a].len, &x) &&
        read_decimal(text_of(c->t, b), c->t->v[b].len, &y))
        return compare(&x, &y) == 0;
    return same(c->t, a, b, 0);
}

static bool among(schema *c, uint32_t v, uint32_t list)
{
    for (uint32_t k = c->t->v[list].first; k; k = c->t->v[k].next)
        if (equal(c, v, k))
            return true;
    return false;
}

#endif
