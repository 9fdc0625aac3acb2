/* text.h: sets of characters as nets over UTF-8, plain or as a JSON string has them. */
#ifndef TEXT_H
#define TEXT_H

#include "net.h"
#include "tree.h"

typedef struct {
    uint32_t low, high; /* code points */
} span;

/* How characters are written. */
typedef enum { PLAIN, QUOTED } writing;

/* Bytes a..b, n of each, taken as numbers of n continuation digits. */
static uint32_t utf8_between(net *g, const uint8_t *a, const uint8_t *b, uint32_t n, uint32_t next)
{
    static const uint8_t least[3] = {0x80, 0x80, 0x80}, most[3] = {0xbf, 0xbf, 0xbf};
    if (n == 1)
        return one_of(g, a[0], b[0], next);
    if (a[0] == b[0])
        return one_of(g, a[0], a[0], utf8_between(g, a + 1, b + 1, n - 1, next));
    uint8_t low = a[0], high = b[0];
    uint32_t out = DEAD;
    if (memcmp(a + 1, least, n - 1) != 0) {
        out = one_of(g, low, low, utf8_between(g, a + 1, most, n - 1, next));
        low++;
    }
    if (memcmp(b + 1, most, n - 1) != 0) {
        out = either(g, out, one_of(g, high, high, utf8_between(g, least, b + 1, n - 1, next)));
        high--;
    }
    if (low <= high)
        out = either(g, out, one_of(g, low, high, utf8_between(g, least, most, n - 1, next)));
    return out;
}

/* Code points low..high, less surrogates. */
static uint32_t utf8_span(net *g, uint32_t low, uint32_t high, uint32_t next)
{
    static const uint32_t ends[] = {0x7f, 0x7ff, 0xd7ff, 0xdfff, 0xffff, 0x10ffff};
    uint32_t out = DEAD, from = low;
    for (uint32_t k = 0; k < 6 && from <= high; k++) {
        uint32_t to = high < ends[k] ? high : ends[k];
        if (from > to)
            continue;
        if (k != 3) {
            uint8_t a[4], b[4];
            uint32_t n = put_utf8(a, from);
            put_utf8(b, to);
            out = either(g, out, utf8_between(g, a, b, n, next));
        }
        from = to + 1;
    }
    return out;
}

/* The one way a JSON string here has a character that must be escaped. */
static uint32_t escaped(net *g, uint32_t c, uint32_t next)
{
    static const char letters[] = "btn?fr"; /* for 8 to 13 */
    static const char hex[] = "0123456789abcdef";
    char b[6] = "\\u00";
    if (c == '"' || c == '\\' || (c >= 8 && c <= 13 && c != 11)) {
        b[1] = c == '"' || c == '\\' ? (char)c : letters[c - 8];
        return bytes_then(g, b, 2, next);
    }
    b[4] = hex[c >> 4];
    b[5] = hex[c & 15];
    return bytes_then(g, b, 6, next);
}

/* One character of the spans. */
static uint32_t character(net *g, const span *s, uint32_t n, writing w, uint32_t next)
{
    uint32_t out = DEAD;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t low = s[i].low, high = s[i].high;
        for (; w == QUOTED && low <= high && low < 0x20; low++)
            out = either(g, out, escaped(g, low, next));
        for (uint32_t stop = 0; w == QUOTED && stop < 2; stop++) {
            uint32_t c = stop ? '\\' : '"';
            if (low > c || high < c)
                continue;
            if (low < c)
                out = either(g, out, utf8_span(g, low, c - 1, next));
            out = either(g, out, escaped(g, c, next));
            low = c + 1;
        }
        if (low <= high)
            out = either(g, out, utf8_span(g, low, high, next));
    }
    return out;
}

/* A text as a JSON string without its quotes; what is not UTF-8 becomes U+FFFD. */
static uint32_t json_text(net *g, const uint8_t *p, uint32_t n, uint32_t next)
{
    for (uint32_t i = n; i > 0;) {
        uint32_t from = i - 1;
        while (from > 0 && i - from < 4 && (p[from] & 0xc0) == 0x80)
            from--;
        bool good = sw_char(p + from, i - from) == (int32_t)(i - from);
        if (!good)
            next = word(g, "\xef\xbf\xbd", next);
        else if (i - from > 1 || (p[from] >= 0x20 && p[from] != '"' && p[from] != '\\'))
            next = bytes_then(g, p + from, i - from, next);
        else
            next = escaped(g, p[from], next);
        i = good ? from : i - 1;
    }
    return next;
}

static uint32_t hex_digits(net *g, uint32_t n, uint32_t next)
{
    for (; n > 0; n--)
        next = either(g, one_of(g, '0', '9', next), either(g, one_of(g, 'a', 'f', next), one_of(g, 'A', 'F', next)));
    return next;
}

/* A rule: any character of a JSON string, in any way it may be written there. A
 * surrogate is written as half of a pair. */
static uint32_t any_quoted(net *g)
{
    uint32_t out = either(g, utf8_span(g, 0x20, '"' - 1, RETURN), utf8_span(g, '"' + 1, '\\' - 1, RETURN));
    out = either(g, out, utf8_span(g, '\\' + 1, 0x10ffff, RETURN));
    static const char simple[] = "\"\\/bfnrt";
    uint32_t after = DEAD;
    for (uint32_t i = 0; simple[i]; i++)
        after = either(g, after, one_of(g, (uint8_t)simple[i], (uint8_t)simple[i], RETURN));
    uint32_t tail = hex_digits(g, 2, RETURN);
    uint32_t low = either(g, one_of(g, 'c', 'f', tail), one_of(g, 'C', 'F', tail));
    low = word(g, "\\u", either(g, one_of(g, 'd', 'd', low), one_of(g, 'D', 'D', low)));
    uint32_t high = either(g, one_of(g, '8', '9', hex_digits(g, 2, low)), either(g, one_of(g, 'a', 'b', hex_digits(g, 2, low)), one_of(g, 'A', 'B', hex_digits(g, 2, low))));
    uint32_t d = either(g, one_of(g, '0', '7', hex_digits(g, 2, RETURN)), high);
    uint32_t rest = hex_digits(g, 3, RETURN);
    uint32_t u = either(g, one_of(g, '0', '9', rest), either(g, one_of(g, 'a', 'c', rest), one_of(g, 'A', 'C', rest)));
    u = either(g, u, either(g, one_of(g, 'e', 'f', rest), one_of(g, 'E', 'F', rest)));
    u = either(g, u, either(g, one_of(g, 'd', 'd', d), one_of(g, 'D', 'D', d)));
    after = either(g, after, one_of(g, 'u', 'u', u));
    return either(g, out, one_of(g, '\\', '\\', after));
}

#endif
