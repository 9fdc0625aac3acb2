/* run.h: groups of digits with separators between. */
#ifndef RUN_H
#define RUN_H

#include "view.h"

enum { SPACE = 1, HYPHEN, DOT, SLASH, TOUCH }; /* what is between two groups */
enum { GROUPS = 8, DIGITS = 19 };

/* Groups of digits with separators between, from start on. One group more than
 * any match can have is there, if the text has it. */
typedef struct {
    int32_t start;
    bool plus;
    int32_t n;
    int32_t from[GROUPS], to[GROUPS];
    uint8_t sep[GROUPS];   /* before the group */
    bool paren[GROUPS];    /* the group stands in parentheses */
    int32_t close[GROUPS]; /* end of the group, its closing parenthesis included */
} run;

static int32_t length(const run *r, int32_t k) { return r->to[k] - r->from[k]; }

/* The separator at i: its length, 0 for none, MORE. */
static int32_t separator(const view *v, int32_t i, uint8_t *kind)
{
    switch (v->p[i]) {
    case ' ':
        *kind = SPACE;
        return 1;
    case '-':
        *kind = HYPHEN;
        return 1;
    case '.':
        *kind = DOT;
        return 1;
    case '/':
        *kind = SLASH;
        return 1;
    case 0xc2:
    case 0xe2:
        break;
    default:
        return 0;
    }
    int32_t len = char_at(v, i);
    if (len <= 0)
        return len;
    uint8_t b = v->p[i + 1], c = len > 2 ? v->p[i + 2] : 0;
    if (len == 2 ? b == 0xa0 : b == 0x80 && (c == 0x89 || c == 0xaf)) { /* U+00A0 2009 202F */
        *kind = SPACE;
        return len;
    }
    if (len == 3 && b == 0x80 && c >= 0x90 && c <= 0x93) { /* U+2010 to 2013 */
        *kind = HYPHEN;
        return len;
    }
    return 0;
}

/* Reads the group of digits at i, in parentheses if an opening one stands before
 * it: 1, NONE if that is not closed, MORE. */
static int32_t read_group(const view *v, run *r, int32_t i, uint8_t sep, bool paren)
{
    int32_t k = r->n, end = i;
    while (end < v->n && is_digit(v->p[end]) && end - i <= DIGITS)
        end++;
    if (end >= v->n && !v->final && end - i <= DIGITS)
        return MORE;
    if (paren && (end >= v->n || v->p[end] != ')'))
        return NONE;
    r->from[k] = i;
    r->to[k] = end;
    r->close[k] = end + paren;
    r->sep[k] = sep;
    r->paren[k] = paren;
    r->n++;
    return 1;
}

/* Where the digits of a run's next group must be, past + and parenthesis. */
static int32_t opening(const view *v, run *r, int32_t i, bool *paren)
{
    *paren = i < v->n && v->p[i] == '(' && r->n <= 2;
    i += *paren;
    if (r->n > 0 || i >= v->n || v->p[i] != '+')
        return i;
    r->plus = true;
    i++;
    if (!*paren && i < v->n && v->p[i] == '(') {
        *paren = true;
        i++;
    }
    return i;
}

/* Whether the run is long enough to judge its first group: nothing has more
 * groups, or two of one digit each. */
static bool enough(const run *r, int32_t total)
{
    int32_t k = r->n - 1;
    bool ones = k > 0 && length(r, k) == 1 && length(r, k - 1) == 1 && !r->paren[k] && !r->paren[k - 1] && !r->plus;
    return total > DIGITS || r->n == GROUPS || ones;
}

/* Reads the run that begins at start: 1, NONE if there is none, MORE. */
static int32_t read_run(const view *v, int32_t start, run *r)
{
    r->start = start;
    r->n = 0;
    r->plus = false;
    int32_t i = start, total = 0;
    uint8_t sep = TOUCH;
    for (;;) {
        bool paren;
        i = opening(v, r, i, &paren);
        if (i >= v->n)
            return v->final ? r->n > 0 : MORE;
        if (!is_digit(v->p[i]) || (sep == TOUCH && r->n > 0 && !paren && !r->paren[r->n - 1]))
            return r->n > 0;
        int32_t got = read_group(v, r, i, sep, paren);
        if (got != 1)
            return got == MORE ? MORE : r->n > 0;
        total += length(r, r->n - 1);
        if (enough(r, total))
            return 1;
        i = r->close[r->n - 1];
        sep = TOUCH;
        if (i >= v->n)
            return v->final ? 1 : MORE;
        int32_t len = separator(v, i, &sep);
        if (len == MORE)
            return MORE;
        i += len;
    }
}

static int32_t digits(const run *r)
{
    int32_t n = 0;
    for (int32_t k = 0; k < r->n; k++)
        n += length(r, k);
    return n;
}

static int32_t value(const view *v, const run *r, int32_t k)
{
    int32_t x = 0;
    for (int32_t i = r->from[k]; i < r->to[k] && i < r->from[k] + 6; i++)
        x = x * 10 + (v->p[i] - '0');
    return x;
}

static bool same_separators(const run *r, int32_t h)
{
    for (int32_t k = 2; k <= h; k++)
        if (r->sep[k] != r->sep[1])
            return false;
    return true;
}

#endif
