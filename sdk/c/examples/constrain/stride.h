/* stride.h: from many states all characters of some kinds lead to one and the same
 * state, mostly back to where they are: inside of a string, a word, a number of
 * characters to go. That is found once for a state, and tells of many tokens at once
 * that they may follow. */
#ifndef STRIDE_H
#define STRIDE_H

#include "machine.h"

/* Where all characters whose bytes are in the ranges lead: NOWHERE if not all to the
 * same state, UNKNOWN if the machine is full. ranges: n pairs of bytes, at most 4. */
static uint32_t all_lead(machine *m, uint32_t from, const uint8_t *ranges, uint32_t n)
{
    uint32_t to = NOWHERE, before = NOWHERE;
    for (uint32_t c = m->class_of[ranges[0]]; c <= m->class_of[ranges[1]]; c++) {
        uint32_t s = next_state(m, from, m->sample[c]);
        if (s == before && s != NOWHERE)
            continue;
        before = s;
        if (n > 1 && s != NOWHERE && s != UNKNOWN)
            s = all_lead(m, s, ranges + 2, n - 1);
        if (s == NOWHERE || s == UNKNOWN)
            return s;
        if (to != NOWHERE && to != s)
            return NOWHERE;
        to = s;
    }
    return to;
}

/* Where all characters from U+0080 on lead, as all_lead says it. */
static uint32_t wide_lead(machine *m, uint32_t from)
{
    static const struct {
        uint8_t n, ranges[8];
    } forms[] = {{2, {0xc2, 0xdf, 0x80, 0xbf}},
        {3, {0xe0, 0xe0, 0xa0, 0xbf, 0x80, 0xbf}}, {3, {0xe1, 0xec, 0x80, 0xbf, 0x80, 0xbf}},
        {3, {0xed, 0xed, 0x80, 0x9f, 0x80, 0xbf}}, {3, {0xee, 0xef, 0x80, 0xbf, 0x80, 0xbf}},
        {4, {0xf0, 0xf0, 0x90, 0xbf, 0x80, 0xbf, 0x80, 0xbf}}, {4, {0xf1, 0xf3, 0x80, 0xbf, 0x80, 0xbf, 0x80, 0xbf}},
        {4, {0xf4, 0xf4, 0x80, 0x8f, 0x80, 0xbf, 0x80, 0xbf}}};
    uint32_t to = NOWHERE;
    for (uint32_t k = 0; k < sizeof forms / sizeof *forms; k++) {
        uint32_t s = all_lead(m, from, forms[k].ranges, forms[k].n);
        if (s == NOWHERE || s == UNKNOWN)
            return s;
        if (k > 0 && to != s)
            return NOWHERE;
        to = s;
    }
    return to;
}

/* Finds the kinds whose characters all lead to the same state, the one that most kinds
 * lead to, and those that lead nowhere. False if the machine is full. */
static bool find_stride(machine *m, uint32_t from)
{
    static uint8_t kind[0x80];
    uint32_t to[KINDS], best = NOWHERE, lead = 0, wide;
    kinds had = KIND(K_WIDE), mixed = 0, same = 0, dead = 0;
    if (!find_row(m, from) || (wide = wide_lead(m, from)) == UNKNOWN)
        return false;
    if (!kind['a' + 1])
        for (uint32_t b = 0; b < 0x80; b++)
            kind[b] = (uint8_t)kind_of((uint8_t)b);
    for (uint32_t b = 0; b < 0x80; b++) {
        uint32_t k = kind[b], s = m->to[from * m->classes + m->class_of[b]];
        if (had >> k & 1 && to[k] != s)
            mixed |= KIND(k);
        to[k] = s;
        had |= KIND(k);
    }
    to[K_WIDE] = wide;
    for (uint32_t b = 0xc2; wide == NOWHERE && b <= 0xf4; b++) /* do all lead nowhere, or some? */
        if (m->to[from * m->classes + m->class_of[b]] != NOWHERE)
            mixed |= KIND(K_WIDE);
    had &= ~mixed;
    for (uint32_t k = 0; k < KINDS; k++) { /* the majority (Boyer and Moore 1981) */
        if (!(had >> k & 1) || to[k] == NOWHERE)
            continue;
        if (lead == 0)
            best = to[k];
        lead += to[k] == best ? 1 : -1u;
    }
    for (uint32_t k = 0; k < KINDS; k++)
        if (had >> k & 1)
            *(to[k] == NOWHERE ? &dead : &same) |= to[k] == NOWHERE || to[k] == best ? KIND(k) : 0;
    state *s = &m->states[from];
    s->stride = best;
    s->same = same;
    s->dead = dead;
    s->measured = true;
    return true;
}

enum { STRIDES = 24 }; /* as many are followed */

typedef enum { MIXED, KNOWN, FULL } going;

/* What becomes of texts of up to n characters of some kinds. */
typedef struct {
    uint32_t chars;             /* those that long lead somewhere, longer ones nowhere */
    uint32_t nearest, farthest; /* bytes from there to the end, least and most */
} outlook;

/* Looks at all texts of at most n characters of the kinds. MIXED: some lead here, some
 * there, or it would have to be found out and is not worth it. */
static going look_ahead(machine *m, uint32_t from, kinds of, uint32_t n, bool worth, outlook *o)
{
    *o = (outlook){0, FAR, 0};
    for (; o->chars < n && o->chars < STRIDES; o->chars++) {
        if (!m->states[from].measured && !worth)
            return MIXED;
        if (!m->states[from].measured && !find_stride(m, from))
            return FULL;
        const state *s = &m->states[from];
        if (of & ~s->same)
            return of & ~s->dead ? MIXED : KNOWN;
        uint32_t d = m->states[s->stride].dist;
        o->nearest = d < o->nearest ? d : o->nearest;
        o->farthest = d > o->farthest ? d : o->farthest;
        if (s->stride == from)
            o->chars = n - 1;
        from = s->stride;
    }
    return o->chars < n ? MIXED : KNOWN;
}

#endif
