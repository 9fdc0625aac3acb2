//go:build ignore

/* bpe: a tokenizer: byte-level byte-pair encoding (Sennrich et al. 2016,
 * https://arxiv.org/abs/1508.07909, over bytes as in GPT-2) with a vocabulary that comes
 * by configuration. Text is taken as it is: it is not normalised.
 *
 * Configuration:
 *     table   bytes, made of a model's vocabulary by package sdk/go/bpetable
 *     pre     how text is cut into words: "gpt-2" (the default), "llama-bpe", "qwen2"
 * Without it each byte is a token.
 *
 * The table, all numbers u32: "SWB1", tokens n, merges m, special tokens s, bytes of
 * text; the id of each of the 256 bytes, or NONE; n + 1 offsets into the text; m times
 * left, right, result, the first one first; s times id and 1 for a control token or 0
 * for one that is always matched, the longest first; the text.
 */
#define SANDWARP_TOKENIZER
#include "../sandwarp.h"

#include "bpe/unicode.h"

enum { TEXT_MAX = 16 << 20, CACHE = 8192, CACHED = 24, CACHED_IDS = 8 };
#define NONE 0xffffffff

/* --- the vocabulary ------------------------------------------------------------------ */

typedef struct {
    uint32_t left, right, rank, result; /* rank NONE: free */
} merge;

static struct {
    uint32_t n, m, s, bytes;
    uint32_t of_byte[256];
    const uint32_t *offsets, *special;
    const uint8_t *text, *control; /* control: 1 for each such id */
    merge *merges;
    uint32_t merges_mask;
    uint32_t *words, words_mask; /* ids by their bytes, and one; 0: free */
    bool begins[256];            /* a special token begins with the byte */
} v;

/* How words are cut, see the pattern of each. */
static struct {
    bool fold;     /* contractions in any case */
    bool prefix;   /* any character but newline, letter and digit may precede letters */
    bool newlines; /* newlines close symbols, and blanks end at them */
    bool whole;    /* a word that is a token needs no merges */
    int32_t digits; /* most digits of a number; 0: any, and a space may precede it */
} cut;

static uint32_t hash_bytes(const uint8_t *p, uint32_t n)
{
    uint32_t h = 2166136261;
    for (uint32_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 16777619;
    return h ^ h >> 15;
}

static uint32_t hash_pair(uint32_t a, uint32_t b)
{
    uint64_t x = ((uint64_t)a << 32 | b) * 0x9e3779b97f4a7c15;
    return (uint32_t)(x >> 32);
}

static const merge *find_merge(uint32_t a, uint32_t b)
{
    for (uint32_t h = hash_pair(a, b) & v.merges_mask;; h = (h + 1) & v.merges_mask) {
        const merge *x = &v.merges[h];
        if (x->rank == NONE || (x->left == a && x->right == b))
            return x->rank == NONE ? NULL : x;
    }
}

static uint32_t piece(uint32_t id, const uint8_t **p)
{
    *p = v.text + v.offsets[id];
    return v.offsets[id + 1] - v.offsets[id];
}

static uint32_t *word_slot(const uint8_t *p, uint32_t n)
{
    for (uint32_t h = hash_bytes(p, n) & v.words_mask;; h = (h + 1) & v.words_mask) {
        const uint8_t *q;
        if (v.words[h] == 0 || (piece(v.words[h] - 1, &q) == n && memcmp(p, q, n) == 0))
            return &v.words[h];
    }
}

static uint32_t power_above(uint32_t n)
{
    uint32_t p = 16;
    while (p < n)
        p *= 2;
    return p;
}

static int32_t bad(const char *what) { return sw_fail(SW_EINVAL, what); }

/* Checks what the table says of ids and offsets. */
static int32_t check(const uint32_t *merges)
{
    for (uint32_t i = 0; i < 256; i++)
        if (v.of_byte[i] >= v.n && v.of_byte[i] != NONE)
            return bad("table: a byte's token does not exist");
    if (v.offsets[0] != 0 || v.offsets[v.n] != v.bytes)
        return bad("table: the offsets do not cover the text");
    for (uint32_t i = 0; i < v.n; i++)
        if (v.offsets[i] > v.offsets[i + 1] || v.offsets[i + 1] > v.bytes)
            return bad("table: offsets go back, or past the text");
    for (uint32_t i = 0; i < 3 * v.m; i++)
        if (merges[i] >= v.n)
            return bad("table: a merge names a token that does not exist");
    for (uint32_t i = 0; i < v.s; i++)
        if (v.special[2 * i] >= v.n || v.offsets[v.special[2 * i]] == v.offsets[v.special[2 * i] + 1])
            return bad("table: a special token does not exist, or is empty");
    return SW_OK;
}

/* Makes what is looked things up in. */
static int32_t index_table(const uint32_t *merges)
{
    uint32_t slots = power_above(v.m + v.m / 2 + 1), words = power_above(v.n + v.n / 2 + 1);
    v.merges = sw_alloc(slots * sizeof *v.merges, 16);
    v.words = sw_alloc(words * 4, 16);
    uint8_t *control = sw_alloc(v.n, 16), *odd = sw_alloc(v.n, 16);
    if (!v.merges || !v.words || !control || !odd)
        return sw_fail(SW_ENOMEM, "no memory for the vocabulary");
    v.merges_mask = slots - 1;
    v.words_mask = words - 1;
    memset(v.merges, 0xff, slots * sizeof *v.merges);
    memset(v.words, 0, words * 4);
    memset(control, 0, v.n);
    memset(odd, 0, v.n);
    for (uint32_t i = 0; i < v.m; i++) {
        uint32_t a = merges[3 * i], b = merges[3 * i + 1], h = hash_pair(a, b) & v.merges_mask;
        while (v.merges[h].rank != NONE && !(v.merges[h].left == a && v.merges[h].right == b))
            h = (h + 1) & v.merges_mask;
        if (v.merges[h].rank == NONE)
            v.merges[h] = (merge){a, b, i, merges[3 * i + 2]};
    }
    for (uint32_t i = 0; i < v.s; i++) {
        control[v.special[2 * i]] = v.special[2 * i + 1] & 1;
        odd[v.special[2 * i]] = 1;
        v.begins[v.text[v.offsets[v.special[2 * i]]]] = true;
    }
    v.control = control;
    for (uint32_t id = 0; id < v.n; id++) {
        const uint8_t *p;
        uint32_t n = piece(id, &p), *slot = odd[id] || n == 0 ? NULL : word_slot(p, n);
        if (slot && *slot == 0)
            *slot = id + 1;
    }
    sw_free(odd, v.n, 16);
    return SW_OK;
}

static int32_t read_table(const uint8_t *p, uint32_t n)
{
    uint32_t head[5];
    if (n < sizeof head + sizeof v.of_byte || memcmp(p, "SWB1", 4) != 0)
        return bad("table: want one that package bpetable made");
    memcpy(head, p, sizeof head);
    uint64_t words = 5 + 256 + (uint64_t)head[1] + 1 + 3 * (uint64_t)head[2] + 2 * (uint64_t)head[3];
    if (head[1] == 0 || head[1] > SW_MAX_VOCAB || head[2] > SW_MAX_VOCAB || head[3] > head[1] || 4 * words + head[4] != n)
        return bad("table: its length is not what its head says");
    uint32_t *t = sw_alloc(n, 16);
    if (!t)
        return sw_fail(SW_ENOMEM, "no memory for the vocabulary");
    memcpy(t, p, n);
    v.n = head[1];
    v.m = head[2];
    v.s = head[3];
    v.bytes = head[4];
    memcpy(v.of_byte, t + 5, sizeof v.of_byte);
    v.offsets = t + 5 + 256;
    const uint32_t *merges = v.offsets + v.n + 1;
    v.special = merges + 3 * v.m;
    v.text = (const uint8_t *)(v.special + 2 * v.s);
    int32_t err = check(merges);
    return err ? err : index_table(merges);
}

/* The vocabulary without configuration: the bytes. */
static int32_t bytes_only(void)
{
    static uint32_t offsets[257];
    static uint8_t text[256];
    for (uint32_t i = 0; i < 256; i++) {
        offsets[i + 1] = i + 1;
        text[i] = (uint8_t)i;
        v.of_byte[i] = i;
    }
    v.n = v.bytes = 256;
    v.offsets = offsets;
    v.text = text;
    return index_table(NULL);
}

static int32_t read_pre(const uint8_t *p, uint32_t n)
{
    if (sw_is(p, n, "gpt-2"))
        return SW_OK;
    bool llama = sw_is(p, n, "llama-bpe");
    if (!llama && !sw_is(p, n, "qwen2"))
        return bad("pre: gpt-2, llama-bpe and qwen2 are supported");
    cut.fold = cut.prefix = cut.newlines = true;
    cut.whole = llama;
    cut.digits = llama ? 3 : 1;
    return SW_OK;
}

int32_t sw_configure(const uint8_t *message, uint32_t n)
{
    sw_message m;
    int32_t err = sw_read_message(message, n, &m);
    if (err)
        return err;
    if (m.config.at == m.config.end)
        return bytes_only();
    bool had = false;
    for (uint32_t pairs = sw_read_map(&m.config); pairs > 0 && !err; pairs--) {
        uint32_t k, len;
        const uint8_t *key = sw_read_text(&m.config, &k), *p = sw_read_text(&m.config, &len);
        if (!p || had + 1 == 0)
            return bad("want {\"table\": bytes, \"pre\": name}");
        if (sw_is(key, k, "table") && !had) {
            had = true;
            err = read_table(p, len);
        } else if (sw_is(key, k, "pre")) {
            err = read_pre(p, len);
        } else {
            return bad("unknown key, or one twice; known are table and pre");
        }
    }
    if (m.config.err)
        return bad("want {\"table\": bytes, \"pre\": name}");
    return err || had ? err : bytes_only();
}

/* --- words ------------------------------------------------------------------------------ */

enum { OTHER, LETTER, DIGIT, BLANK, END };

/* The class of the character at i, and its length. */
static int32_t class_at(const uint8_t *s, int32_t n, int32_t i, int32_t *len)
{
    *len = 0;
    if (i >= n)
        return END;
    uint32_t c = s[i];
    *len = 1;
    if (c >= 0x80) {
        int32_t k = sw_char(s + i, (uint32_t)(n - i));
        if (k <= 0)
            return OTHER;
        c &= 0xffu >> (k + 1);
        for (int32_t j = 1; j < k; j++)
            c = c << 6 | (s[i + j] & 0x3f);
        *len = k;
    }
    return unicode_bits[unicode_block[c >> 8]][(c & 255) / 4] >> (c & 3) * 2 & 3;
}

/* The end of the run of a class at i, of at most `most` characters (< 0: any). */
static int32_t run_of(const uint8_t *s, int32_t n, int32_t i, int32_t class, int32_t most)
{
    int32_t len;
    for (; most != 0 && class_at(s, n, i, &len) == class; most--)
        i += len;
    return i;
}

static bool newline(uint8_t c) { return c == '\r' || c == '\n'; }

/* The length of 's, 't, 're, 've, 'm, 'll or 'd; 0 if there is none. */
static int32_t contraction(const uint8_t *s, int32_t n)
{
    if (s[0] != '\'' || n < 2)
        return 0;
    uint8_t a = s[1], b = n > 2 ? s[2] : 0;
    if (cut.fold) {
        a |= a >= 'A' && a <= 'Z' ? 32 : 0;
        b |= b >= 'A' && b <= 'Z' ? 32 : 0;
    }
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    if (((a == 'r' || a == 'v') && b == 'e') || (a == 'l' && b == 'l'))
        return 3;
    return cut.fold && a == 0xc5 && b == 0xbf ? 3 : 0; /* U+017F folds to s */
}

/* Symbols with a space before and newlines behind; 0 if there are none. */
static int32_t symbols(const uint8_t *s, int32_t n, int32_t class)
{
    int32_t i = s[0] == ' ';
    if (!i && class != OTHER)
        return 0;
    int32_t e = run_of(s, n, i, OTHER, -1);
    if (e == i)
        return 0;
    while (cut.newlines && e < n && newline(s[e]))
        e++;
    return e;
}

/* White space: to its last newline, or all but the last blank if something follows, or
 * all of it. */
static int32_t blanks(const uint8_t *s, int32_t n)
{
    int32_t e = 0, line = 0, last = 0, len;
    while (class_at(s, n, e, &len) == BLANK) {
        last = len;
        e += len;
        if (newline(s[e - 1]))
            line = e;
    }
    if (cut.newlines && line > 0)
        return line;
    return e < n && e > last ? e - last : e;
}

/* The length of the word the n > 0 bytes begin with. */
static int32_t next_word(const uint8_t *s, int32_t n)
{
    int32_t len, e, class = class_at(s, n, 0, &len), k = contraction(s, n);
    if (k > 0)
        return k;
    if (class == LETTER)
        return run_of(s, n, len, LETTER, -1);
    if ((s[0] == ' ' || (cut.prefix && class != DIGIT && !newline(s[0]))) && (e = run_of(s, n, len, LETTER, -1)) > len)
        return e;
    if (class == DIGIT)
        return run_of(s, n, len, DIGIT, cut.digits > 0 ? cut.digits - 1 : -1);
    if (s[0] == ' ' && cut.digits == 0 && (e = run_of(s, n, 1, DIGIT, -1)) > 1)
        return e;
    e = symbols(s, n, class);
    if (e == 0)
        e = blanks(s, n);
    return e > 0 ? e : len;
}

/* --- merging ------------------------------------------------------------------------------- */

typedef struct {
    uint32_t id; /* NONE: joined to the one before */
    int32_t prev, next;
} symbol;

static int32_t *out;
static uint32_t out_n, out_cap;
static symbol *chain;
static uint64_t *heap; /* rank << 32 | place, the least first */
static uint32_t heap_n, chain_cap;

static void push(uint64_t x)
{
    uint32_t i = heap_n++;
    for (; i > 0 && heap[(i - 1) / 2] > x; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = x;
}

static uint64_t pop(void)
{
    uint64_t top = heap[0], x = heap[--heap_n];
    uint32_t i = 0;
    for (;;) {
        uint32_t c = 2 * i + 1;
        if (c >= heap_n)
            break;
        if (c + 1 < heap_n && heap[c + 1] < heap[c])
            c++;
        if (x <= heap[c])
            break;
        heap[i] = heap[c];
        i = c;
    }
    heap[i] = x;
    return top;
}

/* Notes the pair that begins at i, if it can be joined. */
static void note(int32_t i)
{
    const merge *x = find_merge(chain[i].id, chain[chain[i].next].id);
    if (x)
        push((uint64_t)x->rank << 32 | (uint32_t)i);
}

/* Joins the pair of the lowest rank first, the leftmost among equals; entries whose
 * pair is gone are passed over. A join makes at most two entries: 3n in all. */
static void join(int32_t n)
{
    while (heap_n > 0) {
        uint64_t top = pop();
        int32_t i = (int32_t)(uint32_t)top;
        symbol *s = &chain[i];
        if (s->id == NONE || s->next >= n)
            continue;
        int32_t gone = s->next;
        const merge *x = find_merge(s->id, chain[gone].id);
        if (!x || x->rank != (uint32_t)(top >> 32))
            continue;
        s->id = x->result;
        s->next = chain[gone].next;
        chain[gone].id = NONE;
        chain[gone].next = n;
        if (s->next < n) {
            chain[s->next].prev = i;
            note(i);
        }
        if (s->prev >= 0)
            note(s->prev);
    }
}

static bool reserve(uint32_t n)
{
    if (n <= chain_cap)
        return true;
    uint32_t cap = power_above(n);
    sw_free(chain, 0, 16);
    sw_free(heap, 0, 16);
    chain = sw_alloc(cap * sizeof *chain, 16);
    heap = sw_alloc(3 * cap * sizeof *heap, 16);
    chain_cap = chain && heap ? cap : 0;
    return chain_cap > 0;
}

static bool put(uint32_t id)
{
    if (out_n == out_cap) {
        uint32_t cap = out_cap ? 2 * out_cap : 1024;
        int32_t *more = sw_alloc(cap * 4, 16);
        if (!more)
            return false;
        memcpy(more, out, out_n * 4);
        sw_free(out, 0, 16);
        out = more;
        out_cap = cap;
    }
    out[out_n++] = (int32_t)id;
    return true;
}

/* Words met before, and what they became. */
static struct {
    uint8_t n, ids_n; /* n 0: free */
    uint8_t text[CACHED];
    uint32_t ids[CACHED_IDS];
} cache[CACHE];

static int32_t merge_word(const uint8_t *p, uint32_t n)
{
    if (!reserve(n))
        return sw_fail(SW_ENOMEM, "no memory for a long word");
    heap_n = 0;
    for (uint32_t i = 0; i < n; i++) {
        chain[i] = (symbol){v.of_byte[p[i]], (int32_t)i - 1, (int32_t)i + 1};
        if (chain[i].id == NONE)
            return sw_fail(SW_EINVAL, "the vocabulary has no token for a byte of the text");
    }
    for (uint32_t i = 0; i + 1 < n; i++)
        note((int32_t)i);
    join((int32_t)n);
    for (int32_t i = 0; i < (int32_t)n; i = chain[i].next)
        if (!put(chain[i].id))
            return sw_fail(SW_ENOMEM, "no memory for the ids");
    return SW_OK;
}

static int32_t encode_word(const uint8_t *p, uint32_t n)
{
    if (cut.whole || n == 1) {
        uint32_t id = *word_slot(p, n);
        if (id)
            return put(id - 1) ? SW_OK : sw_fail(SW_ENOMEM, "no memory for the ids");
    }
    if (n > CACHED)
        return merge_word(p, n);
    uint32_t slot = hash_bytes(p, n) & (CACHE - 1), from = out_n;
    if (cache[slot].n == n && memcmp(cache[slot].text, p, n) == 0) {
        for (uint32_t i = 0; i < cache[slot].ids_n; i++)
            if (!put(cache[slot].ids[i]))
                return sw_fail(SW_ENOMEM, "no memory for the ids");
        return SW_OK;
    }
    int32_t err = merge_word(p, n);
    if (err || out_n - from > CACHED_IDS)
        return err;
    cache[slot].n = (uint8_t)n;
    cache[slot].ids_n = (uint8_t)(out_n - from);
    memcpy(cache[slot].text, p, n);
    memcpy(cache[slot].ids, out + from, (out_n - from) * 4);
    return SW_OK;
}

/* --- text and ids -------------------------------------------------------------------------- */

/* The special token at p, the longest; NONE. */
static uint32_t special_at(const uint8_t *p, uint32_t n, bool control)
{
    for (uint32_t i = 0; i < v.s; i++) {
        const uint8_t *q;
        uint32_t id = v.special[2 * i], len = piece(id, &q);
        if ((control || !(v.special[2 * i + 1] & 1)) && len <= n && q[0] == p[0] && memcmp(p, q, len) == 0)
            return id;
    }
    return NONE;
}

int64_t sw_encode(const uint8_t *text, uint32_t n, uint32_t flags)
{
    out_n = 0;
    if (n > TEXT_MAX)
        return sw_fail(SW_E2BIG, "the text is longer than 16 MiB");
    for (uint32_t i = 0; i < n;) {
        uint32_t stop = i, id = NONE;
        for (; stop < n; stop++)
            if (v.begins[text[stop]] && (id = special_at(text + stop, n - stop, flags & SW_FLAG_SPECIAL)) != NONE)
                break;
        while (i < stop) {
            uint32_t k = (uint32_t)next_word(text + i, (int32_t)(stop - i));
            int32_t err = encode_word(text + i, k);
            if (err)
                return err;
            i += k;
        }
        if (id != NONE) {
            if (!put(id))
                return sw_fail(SW_ENOMEM, "no memory for the ids");
            i += v.offsets[id + 1] - v.offsets[id];
        }
    }
    return sw_pack(out, out_n * 4);
}

int64_t sw_decode(const int32_t *ids, uint32_t n, uint32_t flags)
{
    static uint8_t *b;
    static uint32_t cap;
    uint64_t need = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t id = (uint32_t)ids[i];
        if (id >= v.n) {
            sw_fail(SW_EINVAL, "id ");
            sw_fail_number(ids[i]);
            sw_fail_text(", the vocabulary has ", 21);
            sw_fail_number(v.n);
            return SW_EINVAL;
        }
        need += v.offsets[id + 1] - v.offsets[id];
    }
    if (need > INT32_MAX)
        return sw_fail(SW_EMSGSIZE, "the text is longer than 2 GiB");
    if (need > cap) {
        sw_free(b, cap, 16);
        b = sw_alloc((uint32_t)need, 16);
        cap = b ? (uint32_t)need : 0;
        if (!b)
            return sw_fail(SW_ENOMEM, "no memory for the text");
    }
    uint32_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *p;
        uint32_t id = (uint32_t)ids[i], len = piece(id, &p);
        if (v.control[id] && !(flags & SW_FLAG_SPECIAL))
            continue;
        memcpy(b + at, p, len);
        at += len;
    }
    return sw_pack(b, at);
}
