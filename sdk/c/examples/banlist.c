//go:build ignore

/* banlist: a sampler that never lets certain tokens be chosen. Configuration, of
 * the plugin or of a request: {"ban": [id, ...], "bias": [[id, number], ...]}.
 * It works in mask mode and answers with a list of biases, so that it needs no
 * logits and costs nothing but the list's length. */
#include "../sandwarp.h"

enum { MAX_SEQS = 256 };

typedef struct { sw_candidate *v; u32 n, cap; } list;
typedef struct { u64 id; u8 used; list own; } seq; /* own: empty for the plugin's */

static list standard;
static seq seqs[MAX_SEQS];

static i32 add(list *l, i64 id, double v) {
  if (id < 0 || id > 0x7fffffff) return sw_fail(SW_EINVAL, "token ids are not negative");
  if (l->n == l->cap) {
    u32 cap = l->cap ? 2 * l->cap : 64;
    sw_candidate *w = sw_get(cap * sizeof *w);
    if (!w) return sw_fail(SW_ENOMEM, "no memory for the list");
    for (u32 i = 0; i < l->n; i++) w[i] = l->v[i];
    sw_put(l->v, l->cap * sizeof *w);
    l->v = w;
    l->cap = cap;
  }
  l->v[l->n].id = (u32)id;
  l->v[l->n++].logit = (float)v;
  return 0;
}

/* numeric reads an integer or a float. */
static i32 numeric(sw_reader *r, double *d) {
  i64 v = 0;
  const u8 *s;
  union { i64 i; double d; } x;
  u8 t = sw_item(r, &v, &s);
  x.i = v;
  *d = t == 'f' ? x.d : (double)v;
  return t == 'f' || t == 'i';
}

/* configure adds what the configuration lists to l. */
static i32 configure(list *l, sw_reader config) {
  i64 n = 0, id = 0, two = 0;
  const u8 *s;
  double v;
  i32 e = 0;
  if (!config.p) return 0;
  sw_reader r = config;
  if (sw_find(&r, "ban")) {
    if (sw_item(&r, &n, &s) != 'a') return sw_fail(SW_EINVAL, "ban: want an array of token ids");
    while (n-- > 0 && !e) {
      if (sw_item(&r, &id, &s) != 'i') return sw_fail(SW_EINVAL, "ban: want an array of token ids");
      e = add(l, id, -__builtin_inf());
    }
  }
  if (!r.ok) return sw_fail(SW_EINVAL, "the configuration is not a map");
  r = config;
  if (!e && sw_find(&r, "bias")) {
    if (sw_item(&r, &n, &s) != 'a') return sw_fail(SW_EINVAL, "bias: want an array of pairs");
    while (n-- > 0 && !e) {
      if (sw_item(&r, &two, &s) != 'a' || two != 2 || sw_item(&r, &id, &s) != 'i' || !numeric(&r, &v))
        return sw_fail(SW_EINVAL, "bias: want an array of pairs of a token id and a number");
      if (!(v < 3e38)) return sw_fail(SW_EINVAL, "bias: want finite numbers, or -infinity");
      e = add(l, id, v);
    }
  }
  return e;
}

static i32 on_configure(sw_reader config, u64 seed) {
  (void)seed;
  return configure(&standard, config);
}

static seq *lookup(u64 id) {
  for (u32 i = 0; i < MAX_SEQS; i++)
    if (seqs[i].used && seqs[i].id == id) return seqs + i;
  return 0;
}

static void drop(list *l) {
  sw_put(l->v, l->cap * sizeof *l->v);
  l->v = 0;
  l->n = l->cap = 0;
}

static i32 on_seq_open(u64 id, sw_reader config, u64 seed) {
  (void)seed;
  for (u32 i = 0; i < MAX_SEQS; i++) {
    seq *q = seqs + i;
    i32 e = 0;
    if (q->used) continue;
    q->id = id;
    if (config.p) { /* the request's list comes on top of the plugin's */
      for (u32 j = 0; j < standard.n && !e; j++) e = add(&q->own, standard.v[j].id, standard.v[j].logit);
      if (!e) e = configure(&q->own, config);
      if (e) drop(&q->own);
    }
    q->used = !e;
    return e;
  }
  return sw_fail(SW_ENOSPC, "too many sequences");
}

static i32 on_seq_close(u64 id) {
  seq *q = lookup(id);
  if (!q) return SW_ENOENT;
  drop(&q->own);
  q->used = 0;
  return 0;
}

SW_EXPORT(sw_sample) i32 sw_sample(u32 rows) {
  sw_row *r = sw_rows();
  for (u32 i = 0; i < rows; i++, r++) {
    seq *q = lookup(r->seq);
    if (!q) return sw_fail(SW_ENOENT, "no such sequence");
    const list *l = q->own.n ? &q->own : &standard;
    if (!l->n) continue;
    r->action = SW_BIAS;
    r->out_off = (u32)l->v;
    r->out_n = l->n;
  }
  return 0;
}
