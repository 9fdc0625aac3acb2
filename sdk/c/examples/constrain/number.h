/* number.h: numbers between bounds, digit by digit, and multiples of a number. */
#ifndef NUMBER_H
#define NUMBER_H

#include "net.h"
#include "tree.h"

enum { DIGITS_MAX = 24, MODULUS_MAX = 1000 };

/* A decimal number: digits before and after the point, without idle zeros. */
typedef struct {
    bool negative;
    uint8_t whole[DIGITS_MAX], part[DIGITS_MAX];
    int32_t nw, np;
} decimal;

/* Reads JSON's form. False if it has more digits than this can bear. */
static bool read_decimal(const uint8_t *p, uint32_t n, decimal *d)
{
    uint8_t digits[2 * DIGITS_MAX];
    int32_t count = 0, point = -1, exponent = 0;
    uint32_t i = 0;
    *d = (decimal){.negative = n > 0 && p[0] == '-'};
    for (i = d->negative; i < n && (p[i] | 32) != 'e'; i++) {
        if (p[i] == '.')
            point = count;
        else if (count >= 2 * DIGITS_MAX)
            return false;
        else
            digits[count++] = (uint8_t)(p[i] - '0');
    }
    if (point < 0)
        point = count;
    if (i < n) {
        bool down = p[++i] == '-';
        i += p[i] == '-' || p[i] == '+';
        for (; i < n && exponent < 1000; i++)
            exponent = exponent * 10 + (p[i] - '0');
        point += down ? -exponent : exponent;
    }
    int32_t first = 0;
    while (first < count && digits[first] == 0)
        first++;
    while (count > first && digits[count - 1] == 0)
        count--;
    if (first == count) {
        d->negative = false;
        d->nw = 1;
        return true;
    }
    if (point - first > DIGITS_MAX || count - point > DIGITS_MAX)
        return false;
    for (int32_t k = first; k < point; k++)
        d->whole[d->nw++] = k < count ? digits[k] : 0;
    for (int32_t k = point; k < count; k++)
        d->part[d->np++] = k < first ? 0 : digits[k];
    if (d->nw == 0)
        d->nw = 1;
    return true;
}

/* -1, 0, 1 as a is less than b, equal, more. */
static int32_t compare(const decimal *a, const decimal *b)
{
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    int32_t more = a->negative ? -1 : 1;
    if (a->nw != b->nw)
        return a->nw < b->nw ? -more : more;
    int32_t c = memcmp(a->whole, b->whole, (size_t)a->nw);
    if (c == 0)
        c = memcmp(a->part, b->part, DIGITS_MAX); /* zeros follow */
    return c < 0 ? -more : c > 0 ? more : 0;
}

/* What bounds the size of a number, sign aside. */
typedef struct {
    bool has_low, has_high, over, under; /* over, under: the bound itself is out */
    decimal low, high;
    bool integer;
} bounds;

static uint32_t digits_loop(net *g, uint32_t next)
{
    uint32_t h = hole(g), body = one_of(g, '0', '9', h);
    if (!g->err) {
        g->nodes[h].next = body;
        g->nodes[h].other = next;
    }
    return h;
}

/* Digit k of a bound's fraction. */
static uint8_t part_digit(const decimal *d, int32_t k) { return k < d->np ? d->part[k] : 0; }

/* Whether the number may end after k digits of the fraction, still being as the
 * bounds are so far where tight. */
static bool may_end(const bounds *b, int32_t k, bool tight_low, bool tight_high)
{
    bool more_low = k < b->low.np, more_high = k < b->high.np;
    if (tight_low && (more_low || b->over))
        return false;
    return !tight_high || more_high || !b->under;
}

/* The fraction from digit k on; memo[k][tight] remembers nodes. Past the digits of
 * the bounds, the node of the last place is used again. */
static uint32_t fraction(net *g, const bounds *b, int32_t k, int32_t tight, uint32_t next, uint32_t (*memo)[4])
{
    bool tl = tight & 1, th = tight & 2;
    int32_t longest = b->low.np > b->high.np ? b->low.np : b->high.np;
    if (tight == 0)
        return digits_loop(g, next);
    int32_t place = k > longest ? longest : k; /* beyond, only zeros keep it tight */
    if (memo[place][tight])
        return memo[place][tight];
    uint32_t h = hole(g), out = DEAD;
    memo[place][tight] = h;
    for (uint8_t d = 0; d <= 9; d++) {
        uint8_t low = part_digit(&b->low, place), high = part_digit(&b->high, place);
        if ((tl && d < low) || (th && d > high))
            continue;
        int32_t left = (tl && d == low ? 1 : 0) | (th && d == high ? 2 : 0);
        uint32_t to = fraction(g, b, place + 1, left, next, memo);
        out = either(g, out, one_of(g, '0' + d, '0' + d, to));
    }
    if (place > 0 && may_end(b, place, tl, th))
        out = either(g, out, next);
    fill(g, h, out);
    return h;
}

/* What may follow the whole digits. */
static uint32_t after_whole(net *g, const bounds *b, int32_t tight, uint32_t next)
{
    uint32_t memo[DIGITS_MAX + 2][4] = {{0}}, out = DEAD;
    bool tl = tight & 1, th = tight & 2;
    if (may_end(b, 0, tl, th))
        out = next;
    if (!b->integer) {
        uint32_t first = tight ? fraction(g, b, 0, tight, next, memo) : one_of(g, '0', '9', digits_loop(g, next));
        out = either(g, out, one_of(g, '.', '.', first));
    }
    return out;
}

/* Whole digits from k on, of n digits in all. ends[tight] is what follows. */
static uint32_t whole(net *g, const bounds *b, int32_t k, int32_t n, int32_t tight, const uint32_t *ends, uint32_t (*memo)[4])
{
    if (k == n)
        return ends[tight];
    if (memo[k][tight])
        return memo[k][tight];
    uint32_t out = DEAD;
    for (uint8_t d = k == 0 && n > 1; d <= 9; d++) {
        bool tl = tight & 1, th = tight & 2;
        if ((tl && d < b->low.whole[k]) || (th && d > b->high.whole[k]))
            continue;
        int32_t left = (tl && d == b->low.whole[k] ? 1 : 0) | (th && d == b->high.whole[k] ? 2 : 0);
        out = either(g, out, one_of(g, '0' + d, '0' + d, whole(g, b, k + 1, n, left, ends, memo)));
    }
    memo[k][tight] = out;
    return out;
}

/* Numbers without sign between the bounds. */
static uint32_t magnitude(net *g, const bounds *b, uint32_t next)
{
    uint32_t out = DEAD, ends[4];
    for (int32_t t = 0; t < 4; t++)
        ends[t] = after_whole(g, b, t, next);
    int32_t least = b->has_low ? b->low.nw : 1, most = b->has_high ? b->high.nw : least + 1;
    for (int32_t n = least; n <= most; n++) {
        uint32_t memo[DIGITS_MAX + 2][4] = {{0}};
        if (n == most && !b->has_high) { /* of this length, or longer */
            uint32_t rest = ends[0];
            rest = digits_loop(g, rest);
            for (int32_t k = 1; k < n; k++)
                rest = one_of(g, '0', '9', rest);
            out = either(g, out, one_of(g, '1', '9', rest));
            break;
        }
        int32_t tight = (b->has_low && n == least ? 1 : 0) | (b->has_high && n == most ? 2 : 0);
        out = either(g, out, whole(g, b, 0, n, tight, ends, memo));
    }
    return out;
}

/* Numbers from low to high, either NULL for none. */
static uint32_t between(net *g, const decimal *low, bool over, const decimal *high, bool under, bool integer, uint32_t next)
{
    uint32_t out = DEAD;
    static const decimal zero = {.nw = 1};
    if (!high || !high->negative) {
        bounds b = {.integer = integer, .has_low = low && !low->negative, .has_high = high != NULL, .under = under};
        b.low = b.has_low ? *low : zero;
        b.high = high ? *high : zero;
        b.over = b.has_low && over;
        if (!b.has_low || !b.has_high || compare(&b.low, &b.high) <= 0)
            out = magnitude(g, &b, next);
    }
    if (!low || low->negative) {
        bounds b = {.integer = integer, .has_low = true, .has_high = low != NULL, .under = over, .low = zero, .high = zero};
        b.over = true; /* there is no -0 */
        if (high && high->negative) {
            b.low = *high;
            b.over = under;
        }
        if (low)
            b.high = *low;
        b.low.negative = b.high.negative = false;
        if (!b.has_high || compare(&b.low, &b.high) <= 0)
            out = either(g, out, one_of(g, '-', '-', magnitude(g, &b, next)));
    }
    return out;
}

/* Any number, or integer, in JSON's forms. */
static uint32_t any_number_form(net *g, bool integer, uint32_t next)
{
    uint32_t end = next;
    if (!integer) {
        uint32_t digits = one_of(g, '0', '9', digits_loop(g, next));
        uint32_t sign = either(g, digits, either(g, one_of(g, '+', '+', digits), one_of(g, '-', '-', digits)));
        uint32_t exponent = either(g, one_of(g, 'e', 'e', sign), one_of(g, 'E', 'E', sign));
        end = either(g, next, exponent);
        end = either(g, end, one_of(g, '.', '.', one_of(g, '0', '9', digits_loop(g, end))));
    }
    uint32_t size = either(g, one_of(g, '0', '0', end), one_of(g, '1', '9', digits_loop(g, end)));
    return either(g, size, one_of(g, '-', '-', size));
}

/* Multiples of d: the remainder so far is the state. d = m / 10^scale, and a number
 * with as many digits after the point is a multiple if, the point left out, m
 * divides it. */
static uint32_t multiples(net *g, const decimal *d, bool integer, uint32_t next)
{
    uint32_t m = 0;
    for (int32_t k = 0; k < d->nw + d->np && m <= MODULUS_MAX; k++)
        m = m * 10 + (k < d->nw ? d->whole[k] : d->part[k - d->nw]);
    if (m > MODULUS_MAX || m == 0 || d->negative) {
        g->err = sw_fail(SW_EINVAL, "schema: multipleOf is supported up to 1000, its point left out");
        return DEAD;
    }
    int32_t scale = d->np;
    uint32_t *state = sw_alloc(2 * m * sizeof *state, 16);
    if (!state) {
        g->err = sw_fail(SW_ENOMEM, "no memory for the grammar");
        return DEAD;
    }
    uint32_t *after = state + m; /* past the point: k digits are left to scale */
    uint32_t zeros = hole(g), zero = one_of(g, '0', '0', zeros);
    if (!g->err) {
        g->nodes[zeros].next = zero;
        g->nodes[zeros].other = next;
    }
    for (uint32_t r = 0; r < m; r++)
        after[r] = r == 0 ? zeros : DEAD;
    for (int32_t k = 1; k <= scale && !integer; k++) { /* with k digits to come */
        uint32_t power = 1;
        for (int32_t i = 0; i < k; i++)
            power = power * 10 % m;
        for (uint32_t r = 0; r < m; r++) {
            uint32_t out = k < scale && r * power % m == 0 ? next : DEAD;
            for (uint32_t x = 0; x <= 9; x++)
                out = either(g, out, one_of(g, '0' + x, '0' + x, after[(r * 10 + x) % m]));
            state[r] = out;
        }
        memcpy(after, state, m * sizeof *after);
    }
    uint32_t power = 1;
    for (int32_t i = 0; i < scale; i++)
        power = power * 10 % m;
    for (uint32_t r = 0; r < m; r++)
        state[r] = hole(g);
    for (uint32_t r = 0; r < m && !g->err; r++) {
        uint32_t out = r * power % m == 0 ? next : DEAD;
        if (!integer && scale > 0)
            out = either(g, out, one_of(g, '.', '.', after[r]));
        else if (!integer && r * power % m == 0)
            out = either(g, out, one_of(g, '.', '.', zero));
        for (uint32_t x = 0; x <= 9; x++)
            out = either(g, out, one_of(g, '0' + x, '0' + x, state[(r * 10 + x) % m]));
        fill(g, state[r], out);
    }
    uint32_t size = one_of(g, '0', '0', !integer && scale > 0 ? either(g, next, one_of(g, '.', '.', after[0])) : next);
    for (uint32_t x = 1; x <= 9; x++)
        size = either(g, size, one_of(g, '0' + x, '0' + x, state[x % m]));
    sw_free(state, 2 * m * sizeof *state, 16);
    return either(g, size, one_of(g, '-', '-', size));
}

#endif
