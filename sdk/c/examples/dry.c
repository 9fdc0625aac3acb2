//go:build ignore

/* dry: a sampler against repetition. A token that would go on with a sequence that was
 * there before gets less likely, the more the longer that sequence is already ("Don't
 * repeat yourself", by p-e-w for text-generation-webui,
 * https://github.com/oobabooga/text-generation-webui/pull/5677): for a match of n
 * tokens, n >= allowed_length, its logit loses multiplier * base^(n - allowed_length).
 *
 * All matches are found at once, in time linear in the history, by the Z-algorithm
 * (Gusfield 1997, section 1.3) on the history read backwards. It needs no logits, so
 * that it works while the model computes.
 *
 * Configuration of the plugin, or of a request on top of it; all may be left out:
 *     multiplier       0.8; 0 turns it off
 *     base             1.75
 *     allowed_length   2: matches shorter than this cost nothing
 *     penalty_last_n   0: tokens of history that count; 0 for all that is shown (4096)
 *     breakers         texts; no match goes over a token that holds one, and such a
 *                      token is never made less likely. ["\n", ":", "\"", "*"]. A
 *                      number is the id of a token
 */
#define SANDWARP_SAMPLER
#define SANDWARP_PLAN
#define SANDWARP_FORK
#define SANDWARP_ROLLBACK
#include "../sandwarp.h"

enum { HISTORY = 4096, BREAKERS = 32, BREAKER_MAX = 64 };
#define PENALTY_MAX 1e6 /* beyond it a token is as good as excluded */

/* --- settings -------------------------------------------------------------------- */

typedef struct {
    double multiplier, base;
    uint32_t allowed, last;
    uint32_t *breaks; /* a bit for each token */
} settings;

static settings standard = {.multiplier = 0.8, .base = 1.75, .allowed = 2};

static int32_t read_setting(settings *s, sw_reader *r, const uint8_t *key, uint32_t n);

static void drop_settings(settings *s)
{
    if (s->breaks != standard.breaks)
        sw_free(s->breaks, 0, 16);
}

#include "requests.h"

/* The model's tokens, if the host shows them. */
static uint32_t tokens;
static const uint32_t *offsets;
static const uint8_t *texts;

static int32_t bad(const char *what) { return sw_fail(SW_EINVAL, what); }

static void read_vocabulary(void)
{
    int64_t size = sw_vocab_map(NULL, 0);
    uint8_t *table = size >= 4 && size < 0x20000000 ? sw_alloc((uint32_t)size, 16) : NULL;
    if (!table || sw_vocab_map(table, (uint32_t)size) != size)
        return;
    memcpy(&tokens, table, 4);
    offsets = (const uint32_t *)(table + 4);
    texts = table + 4 + 4 * (tokens + 1);
}

static bool holds(uint32_t id, const uint8_t *what, uint32_t n)
{
    const uint8_t *p = texts + offsets[id];
    uint32_t len = offsets[id + 1] - offsets[id];
    for (uint32_t i = 0; i + n <= len; i++)
        if (p[i] == what[0] && memcmp(p + i, what, n) == 0)
            return true;
    return false;
}

/* Marks the tokens that hold one of the texts. */
static void mark(uint32_t *bits, const uint8_t *const *what, const uint32_t *n, uint32_t count)
{
    for (uint32_t id = 0; id < tokens; id++)
        for (uint32_t k = 0; k < count; k++)
            if (holds(id, what[k], n[k])) {
                bits[id / 32] |= (uint32_t)1 << id % 32;
                break;
            }
}

static uint32_t *no_breaks(void)
{
    uint32_t bytes = (tokens + 31) / 32 * 4;
    uint32_t *bits = sw_alloc(bytes, 16);
    if (bits)
        memset(bits, 0, bytes);
    return bits;
}

static int32_t read_breakers(settings *s, sw_reader *r)
{
    const uint8_t *what[BREAKERS];
    uint32_t n[BREAKERS], count = 0, *bits = no_breaks();
    if (!bits)
        return sw_fail(SW_ENOMEM, "no memory for the breakers");
    if (s == &standard)
        sw_free(s->breaks, 0, 16);
    else
        drop_settings(s);
    s->breaks = bits;
    for (uint32_t k = sw_read_array(r); k > 0 && !r->err; k--) {
        if (sw_peek(r) == SW_TYPE_INT) {
            uint32_t id = (uint32_t)sw_read_uint(r, SW_MAX_VOCAB);
            if (id >= tokens)
                return bad("breakers: no such token, or the vocabulary is not known (capability vocab)");
            bits[id / 32] |= (uint32_t)1 << id % 32;
            continue;
        }
        const uint8_t *p = sw_read_text(r, &n[count]);
        if (!p || n[count] == 0 || n[count] > BREAKER_MAX || count + 1 == BREAKERS)
            return bad("breakers: want an array of at most 31 texts of 1 to 64 bytes, or token ids");
        what[count++] = p;
    }
    if (r->err)
        return bad("breakers: want an array of texts or token ids");
    if (count > 0 && tokens == 0)
        return bad("breakers: the vocabulary is not known (capability vocab)");
    mark(bits, what, n, count);
    return SW_OK;
}

static int32_t read_setting(settings *s, sw_reader *r, const uint8_t *key, uint32_t n)
{
    if (sw_is(key, n, "multiplier")) {
        s->multiplier = sw_read_float(r);
        return !r->err && s->multiplier >= 0 && s->multiplier <= 100 ? SW_OK : bad("multiplier: want a number from 0 to 100");
    }
    if (sw_is(key, n, "base")) {
        s->base = sw_read_float(r);
        return !r->err && s->base >= 1 && s->base <= 100 ? SW_OK : bad("base: want a number from 1 to 100");
    }
    if (sw_is(key, n, "allowed_length")) {
        s->allowed = (uint32_t)sw_read_uint(r, HISTORY);
        return !r->err && s->allowed >= 1 ? SW_OK : bad("allowed_length: want a whole number from 1 to 4096");
    }
    if (sw_is(key, n, "penalty_last_n")) {
        s->last = (uint32_t)sw_read_uint(r, UINT32_MAX);
        return r->err ? bad("penalty_last_n: want a whole number, 0 or more") : SW_OK;
    }
    if (sw_is(key, n, "breakers"))
        return read_breakers(s, r);
    return unknown_key(key, n, "multiplier, base, allowed_length, penalty_last_n, breakers");
}

int32_t sw_configure(const uint8_t *message, uint32_t n)
{
    static const uint8_t *const usual[] = {(const uint8_t *)"\n", (const uint8_t *)":", (const uint8_t *)"\"", (const uint8_t *)"*"};
    static const uint32_t ones[] = {1, 1, 1, 1};
    sw_message m;
    int32_t err = sw_read_message(message, n, &m);
    if (err)
        return err;
    read_vocabulary();
    standard.breaks = no_breaks();
    if (!standard.breaks)
        return sw_fail(SW_ENOMEM, "no memory for the breakers");
    mark(standard.breaks, usual, ones, 4);
    return read_settings(&standard, &m.config);
}

/* --- every step -------------------------------------------------------------------- */

/* The longest match each token would go on with; those that have one are listed. */
static uint16_t *longest; /* by token, 0 between calls */
static uint32_t longest_n;
static int32_t found[HISTORY];
static uint32_t found_n;

static bool breaks(const settings *s, int32_t id)
{
    return s->breaks && id >= 0 && (uint32_t)id < tokens && s->breaks[id / 32] >> id % 32 & 1;
}

static void note(const settings *s, int32_t id, uint32_t length)
{
    if (length < s->allowed || id < 0 || (uint32_t)id >= longest_n || breaks(s, id) || longest[id] >= length)
        return;
    if (longest[id] == 0)
        found[found_n++] = id;
    longest[id] = (uint16_t)length;
}

/* Finds the matches in the n tokens of a history, the last of which is h[n - 1]. The
 * token k places before the end is rev(k); z[k] is how many tokens back from there are
 * the same as back from the end, at most limit. */
static void find(const settings *s, const int32_t *h, uint32_t n)
{
    static uint16_t z[HISTORY];
    const int32_t *end = h + n - 1;
    uint32_t limit = 0;
    while (limit < n && !breaks(s, end[-(int32_t)limit]))
        limit++;
    if (limit < s->allowed)
        return;
    uint32_t left = 0, right = 0; /* rev(left..right - 1) is the same as rev(0..) */
    for (uint32_t k = 1; k < n; k++) {
        uint32_t m = 0;
        if (k < right) {
            m = z[k - left];
            if (m < right - k)
                goto known;
            m = right - k;
        }
        while (m < limit && k + m < n && end[-(int32_t)m] == end[-(int32_t)(k + m)])
            m++;
        if (k + m > right) {
            left = k;
            right = k + m;
        }
    known:
        z[k] = (uint16_t)m;
        note(s, end[1 - (int32_t)k], m);
    }
}

static float penalty(const settings *s, uint32_t length)
{
    double p = s->multiplier, b = s->base;
    for (uint32_t e = length - s->allowed; e > 0 && p < PENALTY_MAX; e >>= 1) {
        if (e & 1)
            p *= b;
        b = b < 1e9 ? b * b : b;
    }
    return (float)(p < PENALTY_MAX ? p : PENALTY_MAX);
}

/* The lists of a call, one after another. */
static sw_candidate *list;
static uint32_t list_n, list_cap;

static bool put_found(const settings *s)
{
    if (list_n + found_n > list_cap) {
        uint32_t cap = 2 * (list_n + found_n) + 256;
        sw_candidate *more = sw_alloc(cap * sizeof *more, 16);
        if (!more)
            return false;
        memcpy(more, list, list_n * sizeof *list);
        sw_free(list, 0, 16);
        list = more;
        list_cap = cap;
    }
    for (uint32_t i = 0; i < found_n; i++) {
        uint32_t id = (uint32_t)found[i];
        list[list_n++] = (sw_candidate){id, -penalty(s, longest[id])};
        longest[id] = 0;
    }
    found_n = 0;
    return true;
}

static bool know(uint32_t vocab)
{
    if (vocab == longest_n)
        return true;
    sw_free(longest, 0, 16);
    longest = sw_alloc(vocab * sizeof *longest, 16);
    longest_n = longest ? vocab : 0;
    if (longest)
        memset(longest, 0, vocab * sizeof *longest);
    return longest != NULL;
}

int32_t sw_sample(uint32_t rows)
{
    list_n = 0;
    if (!know(sw_window->vocab))
        return sw_fail(SW_ENOMEM, "no memory for the vocabulary");
    for (uint32_t i = 0; i < rows; i++) {
        sw_row *row = sw_row_at(i);
        const settings *s = settings_of(row->seq);
        if (!s)
            return sw_fail(SW_ENOENT, "the sequence is not open");
        uint32_t n = row->hist_n < HISTORY ? row->hist_n : HISTORY;
        if (s->last > 0 && s->last < n)
            n = s->last;
        row->out_off = list_n; /* becomes an address below: the list may move until then */
        if (n > 1 && s->multiplier > 0)
            find(s, sw_history_of(row) + (row->hist_n - n), n);
        if (!put_found(s))
            return sw_fail(SW_ENOMEM, "no memory for the penalties");
        row->out_n = list_n - row->out_off;
    }
    for (uint32_t i = 0; i < rows; i++) {
        sw_row *row = sw_row_at(i);
        if (row->out_n > 0)
            sw_bias(row, list + row->out_off, row->out_n);
    }
    return SW_OK;
}

int32_t sw_plan(uint32_t rows) { return sw_sample(rows); }

/* The history comes with each row: there is nothing to take back. */
int32_t sw_seq_rollback(uint64_t seq, uint32_t n)
{
    (void)n;
    return settings_of(seq) ? SW_OK : sw_fail(SW_ENOENT, "the sequence is not open");
}
