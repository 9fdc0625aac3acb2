/* mask.h: the tokens that may follow a state, and the masks that are kept. */
#ifndef MASK_H
#define MASK_H

#include "stride.h"
#include "vocabulary.h"

/* A mask and what is known of it. */
typedef struct {
    uint32_t *bits;
    machine *owner; /* NULL: free */
    uint32_t state;
    uint32_t count; /* tokens allowed */
    int32_t only;   /* one of them */
    uint32_t farthest; /* most bytes to the end after one of them */
    uint64_t used;
} mask;

enum { MASKS = 512, MASK_BYTES = 16 << 20 };
static mask masks[MASKS];
static uint32_t masks_n;
static uint64_t masks_clock;

/* A subtree of so many nodes is worth a look whether all of it may follow; one of many
 * is worth finding the strides for that. */
enum { WORTH = 8, WORTH_MUCH = 256 };

/* Allows the tokens from..to-1 of the vocabulary's order, or those of them that have at
 * most so many characters. */
static inline __attribute__((always_inline)) void allow_all(mask *out, uint32_t from, uint32_t to)
{
    uint32_t *bits = out->bits;
    out->count += to - from;
    out->only = (int32_t)vocab.order[from];
    for (const uint32_t *id = vocab.order + from, *end = vocab.order + to; id < end; id++)
        bits[*id / 32] |= (uint32_t)1 << *id % 32;
}

static void allow_some(mask *out, uint32_t from, uint32_t to, uint32_t chars)
{
    uint32_t *bits = out->bits, count = 0, only = (uint32_t)out->only;
    const uint8_t *n = vocab.chars + from;
    for (const uint32_t *id = vocab.order + from, *end = vocab.order + to; id < end; id++, n++) {
        uint32_t good = *n <= chars;
        bits[*id / 32] |= good << *id % 32;
        only = good ? *id : only;
        count += good;
    }
    out->count += count;
    out->only = (int32_t)only;
}

/* Whether it is known what may follow of tokens that go on with at most n characters of
 * the kinds from a state; and whether any of them does, none being too far from the end. */
static going decide(machine *m, uint32_t from, kinds of, uint32_t n, bool worth, uint32_t most, outlook *o)
{
    going g = look_ahead(m, from, of, n, worth, o);
    if (g != KNOWN || o->chars == 0)
        return g;
    if (o->nearest > most)
        o->chars = 0;
    return o->farthest <= most || o->nearest > most ? KNOWN : MIXED;
}

static void note_farthest(mask *out, uint32_t d) { out->farthest = d > out->farthest ? d : out->farthest; }

/* Allows the plain tokens, if what of them may follow can be said at once. */
static going allow_plain(machine *m, uint32_t from, uint32_t most, mask *out)
{
    outlook o;
    going g = decide(m, from, vocab.plain.of, vocab.plain.chars, true, most, &o);
    if (g != KNOWN || o.chars == 0 || vocab.plain.count[o.chars] == 0)
        return g;
    note_farthest(out, o.farthest);
    memcpy(out->bits, vocab.plain.bits + o.chars * vocab.words, vocab.words * 4);
    out->count = vocab.plain.count[o.chars];
    out->only = vocab.plain.only[o.chars];
    return KNOWN;
}

/* The same of the tokens below a node, with what is ahead there from a state on. */
static going allow_below(machine *m, uint32_t from, const trie_node *t, uint32_t most, mask *out)
{
    outlook o;
    bool worth = t->chars <= STRIDES && vocab.trie + t->skip - t >= WORTH_MUCH;
    going g = decide(m, from, t->ahead, t->chars, worth, most, &o);
    if (g != KNOWN || o.chars == 0)
        return g;
    uint32_t end = vocab.trie[t->skip].first;
    note_farthest(out, o.farthest);
    if (o.chars < t->chars)
        allow_some(out, t[1].first, end, t->before + o.chars);
    else
        allow_all(out, t[1].first, end);
    return KNOWN;
}

/* Marks the tokens that lead from a state somewhere not farther from the end than
 * `most` bytes. False if the machine is full. */
static bool fill_mask(machine *m, uint32_t from, uint32_t most, const int32_t *ends, uint32_t ends_n, mask *out)
{
    static uint32_t at[TOKEN_MAX + 1];
    memset(out->bits, 0, vocab.words * 4);
    out->count = out->farthest = 0;
    out->only = -1;
    at[0] = from;
    going all = allow_plain(m, from, most, out);
    if (all == FULL)
        return false;
    const trie_node *t = vocab.trie + (all == KNOWN ? vocab.plain.nodes : 0), *end = vocab.trie + vocab.trie_n;
    const uint8_t *class_of = m->class_of;
    while (t < end) {
        uint32_t s = m->to[at[t->depth] * m->classes + class_of[t->byte]];
        if (s == UNKNOWN && (s = step(m, at[t->depth], class_of[t->byte])) == UNKNOWN)
            return false;
        const trie_node *behind = vocab.trie + t->skip;
        if (s == NOWHERE) {
            t = behind;
            continue;
        }
        at[t->depth + 1] = s;
        const state *to = &m->states[s];
        if (t[0].first < t[1].first && to->dist <= most) {
            note_farthest(out, to->dist);
            allow_all(out, t[0].first, t[1].first);
        }
        if (t->chars == 0 || behind - t < WORTH) {
            t++;
            continue;
        }
        all = allow_below(m, t->wide ? at[t->depth] : s, t, most, out);
        if (all == FULL)
            return false;
        t = all == KNOWN ? behind : t + 1;
    }
    if (m->states[from].dist > 0)
        return true;
    for (uint32_t k = 0; k < ends_n; k++)
        out->bits[ends[k] / 32] |= (uint32_t)1 << ends[k] % 32;
    out->count += ends_n;
    out->only = ends[0];
    return true;
}

/* A slot for a mask: a free one, or the one not used for longest. */
static mask *mask_slot(void)
{
    uint32_t most = MASK_BYTES / (vocab.words * 4 + 1), old = 0;
    most = most > MASKS ? MASKS : most < 8 ? 8 : most;
    if (masks_n < most) {
        masks[masks_n].bits = sw_alloc(vocab.words * 4, 16);
        if (masks[masks_n].bits)
            return &masks[masks_n++];
    }
    if (masks_n == 0)
        return NULL;
    for (uint32_t i = 1; i < masks_n; i++)
        if (masks[i].used < masks[old].used)
            old = i;
    mask *x = &masks[old];
    if (x->owner)
        x->owner->states[x->state].mask = 0;
    x->owner = NULL;
    return x;
}

/* Forgets the masks of a machine that begins again, or ends. */
static void drop_masks(machine *m)
{
    for (uint32_t i = 0; i < masks_n; i++)
        if (masks[i].owner == m) {
            masks[i].owner = NULL;
            masks[i].used = 0;
        }
}

#endif
