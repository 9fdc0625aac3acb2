//go:build ignore

/* constrain: a sampler that lets a model write only what a JSON schema, or a regular
 * expression, allows.
 *
 * The grammar becomes a net over bytes (constrain/net.h), its states are found when a
 * text first leads there (constrain/machine.h), and the tokens that may follow are
 * those of the vocabulary's trie that do not leave it (constrain/mask.h). Masks are
 * kept by state: a step costs a copy. While the model computes, sw_plan makes them.
 *
 * Configuration of the plugin, or of a request, which then counts alone:
 *     json        true: any JSON value
 *     schema      a JSON schema (draft 2020-12), as a value or as JSON text, which
 *                 keeps the order of properties
 *     regex       a regular expression all of the answer must match
 *     ends        [id, ...] tokens that end an answer; left out, those whose text is
 *                 one of the usual (</s>, <|im_end|>, ...)
 *     max_tokens  the answer, its end left out, will not be longer: as the room gets
 *                 short only tokens are allowed that leave a way to the end
 *     depth       how many values a value may be inside of, 1 to 150; 32
 *     compact     true: no white space between JSON's parts
 *     lenient     true: keywords that cannot be enforced are ignored, not refused
 * With none of json, schema and regex, everything is allowed.
 */
#define SANDWARP_SAMPLER
#define SANDWARP_ACCEPT
#define SANDWARP_PLAN
#define SANDWARP_ROLLBACK
#define SANDWARP_FORK
#define SANDWARP_FEATURES SW_FEATURE_VOCAB
#include "../sandwarp.h"

#include "constrain/sequence.h"

/* --- sequences ------------------------------------------------------------------------ */

int32_t sw_configure(const uint8_t *message, uint32_t n)
{
    sw_message m;
    int32_t err = sw_read_message(message, n, &m);
    if (!err)
        err = read_vocabulary();
    if (err || m.config.at == m.config.end)
        return err;
    err = find_grammar(&m.config, &standard);
    if (!err && standard->free)
        standard = NULL;
    return err;
}

/* Whether a request's configuration says nothing but a seed, or nothing at all. */
static bool says_nothing(sw_reader r)
{
    if (r.at == r.end)
        return true;
    uint32_t pairs = sw_peek(&r) == SW_TYPE_MAP ? sw_read_map(&r) : 2, n;
    const uint8_t *key = pairs == 1 ? sw_read_text(&r, &n) : NULL;
    return pairs == 0 || (key && sw_is(key, n, "seed"));
}

int32_t sw_seq_open(uint64_t seq, const uint8_t *message, uint32_t n)
{
    sw_message m;
    int32_t err = sw_read_message(message, n, &m);
    grammar *x = standard;
    if (!err && !says_nothing(m.config))
        err = find_grammar(&m.config, &x);
    if (err)
        return err;
    int32_t slot = sw_slot_open(slots, SEQUENCES, seq);
    if (slot < 0)
        return slot;
    sequence *s = &sequences[slot];
    empty(s);
    if (x && !x->free) {
        s->g = x;
        x->users++;
    }
    return SW_OK;
}

int32_t sw_seq_close(uint64_t seq)
{
    int32_t slot = sw_slot_close(slots, SEQUENCES, seq);
    if (slot < 0)
        return slot;
    empty(&sequences[slot]);
    return SW_OK;
}

int32_t sw_seq_fork(uint64_t src, uint64_t dst)
{
    int32_t from = sw_slot_find(slots, SEQUENCES, src);
    int32_t to = from < 0 ? from : sw_slot_open(slots, SEQUENCES, dst);
    if (to < 0)
        return to;
    empty(&sequences[to]);
    if (copy(&sequences[to], &sequences[from]))
        return SW_OK;
    sw_slot_close(slots, SEQUENCES, dst);
    return sw_fail(SW_ENOMEM, "no memory for the sequence");
}

int32_t sw_accept(uint64_t seq, const int32_t *tokens, uint32_t n)
{
    int32_t slot = sw_slot_find(slots, SEQUENCES, seq), err = SW_OK;
    if (slot < 0)
        return slot;
    sequence *s = &sequences[slot];
    if (!s->g)
        return SW_OK;
    if (!room(&s->tokens, &s->cap, s->n + n, sizeof *s->tokens))
        return sw_fail(SW_ENOMEM, "no memory for the tokens");
    for (uint32_t i = 0; i < n && !err; i++)
        err = advance(s, tokens[i]);
    return err;
}

int32_t sw_seq_rollback(uint64_t seq, uint32_t n)
{
    int32_t slot = sw_slot_find(slots, SEQUENCES, seq);
    if (slot < 0)
        return slot;
    sequence *s = &sequences[slot];
    if (s->g && n > s->n)
        return sw_fail(SW_EINVAL, "more tokens to take back than were accepted");
    s->n -= s->g ? n : 0;
    return SW_OK;
}

/* --- every step --------------------------------------------------------------------------- */

/* Masks that may still be made in this call: a budget pays for so many. What a plan
 * leaves is made when it is needed. */
static uint32_t masks_left;
enum { PLANNED = 2 };

/* The mask of a state, made if it is not there; NULL and an error in sw_fail. One for
 * less than all ways to the end is not kept. */
static mask *mask_of(sequence *s, uint32_t most)
{
    grammar *x = s->g;
    for (int turn = 0; turn < 2; turn++) {
        uint32_t slot = x->m.states[state_now(s)].mask;
        mask *k = slot ? &masks[slot - 1] : NULL;
        if (k && k->farthest <= most) {
            k->used = ++masks_clock;
            return k;
        }
        uint32_t bound = k ? most : FAR; /* the whole one first: it may do */
        if (masks_left == 0)
            return NULL;
        masks_left--;
        if (!(k = mask_slot())) {
            sw_fail(SW_ENOMEM, "no memory for a mask");
            return NULL;
        }
        if (!fill_mask(&x->m, state_now(s), bound, x->ends, x->ends_n, k)) {
            if (begin_again(x))
                return NULL;
            continue;
        }
        k->used = bound == FAR ? ++masks_clock : 0;
        if (bound == FAR) {
            k->owner = &x->m;
            k->state = state_now(s);
            x->m.states[state_now(s)].mask = (uint32_t)(k - masks) + 1;
        }
        if (bound == most || k->farthest <= most)
            return k;
        turn = 0; /* now the bounded one */
    }
    sw_fail(SW_E2BIG, "the grammar has too many states: bound lengths lower, or repeat less");
    return NULL;
}

/* The most bytes a token may leave to go: one token a byte is always there, if the
 * vocabulary has all bytes. FAR if there is room enough. */
static uint32_t room_left(const sequence *s)
{
    if (!s->g->max_tokens)
        return FAR;
    return s->g->max_tokens > s->n ? s->g->max_tokens - s->n - 1 : 0;
}

/* Answers a row. */
static int32_t answer(uint32_t i, sequence *s)
{
    sw_row *row = sw_row_at(i);
    uint32_t *bits = sw_mask_at(i), words = (sw_window->vocab + 31) / 32;
    if (state_now(s) == NOWHERE)
        return sw_fail(SW_EINVAL, "a token was chosen that the grammar does not allow");
    if (state_now(s) == ENDED || (s->g->max_tokens && s->n >= s->g->max_tokens)) {
        sw_pick(row, s->g->ends[0]);
        return SW_OK;
    }
    uint32_t most = room_left(s);
    mask *k = mask_of(s, most);
    if (k && k->count == 0 && most < FAR) /* the vocabulary lacks bytes: the way back is not there */
        k = mask_of(s, FAR);
    if (!k)
        return masks_left == 0 ? SW_OK : SW_E2BIG;
    if (k->count == 0)
        return sw_fail(SW_EINVAL, "no token of the vocabulary goes on with the grammar");
    if (k->count == 1 && (uint32_t)k->only < sw_window->vocab) {
        sw_pick(row, k->only);
        return SW_OK;
    }
    memcpy(bits, k->bits, (words < vocab.words ? words : vocab.words) * 4);
    row->action = SW_CHOICE_MASK;
    return SW_OK;
}

static int32_t answer_rows(uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++) {
        int32_t slot = sw_slot_find(slots, SEQUENCES, sw_row_at(i)->seq);
        if (slot < 0)
            return sw_fail(slot, "the sequence is not open");
        int32_t err = sequences[slot].g ? answer(i, &sequences[slot]) : SW_OK;
        if (err)
            return err;
    }
    return SW_OK;
}

int32_t sw_sample(uint32_t rows)
{
    masks_left = UNBOUNDED;
    return answer_rows(rows);
}

/* While the model computes there is time to make masks. */
int32_t sw_plan(uint32_t rows)
{
    masks_left = PLANNED;
    return answer_rows(rows);
}
