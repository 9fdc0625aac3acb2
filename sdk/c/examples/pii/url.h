/* url.h: URLs. */
#ifndef URL_H
#define URL_H

#include "../redact/view.h"

enum { SCHEME_MAX = 12, URL_MAX = 400 };

static bool in_url(uint8_t c) { return c > 0x20 && c != '<' && c != '>' && c != '"' && c != '`' && c != '{' && c != '}' && c != '|' && c != '\\' && c != '^' && c != 0x7f; }

/* The URL whose colon is at i: its scheme is letters, and :// follows. What ends a
 * sentence is not part of it, nor a parenthesis that closes none of its own. One
 * longer than URL_MAX bytes is cut there. */
static int32_t url_at(const view *v, int32_t i, int32_t *start)
{
    int32_t s = i, depth = 0, end = NONE, j = i + 3;
    while (s > v->floor && i - s < SCHEME_MAX && class_of[v->p[s - 1]] == LETTER && v->p[s - 1] != '_')
        s--;
    *start = s;
    if (i - s < 3 || is_word(at(v, s - 1)))
        return NONE;
    for (int32_t k = 1; k < 3; k++) {
        if (i + k >= v->n)
            return v->final ? NONE : MORE;
        if (v->p[i + k] != '/')
            return NONE;
    }
    for (; j < v->n && j - s < URL_MAX && in_url(v->p[j]); j++) {
        uint8_t c = v->p[j];
        depth += c == '(' ? 1 : c == ')' ? -1 : 0;
        if (depth < 0)
            break;
        bool mark = c == '.' || c == ',' || c == ';' || c == ':' || c == '!' || c == '?' || c == '\'' || c == '*' || c == ']' || is_tail(c) || c >= 0xc0;
        if (!mark || (is_tail(c) && (j + 1 >= v->n || !is_tail(v->p[j + 1]))))
            end = j + 1;
    }
    if (j >= v->n && j - s < URL_MAX && !v->final)
        return MORE;
    return end;
}

#endif
