//go:build ignore

/* redact: an output filter that replaces e-mail addresses, phone, card and US
 * social security numbers, also where they fall across chunks. It judges exactly
 * as the Go example sdk/go/examples/redact does, whose comments say why. */
#define SW_REQUIRE SW_REQUIRE_REPLAY
#include "../sandwarp.h"

enum { PLAIN, EMAIL, PHONE, CARD, SSN, KINDS };
enum { MAX_WORD = 254, MAX_DOMAIN = 253, MAX_NUMBER = 64, MAX_SEQS = 256, MAX_TEXT = 64 };

typedef struct {
  u64 id;
  u8 used, flags, skip; /* skip: 'w' or 'n' inside a word or number too long to judge */
  u8 text[MAX_TEXT];    /* one text for all kinds, if text_n is not 0 */
  u32 text_n;
} stream;

static stream streams[MAX_SEQS];
static stream standard;
static u8 *out;
static u32 out_n, out_cap, found;

static i32 is_digit(u8 c) { return c >= '0' && c <= '9'; }
static i32 is_letter(u8 c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }
static i32 is_upper(u8 c) { return c >= 'A' && c <= 'Z'; }
static i32 is_alnum(u8 c) { return is_digit(c) || is_letter(c); }
static i32 is_domain(u8 c) { return is_alnum(c) || c == '.' || c == '-'; }
static i32 is_word(u8 c) { return is_domain(c) || c == '_' || c == '%' || c == '+'; }
static i32 is_number(u8 c) { return is_digit(c) || c == ' ' || c == '-' || c == '.' || c == '/' || c == '(' || c == ')'; }

/* emit releases n bytes, or what stands for them. */
static void emit(const stream *s, const u8 *p, u32 n, u8 kind) {
  static const char *const labels[KINDS] = {0, "[email]", "[phone]", "[card]", "[ssn]"};
  if (kind != PLAIN) {
    found = 1;
    p = s->text;
    if (!(n = s->text_n))
      for (p = (const u8 *)labels[kind]; p[n]; n++) {}
  }
  for (u32 i = 0; i < n && out_n < out_cap; i++) out[out_n++] = p[i];
}

/* run is the length of the longest prefix whose bytes are in a class, at most
 * max + 1; *open says that more text could make it longer. */
static u32 run(const u8 *p, u32 len, u32 max, i32 (*in)(u8), i32 end, i32 *open) {
  u32 n = 0;
  while (n < len && n <= max && in(p[n])) n++;
  *open = n == len && n <= max && !end;
  return n;
}

/* domain is the length of the host name at p, 0 if there is none. */
static u32 domain(const u8 *p, u32 n) {
  u32 letters = 0, dot = 0;
  while (n > 0 && !is_alnum(p[n - 1])) n--;
  for (u32 i = n; i > 0 && !dot; i--) {
    u8 c = p[i - 1];
    if (c == '.') dot = 1;
    else if (is_letter(c)) letters++;
    else return 0;
  }
  return dot && letters >= 2 && is_alnum(p[0]) ? n : 0;
}

/* A group of digits; sep bytes stand before it. */
typedef struct { u32 start, end, sep; } group;

static u32 len(const group *g) { return g->end - g->start; }

static i32 joins(const u8 *p, const group *g) {
  const u8 *s = p + g->start - g->sep;
  if (g->sep == 1) return *s == ' ' || *s == '-' || *s == '.' || *s == '/' || *s == ')' || *s == '(';
  if (g->sep != 2) return 0;
  return (s[0] == ')' && (s[1] == ' ' || s[1] == '-')) || (s[1] == '(' && (s[0] == ' ' || s[0] == '-'));
}

static u8 sep(const u8 *p, const group *g) { return g->sep == 1 ? p[g->start - 1] : 0; }

static i32 card_groups(const u8 *p, const group *g, u32 n) {
  for (u32 i = 1; i < n; i++)
    if (sep(p, g + i) != sep(p, g + 1) || (sep(p, g + i) != ' ' && sep(p, g + i) != '-')) return 0;
  if (n == 3 && len(g + 1) == 6) return len(g) == 4 && (len(g + 2) == 4 || len(g + 2) == 5);
  for (u32 i = 0; i + 1 < n; i++)
    if (len(g + i) != 4) return 0;
  return n == 1 || len(g + n - 1) <= 4;
}

/* Luhn's digit, ISO/IEC 7812-1. */
static i32 is_card(const u8 *p, const group *g, u32 n, u32 digits) {
  u32 sum = 0, k = 0;
  if (digits < 12 || digits > 19 || !card_groups(p, g, n)) return 0;
  for (u32 i = g[n - 1].end; i > g[0].start; i--) {
    u32 d = p[i - 1] - '0';
    if (!is_digit(p[i - 1])) continue;
    if (k++ % 2 && (d *= 2) > 9) d -= 9;
    sum += d;
  }
  return sum % 10 == 0;
}

static i32 is_ssn(const u8 *p, const group *g, u32 n) {
  return n == 3 && sep(p, g + 1) == '-' && sep(p, g + 2) == '-' && len(g) == 3 && len(g + 1) == 2 && len(g + 2) == 4;
}

static i32 is_year(const u8 *p, const group *g) {
  p += g->start;
  return len(g) == 4 && ((p[0] == '1' && p[1] == '9') || (p[0] == '2' && p[1] == '0'));
}

static i32 is_date(const u8 *p, const group *g, u32 n) {
  if (n >= 3 && is_year(p, g)) return len(g + 1) <= 2 && len(g + 2) <= 2;
  if (n == 3 && is_year(p, g + 2)) return len(g) <= 2 && len(g + 1) <= 2;
  return n == 2 && is_year(p, g) && is_year(p, g + 1);
}

static i32 is_ip(const u8 *p, const group *g, u32 n) {
  for (u32 i = 0; i < n; i++) {
    u32 v = 0;
    if (len(g + i) > 3) return 0;
    for (u32 j = g[i].start; j < g[i].end; j++) v = v * 10 + p[j] - '0';
    if (v > 255) return 0;
  }
  return 1;
}

static i32 is_phone(const u8 *p, const group *g, u32 n, u32 digits, i32 plus) {
  u32 ones = 0, slashes = 0, dots = 0, a = len(g), b = n > 1 ? len(g + 1) : 0;
  if (digits < 7 || digits > 15 || n > 7) return 0;
  if (plus) return digits >= 8;
  if (n == 1) {
    const u8 *d = p + g->start;
    return digits == 10 || digits == 11 || (digits <= 14 && digits > 9 && d[0] == '0' && d[1] == '0');
  }
  if ((g->start > 0 && p[g->start - 1] == '(') || p[g[1].start - g[1].sep] == ')') return 1;
  for (u32 i = 0; i < n; i++) {
    if (len(g + i) > 8) return 0;
    ones += len(g + i) == 1;
    slashes += i > 0 && sep(p, g + i) == '/';
    dots += i > 0 && sep(p, g + i) == '.';
  }
  if (ones > 1 || is_date(p, g, n) || (dots == 3 && n == 4 && is_ip(p, g, n))) return 0;
  if (slashes) return slashes == 1 && n == 2 && a >= 2 && a <= 5 && b >= 5;
  if (dots && n < 3) return 0;
  if (n == 2 && sep(p, g + 1) == '-' && a == 5 && b == 4) return 0; /* ZIP+4 */
  if (digits == 7) return n == 2 && a == 3 && b == 4;
  return 1;
}

typedef struct { u32 start, end; u8 kind, brief; } piece;

/* whole judges groups as one number. */
static piece whole(const u8 *p, const group *g, u32 n) {
  piece r = {g->start, g[n - 1].end, PLAIN, 0};
  u32 digits = 0;
  for (u32 i = 0; i < n; i++) digits += len(g + i);
  while (r.start > 0 && (p[r.start - 1] == '+' || p[r.start - 1] == '(')) r.start--;
  i32 plus = r.start < g->start && p[g->start - 1] == '+';
  if (!plus && is_card(p, g, n, digits)) r.kind = CARD;
  else if (is_ssn(p, g, n)) r.kind = SSN;
  else if (is_phone(p, g, n, digits, plus)) r.kind = PHONE;
  r.brief = n == 2 && sep(p, g + 1) == ' ' && r.start == g->start;
  return r;
}

/* judge releases a run of n bytes of digits and separators. */
static void judge(const stream *s, const u8 *p, u32 n, i32 street) {
  group g[MAX_NUMBER + 1];
  u32 count = 0, at = 0;
  for (u32 i = 0; i < n;) {
    u32 from = i;
    while (i < n && !is_digit(p[i])) i++;
    if (i == n) break;
    g[count].sep = i - from;
    g[count].start = i;
    while (i < n && is_digit(p[i])) i++;
    g[count++].end = i;
  }
  for (u32 i = 0; i < count;) {
    u32 k = 1;
    while (i + k < count && joins(p, g + i + k)) k++;
    piece all = whole(p, g + i, k);
    for (u32 j = 0; j < k;) {
      u32 m = k;
      piece f = all;
      if (all.kind == PLAIN) { /* each stretch between spaces for itself */
        for (m = 1; j + m < k && sep(p, g + i + j + m) != ' '; m++) {}
        f = whole(p, g + i + j, m);
      }
      if (f.kind != PLAIN && !(street && f.brief && f.end == n)) {
        if (f.start > at) emit(s, p + at, f.start - at, PLAIN);
        if (f.end > at) emit(s, p, f.end - at, f.kind);
        at = f.end;
      }
      j += m;
    }
    i += k;
  }
  emit(s, p + at, n - at, PLAIN);
}

/* tail handles a run that goes over into a word. */
static u32 tail(const u8 *p, u32 n, u32 total, i32 end, i32 *open) {
  u32 start = n, w;
  while (start > 0 && is_word(p[start - 1])) start--;
  w = run(p + start, total - start, MAX_WORD, is_word, end, open);
  if (*open) return 0;
  if (start > 0 && start + w < total && p[start + w] == '@') return start;
  while (n > 1 && is_digit(p[n - 1]) && is_word(p[n]))
    while (n > 1 && is_digit(p[n - 1])) n--;
  if (n == 1 && is_digit(p[0])) {
    i32 ignored;
    n = run(p, total, MAX_WORD, is_word, 1, &ignored);
  }
  return n;
}

/* number judges a run of digits and separators; 0: it takes more text. */
static u32 number(stream *s, const u8 *p, u32 total, i32 end) {
  i32 open, street = 0;
  u32 n = 1 + run(p + 1, total - 1, MAX_NUMBER, is_number, end, &open);
  if (open) return 0;
  if (n > MAX_NUMBER) {
    s->skip = 'n';
    emit(s, p, 1, PLAIN);
    return 1;
  }
  if (n < total && (is_word(p[n]) || p[n] == '@')) {
    n = tail(p, n, total, end, &open);
    if (open) return 0;
  }
  if (n < total && p[n - 1] == ' ' && is_upper(p[n])) {
    if (n + 1 == total && !end) return 0;
    street = n + 1 < total && is_letter(p[n + 1]) && !is_upper(p[n + 1]);
  }
  while (n > 1 && !is_digit(p[n - 1])) n--;
  judge(s, p, n, street);
  return n;
}

/* step judges the beginning of the text and returns how much; 0: it takes more. */
static u32 step(stream *s, const u8 *p, u32 total, i32 end) {
  u32 n, d;
  i32 open;
  u8 c = *p;
  if ((s->skip == 'w' && is_word(c)) || (s->skip == 'n' && is_number(c))) {
    emit(s, p, 1, PLAIN);
    return 1;
  }
  s->skip = 0;
  if (c == '(') {
    if (total < 2 && !end) return 0;
    if (total > 1 && (is_digit(p[1]) || p[1] == '+')) return number(s, p, total, end);
  }
  if (!is_word(c)) {
    emit(s, p, 1, PLAIN);
    return 1;
  }
  n = run(p, total, MAX_WORD, is_word, end, &open);
  if (open) return 0;
  if (n > MAX_WORD) {
    s->skip = 'w';
    emit(s, p, 1, PLAIN);
    return 1;
  }
  if (n < total && p[n] == '@') {
    d = run(p + n + 1, total - n - 1, MAX_DOMAIN, is_domain, end, &open);
    if (open) return 0;
    if ((d = domain(p + n + 1, d < MAX_DOMAIN ? d : MAX_DOMAIN))) {
      emit(s, p, n + 1 + d, EMAIL);
      return n + 1 + d;
    }
  }
  if (is_digit(c) || (c == '+' && n > 1 && is_digit(p[1]))) return number(s, p, total, end);
  emit(s, p, n, PLAIN);
  return n;
}

static stream *lookup(u64 id) {
  for (u32 i = 0; i < MAX_SEQS; i++)
    if (streams[i].used && streams[i].id == id) return streams + i;
  return 0;
}

/* configure reads {"text": "..."}. */
static i32 configure(stream *s, sw_reader r) {
  i64 n = 0;
  const u8 *p = 0;
  if (!r.p) return 0;
  if (!sw_find(&r, "text")) return r.ok ? 0 : sw_fail(SW_EINVAL, "the configuration is not a map");
  if (sw_item(&r, &n, &p) != 's' || n > MAX_TEXT) return sw_fail(SW_EINVAL, "text: want a string of at most 64 bytes");
  s->text_n = n;
  for (i64 i = 0; i < n; i++) s->text[i] = p[i];
  return 0;
}

static i32 on_configure(sw_reader config, u64 seed) {
  (void)seed;
  return configure(&standard, config);
}

static i32 on_seq_open(u64 seq, sw_reader config, u64 seed) {
  (void)seed;
  for (u32 i = 0; i < MAX_SEQS; i++) {
    stream *s = streams + i;
    if (s->used) continue;
    *s = standard;
    s->id = seq;
    i32 e = configure(s, config);
    s->used = !e;
    return e;
  }
  return sw_fail(SW_ENOSPC, "too many sequences");
}

static i32 on_seq_close(u64 seq) {
  stream *s = lookup(seq);
  if (!s) return SW_ENOENT;
  s->used = 0;
  return 0;
}

SW_EXPORT(sw_filter) i64 sw_filter(u64 seq, const u8 *p, u32 n, u32 flags) {
  stream *s = lookup(seq);
  u32 done = 0, longest, need;
  if (!s) return sw_fail(SW_ENOENT, "no such sequence");
  if (s->flags != (flags & SW_PROMPT)) {
    s->flags = flags & SW_PROMPT;
    s->skip = 0;
  }
  /* The shortest thing replaced has six bytes: a@b.cc. */
  longest = s->text_n > 8 ? s->text_n : 8;
  need = n + n / 6 * longest + 16;
  if (need > out_cap) {
    sw_put(out, out_cap);
    out_cap = 0;
    if (!(out = sw_get(need))) return sw_fail(SW_ENOMEM, "no memory for the output");
    out_cap = need;
  }
  out_n = found = 0;
  while (done < n) {
    u32 k = step(s, p + done, n - done, (flags & (SW_END | SW_REPLAY)) != 0);
    if (!k) break;
    done += k;
  }
  if (found) return sw_verdict(SW_REPLACE, done);
  return done ? sw_verdict(SW_PASS, done) : sw_verdict(n ? SW_HOLD : SW_PASS, 0);
}

SW_EXPORT(sw_out) i64 sw_out(void) { return sw_pack(out, out_n); }
