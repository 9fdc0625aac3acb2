/* kinds.h: characters by kind. Where a grammar takes all characters of some kinds
 * alike, tokens made of them alone need no look at their bytes. */
#ifndef KINDS_H
#define KINDS_H

/* Bits of a set of kinds: each letter is one. */
enum {
    K_LOWER = 0, K_UPPER = 26, K_DIGIT = 52, K_SPACE, K_BROKEN, K_LINE, K_DOT, K_DASH, K_UNDERSCORE, K_SIGN,
    K_QUOTE, K_BACKSLASH, K_CONTROL,
    K_WIDE, /* from U+0080 on */
    KINDS
};
typedef uint64_t kinds;
#define KIND(k) ((kinds)1 << (k))

/* What a JSON string cannot have as it is; and bytes that are no part of a character. */
#define NOT_PLAIN (KIND(K_BROKEN) | KIND(K_LINE) | KIND(K_QUOTE) | KIND(K_BACKSLASH) | KIND(K_CONTROL))

/* The kind of an ASCII character. */
static uint32_t kind_of(uint8_t b)
{
    if (b >= 'a' && b <= 'z')
        return K_LOWER + (uint32_t)(b - 'a');
    if (b >= 'A' && b <= 'Z')
        return K_UPPER + (uint32_t)(b - 'A');
    if (b >= '0' && b <= '9')
        return K_DIGIT;
    switch (b) {
    case ' ': return K_SPACE;
    case '\n': case '\r': return K_LINE;
    case '.': return K_DOT;
    case '-': return K_DASH;
    case '_': return K_UNDERSCORE;
    case '"': return K_QUOTE;
    case '\\': return K_BACKSLASH;
    }
    return b < 0x20 || b == 0x7f ? K_CONTROL : K_SIGN;
}

/* The kind of the character n bytes begin with, and its length. */
static uint32_t kind_at(const uint8_t *p, uint32_t n, uint32_t *len)
{
    int32_t k = sw_char(p, n);
    *len = k > 0 ? (uint32_t)k : 1;
    return k <= 0 ? K_BROKEN : k > 1 ? K_WIDE : kind_of(p[0]);
}

#endif
