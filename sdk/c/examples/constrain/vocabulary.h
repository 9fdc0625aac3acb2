/* vocabulary.h: the tokens as a trie. Plain ones, which a JSON string may have as they
 * are, come first, all others and very long ones behind them: where everything plain may
 * follow, only the others are looked at. */
#ifndef VOCABULARY_H
#define VOCABULARY_H

#include "array.h"
#include "kinds.h"

enum { TOKEN_MAX = 255, ENDS_MAX = 64, PLAIN_MAX = 24 };

/* The trie's nodes in order of depth first: a node's children follow it, and behind
 * the last of them is `skip`. Tokens are in the same order. The last node is nobody's. */
typedef struct {
    uint32_t skip;
    uint32_t first;  /* of the tokens in order: those from here to the next node's end here */
    kinds ahead;     /* of all characters below, if one ends here; if a wide one begins here, of it, too */
    uint8_t byte;
    uint8_t depth;   /* bytes before this one */
    uint8_t chars;   /* most characters ahead; 0: none, or amid one */
    uint8_t before;  /* characters that are not ahead */
    bool wide;       /* a wide one begins here */
} trie_node;

static struct {
    uint32_t n, words;   /* tokens; words of a mask */
    uint32_t *offsets;   /* n + 1, into text */
    const uint8_t *text;
    trie_node *trie;
    uint32_t trie_n, trie_cap;
    uint32_t *order;     /* ids, as the trie has them */
    uint8_t *chars;      /* of each of those: its characters */
    uint32_t order_n;
    int32_t ends[ENDS_MAX];
    uint32_t ends_n;
    struct {             /* the first tokens, made of plain characters */
        uint32_t tokens, nodes, chars; /* most characters of one */
        kinds of;
        uint32_t *bits;  /* masks of those with at most 0, 1, ... PLAIN_MAX characters */
        uint32_t count[PLAIN_MAX + 1];
        int32_t only[PLAIN_MAX + 1]; /* one of them */
    } plain;
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

static int32_t compare_tokens(uint32_t a, uint32_t b)
{
    const uint8_t *p, *q;
    uint32_t n = token_bytes(a, &p), m = token_bytes(b, &q), least = n < m ? n : m;
    for (uint32_t i = 0; i < least; i++)
        if (p[i] != q[i])
            return p[i] < q[i] ? -1 : 1;
    return n != m ? (n < m ? -1 : 1) : a < b ? -1 : a > b;
}

/* Sorts n ids by their texts: merges runs of 1, 2, 4 ... */
static void sort_ids(uint32_t *ids, uint32_t *other, uint32_t n)
{
    uint32_t *to = ids;
    for (uint32_t run = 1; run < n; run *= 2) {
        for (uint32_t from = 0; from < n; from += 2 * run) {
            uint32_t mid = from + run < n ? from + run : n, end = mid + run < n ? mid + run : n;
            uint32_t i = from, j = mid, k = from;
            while (i < mid && j < end)
                other[k++] = compare_tokens(ids[i], ids[j]) <= 0 ? ids[i++] : ids[j++];
            while (i < mid)
                other[k++] = ids[i++];
            while (j < end)
                other[k++] = ids[j++];
        }
        uint32_t *swap = ids;
        ids = other;
        other = swap;
    }
    if (ids != to)
        memcpy(to, ids, n * sizeof *ids);
}

/* Notes at a node that n characters of the kinds are ahead, behind so many. */
static void note_at(trie_node *t, kinds ahead, uint32_t n, uint32_t before)
{
    t->ahead |= ahead;
    t->before = (uint8_t)before;
    t->chars = t->chars > n ? t->chars : (uint8_t)n;
}

/* Notes at the nodes of a token, by path, which characters are ahead. Returns how many
 * it has. */
static uint8_t note_ahead(const uint32_t *path, const uint8_t *p, uint32_t len)
{
    static uint8_t from[TOKEN_MAX + 1], kind[TOKEN_MAX]; /* bytes before character k; its kind */
    uint32_t n = 0, k;
    kinds ahead = 0;
    for (uint32_t i = 0; i < len; i += k, n++) {
        kind[n] = (uint8_t)kind_at(p + i, len - i, &k);
        from[n] = (uint8_t)i;
    }
    for (k = n; k-- > 0;) {
        trie_node *t = &vocab.trie[path[from[k]]];
        ahead |= KIND(kind[k]);
        if (kind[k] == K_WIDE) {
            t->wide = true;
            note_at(t, ahead, n - k, k);
        }
        if (k > 0)
            note_at(&vocab.trie[path[from[k] - 1]], ahead, n - k, k);
    }
    return (uint8_t)n;
}

/* Adds the tokens order[from..to-1], which are sorted, to the trie; path is the node of
 * each byte of the last one. */
static bool plant(uint32_t from, uint32_t to)
{
    static uint32_t path[TOKEN_MAX + 1];
    const uint8_t *last = NULL;
    uint32_t last_n = 0;
    for (uint32_t i = from; i < to; i++) {
        const uint8_t *p;
        uint32_t len = token_bytes(vocab.order[i], &p), common = 0;
        while (common < len && common < last_n && p[common] == last[common])
            common++;
        for (uint32_t d = last_n; d > common; d--)
            vocab.trie[path[d - 1]].skip = vocab.trie_n;
        if (!room(&vocab.trie, &vocab.trie_cap, vocab.trie_n + len + 1, sizeof *vocab.trie))
            return false;
        for (uint32_t d = common; d < len; d++) {
            path[d] = vocab.trie_n;
            vocab.trie[vocab.trie_n++] = (trie_node){.first = i, .byte = p[d], .depth = (uint8_t)d};
        }
        vocab.chars[i] = note_ahead(path, p, len);
        last = p;
        last_n = len;
    }
    for (uint32_t d = last_n; d > 0; d--)
        vocab.trie[path[d - 1]].skip = vocab.trie_n;
    return true;
}

/* The kinds of a token's characters; how many there are. */
static kinds kinds_of(const uint8_t *p, uint32_t n, uint32_t *chars)
{
    kinds of = 0;
    uint32_t len;
    *chars = 0;
    for (uint32_t i = 0; i < n; i += len, ++*chars)
        of |= KIND(kind_at(p + i, n - i, &len));
    return of;
}

/* Lists the tokens that are text, plain ones first; notes those that end an answer. */
static void list_tokens(uint32_t *other)
{
    uint32_t rest = 0;
    for (uint32_t i = 0; i < vocab.n; i++) {
        const uint8_t *p;
        uint32_t len = token_bytes(i, &p), chars;
        if (is_end_name(p, len)) {
            if (vocab.ends_n < ENDS_MAX)
                vocab.ends[vocab.ends_n++] = (int32_t)i;
            continue;
        }
        if (len == 0 || len > TOKEN_MAX || is_sign(p, len))
            continue;
        kinds of = kinds_of(p, len, &chars);
        if (of & NOT_PLAIN || chars > PLAIN_MAX) {
            other[rest++] = i;
            continue;
        }
        vocab.order[vocab.order_n++] = i;
        vocab.plain.bits[chars * vocab.words + i / 32] |= (uint32_t)1 << i % 32;
        vocab.plain.count[chars]++;
        vocab.plain.only[chars] = (int32_t)i;
        vocab.plain.of |= of;
        vocab.plain.chars = vocab.plain.chars > chars ? vocab.plain.chars : chars;
    }
    vocab.plain.tokens = vocab.order_n;
    for (uint32_t k = 1; k <= PLAIN_MAX; k++) { /* those with fewer characters, too */
        uint32_t *bits = vocab.plain.bits + k * vocab.words;
        for (uint32_t w = 0; w < vocab.words; w++)
            bits[w] |= (bits - vocab.words)[w];
        if (vocab.plain.count[k] == 0)
            vocab.plain.only[k] = vocab.plain.only[k - 1];
        vocab.plain.count[k] += vocab.plain.count[k - 1];
    }
    memcpy(vocab.order + vocab.order_n, other, rest * sizeof *other);
    vocab.order_n += rest;
}

static bool plant_all(uint32_t *other)
{
    uint32_t n = vocab.plain.tokens;
    sort_ids(vocab.order, other, n);
    sort_ids(vocab.order + n, other, vocab.order_n - n);
    if (!plant(0, n))
        return false;
    vocab.plain.nodes = vocab.trie_n;
    if (!plant(n, vocab.order_n) || !room(&vocab.trie, &vocab.trie_cap, vocab.trie_n + 1, sizeof *vocab.trie))
        return false;
    vocab.trie[vocab.trie_n] = (trie_node){.first = vocab.order_n};
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
    uint32_t *other = sw_alloc(vocab.n * 4 + 4, 16);
    vocab.order = sw_alloc(vocab.n * 4 + 4, 16);
    vocab.chars = sw_alloc(vocab.n + 1, 16);
    uint32_t masks = (PLAIN_MAX + 1) * vocab.words * 4;
    vocab.plain.bits = sw_alloc(masks, 16);
    if (!other || !vocab.order || !vocab.chars || !vocab.plain.bits)
        return sw_fail(SW_ENOMEM, "no memory for the vocabulary");
    memset(vocab.plain.bits, 0, masks);
    list_tokens(other);
    bool good = plant_all(other);
    sw_free(other, 0, 16);
    return good ? SW_OK : sw_fail(SW_ENOMEM, "no memory for the vocabulary");
}

#endif
