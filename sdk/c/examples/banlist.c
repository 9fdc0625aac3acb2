//go:build ignore

/* banlist: a sampler that excludes tokens, or makes them more or less likely.
 *
 * It answers in mask mode with a list of biases, so that it needs no logits, and a
 * step costs no more than reading the list. With "allow" it sets a mask besides. Its
 * answers do not depend on the text, so that it plans all of them.
 *
 * Configuration of the plugin, of a request, or both; every key may be left out:
 *     ban     [id, ...]           never these
 *     allow   [id, ...]           only these
 *     bias    {id: number, ...}   added to the logit; ids may be decimal text, for
 *                                 JSON's sake; -Infinity is a ban
 * What both say applies: bans and biases add up, allowed is what both allow. Ids
 * the model does not have are an error if the host names the vocabulary's size at
 * the start, and otherwise without effect.
 */
#define SANDWARP_SAMPLER
#define SANDWARP_PLAN
#define SANDWARP_FORK
#include "../sandwarp.h"

enum { SEQUENCES = 1024 };

/* What applies to a sequence, ready to be handed over. */
typedef struct {
    sw_candidate *list; /* bans (-Inf) and biases */
    uint32_t n, cap;
    uint32_t *allow; /* a bit for each token; NULL: all are allowed */
    uint32_t words;
    uint32_t vocab; /* the list holds no id beyond it; 0 if not yet checked */
} policy;

static policy standard; /* the plugin's own */
static uint32_t vocab;  /* 0 if not known */

static sw_slot slots[SEQUENCES];
static policy *own[SEQUENCES]; /* NULL: standard */

/* --- configuration --------------------------------------------------------- */

/* An array of n items of a size, twice as long as before if there was one. */
static void *grown(void *p, uint32_t n, uint32_t *cap, uint32_t size)
{
    uint32_t more = *cap ? 2 * *cap : 64;
    void *q = sw_alloc(more * size, 16);
    if (!q)
        return NULL;
    memcpy(q, p, n * size);
    sw_free(p, *cap * size, 16);
    *cap = more;
    return q;
}

static int32_t known(uint32_t id)
{
    if (vocab == 0 || id < vocab)
        return SW_OK;
    sw_fail(SW_ERANGE, "token ");
    sw_fail_number(id);
    sw_fail_text(": the vocabulary has ", 21);
    sw_fail_number(vocab);
    return SW_ERANGE;
}

static int32_t add(policy *p, uint32_t id, float bias)
{
    int32_t err = known(id);
    if (err)
        return err;
    if (p->n == p->cap) {
        sw_candidate *more = grown(p->list, p->n, &p->cap, sizeof *more);
        if (!more)
            return sw_fail(SW_ENOMEM, "no memory for the list");
        p->list = more;
    }
    p->list[p->n].id = id;
    p->list[p->n++].logit = bias;
    return SW_OK;
}

static int32_t read_ban(policy *p, sw_reader *r)
{
    for (uint32_t n = sw_read_array(r); n > 0 && !r->err; n--) {
        uint32_t id = (uint32_t)sw_read_uint(r, SW_MAX_VOCAB - 1);
        int32_t err = r->err ? SW_OK : add(p, id, -__builtin_inff());
        if (err)
            return err;
    }
    return r->err ? sw_fail(SW_EINVAL, "ban: want an array of token ids") : SW_OK;
}

/* A token id as a number, or as decimal text. */
static uint32_t read_id(sw_reader *r)
{
    if (sw_peek(r) != SW_TYPE_TEXT)
        return (uint32_t)sw_read_uint(r, SW_MAX_VOCAB - 1);
    uint32_t n, id = 0;
    const uint8_t *s = sw_read_text(r, &n);
    bool good = n > 0 && n <= 7;
    for (uint32_t i = 0; good && i < n; i++) {
        good = s[i] >= '0' && s[i] <= '9';
        id = id * 10 + (s[i] - '0');
    }
    if (!good || id >= SW_MAX_VOCAB)
        r->err = SW_EINVAL;
    return id;
}

static int32_t read_bias(policy *p, sw_reader *r)
{
    for (uint32_t n = sw_read_map(r); n > 0 && !r->err; n--) {
        uint32_t id = read_id(r);
        float bias = (float)sw_read_float(r);
        if (!(bias < __builtin_inff())) /* NaN as well */
            r->err = SW_EINVAL;
        int32_t err = r->err ? SW_OK : add(p, id, bias);
        if (err)
            return err;
    }
    return r->err ? sw_fail(SW_EINVAL, "bias: want a map of token ids to finite numbers") : SW_OK;
}

/* Reads the allowed ids into a mask, and takes away what is not allowed already. */
static int32_t read_allow(policy *p, sw_reader *r)
{
    sw_reader ahead = *r;
    uint32_t count = sw_read_array(&ahead), top = 0;
    for (uint32_t i = 0; i < count && !ahead.err; i++) {
        uint32_t id = (uint32_t)sw_read_uint(&ahead, SW_MAX_VOCAB - 1);
        int32_t err = known(id);
        if (err)
            return err;
        top = id > top ? id : top;
    }
    if (ahead.err || count == 0)
        return sw_fail(SW_EINVAL, "allow: want an array of token ids, one at least");
    uint32_t words = top / 32 + 1;
    uint32_t *mask = sw_alloc(words * 4, 16);
    if (!mask)
        return sw_fail(SW_ENOMEM, "no memory for the mask");
    memset(mask, 0, words * 4);
    sw_read_array(r);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = (uint32_t)sw_read_uint(r, SW_MAX_VOCAB - 1);
        mask[id / 32] |= (uint32_t)1 << id % 32;
    }
    if (p->allow)
        for (uint32_t i = 0; i < words; i++)
            mask[i] &= i < p->words ? p->allow[i] : 0;
    sw_free(p->allow, p->words * 4, 16);
    p->allow = mask;
    p->words = words;
    return SW_OK;
}

/* Takes banned tokens out of the mask; something must be left. */
static int32_t settle(policy *p)
{
    if (!p->allow)
        return SW_OK;
    for (uint32_t i = 0; i < p->n; i++)
        if (p->list[i].logit == -__builtin_inff() && p->list[i].id / 32 < p->words)
            p->allow[p->list[i].id / 32] &= ~((uint32_t)1 << p->list[i].id % 32);
    uint32_t any = 0;
    for (uint32_t i = 0; i < p->words; i++)
        any |= p->allow[i];
    return any ? SW_OK : sw_fail(SW_EINVAL, "allow: no token is left");
}

static int32_t read_policy(policy *p, sw_reader *r, bool request)
{
    for (uint32_t pairs = sw_read_map(r); pairs > 0 && !r->err; pairs--) {
        uint32_t n;
        const uint8_t *key = sw_read_text(r, &n);
        int32_t err = SW_OK;
        if (sw_is(key, n, "ban"))
            err = read_ban(p, r);
        else if (sw_is(key, n, "allow"))
            err = read_allow(p, r);
        else if (sw_is(key, n, "bias"))
            err = read_bias(p, r);
        else if (request && sw_is(key, n, "seed"))
            sw_skip(r);
        else if (!r->err) {
            err = sw_fail(SW_EINVAL, "unknown key ");
            sw_fail_text(key, n);
            sw_fail_text("; known are ban, allow, bias", 28);
        }
        if (err)
            return err;
    }
    return r->err ? sw_fail(SW_EINVAL, "the configuration is not a map") : settle(p);
}

static void drop(policy *p)
{
    if (!p)
        return;
    sw_free(p->list, p->cap * sizeof *p->list, 16);
    sw_free(p->allow, p->words * 4, 16);
    sw_free(p, sizeof *p, 16);
}

static int32_t copied(const policy *from, policy *p)
{
    int32_t err = SW_OK;
    for (uint32_t i = 0; i < from->n && !err; i++)
        err = add(p, from->list[i].id, from->list[i].logit);
    if (err || !from->allow)
        return err;
    p->allow = sw_alloc(from->words * 4, 16);
    if (!p->allow)
        return sw_fail(SW_ENOMEM, "no memory for the mask");
    p->words = from->words;
    memcpy(p->allow, from->allow, from->words * 4);
    return SW_OK;
}

/* A policy of its own for a sequence: a copy of one, and what a request adds, if r
 * is not NULL. */
static int32_t new_policy(const policy *from, sw_reader *r, policy **made)
{
    policy *p = sw_alloc(sizeof *p, 16);
    if (!p)
        return sw_fail(SW_ENOMEM, "no memory for the request");
    memset(p, 0, sizeof *p);
    int32_t err = copied(from, p);
    if (!err && r)
        err = read_policy(p, r, true);
    if (err) {
        drop(p);
        return err;
    }
    *made = p;
    return SW_OK;
}

int32_t sw_configure(const uint8_t *message, uint32_t n)
{
    sw_message m;
    int32_t err = sw_read_message(message, n, &m);
    vocab = m.vocab;
    if (err || m.config.at == m.config.end)
        return err;
    return read_policy(&standard, &m.config, false);
}

static int32_t open_with(uint64_t seq, policy *p)
{
    int32_t slot = sw_slot_open(slots, SEQUENCES, seq);
    if (slot < 0) {
        drop(p);
        return slot;
    }
    drop(own[slot]);
    own[slot] = p;
    return SW_OK;
}

int32_t sw_seq_open(uint64_t seq, const uint8_t *message, uint32_t n)
{
    sw_message m;
    policy *p = NULL;
    int32_t err = sw_read_message(message, n, &m);
    if (!err && m.config.at != m.config.end)
        err = new_policy(&standard, &m.config, &p);
    return err ? err : open_with(seq, p);
}

int32_t sw_seq_fork(uint64_t src, uint64_t dst)
{
    int32_t slot = sw_slot_find(slots, SEQUENCES, src);
    if (slot < 0)
        return sw_fail(slot, "the sequence is not open");
    policy *p = NULL;
    int32_t err = own[slot] ? new_policy(own[slot], NULL, &p) : SW_OK;
    return err ? err : open_with(dst, p);
}

int32_t sw_seq_close(uint64_t seq)
{
    int32_t slot = sw_slot_close(slots, SEQUENCES, seq);
    if (slot < 0)
        return slot;
    drop(own[slot]);
    own[slot] = NULL;
    return SW_OK;
}

/* --- every step ------------------------------------------------------------ */

/* Leaves out ids beyond the vocabulary, the first time its size is seen. */
static void fit(policy *p, uint32_t size)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n; i++)
        if (p->list[i].id < size)
            p->list[n++] = p->list[i];
    p->n = n;
    p->vocab = size;
}

int32_t sw_sample(uint32_t rows)
{
    uint32_t size = sw_window->vocab, words = (size + 31) / 32;
    for (uint32_t i = 0; i < rows; i++) {
        sw_row *row = sw_row_at(i);
        int32_t slot = sw_slot_find(slots, SEQUENCES, row->seq);
        if (slot < 0)
            return sw_fail(slot, "the sequence is not open");
        policy *p = own[slot] ? own[slot] : &standard;
        if (p->vocab != size)
            fit(p, size);
        if (p->n > size)
            return sw_fail(SW_E2BIG, "there are more bans and biases than tokens");
        if (p->n > 0)
            sw_bias(row, p->list, p->n);
        if (p->allow) {
            memcpy(sw_mask_at(i), p->allow, (p->words < words ? p->words : words) * 4);
            row->action = SW_CHOICE_MASK;
        }
    }
    return SW_OK;
}

int32_t sw_plan(uint32_t rows) { return sw_sample(rows); }
