/* literal.h: values that are given, as nets. */
#ifndef LITERAL_H
#define LITERAL_H

#include "parts.h"

static uint32_t key_then(schema *c, const uint8_t *p, uint32_t n, uint32_t next)
{
    return word(c->g, "\"", json_text(c->g, p, n, word(c->g, "\":", blank(c, next))));
}

static uint32_t literal(schema *c, uint32_t v, uint32_t next, uint32_t depth)
{
    const value *x = &c->t->v[v];
    switch (x->kind) {
    case V_NULL: return word(c->g, "null", next);
    case V_FALSE: return word(c->g, "false", next);
    case V_TRUE: return word(c->g, "true", next);
    case V_NUMBER: return bytes_then(c->g, text_of(c->t, v), x->len, next);
    case V_TEXT: return word(c->g, "\"", json_text(c->g, text_of(c->t, v), x->len, word(c->g, "\"", next)));
    }
    bool map = x->kind == V_MAP;
    if (x->count > NAMES_MAX || depth > DEPTH_MAX)
        return schema_error(c, "a constant is too large", "", 0);
    uint32_t *members = sw_alloc((x->count + 1) * sizeof *members, 16), n = 0;
    if (!members)
        return schema_error(c, "no memory", "", 0);
    for (uint32_t k = x->first; k; k = c->t->v[k].next)
        members[n++] = k;
    next = blank(c, word(c->g, map ? "}" : "]", next));
    while (n > 0) {
        uint32_t k = members[--n];
        next = literal(c, k, next, depth + 1);
        if (map)
            next = key_then(c, key_of(c->t, k), c->t->v[k].keylen, next);
        if (n > 0)
            next = word(c->g, ",", blank(c, next));
    }
    sw_free(members, 0, 16);
    return word(c->g, map ? "{" : "[", blank(c, next));
}

#endif
