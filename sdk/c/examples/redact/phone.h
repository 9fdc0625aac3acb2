/* phone.h: phone numbers. */
#ifndef PHONE_H
#define PHONE_H

#include "run.h"
#include "around.h"

static bool is_year(int32_t x) { return x >= 1800 && x <= 2100; }

/* Whether groups 0..3 are an IP address. */
static bool is_address(const view *v, const run *r)
{
    if (r->sep[1] != DOT || !same_separators(r, 3) || (r->n > 4 && r->sep[4] == DOT))
        return false;
    for (int32_t k = 0; k < 4; k++)
        if (length(r, k) > 3 || value(v, r, k) > 255)
            return false;
    return true;
}

/* Whether the run begins with a date, an IP address or a span of years. */
static bool not_phone(const view *v, const run *r)
{
    if (r->plus || r->n < 2)
        return false;
    int32_t a = value(v, r, 0), b = value(v, r, 1), c = r->n > 2 ? value(v, r, 2) : 0;
    if (length(r, 0) == 4 && length(r, 1) == 4 && is_year(a) && is_year(b))
        return true;
    if (r->n < 3 || r->sep[1] != r->sep[2] || r->sep[1] == SPACE || r->sep[1] == TOUCH || length(r, 1) > 2)
        return r->n > 3 && is_address(v, r);
    if (length(r, 0) == 4 && length(r, 2) <= 2)
        return is_year(a) && b <= 12 && c <= 31;
    if (length(r, 2) == 4 && length(r, 0) <= 2)
        return is_year(c) && a <= 31 && b <= 31;
    return r->n > 3 && is_address(v, r);
}

/* Lengths of groups 0..h, each in four bits, the first on the left. */
static uint64_t shape(const run *r, int32_t h)
{
    uint64_t s = 0;
    for (int32_t k = 0; k <= h; k++)
        s = s << 4 | (uint64_t)(length(r, k) > 15 ? 15 : length(r, k));
    return s;
}

/* Whether all groups from..h have at least two digits and at most max. */
static bool sizes(const run *r, int32_t from, int32_t h, int32_t max)
{
    for (int32_t k = from; k <= h; k++)
        if (length(r, k) < 2 || length(r, k) > max)
            return false;
    return true;
}

/* Whether groups 0..h with n digits are an international number after + or 00
 * (ITU-T E.164: at most 15 digits). */
static bool international(const view *v, const run *r, int32_t h, int32_t n)
{
    const uint8_t *d = v->p + r->from[0];
    if (r->plus) {
        if (d[0] == '0' || n < 8 || n > 15 || (h > 0 && length(r, h) < 2))
            return false;
        return d[0] != '1' || n == 11;
    }
    if (d[0] != '0' || length(r, 0) < 2 || d[1] != '0' || h == 0 || n < 10 || n > 17 || length(r, h) < 2)
        return false;
    return length(r, 0) > 2 ? d[2] != '0' && length(r, 0) <= 5 : length(r, 1) <= 3 && v->p[r->from[1]] != '0' && h < 6 && !sizes(r, 0, h, 2);
}

/* North America: area code, exchange, line, with or without 1 in front. Points do
 * not mix with hyphens. */
static bool north_american(const view *v, const run *r, int32_t h)
{
    uint64_t s = shape(r, h);
    int32_t area = s == 0x334 ? 0 : s == 0x1334 && v->p[r->from[0]] == '1' ? 1 : -1;
    return area >= 0 && v->p[r->from[area]] >= '2' && (r->sep[h] == DOT) == (r->sep[h - 1] == DOT);
}

/* Area code in parentheses, or with the trunk prefix 0. */
static bool national(const view *v, const run *r, int32_t h, int32_t n)
{
    const uint8_t *d = v->p + r->from[0];
    bool trunk = d[0] == '0' && length(r, 0) >= 2 && d[1] != '0';
    if (!sizes(r, 0, h, h == 0 ? 11 : 8) || (h > 0 && r->paren[h]))
        return false;
    if (h == 0)
        return trunk && (n == 10 || n == 11) && memcmp(d, "0123456789", 10) != 0;
    if (r->paren[0]) {
        bool years = h == 2 && is_year(value(v, r, 1)) && is_year(value(v, r, 2));
        return n >= 8 && n <= 12 && length(r, 0) <= (trunk ? 5 : 3) && (trunk || h >= 2) && !years;
    }
    for (int32_t k = 2; k <= h; k++)
        if (r->sep[k] == SLASH)
            return false;
    return trunk && n >= 9 && n <= 11 && h <= 4 && shape(r, h) != 0x54;
}

/* Whether groups 0..h stand in a row of numbers, with nothing but spaces between. */
static bool in_row(const view *v, const run *r, int32_t h)
{
    for (int32_t k = 1; k <= h; k++)
        if (r->sep[k] != SPACE)
            return false;
    bool more = h + 1 < r->n && r->sep[h + 1] == SPACE;
    return !r->paren[0] && (more || (at(v, r->start - 1) == ' ' && is_digit(at(v, r->start - 2))));
}

/* Whether groups 0..h are a plain number with thousands apart. */
static bool thousands(const run *r, int32_t h)
{
    for (int32_t k = 1; k <= h; k++)
        if (length(r, k) != 3 || r->sep[k] != r->sep[1] || r->sep[k] == HYPHEN)
            return false;
    return length(r, 0) <= 3;
}

/* What only a word beside it makes a phone number: 1, NONE, MORE. */
static int32_t with_word(const view *v, const run *r, int32_t h, int32_t n, hint *said)
{
    if (n > 15 || n < (h == 0 ? 8 : 7) || h > 5 || !sizes(r, 1, h, 8))
        return NONE;
    int32_t phone = hints(v, r->start, said)->phone;
    if (phone < 0 || phone == 2)
        return phone > 0;
    if (thousands(r, h))
        return NONE;
    if (phone == 1 && h > 0)
        return 1;
    return h + 1 == r->n ? place_after(v, r->close[h]) : NONE;
}

/* The end of an extension (x and up to six digits) after a number that ends at i. */
static int32_t extension(const view *v, int32_t i)
{
    int32_t x = i;
    if (x < v->n && v->p[x] == ' ')
        x++;
    if (x < v->n && v->p[x] != 'x')
        return i;
    int32_t end = x + 1;
    while (end < v->n && end - x <= 6 && is_digit(v->p[end]))
        end++;
    if (end >= v->n && end - x <= 6 && !v->final)
        return MORE;
    return end > x + 1 && x < v->n ? end : i;
}

/* Whether groups 0..h are a phone number: 1, NONE, MORE. */
static int32_t phone_shape(const view *v, const run *r, int32_t h, int32_t n, hint *said)
{
    if (international(v, r, h, n))
        return 1;
    if (r->plus)
        return NONE;
    bool series = h + 1 < r->n && (r->sep[h + 1] != SPACE || length(r, h + 1) == length(r, h));
    if (series)
        return NONE;
    if ((north_american(v, r, h) || national(v, r, h, n)) && !in_row(v, r, h))
        return hints(v, r->start, said)->phone >= 0;
    return with_word(v, r, h, n, said);
}

static int32_t phone_end(const view *v, const run *r, hint *said)
{
    int32_t n = 0, last = -1, total[GROUPS];
    for (int32_t k = 0; k < r->n && k < GROUPS - 1; k++) {
        n += length(r, k);
        if (n > 17 || (k > 0 && length(r, k) > 8) || (k > 2 && length(r, k) == 1))
            break;
        total[last = k] = n;
    }
    if (last < 0 || total[last] < 7)
        return NONE;
    for (int32_t h = last; h >= 0 && total[h] >= 7; h--) {
        int32_t is = phone_shape(v, r, h, total[h], said);
        if (is == NONE)
            continue;
        if (is == MORE)
            return MORE;
        int32_t end = extension(v, r->close[h]);
        if (end == MORE)
            return MORE;
        int32_t ok = h + 1 < r->n && end == r->close[h] ? 1 : allowed_after(v, end, h == 0 || thousands(r, h));
        if (ok != NONE)
            return ok == MORE ? MORE : end;
    }
    return NONE;
}

#endif
