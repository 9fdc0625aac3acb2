/* ip.h: IP addresses. */
#ifndef IP_H
#define IP_H

#include "../redact/view.h"

/* Up to three digits that are no more than 255, at i; i if there are none. */
static int32_t octet(const view *v, int32_t i)
{
    int32_t x = 0, j = i;
    while (j < v->n && j - i < 3 && is_digit(v->p[j]))
        x = x * 10 + v->p[j++] - '0';
    return x > 255 ? i : j;
}

/* Whether what follows an address at j does not go on with it: 1, NONE, MORE. A point
 * may end a sentence. */
static int32_t address_ends(const view *v, int32_t j)
{
    if (j >= v->n)
        return v->final ? 1 : MORE;
    if (v->p[j] == '.' && j + 1 >= v->n)
        return v->final ? 1 : MORE;
    return is_word(v->p[j]) || v->p[j] == ':' || (v->p[j] == '.' && is_word(v->p[j + 1])) ? NONE : 1;
}

/* The four octets that begin at i. After a colon may come a port. */
static int32_t ip4_at(const view *v, int32_t i)
{
    uint8_t before = at(v, i - 1);
    if (is_word(before) || before == '.' || before == '-')
        return NONE;
    int32_t j = i;
    for (int32_t k = 0; k < 4; k++) {
        int32_t end = octet(v, j);
        if (end >= v->n && !v->final)
            return MORE;
        if (end == j || (k < 3 && (end >= v->n || v->p[end] != '.')))
            return NONE;
        j = end + (k < 3);
    }
    if (j < v->n && v->p[j] == ':')
        return j;
    int32_t ok = address_ends(v, j);
    return ok == 1 ? j : ok;
}

static bool is_hex(uint8_t c) { return is_digit(c) || (uint8_t)((c | 32) - 'a') < 6; }

/* The IPv6 address (RFC 4291) whose first colon is at i. */
static int32_t ip6_at(const view *v, int32_t i, int32_t *start)
{
    int32_t s = i, groups = 0, digits = 0;
    while (s > v->floor && i - s < 4 && is_hex(v->p[s - 1]))
        s--;
    *start = s;
    uint8_t before = at(v, s - 1);
    if (is_word(before) || before == ':' || before == '.')
        return NONE;
    bool gap = false;
    int32_t j = s;
    for (;;) {
        int32_t from = j;
        while (j < v->n && j - from < 4 && is_hex(v->p[j]))
            digits += is_digit(v->p[j++]);
        groups += j > from;
        if (j >= v->n && !v->final && groups <= 8)
            return MORE;
        if (groups > 8)
            return NONE;
        if (j + 1 >= v->n && j < v->n && v->p[j] == ':' && !v->final)
            return MORE;
        if (j + 1 < v->n && v->p[j] == ':' && v->p[j + 1] == ':' && !gap) {
            gap = true;
            j += 2;
        } else if (j > from && j + 1 < v->n && v->p[j] == ':' && is_hex(v->p[j + 1])) {
            j++;
        } else {
            break;
        }
    }
    bool good = gap ? groups >= 1 && groups < 8 && (digits > 0 || groups > 2) : groups == 8;
    int32_t ok = address_ends(v, j);
    return good || ok == MORE ? (ok == 1 ? j : ok) : NONE;
}

#endif
