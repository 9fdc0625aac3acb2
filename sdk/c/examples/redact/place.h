/* place.h: where something may begin, and what is found there. */
#ifndef PLACE_H
#define PLACE_H

#include "view.h"
#include <wasm_simd128.h>

/* The next place from i on where something may begin: @ + ( digits, not ASCII,
 * and one character more, or @ again. */
static int32_t next_place(const view *v, int32_t i, uint8_t more)
{
    const v128_t nine = wasm_i8x16_splat(9), zero = wasm_i8x16_splat('0');
    for (; i + 16 <= v->n; i += 16) {
        v128_t x = wasm_v128_load(v->p + i);
        v128_t hit = wasm_u8x16_le(wasm_i8x16_sub(x, zero), nine);
        hit = wasm_v128_or(hit, wasm_i8x16_eq(x, wasm_i8x16_splat('@')));
        hit = wasm_v128_or(hit, wasm_i8x16_eq(x, wasm_i8x16_splat('+')));
        hit = wasm_v128_or(hit, wasm_i8x16_eq(x, wasm_i8x16_splat('(')));
        hit = wasm_v128_or(hit, wasm_i8x16_eq(x, wasm_i8x16_splat((int8_t)more)));
        uint32_t bits = wasm_i8x16_bitmask(wasm_v128_or(hit, x));
        if (bits)
            return i + __builtin_ctz(bits);
    }
    for (; i < v->n; i++) {
        uint8_t c = v->p[i];
        if (is_digit(c) || c == '@' || c == '+' || c == '(' || c == more || c >= 0x80)
            return i;
    }
    return v->n;
}

/* What is at a place: text from start to end to write something else for, or end
 * NONE and where to look next, or end MORE. */
typedef struct {
    int32_t start, end, next;
    const uint8_t *instead;
    uint32_t n;
} find;

/* A character that is not ASCII: it is a find if it is not UTF-8. */
static find odd_character(const view *v, int32_t i)
{
    static const uint8_t replacement[] = {0xef, 0xbf, 0xbd}; /* U+FFFD */
    int32_t len = char_at(v, i);
    int32_t end = len == 0 ? i + 1 : len == MORE ? MORE : NONE;
    return (find){i, end, i + len, replacement, sizeof replacement};
}

#endif
