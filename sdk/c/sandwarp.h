/* sandwarp.h: the guest side of sandwarp's plugin ABI, version 1, for C.
 *
 * Include it in the one source file of a plugin and define the functions of its
 * kind (see docs/abi.md):
 *
 *   sampler    sw_sample, and sw_accept if wanted
 *   filter     sw_filter, sw_out
 *   tokenizer  sw_encode, sw_decode
 *
 * each marked SW_EXPORT(name), and on_configure, on_seq_open, on_seq_close. The
 * header exports the rest. No C library is needed. Build:
 *
 *   clang --target=wasm32 -O2 -msimd128 -mbulk-memory -ffreestanding -nostdlib -c x.c
 *   wasm-ld --no-entry --strip-all x.o -o x.wasm
 *
 * and write the manifest into it: go run .../sdk/pack x.json x.wasm
 *
 * The host calls from one thread and never re-enters. Memory it is given stays
 * valid until the next call. */
#ifndef SANDWARP_H
#define SANDWARP_H

typedef unsigned char u8;
typedef unsigned int u32;
typedef int i32;
typedef unsigned long long u64;
typedef long long i64;

#define SW_EXPORT(name) __attribute__((export_name(#name)))
#define SW_IMPORT(name) __attribute__((import_module("sw1"), import_name(#name)))

enum { SW_EPERM = -1, SW_ENOENT = -2, SW_EIO = -5, SW_E2BIG = -7, SW_ENOMEM = -12, SW_EINVAL = -22, SW_ENOSPC = -28, SW_ENOSYS = -38 };
enum { SW_PASS = 0, SW_HOLD = 1, SW_REPLACE = 2, SW_STOP = 3 };                 /* verdicts */
enum { SW_PROMPT = 1, SW_END = 2, SW_REPLAY = 4, SW_SPECIAL = 1 };              /* flags */
enum { SW_NONE = 0, SW_PICK = 1, SW_EDIT = 2, SW_MASK = 3, SW_KEEP = 4, SW_BIAS = 5 }; /* choices */

#define SW_REQUIRE_HOST_OPS 1
#define SW_REQUIRE_VOCAB 2
#define SW_REQUIRE_REPLAY 4

/* Host functions; negative results are errors. Those not used are not linked. */
SW_IMPORT(log) i32 sw_log(i32 level, const void *text, u32 n);
SW_IMPORT(metric) i32 sw_metric(const void *name, u32 n, double value);
SW_IMPORT(now) i64 sw_now(void);
SW_IMPORT(rand) u64 sw_rand(void);
SW_IMPORT(kv_get) i32 sw_kv_get(const void *key, u32 n, void *value, u32 cap);
SW_IMPORT(kv_set) i32 sw_kv_set(const void *key, u32 n, const void *value, u32 len);
SW_IMPORT(vocab_map) i64 sw_vocab_map(void *table, u32 cap);
SW_IMPORT(op_topk) i32 sw_op_topk(const float *logits, u32 n, u32 k, void *candidates);
SW_IMPORT(op_mask) i32 sw_op_mask(float *logits, u32 n, const u32 *mask);
SW_IMPORT(op_scale) i32 sw_op_scale(float *logits, u32 n, float mul, float add);
SW_IMPORT(op_penalty) i32 sw_op_penalty(float *logits, u32 n, const i32 *ids, u32 m, float repeat, float presence, float frequency);
SW_IMPORT(op_lse) double sw_op_lse(const float *logits, u32 n);
SW_IMPORT(op_gather) i32 sw_op_gather(const float *logits, u32 n, const i32 *ids, u32 m, float *out);

/* The frame: see docs/abi.md. Offsets count from its start. */
typedef struct {
  u32 magic; unsigned short size, version; u32 rows, vocab; u64 step;
  u32 flags, row_off, logits_off, row_stride, mask_off, mask_stride, cand_off, cand_cap, hist_off, hist_cap;
} sw_header;

typedef struct {
  u64 seq; i32 parent; u32 pos, hist_off, hist_n, cand_n, flags; u64 seed;
  float temp, top_p; u32 top_k; float min_p;
  u32 action; i32 token; float logprob; u32 out_off, out_n; u8 reserved[52];
} sw_row;

typedef struct { u32 id; float logit; } sw_candidate;

_Static_assert(sizeof(sw_header) == 64 && sizeof(sw_row) == 128 && sizeof(sw_candidate) == 8, "layout");

static u8 *sw_window; /* the frame */

static inline sw_header *sw_head(void) { return (sw_header *)sw_window; }
static inline sw_row *sw_rows(void) { return (sw_row *)(sw_window + sw_head()->row_off); }
static inline float *sw_logits(u32 i) { return (float *)(sw_window + sw_head()->logits_off + i * sw_head()->row_stride); }
static inline u32 *sw_mask(u32 i) { return (u32 *)(sw_window + sw_head()->mask_off + i * sw_head()->mask_stride); }
static inline sw_candidate *sw_candidates(u32 i) { return (sw_candidate *)(sw_window + sw_head()->cand_off) + i * sw_head()->cand_cap; }

static inline i64 sw_pack(const void *p, u32 n) { return (i64)((u64)(u32)p << 32 | n); }
static inline i64 sw_verdict(u32 action, u32 n) { return (i64)((u64)action << 56 | n); }

/* Memory: blocks of powers of two, freed ones kept by size. */
extern u8 __heap_base;
static u8 *sw_top;
static void *sw_freed[32];

static u32 sw_class(u32 n) { return n <= 16 ? 4 : 32 - __builtin_clz(n - 1); }

static void *sw_get(u32 n) {
  u32 c = sw_class(n);
  if (c > 30) return 0;
  if (sw_freed[c]) {
    void *p = sw_freed[c];
    sw_freed[c] = *(void **)p;
    return p;
  }
  if (!sw_top) sw_top = (u8 *)(((u32)&__heap_base + 15) & ~15u);
  u64 end = (u64)(u32)sw_top + (1u << c);
  u64 have = (u64)__builtin_wasm_memory_size(0) << 16;
  if (end > have && __builtin_wasm_memory_grow(0, (end - have + 65535) >> 16) == (unsigned long)-1) return 0;
  void *p = sw_top;
  sw_top = (u8 *)(u32)end;
  return p;
}

static void sw_put(void *p, u32 n) {
  u32 c = sw_class(n);
  if (!p) return;
  *(void **)p = sw_freed[c];
  sw_freed[c] = p;
}

SW_EXPORT(sw_alloc) void *sw_alloc(u32 n, u32 align) { return align > 16 ? 0 : sw_get(n); }
SW_EXPORT(sw_free) void sw_free(void *p, u32 n, u32 align) { (void)align; sw_put(p, n); }

/* The window begins at a page of its own. */
SW_EXPORT(sw_frame) void *sw_frame(u32 n) {
  unsigned long page = __builtin_wasm_memory_grow(0, ((u64)n + 65535) >> 16);
  if (page == (unsigned long)-1) return 0;
  sw_window = (u8 *)(page << 16);
  sw_top = (u8 *)((u32)sw_window + (((u64)n + 65535) >> 16 << 16)); /* the heap goes on behind it */
  return sw_window;
}

/* Errors: return sw_fail(code, "words"). */
static const char *sw_words;
static u32 sw_words_n;

static i32 sw_fail(i32 code, const char *words) {
  sw_words = words;
  for (sw_words_n = 0; words[sw_words_n]; sw_words_n++) {}
  return code;
}

SW_EXPORT(sw_last_error) i64 sw_last_error(void) { return sw_words ? sw_pack(sw_words, sw_words_n) : 0; }

/* A reader of msgpack. Any error makes ok 0 and all that follows zero. */
typedef struct { const u8 *p, *end; i32 ok; } sw_reader;

static u64 sw_bytes(sw_reader *r, u32 n) {
  u64 v = 0;
  if (!r->ok || (u32)(r->end - r->p) < n) { r->ok = 0; return 0; }
  while (n--) v = v << 8 | *r->p++;
  return v;
}

/* sw_item reads the head of a value: its type 'n' nil, 'b' bool, 'i' integer,
 * 'f' float, 's' string or bytes, 'a' array, 'm' map, 0 for an error; and its
 * value, bits, length or count. The bytes of a string are skipped. */
static u8 sw_item(sw_reader *r, i64 *v, const u8 **s) {
  u32 c = sw_bytes(r, 1);
  u8 type = 0;
  if (!r->ok) return 0;
  if (c < 0x80 || c >= 0xe0) { *v = (signed char)c; return 'i'; }
  else if (c < 0x90) { *v = c & 15; return 'm'; }
  else if (c < 0xa0) { *v = c & 15; return 'a'; }
  else if (c < 0xc0) { *v = c & 31; type = 's'; }
  else if (c == 0xc0) return 'n';
  else if (c == 0xc2 || c == 0xc3) { *v = c & 1; return 'b'; }
  else if (c >= 0xc4 && c <= 0xc6) { *v = sw_bytes(r, 1u << (c - 0xc4)); type = 's'; }
  else if (c == 0xca || c == 0xcb) {
    union { u64 u; double d; u32 w; float f; } x;
    x.u = sw_bytes(r, c == 0xca ? 4 : 8);
    if (c == 0xca) x.d = x.f;
    *v = (i64)x.u;
    return r->ok ? 'f' : 0;
  }
  else if (c >= 0xcc && c <= 0xcf) { *v = sw_bytes(r, 1u << (c - 0xcc)); return r->ok ? 'i' : 0; }
  else if (c >= 0xd0 && c <= 0xd3) {
    u32 n = 1u << (c - 0xd0);
    *v = (i64)(sw_bytes(r, n) << (64 - 8 * n)) >> (64 - 8 * n);
    return r->ok ? 'i' : 0;
  }
  else if (c >= 0xd9 && c <= 0xdb) { *v = sw_bytes(r, 1u << (c - 0xd9)); type = 's'; }
  else if (c == 0xdc || c == 0xdd) { *v = sw_bytes(r, 2u << (c - 0xdc)); type = 'a'; }
  else if (c == 0xde || c == 0xdf) { *v = sw_bytes(r, 2u << (c - 0xde)); type = 'm'; }
  if (type == 's') {
    if (!r->ok || *v > r->end - r->p) { r->ok = 0; return 0; }
    *s = r->p;
    r->p += *v;
  }
  if (!type) r->ok = 0;
  return r->ok ? type : 0;
}

/* sw_skip reads over one value, whatever it holds. */
static void sw_skip(sw_reader *r) {
  i64 v = 0;
  const u8 *s;
  u64 todo = 1;
  while (todo-- && r->ok) {
    u8 t = sw_item(r, &v, &s);
    if (t == 'a') todo += (u64)v;
    if (t == 'm') todo += 2 * (u64)v;
  }
}

/* sw_key reads a map's key and says whether it is the given one. */
static i32 sw_is(const u8 *s, i64 n, const char *key) {
  i64 i = 0;
  while (i < n && key[i] && (u8)key[i] == s[i]) i++;
  return i == n && !key[i];
}

/* sw_find makes r stand at the value of a key in the map it stands at. */
static i32 sw_find(sw_reader *r, const char *key) {
  i64 n = 0, len = 0;
  const u8 *s = 0;
  if (sw_item(r, &n, &s) != 'm') { r->ok = 0; return 0; }
  while (n-- > 0 && r->ok) {
    if (sw_item(r, &len, &s) != 's') { r->ok = 0; return 0; }
    if (sw_is(s, len, key)) return 1;
    sw_skip(r);
  }
  return 0;
}

/* The plugin's own functions. config stands at the configuration, or config->p
 * is 0 if there is none. They return 0 or an error. */
static i32 on_configure(sw_reader config, u64 seed);
static i32 on_seq_open(u64 seq, sw_reader config, u64 seed);
static i32 on_seq_close(u64 seq);

static sw_reader sw_config(const u8 *p, u32 n, u64 *seed) {
  sw_reader all = {p, p + n, 1}, r = all;
  i64 v = 0;
  const u8 *s;
  *seed = sw_find(&r, "seed") && sw_item(&r, &v, &s) == 'i' ? (u64)v : 0;
  r = all;
  if (!sw_find(&r, "config") || *r.p == 0xc0) r.p = 0;
  return r;
}

SW_EXPORT(sw_configure) i32 sw_configure(const u8 *p, u32 n) {
  u64 seed;
  sw_reader r = sw_config(p, n, &seed);
  return on_configure(r, seed);
}

SW_EXPORT(sw_seq_open) i32 sw_seq_open(u64 seq, const u8 *p, u32 n) {
  u64 seed;
  sw_reader r = sw_config(p, n, &seed);
  return on_seq_open(seq, r, seed);
}

SW_EXPORT(sw_seq_close) i32 sw_seq_close(u64 seq) { return on_seq_close(seq); }

#ifndef SW_REQUIRE
#define SW_REQUIRE 0 /* features the plugin cannot do without */
#endif
SW_EXPORT(sw_abi_v1) i64 sw_abi_v1(void) { return SW_REQUIRE; }

#endif
