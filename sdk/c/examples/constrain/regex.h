/* regex.h: regular expressions, the part of ECMA-262 that JSON schemas should use
 * (RFC 9485 says which): literals, . classes escapes groups | * + ? {m,n}, and
 * ^ and $ at the ends. Greedy or not makes no difference here. */
#ifndef REGEX_H
#define REGEX_H

#include "text.h"

enum { RE_CLASS, RE_SEQUENCE, RE_CHOICE, RE_REPEAT };
enum { RE_DEPTH = 60, RE_MAX = 20000, REPEAT_MAX = 4096 };
#define UNBOUNDED 0xffffffff

/* Children of sequences are listed from the last to the first: as nets are built. */
typedef struct {
    uint8_t kind;
    bool starts, ends;   /* a top branch: has ^, has $ */
    uint32_t first, next; /* child, sibling; 0 for none */
    uint32_t min, max;   /* RE_REPEAT */
    uint32_t from, count; /* RE_CLASS: spans */
} re_node;

typedef struct {
    const uint8_t *p;
    uint32_t n, i;
    re_node *nodes; /* nodes[0] is nobody */
    uint32_t used, cap;
    span *spans;
    uint32_t spans_n, spans_cap;
    int32_t err;
} regex;

static uint32_t re_error(regex *r, const char *what)
{
    if (r->err)
        return 0;
    r->err = sw_fail(SW_EINVAL, "regular expression: at byte ");
    sw_fail_number(r->i);
    sw_fail_text(": ", 2);
    sw_fail_text(what, (uint32_t)strlen(what));
    r->i = r->n;
    return 0;
}

static uint32_t re_add(regex *r, uint8_t kind)
{
    if (r->used >= RE_MAX || !room(&r->nodes, &r->cap, r->used + 2, sizeof *r->nodes))
        return re_error(r, "too long");
    if (r->used == 0)
        r->nodes[r->used++] = (re_node){0};
    r->nodes[r->used] = (re_node){.kind = kind};
    return r->used++;
}

static void re_prepend(regex *r, uint32_t parent, uint32_t child)
{
    if (r->err)
        return;
    r->nodes[child].next = r->nodes[parent].first;
    r->nodes[parent].first = child;
}

/* --- classes ------------------------------------------------------------------- */

static void re_span(regex *r, uint32_t low, uint32_t high)
{
    if (low > high)
        re_error(r, "a range ends before it begins");
    else if (!room(&r->spans, &r->spans_cap, r->spans_n + 1, sizeof *r->spans))
        re_error(r, "no memory");
    else
        r->spans[r->spans_n++] = (span){low, high};
}

/* Sorts the spans from `from` on and joins those that touch; and complements. */
static void re_settle(regex *r, uint32_t from, bool negate)
{
    span *s = r->spans + from;
    uint32_t n = r->spans_n - from, m = 0;
    for (uint32_t i = 1; i < n; i++) {
        span x = s[i];
        uint32_t j = i;
        for (; j > 0 && s[j - 1].low > x.low; j--)
            s[j] = s[j - 1];
        s[j] = x;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (m > 0 && s[i].low <= s[m - 1].high + 1) {
            if (s[i].high > s[m - 1].high)
                s[m - 1].high = s[i].high;
        } else {
            s[m++] = s[i];
        }
    }
    r->spans_n = from + m;
    if (!negate)
        return;
    uint32_t low = 0, at = from;
    for (uint32_t i = 0; i < m; i++) { /* in place: a gap takes no more room than a span */
        span x = r->spans[from + i];
        if (x.low > low)
            r->spans[at++] = (span){low, x.low - 1};
        low = x.high + 1;
    }
    r->spans_n = at;
    if (low <= 0x10ffff)
        re_span(r, low, 0x10ffff);
}

/* The sets of \d \w \s; capitals are their complements. */
static void re_set(regex *r, uint8_t c)
{
    uint32_t from = r->spans_n;
    switch (c | 32) {
    case 'd':
        re_span(r, '0', '9');
        break;
    case 'w':
        re_span(r, '0', '9');
        re_span(r, 'A', 'Z');
        re_span(r, '_', '_');
        re_span(r, 'a', 'z');
        break;
    default:
        re_span(r, '\t', '\r');
        re_span(r, ' ', ' ');
        re_span(r, 0xa0, 0xa0);
        re_span(r, 0x2000, 0x200a);
        re_span(r, 0x2028, 0x2029);
    }
    if (c < 'a')
        re_settle(r, from, true);
}

static uint32_t re_hex(regex *r, uint32_t n)
{
    uint32_t x = 0;
    for (; n > 0; n--, r->i++) {
        uint8_t c = r->i < r->n ? r->p[r->i] : 0;
        uint32_t d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 16;
        if (d == 16)
            return re_error(r, "want hexadecimal digits");
        x = x * 16 + d;
    }
    return x;
}

/* Reads what follows a backslash: a character, or -1 and a set is added. */
static int32_t re_escape(regex *r)
{
    if (r->i >= r->n)
        return (int32_t)re_error(r, "ends with a backslash");
    uint8_t c = r->p[r->i++];
    switch (c) {
    case 'd': case 'D': case 'w': case 'W': case 's': case 'S':
        re_set(r, c);
        return -1;
    case 't': return '\t';
    case 'n': return '\n';
    case 'r': return '\r';
    case 'f': return '\f';
    case 'v': return 11;
    case '0': return 0;
    case 'x': return (int32_t)re_hex(r, 2);
    case 'u': return (int32_t)re_hex(r, 4);
    }
    if ((c >= '1' && c <= '9') || c == 'k')
        return (int32_t)re_error(r, "references to groups are not supported");
    if (c == 'b' || c == 'B')
        return (int32_t)re_error(r, "word boundaries are not supported");
    if (c == 'p' || c == 'P')
        return (int32_t)re_error(r, "properties of Unicode are not supported; list ranges");
    if ((c | 32) >= 'a' && (c | 32) <= 'z')
        return (int32_t)re_error(r, "unknown escape");
    r->i--;
    return -2;
}

static uint32_t re_char(regex *r)
{
    int32_t len = sw_char(r->p + r->i, r->n - r->i);
    if (len <= 0)
        return re_error(r, "not UTF-8");
    uint32_t c = r->p[r->i];
    if (len > 1) {
        c &= 0xff >> (len + 1);
        for (int32_t k = 1; k < len; k++)
            c = c << 6 | (r->p[r->i + (uint32_t)k] & 0x3f);
    }
    r->i += (uint32_t)len;
    return c;
}

/* One character or set inside of brackets; -1 for a set, which is added. */
static int32_t re_member(regex *r)
{
    if (r->p[r->i] != '\\')
        return (int32_t)re_char(r);
    r->i++;
    if (r->i < r->n && r->p[r->i] == 'b') {
        r->i++;
        return '\b';
    }
    int32_t c = re_escape(r);
    return c == -2 ? (int32_t)re_char(r) : c;
}

static void re_brackets(regex *r)
{
    uint32_t from = r->spans_n;
    bool negate = r->i < r->n && r->p[r->i] == '^';
    r->i += negate;
    while (!r->err && r->i < r->n && r->p[r->i] != ']') {
        int32_t low = re_member(r), high = low;
        if (low < 0)
            continue;
        if (r->i + 1 < r->n && r->p[r->i] == '-' && r->p[r->i + 1] != ']') {
            r->i++;
            high = re_member(r);
            if (high < 0)
                re_error(r, "a range ends with a set");
        }
        if (!r->err)
            re_span(r, (uint32_t)low, (uint32_t)high);
    }
    if (r->i >= r->n)
        re_error(r, "[ is not closed");
    r->i++;
    re_settle(r, from, negate);
}

/* --- expressions ---------------------------------------------------------------- */

static uint32_t re_choice(regex *r, uint32_t depth);

static uint32_t re_group(regex *r, uint32_t depth)
{
    if (r->i + 1 < r->n && r->p[r->i] == '?') {
        if (r->p[r->i + 1] != ':')
            return re_error(r, "of the groups that begin with (? only (?: is supported");
        r->i += 2;
    }
    uint32_t x = re_choice(r, depth + 1);
    if (r->i >= r->n || r->p[r->i] != ')')
        return re_error(r, "( is not closed");
    r->i++;
    return x;
}

static uint32_t re_atom(regex *r, uint32_t depth)
{
    uint8_t c = r->p[r->i];
    if (c == '(') {
        r->i++;
        return re_group(r, depth);
    }
    uint32_t from = r->spans_n;
    int32_t one = -1;
    switch (c) {
    case '*': case '+': case '?':
        return re_error(r, "nothing to repeat");
    case '^': case '$':
        return re_error(r, "^ and $ are supported at the ends only");
    case '.':
        r->i++;
        re_span(r, '\n', '\n');
        re_span(r, '\r', '\r');
        re_settle(r, from, true);
        break;
    case '[':
        r->i++;
        re_brackets(r);
        break;
    case '\\':
        r->i++;
        one = re_escape(r);
        if (one == -2)
            one = (int32_t)re_char(r);
        break;
    default:
        one = (int32_t)re_char(r);
    }
    if (one >= 0)
        re_span(r, (uint32_t)one, (uint32_t)one);
    uint32_t x = re_add(r, RE_CLASS);
    if (r->err)
        return 0;
    r->nodes[x].from = from;
    r->nodes[x].count = r->spans_n - from;
    return x;
}

static uint32_t re_number(regex *r)
{
    uint32_t x = 0, from = r->i;
    for (; r->i < r->n && r->p[r->i] >= '0' && r->p[r->i] <= '9' && x <= REPEAT_MAX; r->i++)
        x = x * 10 + (r->p[r->i] - '0');
    return r->i == from ? UNBOUNDED : x;
}

/* Reads {m}, {m,} or {m,n}; false if the brace begins none and is a plain one. */
static bool re_braces(regex *r, uint32_t *min, uint32_t *max)
{
    uint32_t from = r->i++;
    *min = *max = re_number(r);
    if (*min != UNBOUNDED && r->i < r->n && r->p[r->i] == ',') {
        r->i++;
        *max = re_number(r);
    }
    if (*min == UNBOUNDED || r->i >= r->n || r->p[r->i] != '}') {
        r->i = from;
        return false;
    }
    r->i++;
    if (*min > REPEAT_MAX || (*max != UNBOUNDED && (*max > REPEAT_MAX || *max < *min)))
        re_error(r, "repeats more than 4096 times, or fewer than it must");
    return true;
}

static uint32_t re_repeated(regex *r, uint32_t depth)
{
    uint32_t x = re_atom(r, depth);
    while (!r->err && r->i < r->n) {
        uint8_t c = r->p[r->i];
        uint32_t min = c == '+', max = c == '?' ? 1 : UNBOUNDED;
        if (c == '*' || c == '+' || c == '?')
            r->i++;
        else if (c != '{' || !re_braces(r, &min, &max))
            break;
        if (r->i < r->n && r->p[r->i] == '?')
            r->i++; /* the language is the same */
        uint32_t y = re_add(r, RE_REPEAT);
        if (r->err)
            return 0;
        r->nodes[y].min = min;
        r->nodes[y].max = max;
        r->nodes[y].first = x;
        x = y;
        if (++depth > RE_DEPTH)
            return re_error(r, "nested too deep");
    }
    return x;
}

/* A branch: ^ and $ may stand at the ends of one at the top. */
static uint32_t re_sequence(regex *r, uint32_t depth)
{
    uint32_t s = re_add(r, RE_SEQUENCE);
    bool starts = false, ends = false;
    if (depth == 0 && r->i < r->n && r->p[r->i] == '^') {
        starts = true;
        r->i++;
    }
    while (!r->err && r->i < r->n && r->p[r->i] != '|' && r->p[r->i] != ')') {
        bool last = r->i + 1 == r->n || r->p[r->i + 1] == '|';
        if (depth == 0 && r->p[r->i] == '$' && last) {
            ends = true;
            r->i++;
            break;
        }
        re_prepend(r, s, re_repeated(r, depth));
    }
    if (r->err)
        return 0;
    r->nodes[s].starts = starts;
    r->nodes[s].ends = ends;
    return s;
}

static uint32_t re_choice(regex *r, uint32_t depth)
{
    if (depth > RE_DEPTH)
        return re_error(r, "nested too deep");
    uint32_t c = re_add(r, RE_CHOICE);
    for (;;) {
        re_prepend(r, c, re_sequence(r, depth));
        if (r->err || r->i >= r->n || r->p[r->i] != '|')
            return c;
        r->i++;
    }
}

/* --- nets ------------------------------------------------------------------------ */

static uint32_t re_net(net *g, const regex *r, uint32_t x, writing w, uint32_t next);

static uint32_t re_repeat_net(net *g, const regex *r, const re_node *x, writing w, uint32_t next)
{
    uint32_t out = next, more = 0;
    if (x->max == UNBOUNDED) {
        out = hole(g);
        uint32_t body = re_net(g, r, x->first, w, out);
        if (!g->err) {
            g->nodes[out].next = body;
            g->nodes[out].other = next;
        }
    } else {
        more = x->max - x->min;
    }
    for (; more > 0 && !g->err; more--)
        out = either(g, re_net(g, r, x->first, w, out), next);
    for (uint32_t k = 0; k < x->min && !g->err; k++)
        out = re_net(g, r, x->first, w, out);
    return out;
}

static uint32_t re_net(net *g, const regex *r, uint32_t i, writing w, uint32_t next)
{
    const re_node *x = &r->nodes[i];
    uint32_t out = DEAD;
    switch (x->kind) {
    case RE_CLASS:
        return character(g, r->spans + x->from, x->count, w, next);
    case RE_SEQUENCE:
        for (uint32_t c = x->first; c; c = r->nodes[c].next)
            next = re_net(g, r, c, w, next);
        return next;
    case RE_CHOICE:
        for (uint32_t c = x->first; c; c = r->nodes[c].next)
            out = either(g, re_net(g, r, c, w, next), out);
        return out;
    }
    return re_repeat_net(g, r, x, w, next);
}

/* Any number of what the rule, which calls no other, reads. */
static uint32_t any_number(net *g, uint32_t rule, uint32_t next)
{
    uint32_t h = hole(g), body = call_leaf(g, rule, h);
    if (!g->err) {
        g->nodes[h].next = body;
        g->nodes[h].other = next;
    }
    return h;
}

/* The texts that match all of an expression; with search (the rule of a character)
 * those that have a match, as patterns of schemas mean it. */
static uint32_t regex_net(net *g, const uint8_t *p, uint32_t n, writing w, uint32_t search, uint32_t next)
{
    regex r = {.p = p, .n = n};
    uint32_t out = DEAD, top = re_choice(&r, 0);
    if (!r.err && r.i < n)
        re_error(&r, ") without (");
    for (uint32_t c = r.err ? 0 : r.nodes[top].first; c; c = r.nodes[c].next) {
        uint32_t end = search && !r.nodes[c].ends ? any_number(g, search, next) : next;
        uint32_t way = re_net(g, &r, c, w, end);
        if (search && !r.nodes[c].starts)
            way = any_number(g, search, way);
        out = either(g, out, way);
    }
    if (r.err && !g->err)
        g->err = r.err;
    sw_free(r.nodes, 0, 16);
    sw_free(r.spans, 0, 16);
    return out;
}

#endif
