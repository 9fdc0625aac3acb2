/* tree.h: a value of the configuration, read from msgpack or from JSON text, as
 * nodes that know their first child and their next sibling. */
#ifndef TREE_H
#define TREE_H

#include "array.h"

/* V_TYPES is what schemas derived from others have for a type: a set, in count. */
typedef enum { V_NONE, V_NULL, V_FALSE, V_TRUE, V_NUMBER, V_TEXT, V_LIST, V_MAP, V_TYPES } value_kind;

typedef struct {
    uint8_t kind;
    uint32_t text, len; /* V_TEXT: its bytes; V_NUMBER: decimal digits, as in JSON */
    uint32_t key, keylen; /* inside of a map */
    uint32_t first, next; /* child and sibling; 0 for none */
    uint32_t count;       /* children */
    uint32_t derived;     /* of a schema's part: what it was rewritten to; 0 for nothing yet */
    uint32_t negated;     /* of a schema: a list of those that what does not satisfy it satisfies */
} value;

enum { DEPTH_MAX = 64, VALUES_MAX = 100000 };

typedef struct {
    value *v; /* v[0] is nobody */
    uint32_t n, cap;
    uint8_t *bytes;
    uint32_t used, bytes_cap;
} tree;

static uint32_t new_value(tree *t, value_kind kind)
{
    if (t->n >= VALUES_MAX || !room(&t->v, &t->cap, t->n + 2, sizeof *t->v))
        return 0;
    if (t->n == 0)
        t->v[t->n++] = (value){0};
    t->v[t->n] = (value){.kind = (uint8_t)kind};
    return t->n++;
}

static bool keep(tree *t, const void *p, uint32_t n)
{
    if (!room(&t->bytes, &t->bytes_cap, t->used + n + 1, 1))
        return false;
    memcpy(t->bytes + t->used, p, n);
    t->used += n;
    return true;
}

static const uint8_t *text_of(const tree *t, uint32_t i) { return t->bytes + t->v[i].text; }
static const uint8_t *key_of(const tree *t, uint32_t i) { return t->bytes + t->v[i].key; }

static bool text_is(const tree *t, uint32_t i, const char *s)
{
    return t->v[i].kind == V_TEXT && sw_is(text_of(t, i), t->v[i].len, s);
}

/* The value of a key; 0 if there is none. */
static uint32_t get_n(const tree *t, uint32_t map, const void *key, uint32_t n)
{
    if (t->v[map].kind != V_MAP)
        return 0;
    for (uint32_t c = t->v[map].first; c; c = t->v[c].next)
        if (t->v[c].keylen == n && memcmp(key_of(t, c), key, n) == 0)
            return c;
    return 0;
}

static uint32_t get(const tree *t, uint32_t map, const char *key) { return get_n(t, map, key, (uint32_t)strlen(key)); }

/* Another value with the same content, which may be put elsewhere. */
static uint32_t alias(tree *t, uint32_t v)
{
    uint32_t i = new_value(t, t->v[v].kind);
    if (i) {
        t->v[i] = t->v[v];
        t->v[i].key = t->v[i].keylen = t->v[i].next = 0;
    }
    return i;
}

/* Puts a child at the end of a list or map; of a map, its key lies at t->bytes. */
static void append(tree *t, uint32_t parent, uint32_t child, uint32_t key, uint32_t keylen)
{
    uint32_t *at = &t->v[parent].first;
    while (*at)
        at = &t->v[*at].next;
    *at = child;
    t->v[child].key = key;
    t->v[child].keylen = keylen;
    t->v[parent].count++;
}

/* Whether two values are the same; numbers by their digits. */
static bool same(const tree *t, uint32_t a, uint32_t b, uint32_t depth)
{
    const value *x = &t->v[a], *y = &t->v[b];
    if (x->kind != y->kind || x->count != y->count || depth > DEPTH_MAX)
        return false;
    if (x->kind == V_NUMBER || x->kind == V_TEXT)
        return x->len == y->len && memcmp(text_of(t, a), text_of(t, b), x->len) == 0;
    for (uint32_t c = x->first, d = y->first; c; c = t->v[c].next, d = x->kind == V_LIST ? t->v[d].next : d) {
        uint32_t other = x->kind == V_LIST ? d : get_n(t, b, key_of(t, c), t->v[c].keylen);
        if (!other || !same(t, c, other, depth + 1))
            return false;
    }
    return true;
}

/* --- from msgpack ------------------------------------------------------------ */

/* Digits of a double that has at most 15 of them. */
static bool keep_double(tree *t, double x)
{
    char b[48];
    uint32_t n = 0, point = 0;
    if (x < 0) {
        b[n++] = '-';
        x = -x;
    }
    while (point < 12 && x < 1e14 && x != (double)(uint64_t)x) {
        x *= 10;
        point++;
    }
    if (!(x < 1e18))
        return false;
    uint64_t u = (uint64_t)(x + 0.5);
    char d[20];
    uint32_t k = 0;
    do
        d[k++] = (char)('0' + u % 10);
    while ((u /= 10) || k <= point);
    while (k > 0) {
        if (k == point)
            b[n++] = '.';
        b[n++] = d[--k];
    }
    while (point > 0 && (b[n - 1] == '0' || b[n - 1] == '.')) {
        bool end = b[n - 1] == '.';
        n--;
        if (end)
            break;
    }
    return keep(t, b, n);
}

static bool keep_number(tree *t, sw_reader *r)
{
    if (sw_peek(r) == SW_TYPE_FLOAT)
        return keep_double(t, sw_read_float(r));
    char b[20];
    uint32_t i = sizeof b;
    int64_t s = 0;
    uint64_t u;
    if (*r->at == 0xcf)
        u = sw_read_uint(r, UINT64_MAX);
    else
        u = (s = sw_read_int(r)) < 0 ? 0 - (uint64_t)s : (uint64_t)s;
    do
        b[--i] = (char)('0' + u % 10);
    while (u /= 10);
    if (s < 0)
        b[--i] = '-';
    return keep(t, b + i, (uint32_t)sizeof b - i);
}

/* Reads one value; 0 if it is none, or too large. */
static uint32_t from_msgpack(tree *t, sw_reader *r, uint32_t depth)
{
    sw_type type = sw_peek(r);
    static const uint8_t kinds[] = {[SW_TYPE_NIL] = V_NULL, [SW_TYPE_INT] = V_NUMBER, [SW_TYPE_FLOAT] = V_NUMBER,
        [SW_TYPE_TEXT] = V_TEXT, [SW_TYPE_BYTES] = V_TEXT, [SW_TYPE_ARRAY] = V_LIST, [SW_TYPE_MAP] = V_MAP};
    if (type == SW_TYPE_NONE || depth > SW_MAX_DEPTH)
        return 0;
    if (type == SW_TYPE_BOOL)
        return new_value(t, sw_read_bool(r) ? V_TRUE : V_FALSE);
    uint32_t i = new_value(t, kinds[type]), n;
    if (!i)
        return 0;
    t->v[i].text = t->used;
    if (type == SW_TYPE_NIL) {
        sw_read_nil(r);
    } else if (type == SW_TYPE_INT || type == SW_TYPE_FLOAT) {
        if (!keep_number(t, r))
            return 0;
    } else if (type == SW_TYPE_TEXT || type == SW_TYPE_BYTES) {
        const uint8_t *p = sw_read_text(r, &n);
        if (!p || !keep(t, p, n))
            return 0;
    }
    t->v[i].len = t->used - t->v[i].text;
    if (type != SW_TYPE_ARRAY && type != SW_TYPE_MAP)
        return r->err ? 0 : i;
    uint32_t last = 0;
    for (n = type == SW_TYPE_MAP ? sw_read_map(r) : sw_read_array(r); n > 0; n--) {
        uint32_t key = t->used, keylen = 0;
        if (type == SW_TYPE_MAP) {
            const uint8_t *p = sw_read_text(r, &keylen);
            if (!p || !keep(t, p, keylen))
                return 0;
        }
        uint32_t c = from_msgpack(t, r, depth + 1);
        if (!c)
            return 0;
        t->v[c].key = key;
        t->v[c].keylen = keylen;
        *(last ? &t->v[last].next : &t->v[i].first) = c;
        last = c;
        t->v[i].count++;
    }
    return r->err ? 0 : i;
}

/* --- from JSON (RFC 8259) ------------------------------------------------------- */

typedef struct {
    const uint8_t *at, *end;
} json;

static uint8_t look_at(json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r'))
        j->at++;
    return j->at < j->end ? *j->at : 0;
}

static uint32_t put_utf8(uint8_t *b, uint32_t c)
{
    if (c < 0x80) {
        b[0] = (uint8_t)c;
        return 1;
    }
    uint32_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (uint32_t i = n; i-- > 1; c >>= 6)
        b[i] = (uint8_t)(0x80 | (c & 0x3f));
    b[0] = (uint8_t)((0xf00 >> n) | c);
    return n;
}

static int32_t hex4(json *j)
{
    int32_t x = 0;
    if (j->end - j->at < 4)
        return -1;
    for (int k = 0; k < 4; k++) {
        uint8_t c = *j->at++;
        int32_t d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (d < 0)
            return -1;
        x = x * 16 + d;
    }
    return x;
}

/* The character of an escape, after the backslash; -1 if it is none. Half of a pair
 * becomes U+FFFD. */
static int32_t json_escape(json *j)
{
    if (j->at >= j->end)
        return -1;
    switch (*j->at++) {
    case '"': return '"';
    case '\\': return '\\';
    case '/': return '/';
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'u': break;
    default: return -1;
    }
    int32_t c = hex4(j);
    if (c < 0xd800 || c > 0xdfff)
        return c;
    if (c < 0xdc00 && j->end - j->at >= 6 && j->at[0] == '\\' && j->at[1] == 'u') {
        json k = {j->at + 2, j->end};
        int32_t d = hex4(&k);
        if (d >= 0xdc00 && d <= 0xdfff) {
            j->at = k.at;
            return 0x10000 + ((c - 0xd800) << 10) + (d - 0xdc00);
        }
    }
    return 0xfffd;
}

/* Reads a string whose quote is next. */
static bool json_string(tree *t, json *j, uint32_t *from, uint32_t *n)
{
    *from = t->used;
    for (j->at++; j->at < j->end && *j->at != '"';) {
        uint8_t b[4];
        uint32_t k = 1;
        if (*j->at == '\\') {
            j->at++;
            int32_t c = json_escape(j);
            if (c < 0)
                return false;
            k = put_utf8(b, (uint32_t)c);
        } else {
            int32_t len = sw_char(j->at, (uint32_t)(j->end - j->at));
            if (len <= 0 || *j->at < 0x20)
                return false;
            k = (uint32_t)len;
            memcpy(b, j->at, k);
            j->at += k;
        }
        if (!keep(t, b, k))
            return false;
    }
    *n = t->used - *from;
    return j->at < j->end && j->at++;
}

static uint32_t json_digits(json *j)
{
    uint32_t n = 0;
    for (; j->at < j->end && *j->at >= '0' && *j->at <= '9'; n++)
        j->at++;
    return n;
}

static uint32_t json_number(tree *t, json *j)
{
    const uint8_t *from = j->at;
    if (*j->at == '-')
        j->at++;
    const uint8_t *digits = j->at;
    uint32_t n = json_digits(j);
    if (n == 0 || (n > 1 && *digits == '0'))
        return 0;
    if (j->at < j->end && *j->at == '.') {
        j->at++;
        if (!json_digits(j))
            return 0;
    }
    if (j->at < j->end && (*j->at | 32) == 'e') {
        j->at++;
        if (j->at < j->end && (*j->at == '+' || *j->at == '-'))
            j->at++;
        if (!json_digits(j))
            return 0;
    }
    uint32_t i = new_value(t, V_NUMBER);
    t->v[i].text = t->used;
    t->v[i].len = (uint32_t)(j->at - from);
    return i && keep(t, from, t->v[i].len) ? i : 0;
}

static uint32_t json_word(tree *t, json *j, const char *word, value_kind kind)
{
    uint32_t n = (uint32_t)strlen(word);
    if ((uint32_t)(j->end - j->at) < n || memcmp(j->at, word, n) != 0)
        return 0;
    j->at += n;
    return new_value(t, kind);
}

static uint32_t from_json(tree *t, json *j, uint32_t depth);

/* Reads the members of a list or map whose bracket is next. */
static uint32_t json_members(tree *t, json *j, uint32_t depth, bool map)
{
    uint8_t close = map ? '}' : ']';
    uint32_t i = new_value(t, map ? V_MAP : V_LIST), last = 0;
    j->at++;
    if (!i || (look_at(j) == close && j->at++))
        return i;
    for (;;) {
        uint32_t key = 0, keylen = 0;
        if (map && (look_at(j) != '"' || !json_string(t, j, &key, &keylen) || look_at(j) != ':' || !j->at++))
            return 0;
        uint32_t c = from_json(t, j, depth + 1);
        if (!c)
            return 0;
        t->v[c].key = key;
        t->v[c].keylen = keylen;
        *(last ? &t->v[last].next : &t->v[i].first) = c;
        last = c;
        t->v[i].count++;
        uint8_t b = look_at(j);
        if ((b == close || b == ',') && j->at++) {
            if (b == close)
                return i;
            continue;
        }
        return 0;
    }
}

/* Reads one value; 0 if it is none: j->at is where. */
static uint32_t from_json(tree *t, json *j, uint32_t depth)
{
    uint8_t c = look_at(j);
    if (depth > DEPTH_MAX)
        return 0;
    switch (c) {
    case '{': return json_members(t, j, depth, true);
    case '[': return json_members(t, j, depth, false);
    case 'n': return json_word(t, j, "null", V_NULL);
    case 't': return json_word(t, j, "true", V_TRUE);
    case 'f': return json_word(t, j, "false", V_FALSE);
    case '"': {
        uint32_t i = new_value(t, V_TEXT), from, n;
        if (!i || !json_string(t, j, &from, &n))
            return 0;
        t->v[i].text = from;
        t->v[i].len = n;
        return i;
    }
    }
    return c == '-' || (c >= '0' && c <= '9') ? json_number(t, j) : 0;
}

#endif
