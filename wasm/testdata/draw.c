/* The sampler of the benchmarks: temperature, top-k 40, top-p 0.95, and a draw by the
 * row's seed. It finds the best by itself, by the host's op_topk (-DHOST_OPS), or is
 * given candidates (-DCANDIDATES); all three draw the same. */
#define SANDWARP_SAMPLER
#include "../../sdk/c/sandwarp.h"
#include <wasm_simd128.h>

enum { K = 40, BLOCK = 64, BLOCKS = 1 << 14 };

int32_t sw_configure(const uint8_t *message, uint32_t n) { (void)message, (void)n; return SW_OK; }
int32_t sw_seq_open(uint64_t seq, const uint8_t *message, uint32_t n) { (void)seq, (void)message, (void)n; return SW_OK; }
int32_t sw_seq_close(uint64_t seq) { (void)seq; return SW_OK; }

/* 2^x as a polynomial on [0,1) and an exponent; x from -126 to 0. */
static float power2(float x)
{
    if (x < -126)
        return 0;
    int whole = (int)x - 1;
    float f = x - (float)whole;
    float p = 1 + f * (0.69314718f + f * (0.24022651f + f * (0.05550411f + f * (0.00961813f + f * 0.00133336f))));
    union { uint32_t bits; float v; } u = {(uint32_t)(127 + whole) << 23};
    return p * u.v;
}

static int32_t draw(const sw_row *row, const sw_candidate *best, int n)
{
    float weight[K], sum = 0, kept = 0, scale = 1.44269504f / 0.8f;
    for (int i = 0; i < n; i++)
        sum += weight[i] = power2((best[i].logit - best[0].logit) * scale);
    int last = 0;
    for (; last < n && kept < 0.95f * sum; last++)
        kept += weight[last];
    float at = (float)(row->seed >> 40) / 16777216.0f * kept;
    for (int i = 0; i < last; i++)
        if ((at -= weight[i]) < 0)
            return (int32_t)best[i].id;
    return (int32_t)best[last - 1].id;
}

#if !defined HOST_OPS && !defined CANDIDATES
static float greatest[BLOCKS];
static sw_candidate list[K];

/* The greatest of each block. */
static int sweep(const float *x, int n)
{
    int b = 0;
    for (int i = 0; i + BLOCK <= n; i += BLOCK) {
        v128_t m0 = wasm_v128_load(x + i), m1 = wasm_v128_load(x + i + 4), m2 = wasm_v128_load(x + i + 8), m3 = wasm_v128_load(x + i + 12);
        for (int j = 16; j < BLOCK; j += 16) {
            m0 = wasm_f32x4_pmax(m0, wasm_v128_load(x + i + j));
            m1 = wasm_f32x4_pmax(m1, wasm_v128_load(x + i + j + 4));
            m2 = wasm_f32x4_pmax(m2, wasm_v128_load(x + i + j + 8));
            m3 = wasm_f32x4_pmax(m3, wasm_v128_load(x + i + j + 12));
        }
        m0 = wasm_f32x4_pmax(wasm_f32x4_pmax(m0, m1), wasm_f32x4_pmax(m2, m3));
        m0 = wasm_f32x4_pmax(m0, wasm_i32x4_shuffle(m0, m0, 2, 3, 0, 1));
        m0 = wasm_f32x4_pmax(m0, wasm_i32x4_shuffle(m0, m0, 1, 0, 3, 2));
        greatest[b++] = wasm_f32x4_extract_lane(m0, 0);
    }
    return b;
}

static int have;

/* Puts a token in its place, best first, the lower id first among equals. */
static void insert(float v, int id)
{
    int i = have < K ? have++ : K - 1;
    for (; i > 0 && v > list[i - 1].logit; i--)
        list[i] = list[i - 1];
    list[i].id = (uint32_t)id, list[i].logit = v;
}

static int top(const float *x, int n)
{
    int blocks = sweep(x, n);
    have = 0;
    for (int b = 0; b < blocks; b++) {
        if (have == K && !(greatest[b] > list[K - 1].logit))
            continue;
        for (int i = b * BLOCK; i < (b + 1) * BLOCK; i += 4) {
            v128_t limit = wasm_f32x4_splat(have < K ? -__builtin_inff() : list[K - 1].logit);
            if (have == K && !wasm_v128_any_true(wasm_f32x4_gt(wasm_v128_load(x + i), limit)))
                continue;
            for (int j = i; j < i + 4; j++)
                if (have < K || x[j] > list[K - 1].logit)
                    insert(x[j], j);
        }
    }
    for (int i = blocks * BLOCK; i < n; i++)
        if (have < K || x[i] > list[K - 1].logit)
            insert(x[i], i);
    return have;
}
#endif

int32_t sw_sample(uint32_t rows)
{
    for (uint32_t r = 0; r < rows; r++) {
        sw_row *row = sw_row_at(r);
#if defined CANDIDATES
        const sw_candidate *list = sw_candidates_at(r);
        int n = row->cand_n < K ? (int)row->cand_n : K;
#elif defined HOST_OPS
        sw_candidate *list = sw_candidates_at(r);
        int n = sw_op_topk(sw_logits_at(r), sw_window->vocab, K, list);
        if (n < 0)
            return n;
#else
        int n = top(sw_logits_at(r), (int)sw_window->vocab);
#endif
        sw_pick(row, draw(row, list, n));
    }
    return SW_OK;
}
