/* vocabulary.h: the tokens as a trie, and the mask of those that may follow. */
#ifndef VOCABULARY_H
#define VOCABULARY_H

#include "machine.h"

enum { TOKEN_MAX = 255, NO_TOKEN = -1, ENDS_MAX = 64 };

/* The trie's nodes in order of depth first: a node's children follow it, and behind
 * the last of them is `skip`. */
typedef struct {
    uint32_t skip;
    int32_t token;  /* first of the tokens that end here, or NO_TOKEN */
    uint8_t byte;
    uint8_t depth;  /* bytes before this one */
} trie_node;

static struct {
    uint32_t n, words;   /* tokens; words of a mask */
    uint32_t *offsets;   /* n + 1, into text */
    const uint8_t *text;
    trie_node *trie;
    uint32_t trie_n, trie_cap;
    int32_t *twin;       /* the next token of the same text, or NO_TOKEN */
    int32_t ends[ENDS_MAX];
    uint32_t ends_n;
} vocab;

static uint32_t token_bytes(uint32_t id, const uint8_t **p)
{
    *p = vocab.text + vocab.offsets[id];
    return vocab.offsets[id + 1] - vocab.offsets[id];
}

/* Texts that end an answer, by what the families call them. */
static bool is_end_name(const uint8_t *p, uint32_t n)
{
    static const char *const names[] = {"</s>", "<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "<|end|>",
        "<|return|>", "<end_of_turn>", "<eos>", "<|eos|>", "<|END_OF_TURN_TOKEN|>", "<｜end▁of▁sentence｜>"};
    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++)
        if (sw_is(p, n, names[i]))
            return true;
    return false;
}

/* Whether the token is no text but a sign to the model: <|...|>, or with the wide
 * bars some families write, or <s>, <unk>, <pad> and their like. */
static bool is_sign(const uint8_t *p, uint32_t n)
{
    static const char *const names[] = {"<s>", "<unk>", "<pad>", "<bos>", "<start_of_turn>"};
    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++)
        if (sw_is(p, n, names[i]))
            return true;
    bool thin = n > 4 && memcmp(p, "<|", 2) == 0 && memcmp(p + n - 2, "|>", 2) == 0;
    return thin || (n > 8 && memcmp(p, "<｜", 4) == 0 && memcmp(p + n - 4, "｜>", 4) == 0);
}

static int32_t order(uint32_t a, uint32_t b)
{
    const uint8_t *p, *q;
    uint32_t n = token_bytes(a, &p), m = token_bytes(b, &q), least = n < m ? n : m;
    for (uint32_t i = 0; i < least; i++)
        if (p[i] != q[i])
            return p[i] < q[i] ? -1 : 1;
    return n != m ? (n < m ? -1 : 1) : a < b ? -1 : a > b;
}

/* Sorts ids by their texts: merges runs of 1, 2, 4 ... */
static uint32_t *sorted_ids(uint32_t *ids, uint32_t *other, uint32_t n)
{
    for (uint32_t run = 1; run < n; run *= 2) {
        for (uint32_t from = 0; from < n; from += 2 * run) {
            uint32_t mid = from + run < n ? from + run : n, to = mid + run < n ? mid + run : n;
            uint32_t i = from, j = mid, k = from;
            while (i < mid && j < to)
                other[k++] = order(ids[i], ids[j]) <= 0 ? ids[i++] : ids[j++];
            while (i < mid)
                other[k++] = ids[i++];
            while (j < to)
                other[k++] = ids[j++];
        }
        uint32_t *swap = ids;
        ids = other;
        other = swap;
    }
    return ids;
}

/* Adds sorted tokens to the trie; path is the node of each byte of the last one. */
static bool plant(const uint32_t *ids, uint32_t n)
{
    static uint32_t path[TOKEN_MAX + 1];
    const uint8_t *last = NULL;
    uint32_t last_n = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *p;
        uint32_t len = token_bytes(ids[i], &p), common = 0;
        while (common < len && common < last_n && p[common] == last[common])
            common++;
        for (uint32_t d = last_n; d > common; d--)
            vocab.trie[path[d - 1]].skip = vocab.trie_n;
        if (!room(&vocab.trie, &vocab.trie_cap, vocab.trie_n + len, sizeof *vocab.trie))
            return false;
        for (uint32_t d = common; d < len; d++) {
            path[d] = vocab.trie_n;
            vocab.trie[vocab.trie_n++] = (trie_node){0, NO_TOKEN, p[d], (uint8_t)d};
        }
        trie_node *end = &vocab.trie[path[len - 1]];
        vocab.twin[ids[i]] = end->token;
        end->token = (int32_t)ids[i];
        last = p;
        last_n = len;
    }
    for (uint32_t d = last_n; d > 0; d--)
        vocab.trie[path[d - 1]].skip = vocab.trie_n;
    return true;
}

/* Reads the host's vocabulary. */
static int32_t read_vocabulary(void)
{
    int64_t size = sw_vocab_map(NULL, 0);
    if (size < 4 || size > 0x20000000)
        return sw_fail(SW_ENOSYS, "the model's vocabulary is needed: load the plugin with it (capability vocab)");
    uint8_t *table = sw_alloc((uint32_t)size, 16);
    if (!table || sw_vocab_map(table, (uint32_t)size) != size)
        return sw_fail(SW_ENOMEM, "no memory for the vocabulary");
    memcpy(&vocab.n, table, 4);
    vocab.words = (vocab.n + 31) / 32;
    vocab.offsets = (uint32_t *)(table + 4);
    vocab.text = table + 4 + 4 * (vocab.n + 1);
    uint32_t *ids = sw_alloc(2 * vocab.n * 4 + 4, 16), n = 0;
    vocab.twin = sw_alloc(vocab.n * 4 + 4, 16);
    if (!ids || !vocab.twin)
        return sw_fail(SW_ENOMEM, "no memory for the vocabulary");
    for (uint32_t i = 0; i < vocab.n; i++) {
        const uint8_t *p;
        uint32_t len = token_bytes(i, &p);
        if (is_end_name(p, len)) {
            if (vocab.ends_n < ENDS_MAX)
                vocab.ends[vocab.ends_n++] = (int32_t)i;
        } else if (len > 0 && len <= TOKEN_MAX && !is_sign(p, len)) {
            ids[n++] = i;
        }
    }
    bool good = plant(sorted_ids(ids, ids + vocab.n, n), n);
    sw_free(ids, 0, 16);
    return good ? SW_OK : sw_fail(SW_ENOMEM, "no memory for the vocabulary");
}

/* --- masks ------------------------------------------------------------------------ */

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

/* Marks the tokens that lead from a state somewhere not farther from the end than
 * `most` bytes. False if the machine is full. */
static bool fill_mask(machine *m, uint32_t from, uint32_t most, const int32_t *ends, uint32_t ends_n, mask *out)
{
    static uint32_t at[TOKEN_MAX + 1];
    uint32_t *bits = out->bits;
    memset(bits, 0, vocab.words * 4);
    out->count = out->farthest = 0;
    out->only = NO_TOKEN;
    at[0] = from;
    for (uint32_t i = 0; i < vocab.trie_n;) {
        const trie_node *t = &vocab.trie[i];
        uint32_t s = m->to[at[t->depth] * m->classes + m->class_of[t->byte]];
        if (s == UNKNOWN && (s = step(m, at[t->depth], m->class_of[t->byte])) == UNKNOWN)
            return false;
        if (s == NOWHERE) {
            i = t->skip;
            continue;
        }
        at[t->depth + 1] = s;
        i++;
        if (t->token < 0 || m->states[s].dist > most)
            continue;
        if (m->states[s].dist > out->farthest)
            out->farthest = m->states[s].dist;
        for (int32_t id = t->token; id >= 0; id = vocab.twin[id]) {
            bits[id / 32] |= (uint32_t)1 << id % 32;
            out->count++;
            out->only = id;
        }
    }
    for (uint32_t k = 0; k < ends_n && m->states[from].dist == 0; k++) {
        bits[ends[k] / 32] |= (uint32_t)1 << ends[k] % 32;
        out->count++;
        out->only = ends[k];
    }
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
