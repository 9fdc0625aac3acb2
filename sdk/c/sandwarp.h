/* sandwarp.h: write a sandwarp plugin in C. ABI version 1 (docs/abi.md).
 *
 * One header, C99, no libc. Say what the plugin is, include, and define the
 * functions of that kind:
 *
 *     #define SANDWARP_FILTER        // or SANDWARP_SAMPLER, SANDWARP_TOKENIZER
 *     #include "sandwarp.h"
 *
 * The header then defines what every plugin has alike (sw_abi_v1, sw_alloc,
 * sw_free, sw_last_error, sw_frame, sw_out, memcpy and its siblings) and declares,
 * with their exact signatures, the functions left to write. Exactly one file of a
 * plugin says what the plugin is; others include the header plain.
 *
 * Build (see the Makefile beside this file):
 *
 *     clang --target=wasm32 -O3 -msimd128 -mbulk-memory -ffreestanding -c my.c
 *     wasm-ld --no-entry --strip-all -o my.wasm my.o
 *     go run github.com/sandwarp/sandwarp/sdk/pack my.json my.wasm
 *
 * The host calls from one thread and never re-enters. A negative result is an
 * error code; a trap counts as a fault of the plugin.
 */
#ifndef SANDWARP_H
#define SANDWARP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if !defined(__wasm32__)
#error "sandwarp.h is for --target=wasm32"
#endif
#if !defined(__wasm_bulk_memory__) /* without, memcpy would call itself until the stack is full */
#error "sandwarp.h needs -mbulk-memory"
#endif

#define SW_EXPORT(name) __attribute__((export_name(#name), used))
#define SW_IMPORT(name) __attribute__((import_module("sw1"), import_name(#name)))

/* --- numbers of the ABI -------------------------------------------------- */

/* Error codes: negated errno. */
#define SW_OK 0
#define SW_EPERM (-1)     /* not allowed */
#define SW_ENOENT (-2)    /* no such key, sequence or entry */
#define SW_EIO (-5)       /* failed for a reason of its own; see sw_fail */
#define SW_E2BIG (-7)     /* input larger than declared limits */
#define SW_ENOMEM (-12)   /* out of memory */
#define SW_EFAULT (-14)   /* pointer and length outside memory */
#define SW_EBUSY (-16)    /* re-entered */
#define SW_EINVAL (-22)   /* malformed argument or configuration */
#define SW_ENOSPC (-28)   /* store or buffer full */
#define SW_ERANGE (-34)   /* number outside its range */
#define SW_ENOSYS (-38)   /* not offered, or not granted */
#define SW_ETIME (-62)    /* out of fuel */
#define SW_EMSGSIZE (-90) /* result larger than allowed */

/* Features a plugin cannot do without: define SANDWARP_FEATURES as their sum. */
#define SW_FEATURE_HOST_OPS 1 /* sw_op_* */
#define SW_FEATURE_VOCAB 2    /* sw_vocab_map */
#define SW_FEATURE_REPLAY 4   /* the host shows judged text again after a reset */

/* Flags of sw_filter. */
#define SW_FLAG_PROMPT 1 /* the text is the user's prompt */
#define SW_FLAG_END 2    /* nothing follows: all of the text must be consumed */
#define SW_FLAG_REPLAY 4 /* judged before; only rebuild the state */
/* Flag of sw_encode and sw_decode: control tokens in text form. */
#define SW_FLAG_SPECIAL 1

/* Verdicts of sw_filter. */
#define SW_ACTION_PASS 0
#define SW_ACTION_HOLD 1
#define SW_ACTION_REPLACE 2
#define SW_ACTION_STOP 3

/* What a sampler did with a row. */
#define SW_CHOICE_NONE 0 /* nothing changed */
#define SW_CHOICE_PICK 1 /* row->token is the next token */
#define SW_CHOICE_EDIT 2 /* dense: logits edited; candidates: only the list remains */
#define SW_CHOICE_MASK 3 /* mask, dense: tokens without a bit are excluded; then as BIAS */
#define SW_CHOICE_KEEP 4 /* candidates: the list is edited, other tokens stay */
#define SW_CHOICE_BIAS 5 /* the list at out_off is added to the logits; -Inf excludes */

/* Sizes and numbers of the frame. */
#define SW_FRAME_MAGIC 0x31465753 /* "SWF1" */
#define SW_FRAME_VERSION 1
#define SW_HEADER_SIZE 64
#define SW_ROW_SIZE 128
#define SW_CANDIDATE_SIZE 8
#define SW_PAYLOAD_ALIGN 64
#define SW_WINDOW_ALIGN 65536
#define SW_MAX_VOCAB 4194304
#define SW_MAX_DEPTH 32 /* of arrays and maps in a message */

/* --- the frame ------------------------------------------------------------ */

/* First 64 bytes of the window. Offsets count from the window's start; 0 means
 * that there is none. Row i is at row_off + i*128, its logits at
 * logits_off + i*row_stride, its mask at mask_off + i*mask_stride, its candidates
 * at cand_off + i*cand_cap*8. */
typedef struct {
    uint32_t magic;
    uint16_t header_size;
    uint16_t version;
    uint32_t rows;
    uint32_t vocab;
    uint64_t step; /* number of the call, from 1 */
    uint32_t flags;
    uint32_t row_off;
    uint32_t logits_off; /* dense */
    uint32_t row_stride; /* bytes */
    uint32_t mask_off;   /* mask, dense: u32 words, bit set = allowed, zero at first */
    uint32_t mask_stride;
    uint32_t cand_off; /* candidates: best first; dense: room for sw_op_topk */
    uint32_t cand_cap;
    uint32_t hist_off;
    uint32_t hist_cap;
} sw_header;

/* One sequence of a call: what the host says, then what the plugin answers. */
typedef struct {
    uint64_t seq;
    int32_t parent;    /* row a draft branched from, -1 for none */
    uint32_t pos;      /* tokens before the one to choose */
    uint32_t hist_off; /* from the window's start */
    uint32_t hist_n;   /* tokens there (int32, oldest first) */
    uint32_t cand_n;   /* candidates, 0 if dense; EDIT and KEEP may shrink it */
    uint32_t flags;
    uint64_t seed;
    float temp, top_p; /* the request's settings, 0 where the host does not say */
    uint32_t top_k;
    float min_p;
    uint32_t action;  /* out: SW_CHOICE_... */
    int32_t token;    /* out: for PICK */
    float logprob;    /* out: of the pick */
    uint32_t out_off; /* out: address of a list of sw_candidate, for BIAS and MASK */
    uint32_t out_n;   /* out: its entries */
    uint32_t reserved[13];
} sw_row;

/* A token and its logit; in a list for BIAS, what to add to it. */
typedef struct {
    uint32_t id;
    float logit;
} sw_candidate;

#ifdef __cplusplus
#define SW_ASSERT(what, is) static_assert(is, #what)
#elif __STDC_VERSION__ >= 201112L
#define SW_ASSERT(what, is) _Static_assert(is, #what)
#else
#define SW_ASSERT(what, is) typedef char sw_assert_##what[(is) ? 1 : -1]
#endif
#define SW_AT(type, field, off) SW_ASSERT(type##_##field, offsetof(type, field) == (off))

SW_ASSERT(header_size, sizeof(sw_header) == SW_HEADER_SIZE);
SW_AT(sw_header, magic, 0);
SW_AT(sw_header, header_size, 4);
SW_AT(sw_header, version, 6);
SW_AT(sw_header, rows, 8);
SW_AT(sw_header, vocab, 12);
SW_AT(sw_header, step, 16);
SW_AT(sw_header, flags, 24);
SW_AT(sw_header, row_off, 28);
SW_AT(sw_header, logits_off, 32);
SW_AT(sw_header, row_stride, 36);
SW_AT(sw_header, mask_off, 40);
SW_AT(sw_header, mask_stride, 44);
SW_AT(sw_header, cand_off, 48);
SW_AT(sw_header, cand_cap, 52);
SW_AT(sw_header, hist_off, 56);
SW_AT(sw_header, hist_cap, 60);
SW_ASSERT(row_size, sizeof(sw_row) == SW_ROW_SIZE);
SW_AT(sw_row, seq, 0);
SW_AT(sw_row, parent, 8);
SW_AT(sw_row, pos, 12);
SW_AT(sw_row, hist_off, 16);
SW_AT(sw_row, hist_n, 20);
SW_AT(sw_row, cand_n, 24);
SW_AT(sw_row, flags, 28);
SW_AT(sw_row, seed, 32);
SW_AT(sw_row, temp, 40);
SW_AT(sw_row, top_p, 44);
SW_AT(sw_row, top_k, 48);
SW_AT(sw_row, min_p, 52);
SW_AT(sw_row, action, 56);
SW_AT(sw_row, token, 60);
SW_AT(sw_row, logprob, 64);
SW_AT(sw_row, out_off, 68);
SW_AT(sw_row, out_n, 72);
SW_ASSERT(candidate_size, sizeof(sw_candidate) == SW_CANDIDATE_SIZE);
SW_AT(sw_candidate, id, 0);
SW_AT(sw_candidate, logit, 4);

/* --- what the host offers (module sw1) ------------------------------------ */

/* A line for the host's log; what the levels mean is the host's business. Lines
 * are cut at 4 KiB, and dropped beyond 100 a second. */
SW_IMPORT(log) int32_t sw_log(int32_t level, const void *text, uint32_t n);
SW_IMPORT(metric) int32_t sw_metric(const void *name, uint32_t n, double value);
/* A virtual clock in nanoseconds; random bits seeded by request and call. */
SW_IMPORT(now) uint64_t sw_now(void);
SW_IMPORT(rand) uint64_t sw_rand(void);
/* A small store the instances of a plugin share (capability "kv"). Get copies at
 * most cap bytes and returns the value's length; setting an empty value deletes. */
SW_IMPORT(kv_get) int32_t sw_kv_get(const void *key, uint32_t n, void *out, uint32_t cap);
SW_IMPORT(kv_set) int32_t sw_kv_set(const void *key, uint32_t n, const void *value, uint32_t len);
/* The vocabulary (capability "vocab"): u32 count n, n+1 u32 offsets into the text
 * behind them, the text. Returns the bytes needed; copies only if cap suffices. */
SW_IMPORT(vocab_map) int64_t sw_vocab_map(void *out, uint32_t cap);
/* Work on n floats at native speed. sw_op_topk writes at most k candidates, best
 * first, and returns their number. */
SW_IMPORT(op_topk) int32_t sw_op_topk(const float *x, uint32_t n, uint32_t k, sw_candidate *out);
SW_IMPORT(op_mask) int32_t sw_op_mask(float *x, uint32_t n, const uint32_t *mask);
SW_IMPORT(op_scale) int32_t sw_op_scale(float *x, uint32_t n, float mul, float add);
SW_IMPORT(op_penalty)
int32_t sw_op_penalty(float *x, uint32_t n, const int32_t *ids, uint32_t m, float repeat, float presence, float frequency);
SW_IMPORT(op_lse) double sw_op_lse(const float *x, uint32_t n);
SW_IMPORT(op_gather)
int32_t sw_op_gather(const float *x, uint32_t n, const int32_t *ids, uint32_t m, float *out);

/* --- what this header defines --------------------------------------------- */

/* Memory, aligned to align (a power of two to 64 KiB; never less than 16), NULL if
 * there is no more. sw_free takes what sw_alloc gave; it needs no size. */
SW_EXPORT(sw_alloc) void *sw_alloc(uint32_t size, uint32_t align);
SW_EXPORT(sw_free) void sw_free(void *p, uint32_t size, uint32_t align);
SW_EXPORT(sw_last_error) int64_t sw_last_error(void);
SW_EXPORT(sw_abi_v1) int64_t sw_abi_v1(void);

/* sw_fail notes what went wrong, for the user to read, and returns code. The two
 * others add to the note. It holds 256 bytes; more is cut off. */
int32_t sw_fail(int32_t code, const char *text);
void sw_fail_text(const void *text, uint32_t n);
void sw_fail_number(int64_t n);

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *p, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);

/* Joins address and length into a result. */
static inline int64_t sw_pack(const void *p, uint32_t n)
{
    return (int64_t)((uint64_t)(uintptr_t)p << 32 | n);
}

/* Whether the n bytes at p are exactly the text. */
static inline bool sw_is(const void *p, uint32_t n, const char *text)
{
    return n == strlen(text) && memcmp(p, text, n) == 0;
}

/* Length of the UTF-8 character the n bytes at p begin with (n > 0): 1 to 4; 0 if
 * they begin with none; -1 if more bytes are needed to tell. */
int32_t sw_char(const uint8_t *p, uint32_t n);

/* The n bytes of text less a character at its end of which bytes are still to come;
 * all of them with SW_FLAG_END. */
uint32_t sw_whole(const uint8_t *text, uint32_t n, uint32_t flags);

/* Copies n bytes; in place of bytes that are not UTF-8 it writes '?'. What a filter
 * puts in place of text must be UTF-8. */
void sw_clean(uint8_t *to, const uint8_t *text, uint32_t n);

/* --- messages: msgpack ---------------------------------------------------- */

/* A bounded reader. The first error sticks in err (SW_EINVAL), and all that is
 * read after it is zero: check err once, at the end. */
typedef struct {
    const uint8_t *at, *end;
    int32_t err;
} sw_reader;

typedef enum {
    SW_TYPE_NONE, /* nothing left, or not msgpack */
    SW_TYPE_NIL,
    SW_TYPE_BOOL,
    SW_TYPE_INT,
    SW_TYPE_FLOAT,
    SW_TYPE_TEXT,
    SW_TYPE_BYTES,
    SW_TYPE_ARRAY,
    SW_TYPE_MAP
} sw_type;

static inline sw_reader sw_read(const void *p, uint32_t n)
{
    sw_reader r = {(const uint8_t *)p, (const uint8_t *)p + n, 0};
    return r;
}

sw_type sw_peek(const sw_reader *r); /* of the next value */
bool sw_read_nil(sw_reader *r);      /* consumes a nil; says whether there was one */
bool sw_read_bool(sw_reader *r);
int64_t sw_read_int(sw_reader *r); /* an integer that fits 64 signed bits */
uint64_t sw_read_uint(sw_reader *r, uint64_t max);
double sw_read_float(sw_reader *r); /* a float or an integer */
const uint8_t *sw_read_text(sw_reader *r, uint32_t *n); /* text or bytes, not copied */
uint32_t sw_read_array(sw_reader *r); /* number of values that follow */
uint32_t sw_read_map(sw_reader *r);   /* number of pairs that follow */
void sw_skip(sw_reader *r);           /* one whole value, at most SW_MAX_DEPTH deep */

/* What the host says in sw_configure and sw_seq_open. config covers one value of
 * the plugin's own, or nothing (config.at == config.end). */
typedef struct {
    sw_reader config;
    uint64_t seed;
    uint32_t vocab; /* tokens of the model; 0 if not known, and in sw_seq_open */
} sw_message;

int32_t sw_read_message(const void *p, uint32_t n, sw_message *m);

/* Name and version of the host, in the message of sw_configure; NULL if not said. */
const uint8_t *sw_read_host(const void *p, uint32_t n, uint32_t *len);

/* --- sequences ------------------------------------------------------------ */

/* A table from sequence numbers to slots 0..cap-1, for state kept in arrays. cap
 * is a power of two; the table is zero at first. Slots do not move. */
typedef struct {
    uint64_t seq;
    uint32_t state; /* 0 never taken, 1 taken, 2 free again */
} sw_slot;

int32_t sw_slot_find(const sw_slot *t, uint32_t cap, uint64_t seq); /* or SW_ENOENT */
int32_t sw_slot_open(sw_slot *t, uint32_t cap, uint64_t seq);       /* or SW_ENOMEM */
int32_t sw_slot_close(sw_slot *t, uint32_t cap, uint64_t seq);      /* or SW_ENOENT */

/* --- filters -------------------------------------------------------------- */

/* Verdicts on the n first bytes of the text; what is left stays pending and is
 * shown again with what follows. With SW_FLAG_END nothing may be left. */
static inline int64_t sw_verdict(uint32_t action, uint32_t n)
{
    return (int64_t)((uint64_t)action << 56 | n);
}
static inline int64_t sw_pass(uint32_t n) { return sw_verdict(SW_ACTION_PASS, n); }
static inline int64_t sw_hold(void) { return sw_verdict(SW_ACTION_HOLD, 0); }

/* Replace releases out (UTF-8, in place until the next call) for n bytes; stop
 * does so too and ends the answer. */
void sw_set_out(const void *out, uint32_t len);
static inline int64_t sw_replace(uint32_t n, const void *out, uint32_t len)
{
    sw_set_out(out, len);
    return sw_verdict(SW_ACTION_REPLACE, n);
}
static inline int64_t sw_stop(uint32_t n, const void *out, uint32_t len)
{
    sw_set_out(out, len);
    return sw_verdict(SW_ACTION_STOP, n);
}

/* --- samplers ------------------------------------------------------------- */

extern sw_header *sw_window; /* the frame, NULL before sw_frame */

static inline sw_row *sw_row_at(uint32_t i)
{
    return (sw_row *)((uint8_t *)sw_window + sw_window->row_off + i * SW_ROW_SIZE);
}
static inline float *sw_logits_at(uint32_t i)
{
    return (float *)((uint8_t *)sw_window + sw_window->logits_off + i * sw_window->row_stride);
}
static inline uint32_t *sw_mask_at(uint32_t i)
{
    return (uint32_t *)((uint8_t *)sw_window + sw_window->mask_off + i * sw_window->mask_stride);
}
static inline sw_candidate *sw_candidates_at(uint32_t i)
{
    return (sw_candidate *)((uint8_t *)sw_window + sw_window->cand_off) + i * sw_window->cand_cap;
}
static inline const int32_t *sw_history_of(const sw_row *row)
{
    return (const int32_t *)((uint8_t *)sw_window + row->hist_off);
}
static inline void sw_pick(sw_row *row, int32_t token)
{
    row->action = SW_CHOICE_PICK;
    row->token = token;
}
/* The list must stay in place until the next call. */
static inline void sw_bias(sw_row *row, const sw_candidate *list, uint32_t n)
{
    row->action = SW_CHOICE_BIAS;
    row->out_off = (uint32_t)(uintptr_t)list;
    row->out_n = n;
}

/* --- what is left to write, by kind ---------------------------------------- */

#if defined(SANDWARP_FILTER) || defined(SANDWARP_SAMPLER) || defined(SANDWARP_TOKENIZER)
#define SANDWARP_IMPLEMENTATION
/* Once, before all else; the message is for sw_read_message. */
SW_EXPORT(sw_configure) int32_t sw_configure(const uint8_t *message, uint32_t n);
#endif

#if defined(SANDWARP_FILTER) || defined(SANDWARP_SAMPLER)
SW_EXPORT(sw_seq_open) int32_t sw_seq_open(uint64_t seq, const uint8_t *message, uint32_t n);
SW_EXPORT(sw_seq_close) int32_t sw_seq_close(uint64_t seq);
#ifdef SANDWARP_FORK /* define it to copy a sequence's state; else the host does */
/* Opens dst in the state of src, with the same settings; independent from then on. */
SW_EXPORT(sw_seq_fork) int32_t sw_seq_fork(uint64_t src, uint64_t dst);
#endif
#endif

#ifdef SANDWARP_FILTER
/* A verdict on text, which is all that is pending of the sequence. */
SW_EXPORT(sw_filter) int64_t sw_filter(uint64_t seq, const uint8_t *text, uint32_t n, uint32_t flags);
SW_EXPORT(sw_out) int64_t sw_out(void);
#endif

#ifdef SANDWARP_SAMPLER
/* Answers rows 0..rows-1 of the frame. */
SW_EXPORT(sw_sample) int32_t sw_sample(uint32_t rows);
SW_EXPORT(sw_frame) void *sw_frame(uint32_t bytes);
#ifdef SANDWARP_ACCEPT /* define it to be told of chosen tokens */
SW_EXPORT(sw_accept) int32_t sw_accept(uint64_t seq, const int32_t *tokens, uint32_t n);
#endif
#ifdef SANDWARP_PLAN /* define it to be called while the model computes */
/* Rows whose logits are not there yet. In mode mask it may answer them as sw_sample
 * does, which is then not called for them; in the others it must not. It may be
 * dropped: sw_sample must answer the same without it. */
SW_EXPORT(sw_plan) int32_t sw_plan(uint32_t rows);
#endif
#ifdef SANDWARP_ROLLBACK /* define it to take back accepted tokens; else they are replayed */
SW_EXPORT(sw_seq_rollback) int32_t sw_seq_rollback(uint64_t seq, uint32_t n);
#endif
#endif

#ifdef SANDWARP_TOKENIZER
/* Ids (int32) of n bytes of text, and text of n ids, as sw_pack(address, bytes).
 * They stay in place until the next call. */
SW_EXPORT(sw_encode) int64_t sw_encode(const uint8_t *text, uint32_t n, uint32_t flags);
SW_EXPORT(sw_decode) int64_t sw_decode(const int32_t *ids, uint32_t n, uint32_t flags);
#endif

/* --- implementation -------------------------------------------------------- */

#ifdef SANDWARP_IMPLEMENTATION

#ifndef SANDWARP_FEATURES
#define SANDWARP_FEATURES 0
#endif
#define SW_MINOR 0

int64_t sw_abi_v1(void) { return (int64_t)((uint64_t)SW_MINOR << 48 | (SANDWARP_FEATURES)); }

/* The builtins become memory.copy and memory.fill, not calls of themselves. */
void *memcpy(void *to, const void *from, size_t n) { return __builtin_memcpy(to, from, n); }
void *memmove(void *to, const void *from, size_t n) { return __builtin_memmove(to, from, n); }
void *memset(void *p, int value, size_t n) { return __builtin_memset(p, value, n); }

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)b;
    for (size_t i = 0; i < n; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

size_t strlen(const char *s)
{
    const volatile char *p = s; /* volatile: or the loop becomes a call of strlen */
    while (*p)
        p++;
    return (size_t)(p - s);
}

int32_t sw_char(const uint8_t *p, uint32_t n)
{
    uint8_t a = p[0];
    if (a < 0x80)
        return 1;
    if (a < 0xc2 || a > 0xf4)
        return 0;
    uint32_t len = a < 0xe0 ? 2 : a < 0xf0 ? 3 : 4;
    for (uint32_t i = 1; i < len; i++) {
        if (i >= n)
            return -1;
        uint8_t low = 0x80, high = 0xbf; /* no long forms, no surrogates, no more than U+10FFFF */
        if (i == 1) {
            low = a == 0xe0 ? 0xa0 : a == 0xf0 ? 0x90 : 0x80;
            high = a == 0xed ? 0x9f : a == 0xf4 ? 0x8f : 0xbf;
        }
        if (p[i] < low || p[i] > high)
            return 0;
    }
    return (int32_t)len;
}

uint32_t sw_whole(const uint8_t *text, uint32_t n, uint32_t flags)
{
    for (uint32_t back = 1; back <= 3 && back <= n && !(flags & SW_FLAG_END); back++) {
        uint8_t c = text[n - back];
        if ((c & 0xc0) != 0x80) /* the start of the last character */
            return sw_char(text + n - back, back) < 0 ? n - back : n;
    }
    return n;
}

void sw_clean(uint8_t *to, const uint8_t *text, uint32_t n)
{
    for (uint32_t i = 0; i < n;) {
        int32_t len = sw_char(text + i, n - i);
        if (len <= 0)
            to[i++] = '?';
        for (; len > 0; len--, i++)
            to[i] = text[i];
    }
}

/* Memory: a list of free blocks in order of address, first fit, neighbours joined.
 * A taken block has its size and its distance from the block's start before it. */
typedef struct sw_block {
    uint32_t size; /* bytes, this head included */
    struct sw_block *next;
    uint32_t unused[2];
} sw_block;

extern uint8_t __heap_base;
static sw_block *sw_free_list;
static bool sw_heap_ready;

static void sw_give(sw_block *b)
{
    sw_block *before = NULL, *after = sw_free_list;
    while (after && after < b) {
        before = after;
        after = after->next;
    }
    b->next = after;
    if (after && (uint8_t *)b + b->size == (uint8_t *)after) {
        b->size += after->size;
        b->next = after->next;
    }
    if (before && (uint8_t *)before + before->size == (uint8_t *)b) {
        before->size += b->size;
        before->next = b->next;
    } else if (before) {
        before->next = b;
    } else {
        sw_free_list = b;
    }
}

static void sw_add_region(uintptr_t from, uintptr_t to)
{
    from = (from + 15) & ~(uintptr_t)15;
    if (to < from + 64)
        return;
    sw_block *b = (sw_block *)from;
    b->size = (uint32_t)((to - from) & ~(uintptr_t)15);
    sw_give(b);
}

static void *sw_take(uint32_t need, uint32_t align)
{
    for (sw_block **at = &sw_free_list; *at; at = &(*at)->next) {
        sw_block *b = *at;
        uintptr_t start = (uintptr_t)b;
        uintptr_t p = (start + 16 + align - 1) & ~(uintptr_t)(align - 1);
        uint32_t used = (uint32_t)(p - start) + need;
        if (b->size < used)
            continue;
        sw_block *next = b->next;
        uint32_t size = b->size;
        if (size - used >= 64) {
            sw_block *rest = (sw_block *)(start + used);
            rest->size = size - used;
            rest->next = next;
            *at = rest;
            size = used;
        } else {
            *at = next;
        }
        ((uint32_t *)p)[-1] = (uint32_t)(p - start);
        ((uint32_t *)p)[-2] = size;
        return (void *)p;
    }
    return NULL;
}

void *sw_alloc(uint32_t size, uint32_t align)
{
    if (size > 0x7ff00000 || align > 65536 || (align & (align - 1)))
        return NULL;
    if (align < 16)
        align = 16;
    if (!sw_heap_ready) {
        sw_heap_ready = true;
        sw_add_region((uintptr_t)&__heap_base, (uintptr_t)__builtin_wasm_memory_size(0) << 16);
    }
    uint32_t need = size ? (size + 15) & ~(uint32_t)15 : 16;
    void *p = sw_take(need, align);
    if (p)
        return p;
    uint32_t pages = (uint32_t)(((uint64_t)need + align + 16 + 65535) >> 16);
    size_t old = __builtin_wasm_memory_grow(0, pages);
    if (old == (size_t)-1)
        return NULL;
    sw_add_region(old << 16, (old + pages) << 16);
    return sw_take(need, align);
}

void sw_free(void *p, uint32_t size, uint32_t align)
{
    (void)size;
    (void)align;
    if (!p)
        return;
    uint32_t bytes = ((uint32_t *)p)[-2];
    sw_block *b = (sw_block *)((uint8_t *)p - ((uint32_t *)p)[-1]);
    b->size = bytes;
    sw_give(b);
}

static char sw_note[256];
static uint32_t sw_note_n;

void sw_fail_text(const void *text, uint32_t n)
{
    if (n > sizeof sw_note - sw_note_n)
        n = (uint32_t)sizeof sw_note - sw_note_n;
    memcpy(sw_note + sw_note_n, text, n);
    sw_note_n += n;
}

void sw_fail_number(int64_t n)
{
    char b[20];
    uint32_t i = sizeof b;
    uint64_t u = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    do
        b[--i] = (char)('0' + u % 10);
    while (u /= 10);
    if (n < 0)
        b[--i] = '-';
    sw_fail_text(b + i, (uint32_t)sizeof b - i);
}

int32_t sw_fail(int32_t code, const char *text)
{
    sw_note_n = 0;
    sw_fail_text(text, (uint32_t)strlen(text));
    return code;
}

int64_t sw_last_error(void) { return sw_note_n ? sw_pack(sw_note, sw_note_n) : 0; }

/* msgpack (https://github.com/msgpack/msgpack/blob/master/spec.md). */

static void sw_wrong(sw_reader *r)
{
    r->err = SW_EINVAL;
    r->at = r->end;
}

static const uint8_t *sw_bytes(sw_reader *r, uint64_t n)
{
    if (r->err || n > (uint64_t)(r->end - r->at)) {
        sw_wrong(r);
        return NULL;
    }
    const uint8_t *p = r->at;
    r->at += n;
    return p;
}

static uint64_t sw_big(sw_reader *r, uint32_t n)
{
    const uint8_t *p = sw_bytes(r, n);
    uint64_t v = 0;
    for (uint32_t i = 0; p && i < n; i++)
        v = v << 8 | p[i];
    return v;
}

sw_type sw_peek(const sw_reader *r)
{
    if (r->err || r->at == r->end)
        return SW_TYPE_NONE;
    uint8_t c = *r->at;
    if (c < 0x80 || c >= 0xe0 || (c >= 0xcc && c <= 0xd3))
        return SW_TYPE_INT;
    if (c < 0x90 || c == 0xde || c == 0xdf)
        return SW_TYPE_MAP;
    if (c < 0xa0 || c == 0xdc || c == 0xdd)
        return SW_TYPE_ARRAY;
    if (c < 0xc0 || (c >= 0xd9 && c <= 0xdb))
        return SW_TYPE_TEXT;
    if (c == 0xc0)
        return SW_TYPE_NIL;
    if (c == 0xc2 || c == 0xc3)
        return SW_TYPE_BOOL;
    if (c >= 0xc4 && c <= 0xc6)
        return SW_TYPE_BYTES;
    if (c == 0xca || c == 0xcb)
        return SW_TYPE_FLOAT;
    return SW_TYPE_NONE; /* reserved and extension types */
}

/* The type code of the next value, if it is of the type wanted. */
static bool sw_expect(sw_reader *r, sw_type want, uint8_t *code)
{
    if (sw_peek(r) != want) {
        sw_wrong(r);
        return false;
    }
    *code = *r->at++;
    return true;
}

bool sw_read_nil(sw_reader *r)
{
    if (sw_peek(r) != SW_TYPE_NIL)
        return false;
    r->at++;
    return true;
}

bool sw_read_bool(sw_reader *r)
{
    uint8_t c;
    return sw_expect(r, SW_TYPE_BOOL, &c) && c == 0xc3;
}

int64_t sw_read_int(sw_reader *r)
{
    uint8_t c;
    if (!sw_expect(r, SW_TYPE_INT, &c))
        return 0;
    if (c < 0x80 || c >= 0xe0)
        return (int8_t)c;
    uint32_t n = (uint32_t)1 << (c & 3); /* 0xcc and 0xd0 begin runs of four */
    uint64_t v = sw_big(r, n);
    if (c >= 0xd0) { /* signed: stretch the sign over the upper bits */
        uint32_t shift = 64 - 8 * n;
        return (int64_t)(v << shift) >> shift;
    }
    if (v > INT64_MAX) {
        sw_wrong(r);
        return 0;
    }
    return (int64_t)v;
}

uint64_t sw_read_uint(sw_reader *r, uint64_t max)
{
    uint64_t v;
    if (!r->err && r->at < r->end && *r->at == 0xcf) {
        r->at++;
        v = sw_big(r, 8);
    } else {
        int64_t s = sw_read_int(r);
        if (s < 0)
            sw_wrong(r);
        v = (uint64_t)s;
    }
    if (v > max)
        sw_wrong(r);
    return r->err ? 0 : v;
}

double sw_read_float(sw_reader *r)
{
    uint8_t c;
    if (sw_peek(r) != SW_TYPE_FLOAT)
        return (double)sw_read_int(r);
    sw_expect(r, SW_TYPE_FLOAT, &c);
    if (c == 0xcb) {
        uint64_t bits = sw_big(r, 8);
        double v;
        memcpy(&v, &bits, sizeof v);
        return v;
    }
    uint32_t bits = (uint32_t)sw_big(r, 4);
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

const uint8_t *sw_read_text(sw_reader *r, uint32_t *n)
{
    uint8_t c;
    bool bytes = sw_peek(r) == SW_TYPE_BYTES;
    *n = 0;
    if (!sw_expect(r, bytes ? SW_TYPE_BYTES : SW_TYPE_TEXT, &c))
        return NULL;
    uint64_t len = c < 0xc0 ? c & 31 : sw_big(r, (uint32_t)1 << (c - (bytes ? 0xc4 : 0xd9)));
    const uint8_t *p = sw_bytes(r, len);
    *n = p ? (uint32_t)len : 0;
    return p;
}

/* An array's or map's count; each value inside takes a byte at least. */
static uint32_t sw_count(sw_reader *r, sw_type type, uint8_t wide, uint32_t each)
{
    uint8_t c;
    if (!sw_expect(r, type, &c))
        return 0;
    uint64_t n = c < 0xa0 ? c & 15 : sw_big(r, (uint32_t)2 << (c - wide));
    if (r->err || n * each > (uint64_t)(r->end - r->at)) {
        sw_wrong(r);
        return 0;
    }
    return (uint32_t)n;
}

uint32_t sw_read_array(sw_reader *r) { return sw_count(r, SW_TYPE_ARRAY, 0xdc, 1); }
uint32_t sw_read_map(sw_reader *r) { return sw_count(r, SW_TYPE_MAP, 0xde, 2); }

/* Reads over a scalar, or over the head of an array or map, and returns the number
 * of values inside. */
static uint32_t sw_skip_one(sw_reader *r)
{
    uint32_t n;
    switch (sw_peek(r)) {
    case SW_TYPE_ARRAY:
        return sw_read_array(r);
    case SW_TYPE_MAP:
        return 2 * sw_read_map(r);
    case SW_TYPE_TEXT:
    case SW_TYPE_BYTES:
        sw_read_text(r, &n);
        return 0;
    case SW_TYPE_INT:
        if (*r->at == 0xcf)
            sw_read_uint(r, UINT64_MAX);
        else
            sw_read_int(r);
        return 0;
    case SW_TYPE_FLOAT:
        sw_read_float(r);
        return 0;
    case SW_TYPE_NIL:
    case SW_TYPE_BOOL:
        r->at++;
        return 0;
    default:
        sw_wrong(r);
        return 0;
    }
}

void sw_skip(sw_reader *r)
{
    uint32_t todo[SW_MAX_DEPTH + 1]; /* values still to come at each depth */
    uint32_t depth = 0;
    todo[0] = 1;
    while (!r->err) {
        while (depth > 0 && todo[depth] == 0)
            depth--;
        if (todo[depth] == 0)
            return;
        todo[depth]--;
        uint32_t inside = sw_skip_one(r);
        if (inside == 0)
            continue;
        if (depth == SW_MAX_DEPTH)
            sw_wrong(r);
        else
            todo[++depth] = inside;
    }
}

int32_t sw_read_message(const void *p, uint32_t n, sw_message *m)
{
    sw_reader r = sw_read(p, n);
    m->config = sw_read(p, 0);
    m->seed = 0;
    m->vocab = 0;
    for (uint32_t pairs = sw_read_map(&r); pairs > 0 && !r.err; pairs--) {
        uint32_t len;
        const uint8_t *key = sw_read_text(&r, &len);
        const uint8_t *from = r.at;
        if (sw_is(key, len, "config")) {
            if (sw_read_nil(&r))
                continue;
            sw_skip(&r);
            m->config = sw_read(from, (uint32_t)(r.at - from));
        } else if (sw_is(key, len, "seed")) {
            m->seed = sw_read_uint(&r, UINT64_MAX);
        } else if (sw_is(key, len, "vocab")) {
            m->vocab = (uint32_t)sw_read_uint(&r, SW_MAX_VOCAB);
        } else {
            sw_skip(&r);
        }
    }
    if (r.err || r.at != r.end)
        return sw_fail(SW_EINVAL, "the host's message is malformed");
    return SW_OK;
}

const uint8_t *sw_read_host(const void *p, uint32_t n, uint32_t *len)
{
    sw_reader r = sw_read(p, n);
    for (uint32_t pairs = sw_read_map(&r); pairs > 0 && !r.err; pairs--) {
        const uint8_t *key = sw_read_text(&r, len);
        if (sw_is(key, *len, "host")) {
            key = sw_read_text(&r, len);
            return r.err ? NULL : key;
        }
        sw_skip(&r);
    }
    return NULL;
}

/* Sequences: open addressing, from a place the number's bits choose. */

static uint32_t sw_slot_first(uint64_t seq, uint32_t cap)
{
    return (uint32_t)(seq * 0x9e3779b97f4a7c15 >> 32) & (cap - 1);
}

int32_t sw_slot_find(const sw_slot *t, uint32_t cap, uint64_t seq)
{
    uint32_t i = sw_slot_first(seq, cap);
    for (uint32_t n = 0; n < cap && t[i].state != 0; n++, i = (i + 1) & (cap - 1))
        if (t[i].state == 1 && t[i].seq == seq)
            return (int32_t)i;
    return SW_ENOENT;
}

int32_t sw_slot_open(sw_slot *t, uint32_t cap, uint64_t seq)
{
    int32_t have = sw_slot_find(t, cap, seq);
    if (have >= 0)
        return have;
    uint32_t i = sw_slot_first(seq, cap);
    for (uint32_t n = 0; n < cap; n++, i = (i + 1) & (cap - 1))
        if (t[i].state != 1) {
            t[i].seq = seq;
            t[i].state = 1;
            return (int32_t)i;
        }
    return sw_fail(SW_ENOMEM, "too many sequences at once");
}

int32_t sw_slot_close(sw_slot *t, uint32_t cap, uint64_t seq)
{
    int32_t at = sw_slot_find(t, cap, seq);
    if (at < 0)
        return at;
    uint32_t i = (uint32_t)at;
    t[i].state = 2;
    if (t[(i + 1) & (cap - 1)].state == 0) /* no search goes on from here */
        for (; t[i].state == 2; i = (i - 1) & (cap - 1))
            t[i].state = 0;
    return at;
}

#ifdef SANDWARP_FILTER
static int64_t sw_out_range;
void sw_set_out(const void *out, uint32_t len) { sw_out_range = sw_pack(out, len); }
int64_t sw_out(void) { return sw_out_range; }
#endif

#ifdef SANDWARP_SAMPLER
sw_header *sw_window;
static uint32_t sw_window_pages;

/* Whole pages of their own: aligned, and apart from the heap. */
void *sw_frame(uint32_t bytes)
{
    uint32_t pages = (uint32_t)(((uint64_t)bytes + 65535) >> 16);
    if (pages <= sw_window_pages)
        return sw_window;
    size_t old = __builtin_wasm_memory_grow(0, pages);
    if (old == (size_t)-1)
        return NULL;
    sw_window = (sw_header *)(old << 16);
    sw_window_pages = pages;
    return sw_window;
}
#endif

#endif /* SANDWARP_IMPLEMENTATION */

#ifdef __cplusplus
}
#endif
#endif /* SANDWARP_H */
