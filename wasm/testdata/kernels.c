/* Loops as plugins run them, to measure what metering costs. Built by the Makefile
 * beside it; the .wasm is committed. */
#include <stddef.h>
#include <stdint.h>
#include <wasm_simd128.h>

#define EXPORT(name) __attribute__((export_name(#name))) name

/* Temperature: x * scale, four at a time. */
void EXPORT(temperature)(float *x, int n, float scale) {
    v128_t s = wasm_f32x4_splat(scale);
    for (int i = 0; i + 4 <= n; i += 4)
        wasm_v128_store(x + i, wasm_f32x4_mul(wasm_v128_load(x + i), s));
}

/* Excludes the tokens whose bit is clear. */
void EXPORT(mask)(float *x, const uint32_t *bits, int n) {
    const v128_t select = wasm_i32x4_make(1, 2, 4, 8), none = wasm_i32x4_const(0, 0, 0, 0);
    const v128_t out = wasm_f32x4_splat(-__builtin_inff());
    for (int i = 0; i + 32 <= n; i += 32) {
        uint32_t w = bits[i / 32];
        if (w == UINT32_MAX)
            continue;
        for (int j = 0; j < 32; j += 4) {
            v128_t keep = wasm_i32x4_ne(wasm_v128_and(wasm_i32x4_splat((int)(w >> j)), select), none);
            wasm_v128_store(x + i + j, wasm_v128_bitselect(wasm_v128_load(x + i + j), out, keep));
        }
    }
}

/* The greatest, four at a time. */
float EXPORT(greatest)(const float *x, int n) {
    v128_t m = wasm_v128_load(x);
    for (int i = 4; i + 4 <= n; i += 4)
        m = wasm_f32x4_pmax(m, wasm_v128_load(x + i));
    float best = wasm_f32x4_extract_lane(m, 0), v;
    v = wasm_f32x4_extract_lane(m, 1), best = v > best ? v : best;
    v = wasm_f32x4_extract_lane(m, 2), best = v > best ? v : best;
    v = wasm_f32x4_extract_lane(m, 3), best = v > best ? v : best;
    return best;
}

/* How many reach a limit, and where the first 256 are: the sweep of a top-k. */
int EXPORT(above)(const float *x, int n, float limit, int *found) {
    v128_t l = wasm_f32x4_splat(limit);
    int count = 0;
    for (int i = 0; i + 16 <= n; i += 16) {
        v128_t a = wasm_f32x4_ge(wasm_v128_load(x + i), l), b = wasm_f32x4_ge(wasm_v128_load(x + i + 4), l);
        v128_t c = wasm_f32x4_ge(wasm_v128_load(x + i + 8), l), d = wasm_f32x4_ge(wasm_v128_load(x + i + 12), l);
        if (!wasm_v128_any_true(wasm_v128_or(wasm_v128_or(a, b), wasm_v128_or(c, d))))
            continue;
        for (int j = i; j < i + 16 && count < 256; j++)
            if (x[j] >= limit)
                found[count++] = j;
    }
    return count;
}

/* Words in a text, with branches. */
int EXPORT(words)(const uint8_t *s, int n) {
    int words = 0, in = 0;
    for (int i = 0; i < n; i++) {
        if (s[i] == ' ')
            in = 0;
        else if (!in)
            in = 1, words++;
    }
    return words;
}

/* FNV-1a, a multiplication each round. */
uint32_t EXPORT(hash)(const uint8_t *s, int n) {
    uint32_t h = 2166136261u;
    for (int i = 0; i < n; i++)
        h = (h ^ s[i]) * 16777619u;
    return h;
}

/* The sum of bytes one by one: as tight as a scalar loop gets. */
uint32_t EXPORT(sum)(const uint8_t *s, int n) {
    uint32_t t = 0;
#pragma clang loop vectorize(disable) unroll(disable)
    for (int i = 0; i < n; i++)
        t += s[i];
    return t;
}

/* A table walk, as of an automaton over bytes. */
uint32_t EXPORT(automaton)(const uint8_t *s, int n) {
    static uint8_t next[16][256];
    for (int st = 0; st < 16; st++)
        for (int c = 0; c < 256; c++)
            next[st][c] = (uint8_t)((st * 7 + c) & 15);
    uint32_t st = 0, t = 0;
    for (int i = 0; i < n; i++)
        st = next[st][s[i]], t += st == 3;
    return t;
}

static __attribute__((noinline)) uint32_t step(uint32_t h, uint32_t c) { return (h << 5) + h + c; }

/* A call each round. */
uint32_t EXPORT(calls)(const uint8_t *s, int n) {
    uint32_t h = 5381;
    for (int i = 0; i < n; i++)
        h = step(h, s[i]);
    return h;
}
