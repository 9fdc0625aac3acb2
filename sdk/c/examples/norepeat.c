//go:build ignore

/* norepeat: a sampler that lets no run of n tokens come twice in an answer.
 *
 * It keeps the tokens of each answer. Where the last n-1 of them stood before, among the
 * last 4,096, what followed them there is excluded: the latest 256 such tokens. It needs no
 * logits, so it plans each step while the model computes; it takes tokens back, and copies
 * a sequence, by itself. A step is bounded, however long the answer is.
 *
 * Configuration of the plugin, of a request, or both:
 *     n   2 to 16, default 3
 */
#define SANDWARP_SAMPLER
#define SANDWARP_ACCEPT
#define SANDWARP_PLAN
#define SANDWARP_ROLLBACK
#define SANDWARP_FORK
#include "../sandwarp.h"

enum { SEQUENCES = 1024, WINDOW = 4096, MOST = 256 };

typedef struct {
    int32_t *tokens; /* of the answer */
    uint32_t count, cap;
    uint32_t n;
    sw_candidate list[MOST]; /* the last answer, which must stay in place */
} story;

static uint32_t standard = 3;
static sw_slot slots[SEQUENCES];
static story *stories[SEQUENCES];

/* Reads n, and of a request the seed, which is the host's. */
static int32_t read(sw_reader *r, bool request, uint32_t *n)
{
    for (uint32_t pairs = sw_read_map(r); pairs > 0 && !r->err; pairs--) {
        uint32_t len;
        const uint8_t *key = sw_read_text(r, &len);
        if (r->err)
            break;
        if (request && sw_is(key, len, "seed")) {
            sw_skip(r);
            continue;
        }
        if (!sw_is(key, len, "n")) {
            sw_fail(SW_EINVAL, "unknown key ");
            sw_fail_text(key, len);
            sw_fail_text("; known is n", 12);
            return SW_EINVAL;
        }
        *n = (uint32_t)sw_read_uint(r, 16);
        if (r->err || *n < 2)
            return sw_fail(SW_EINVAL, "n: want 2 to 16");
    }
    return r->err ? sw_fail(SW_EINVAL, "the configuration is not a map") : SW_OK;
}

int32_t sw_configure(const uint8_t *message, uint32_t n)
{
    sw_message m;
    int32_t err = sw_read_message(message, n, &m);
    if (err || m.config.at == m.config.end)
        return err;
    return read(&m.config, false, &standard);
}

/* --- sequences -------------------------------------------------------------- */

static story *find(uint64_t seq)
{
    int32_t slot = sw_slot_find(slots, SEQUENCES, seq);
    if (slot >= 0)
        return stories[slot];
    sw_fail(SW_ENOENT, "the sequence is not open");
    return NULL;
}

static int32_t append(story *s, const int32_t *tokens, uint32_t n)
{
    if (n > s->cap - s->count) {
        uint32_t cap = 2 * (s->count + n);
        int32_t *more = n < 1 << 26 && cap < 1 << 27 ? sw_alloc(4 * cap, 16) : NULL;
        if (!more)
            return sw_fail(SW_ENOMEM, "no memory for the tokens");
        memcpy(more, s->tokens, 4 * s->count);
        sw_free(s->tokens, 4 * s->cap, 16);
        s->tokens = more;
        s->cap = cap;
    }
    memcpy(s->tokens + s->count, tokens, 4 * n);
    s->count += n;
    return SW_OK;
}

static void drop(story *s)
{
    sw_free(s->tokens, 4 * s->cap, 16);
    sw_free(s, sizeof *s, 16);
}

static int32_t open(uint64_t seq, uint32_t n, const story *past)
{
    story *s = sw_alloc(sizeof *s, 16);
    if (!s)
        return sw_fail(SW_ENOMEM, "no memory for the sequence");
    memset(s, 0, sizeof *s);
    s->n = n;
    int32_t slot = past ? append(s, past->tokens, past->count) : SW_OK;
    if (slot >= 0)
        slot = sw_slot_open(slots, SEQUENCES, seq);
    if (slot < 0) {
        drop(s);
        return slot;
    }
    if (stories[slot])
        drop(stories[slot]);
    stories[slot] = s;
    return SW_OK;
}

int32_t sw_seq_open(uint64_t seq, const uint8_t *message, uint32_t n)
{
    sw_message m;
    uint32_t run = standard;
    int32_t err = sw_read_message(message, n, &m);
    if (!err && m.config.at != m.config.end)
        err = read(&m.config, true, &run);
    return err ? err : open(seq, run, NULL);
}

int32_t sw_seq_fork(uint64_t src, uint64_t dst)
{
    const story *s = find(src);
    return s ? open(dst, s->n, s) : SW_ENOENT;
}

int32_t sw_seq_close(uint64_t seq)
{
    int32_t slot = sw_slot_close(slots, SEQUENCES, seq);
    if (slot < 0)
        return slot;
    drop(stories[slot]);
    stories[slot] = NULL;
    return SW_OK;
}

int32_t sw_accept(uint64_t seq, const int32_t *tokens, uint32_t n)
{
    story *s = find(seq);
    return s ? append(s, tokens, n) : SW_ENOENT;
}

int32_t sw_seq_rollback(uint64_t seq, uint32_t n)
{
    story *s = find(seq);
    if (!s)
        return SW_ENOENT;
    if (n > s->count)
        return sw_fail(SW_EINVAL, "so many tokens were not accepted");
    s->count -= n;
    return SW_OK;
}

/* --- every step ------------------------------------------------------------- */

static bool listed(const story *s, uint32_t n, int32_t token)
{
    for (uint32_t i = 0; i < n; i++)
        if (s->list[i].id == (uint32_t)token)
            return true;
    return false;
}

/* Lists what would complete a run, the latest first; a token must be left. */
static uint32_t exclude(story *s, uint32_t vocab)
{
    uint32_t run = s->n - 1, n = 0, most = MOST < vocab ? MOST : vocab - 1;
    if (s->count <= run)
        return 0;
    const int32_t *last = s->tokens + s->count - run;
    for (const int32_t *at = last - 1; at >= s->tokens && last - at <= WINDOW && n < most; at--) {
        uint32_t same = 0;
        while (same < run && at[same] == last[same])
            same++;
        if (same == run && (uint32_t)at[run] < vocab && !listed(s, n, at[run])) {
            s->list[n].id = (uint32_t)at[run];
            s->list[n++].logit = -__builtin_inff();
        }
    }
    return n;
}

int32_t sw_sample(uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++) {
        sw_row *row = sw_row_at(i);
        story *s = find(row->seq);
        if (!s)
            return SW_ENOENT;
        uint32_t n = exclude(s, sw_window->vocab);
        if (n > 0)
            sw_bias(row, s->list, n);
    }
    return SW_OK;
}

int32_t sw_plan(uint32_t rows) { return sw_sample(rows); }
