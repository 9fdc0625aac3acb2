/* reference.h: where a $ref leads, within the schema. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include "parts.h"

static int32_t hex_value(uint8_t c) { return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1; }

/* Decodes %xx, ~0 and ~1 of one step of a pointer (RFC 6901). */
static uint32_t pointer_step(const uint8_t *p, uint32_t n, uint8_t *b, uint32_t cap)
{
    uint32_t m = 0;
    for (uint32_t i = 0; i < n && m < cap; i++) {
        uint8_t c = p[i];
        if (c == '%' && i + 2 < n && hex_value(p[i + 1]) >= 0 && hex_value(p[i + 2]) >= 0) {
            c = (uint8_t)(hex_value(p[i + 1]) * 16 + hex_value(p[i + 2]));
            i += 2;
        }
        if (c == '~' && i + 1 < n && (p[i + 1] == '0' || p[i + 1] == '1'))
            c = p[++i] == '0' ? '~' : '/';
        b[m++] = c;
    }
    return m;
}

static uint32_t pointer(schema *c, uint32_t from, const uint8_t *p, uint32_t n)
{
    while (n > 0 && from) {
        uint8_t b[256];
        uint32_t k = 1, index = 0;
        while (k < n && p[k] != '/')
            k++;
        uint32_t m = pointer_step(p + 1, k - 1, b, sizeof b);
        if (c->t->v[from].kind == V_MAP) {
            from = get_n(c->t, from, b, m);
        } else {
            for (uint32_t i = 0; i < m && index < VALUES_MAX; i++)
                index = index * 10 + (uint32_t)(b[i] - '0');
            from = c->t->v[from].kind == V_LIST ? c->t->v[from].first : 0;
            for (; index > 0 && from; index--)
                from = c->t->v[from].next;
        }
        p += k;
        n -= k;
    }
    return from;
}

/* The schema below s that has the text as its keyword ($id or $anchor); 0. */
static uint32_t named(schema *c, uint32_t s, const char *keyword, const uint8_t *p, uint32_t n, uint32_t depth)
{
    if (depth > DEPTH_MAX)
        return 0;
    uint32_t v = get(c->t, s, keyword);
    if (v && c->t->v[v].kind == V_TEXT && c->t->v[v].len == n && memcmp(text_of(c->t, v), p, n) == 0)
        return s;
    for (uint32_t k = c->t->v[s].first; k; k = c->t->v[k].next) {
        bool data = sw_is(key_of(c->t, k), c->t->v[k].keylen, "enum") || sw_is(key_of(c->t, k), c->t->v[k].keylen, "const");
        uint32_t found = data ? 0 : named(c, k, keyword, p, n, depth + 1);
        if (found)
            return found;
    }
    return 0;
}

static uint32_t resolve(schema *c, uint32_t ref)
{
    const uint8_t *p = text_of(c->t, ref);
    uint32_t n = c->t->v[ref].len, hash = 0, from = c->root, to;
    while (hash < n && p[hash] != '#')
        hash++;
    if (hash > 0)
        from = named(c, c->root, "$id", p, hash, 0);
    uint32_t rest = n > hash ? n - hash - 1 : 0;
    const uint8_t *f = p + n - rest;
    if (!from)
        to = 0;
    else if (rest == 0 || f[0] == '/')
        to = pointer(c, from, f, rest);
    else
        to = named(c, from, "$anchor", f, rest, 0);
    if (!to)
        schema_error(c, "$ref leads nowhere: ", p, n);
    return to;
}

#endif
