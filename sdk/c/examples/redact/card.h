/* card.h: payment card numbers. */
#ifndef CARD_H
#define CARD_H

#include "run.h"
#include "around.h"

/* Whether issuers give out numbers of n digits that begin with d (six digits). */
static bool issued(int32_t d, int32_t n)
{
    int32_t two = d / 10000, three = d / 1000, four = d / 100;
    if (two >= 40 && two <= 49)
        return n == 13 || n == 16 || n == 19; /* Visa */
    if (n == 16 && ((two >= 51 && two <= 55) || (four >= 2200 && four <= 2204) || (four >= 2221 && four <= 2720)))
        return true; /* Mastercard, Mir */
    if (n == 15 && (two == 34 || two == 37 || four == 2131 || four == 1800))
        return true; /* American Express, early JCB */
    if (n == 14 && ((three >= 300 && three <= 305) || three == 309 || two == 36 || two == 38 || two == 39))
        return true; /* Diners Club */
    if (n >= 16 && (two == 35 || four == 6011 || (three >= 644 && three <= 659) || two == 62 || two == 60))
        return true; /* JCB, Discover, UnionPay, RuPay */
    return two == 50 || (two >= 56 && two <= 58) || four == 6304 || four == 6759 || (four >= 6761 && four <= 6763); /* Maestro */
}

/* The check digit (Luhn, US patent 2,950,048; ISO/IEC 7812-1 annex B). */
static bool luhn(const uint8_t *d, int32_t n)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < n; i++) {
        int32_t x = d[n - 1 - i];
        if (i & 1)
            x = x > 4 ? 2 * x - 9 : 2 * x;
        sum += x;
    }
    return sum % 10 == 0;
}

/* Whether groups 0..h stand as on cards: all together, by fours, or 4-6-4/5. */
static bool card_shape(const run *r, int32_t h)
{
    if (h == 0)
        return true;
    if (length(r, 0) != 4 || !same_separators(r, h) || r->sep[1] == SLASH || r->sep[1] == TOUCH)
        return false;
    if (h == 2 && length(r, 1) == 6 && (length(r, 2) == 4 || length(r, 2) == 5))
        return true;
    for (int32_t k = 1; k < h; k++)
        if (length(r, k) != 4)
            return false;
    return length(r, h) <= 4;
}

static int32_t card_end(const view *v, const run *r, hint *said)
{
    if (r->plus || r->paren[0] || (length(r, 0) != 4 && length(r, 0) < 12))
        return NONE;
    uint8_t d[DIGITS];
    int32_t n = 0, end[GROUPS], last = -1;
    for (int32_t k = 0; k < r->n && n + length(r, k) <= DIGITS && !r->paren[k]; k++) {
        for (int32_t i = r->from[k]; i < r->to[k]; i++)
            d[n++] = (uint8_t)(v->p[i] - '0');
        end[last = k] = n;
    }
    for (int32_t h = last; h >= 0 && end[h] >= 12; h--) {
        int32_t head = 0;
        for (int32_t i = 0; i < 6; i++)
            head = head * 10 + d[i];
        bool goes_on = h + 1 < r->n && r->sep[h + 1] != SPACE;
        if (goes_on || !card_shape(r, h) || !luhn(d, end[h]))
            continue;
        if (!issued(head, end[h]) && !hints(v, r->start, said)->card)
            continue;
        int32_t ok = h + 1 < r->n ? 1 : allowed_after(v, r->to[h], false);
        if (ok != NONE)
            return ok == MORE ? MORE : r->to[h];
    }
    return NONE;
}

#endif
