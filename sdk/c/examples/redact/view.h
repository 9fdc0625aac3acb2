/* view.h: the text of a call and its characters. */
#ifndef VIEW_H
#define VIEW_H

#include "settings.h"

enum { LETTER = 1, DIGIT = 2, MARK = 4 }; /* MARK: punctuation inside of local parts */

static const uint8_t class_of[256] = {
    ['0'] = DIGIT, ['1'] = DIGIT, ['2'] = DIGIT, ['3'] = DIGIT, ['4'] = DIGIT,
    ['5'] = DIGIT, ['6'] = DIGIT, ['7'] = DIGIT, ['8'] = DIGIT, ['9'] = DIGIT,
    ['a'] = LETTER, ['b'] = LETTER, ['c'] = LETTER, ['d'] = LETTER, ['e'] = LETTER,
    ['f'] = LETTER, ['g'] = LETTER, ['h'] = LETTER, ['i'] = LETTER, ['j'] = LETTER,
    ['k'] = LETTER, ['l'] = LETTER, ['m'] = LETTER, ['n'] = LETTER, ['o'] = LETTER,
    ['p'] = LETTER, ['q'] = LETTER, ['r'] = LETTER, ['s'] = LETTER, ['t'] = LETTER,
    ['u'] = LETTER, ['v'] = LETTER, ['w'] = LETTER, ['x'] = LETTER, ['y'] = LETTER,
    ['z'] = LETTER, ['A'] = LETTER, ['B'] = LETTER, ['C'] = LETTER, ['D'] = LETTER,
    ['E'] = LETTER, ['F'] = LETTER, ['G'] = LETTER, ['H'] = LETTER, ['I'] = LETTER,
    ['J'] = LETTER, ['K'] = LETTER, ['L'] = LETTER, ['M'] = LETTER, ['N'] = LETTER,
    ['O'] = LETTER, ['P'] = LETTER, ['Q'] = LETTER, ['R'] = LETTER, ['S'] = LETTER,
    ['T'] = LETTER, ['U'] = LETTER, ['V'] = LETTER, ['W'] = LETTER, ['X'] = LETTER,
    ['Y'] = LETTER, ['Z'] = LETTER, ['_'] = LETTER,
    ['.'] = MARK, ['-'] = MARK, ['+'] = MARK, ['%'] = MARK, ['\''] = MARK, ['~'] = MARK,
};

static bool is_digit(uint8_t c) { return (uint8_t)(c - '0') < 10; }
static bool is_word(uint8_t c) { return class_of[c] & (LETTER | DIGIT); }
static bool is_tail(uint8_t c) { return (c & 0xc0) == 0x80; }

/* Whether two bytes are a letter that addresses may hold: U+00C0 to U+07FF, that
 * is Latin, Greek, Cyrillic, Hebrew and Arabic, less the signs for times and divided. */
static bool is_letter2(uint8_t a, uint8_t b)
{
    return a >= 0xc3 && a <= 0xdf && is_tail(b) && !(a == 0xc3 && (b == 0x97 || b == 0xb7));
}

/* The text of a call, what came before it, and how far it is settled. */
typedef struct {
    const uint8_t *p;
    int32_t n;
    bool final;    /* nothing follows */
    int32_t floor; /* matches begin here or later */
    const past *before;
} view;

/* The byte at i >= -CONTEXT; 0 before the text's start. */
static uint8_t at(const view *v, int32_t i)
{
    if (i >= 0)
        return v->p[i];
    i += (int32_t)v->before->n;
    return i >= 0 ? v->before->text[i] : 0;
}

/* sw_char of the text at i; nothing more comes if the text is final. */
static int32_t char_at(const view *v, int32_t i)
{
    int32_t len = sw_char(v->p + i, (uint32_t)(v->n - i));
    return len < 0 && v->final ? 0 : len;
}

enum { NONE = 0, MORE = -1 }; /* results of matchers; a match is its end */

#endif
