//go:build ignore

/* watermark: a sampler that leaves a trace in what it writes, which cannot be seen but
 * be counted (Kirchenbauer et al. 2023, "A Watermark for Large Language Models",
 * https://arxiv.org/abs/2301.10226). The tokens before the one to choose, and a secret
 * key, divide the vocabulary: a token is green with probability gamma. The logits of
 * green tokens gain delta. Who knows the key counts green tokens in a text; package
 * sdk/go/watermark does.
 *
 * Where the paper shuffles the vocabulary and takes a part of it, here each token is
 * green or not by a hash of its own, which is the same to the count and spares
 * looking at all of them: of the candidates, those that are green are changed.
 *
 * Configuration of the plugin, or of a request on top of it:
 *     key     text, the secret; there is no watermark without
 *     gamma   0.25, more than 0 and less than 1
 *     delta   2; 0 to 100
 *     window  1: how many tokens before decide what is green, 1 to 8
 */
#define SANDWARP_SAMPLER
#define SANDWARP_FORK
#define SANDWARP_ROLLBACK
#include "../sandwarp.h"

enum { WINDOW = 8 };

typedef struct {
    bool keyed;
    uint64_t k0, k1;
    uint64_t below; /* green: the 53 bits of a hash are less; gamma * 2^53 */
    float delta;
    uint32_t window;
} settings;

static settings standard = {.below = (uint64_t)1 << 51, .delta = 2, .window = 1};

static int32_t read_setting(settings *s, sw_reader *r, const uint8_t *key, uint32_t n);
static void drop_settings(settings *s) { (void)s; }

#include "requests.h"

/* --- hashes ------------------------------------------------------------------------- */

static uint64_t turn(uint64_t x, int n) { return x << n | x >> (64 - n); }

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = turn(v[1], 13) ^ v[0];
    v[0] = turn(v[0], 32);
    v[2] += v[3];
    v[3] = turn(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = turn(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = turn(v[1], 17) ^ v[2];
    v[2] = turn(v[2], 32);
}

/* SipHash-2-4 (Aumasson and Bernstein 2012, https://cr.yp.to/siphash/siphash-20120918.pdf). */
static uint64_t siphash(uint64_t k0, uint64_t k1, const uint8_t *p, uint32_t n)
{
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573};
    for (uint32_t i = 0; i <= n / 8; i++) {
        uint64_t m = 0;
        uint32_t left = n - 8 * i < 8 ? n - 8 * i : 8;
        for (uint32_t b = 0; b < left; b++)
            m |= (uint64_t)p[8 * i + b] << 8 * b;
        if (left < 8)
            m |= (uint64_t)n << 56;
        v[3] ^= m;
        sip_round(v);
        sip_round(v);
        v[0] ^= m;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The finish of SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static bool green(const settings *s, uint64_t context, uint32_t token)
{
    return mix(context + 0x9e3779b97f4a7c15 * ((uint64_t)token + 1)) >> 11 < s->below;
}

/* --- settings ------------------------------------------------------------------------- */

static int32_t bad(const char *what) { return sw_fail(SW_EINVAL, what); }

static int32_t read_setting(settings *s, sw_reader *r, const uint8_t *key, uint32_t n)
{
    if (sw_is(key, n, "key")) {
        uint32_t len;
        const uint8_t *p = sw_read_text(r, &len);
        if (!p || len == 0)
            return bad("key: want text, not empty");
        s->keyed = true;
        s->k0 = siphash(0, 0, p, len);
        s->k1 = siphash(0, 1, p, len);
        return SW_OK;
    }
    if (sw_is(key, n, "gamma")) {
        double g = sw_read_float(r);
        if (r->err || !(g > 0 && g < 1))
            return bad("gamma: want a number between 0 and 1");
        s->below = (uint64_t)(g * 9007199254740992.0);
        return SW_OK;
    }
    if (sw_is(key, n, "delta")) {
        s->delta = (float)sw_read_float(r);
        return !r->err && s->delta >= 0 && s->delta <= 100 ? SW_OK : bad("delta: want a number from 0 to 100");
    }
    if (sw_is(key, n, "window")) {
        s->window = (uint32_t)sw_read_uint(r, WINDOW);
        return !r->err && s->window >= 1 ? SW_OK : bad("window: want a whole number from 1 to 8");
    }
    return unknown_key(key, n, "key, gamma, delta, window");
}

int32_t sw_configure(const uint8_t *message, uint32_t n)
{
    sw_message m;
    int32_t err = sw_read_message(message, n, &m);
    return err ? err : read_settings(&standard, &m.config);
}

/* --- every step ------------------------------------------------------------------------- */

int32_t sw_sample(uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++) {
        sw_row *row = sw_row_at(i);
        const settings *s = settings_of(row->seq);
        if (!s)
            return sw_fail(SW_ENOENT, "the sequence is not open");
        if (!s->keyed || row->hist_n < s->window || row->cand_n == 0)
            continue;
        const int32_t *last = sw_history_of(row) + (row->hist_n - s->window);
        uint64_t context = siphash(s->k0, s->k1, (const uint8_t *)last, 4 * s->window);
        sw_candidate *c = sw_candidates_at(i);
        for (uint32_t k = 0; k < row->cand_n; k++)
            if (green(s, context, c[k].id) && c[k].logit < 1e38f)
                c[k].logit += s->delta;
        row->action = SW_CHOICE_KEEP;
    }
    return SW_OK;
}

/* The history comes with each row: there is nothing to take back. */
int32_t sw_seq_rollback(uint64_t seq, uint32_t n)
{
    (void)n;
    return settings_of(seq) ? SW_OK : sw_fail(SW_ENOENT, "the sequence is not open");
}
