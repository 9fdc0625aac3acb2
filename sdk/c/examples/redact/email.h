/* email.h: e-mail addresses. */
#ifndef EMAIL_H
#define EMAIL_H

#include "view.h"

/* Longest piece put off: an address of LOCAL_MAX + 1 + DOMAIN_MAX bytes. */
enum { LOCAL_MAX = 64, DOMAIN_MAX = 253 };

/* Where the local part before end begins: the last LOCAL_MAX bytes of letters,
 * digits and marks, whole characters, not beginning with a mark. */
static int32_t local_start(const view *v, int32_t end)
{
    int32_t i = end;
    while (i > v->floor && end - i < LOCAL_MAX) {
        if (class_of[v->p[i - 1]])
            i--;
        else if (i - 1 > v->floor && end - i + 2 <= LOCAL_MAX && is_letter2(v->p[i - 2], v->p[i - 1]))
            i -= 2;
        else
            break;
    }
    while (i < end && class_of[v->p[i]] == MARK)
        i++;
    return i;
}

/* The end of the domain that begins at i. It has two labels or more, and the last
 * is not a number: two letters at least. */
static int32_t domain_end(const view *v, int32_t from)
{
    int32_t good = NONE, i = from, label = from, letters = 0;
    for (;;) {
        bool over = i - from >= DOMAIN_MAX;
        if (i >= v->n && !v->final && !over)
            return MORE;
        uint8_t c = over || i >= v->n ? 0 : v->p[i];
        if (class_of[c] & (LETTER | DIGIT) && c != '_') {
            letters += !is_digit(c);
            i++;
            continue;
        }
        if (c >= 0xc3 && c <= 0xdf) {
            if (i + 1 >= v->n && !v->final)
                return MORE;
            if (i + 1 < v->n && is_letter2(c, v->p[i + 1])) {
                letters += 2;
                i += 2;
                continue;
            }
        }
        if (c == '-' && i > label) {
            i++;
            continue;
        }
        int32_t end = i;
        while (end > label && v->p[end - 1] == '-')
            end--;
        if (label > from && letters >= 2)
            good = end;
        if (c != '.' || i == label)
            return good;
        label = ++i;
        letters = 0;
    }
}

/* The address whose @ is at i. */
static int32_t email_at(const view *v, int32_t i, int32_t *start)
{
    *start = local_start(v, i);
    return *start == i ? NONE : domain_end(v, i + 1);
}

#endif
