/* schema.h: JSON schemas (draft 2020-12) as nets. A rule reads what satisfies all of
 * a list of schemas; lists grow by $ref and allOf, and split by anyOf and oneOf. */
#ifndef SCHEMA_H
#define SCHEMA_H

#include "number.h"
#include "regex.h"

enum { LIST_MAX = 64, RULES_MAX = 4000, COUNT_MAX = 4096, COMPILE_DEPTH = 100, NAMES_MAX = 1000 };

/* A schema of the list, and which of its keywords have been dealt with. */
enum { DID_REF = 1, DID_ALL = 2, DID_ANY = 4, DID_ONE = 8, DID_DEPENDENT = 16, DID_NOT = 32 };
typedef struct {
    uint32_t v, did;
} part;
typedef struct {
    uint32_t n;
    part at[LIST_MAX];
} parts;

typedef struct {
    parts list;
    uint32_t at; /* the rule's first node */
} rule;

typedef struct {
    net *g;
    tree *t;
    uint32_t root;
    bool lenient; /* leave out what cannot be enforced */
    bool compact; /* no white space */
    rule *rules;
    uint32_t n, cap, depth;
    uint32_t quoted; /* rule: a character of a string */
    uint32_t blank;  /* rule: white space */
} schema;

static uint32_t schema_error(schema *c, const char *what, const void *name, uint32_t n)
{
    if (!c->g->err) {
        c->g->err = sw_fail(SW_EINVAL, "schema: ");
        sw_fail_text(what, (uint32_t)strlen(what));
        sw_fail_text(name, n);
    }
    return DEAD;
}

/* A keyword that is there and cannot be enforced. */
static void unsupported(schema *c, const char *keyword)
{
    if (c->lenient)
        sw_log(2, keyword, (uint32_t)strlen(keyword));
    else
        schema_error(c, "not supported (set lenient to ignore it): ", keyword, (uint32_t)strlen(keyword));
}

static uint32_t rule_for(schema *c, const parts *list);

static uint32_t blank(schema *c, uint32_t next) { return c->compact ? next : call_leaf(c->g, c->blank, next); }

/* One blank, or a new line and its indentation. */
static uint32_t blank_rule(net *g)
{
    uint32_t spaces = RETURN, tabs = RETURN;
    for (int k = 0; k < 20; k++)
        spaces = either(g, one_of(g, ' ', ' ', spaces), RETURN);
    for (int k = 0; k < 8; k++)
        tabs = either(g, one_of(g, '\t', '\t', tabs), RETURN);
    uint32_t line = one_of(g, '\n', '\n', either(g, spaces, tabs));
    return either(g, RETURN, either(g, one_of(g, ' ', ' ', RETURN), line));
}

/* A keyword that is a count; UNBOUNDED if it is not there. */
static uint32_t count_of(schema *c, uint32_t s, const char *keyword)
{
    uint32_t v = get(c->t, s, keyword);
    decimal d;
    if (!v)
        return UNBOUNDED;
    if (c->t->v[v].kind != V_NUMBER || !read_decimal(text_of(c->t, v), c->t->v[v].len, &d) || d.np > 0 || d.negative) {
        schema_error(c, "want a count: ", keyword, (uint32_t)strlen(keyword));
        return UNBOUNDED;
    }
    uint64_t x = 0;
    for (int32_t k = 0; k < d.nw; k++)
        x = x * 10 + d.whole[k] > 0x7fffffff ? 0x7fffffff : x * 10 + d.whole[k];
    return (uint32_t)x;
}

/* The tightest of a pair of counts over the list. */
static void counts(schema *c, const parts *list, const char *least, const char *most, uint32_t *min, uint32_t *max)
{
    *min = 0;
    *max = UNBOUNDED;
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t a = count_of(c, list->at[i].v, least), b = count_of(c, list->at[i].v, most);
        if (a != UNBOUNDED && a > *min)
            *min = a;
        if (b < *max)
            *max = b;
    }
    if (*max != UNBOUNDED && *max > COUNT_MAX) {
        schema_error(c, "counts are supported up to 4096: ", most, (uint32_t)strlen(most));
        *max = COUNT_MAX;
    }
    if (*min > COUNT_MAX) {
        schema_error(c, "counts are supported up to 4096: ", least, (uint32_t)strlen(least));
        *min = COUNT_MAX;
    }
}

static bool add_part(schema *c, parts *list, uint32_t v)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (list->at[i].v == v)
            return true;
    if (list->n == LIST_MAX) {
        schema_error(c, "more than 64 schemas apply to one value", "", 0);
        return false;
    }
    list->at[list->n++] = (part){v, 0};
    return true;
}

/* --- references ------------------------------------------------------------------ */

static int32_t hex_value(uint8_t c) { return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1; }

/* Decodes %xx, ~0 and ~1 of one step of a pointer (RFC 6901). */
static uint32_t pointer_step(const uint8_t *p, uint32_t n, uint8_t *b, uint32_t cap)
{
    uint32_t m = 0;
    for (uint32_t i = 0; i < n && m < cap; i++) {
        uint8_t c = p[i];
        if (c == '%' && i + 2 < n && hex_value(p[i + 1]) >= 0 && hex_value(p[i + 2]) >= 0) {
            c = (uint8_t)(hex_value(p[i + 1]) * 16 + hex_value(p[i + 2]));
            i += 2;
        }
        if (c == '~' && i + 1 < n && (p[i + 1] == '0' || p[i + 1] == '1'))
            c = p[++i] == '0' ? '~' : '/';
        b[m++] = c;
    }
    return m;
}

static uint32_t pointer(schema *c, uint32_t from, const uint8_t *p, uint32_t n)
{
    while (n > 0 && from) {
        uint8_t b[256];
        uint32_t k = 1, index = 0;
        while (k < n && p[k] != '/')
            k++;
        uint32_t m = pointer_step(p + 1, k - 1, b, sizeof b);
        if (c->t->v[from].kind == V_MAP) {
            from = get_n(c->t, from, b, m);
        } else {
            for (uint32_t i = 0; i < m && index < VALUES_MAX; i++)
                index = index * 10 + (uint32_t)(b[i] - '0');
            from = c->t->v[from].kind == V_LIST ? c->t->v[from].first : 0;
            for (; index > 0 && from; index--)
                from = c->t->v[from].next;
        }
        p += k;
        n -= k;
    }
    return from;
}

/* The schema below s that has the text as its keyword ($id or $anchor); 0. */
static uint32_t named(schema *c, uint32_t s, const char *keyword, const uint8_t *p, uint32_t n, uint32_t depth)
{
    if (depth > DEPTH_MAX)
        return 0;
    uint32_t v = get(c->t, s, keyword);
    if (v && c->t->v[v].kind == V_TEXT && c->t->v[v].len == n && memcmp(text_of(c->t, v), p, n) == 0)
        return s;
    for (uint32_t k = c->t->v[s].first; k; k = c->t->v[k].next) {
        bool data = sw_is(key_of(c->t, k), c->t->v[k].keylen, "enum") || sw_is(key_of(c->t, k), c->t->v[k].keylen, "const");
        uint32_t found = data ? 0 : named(c, k, keyword, p, n, depth + 1);
        if (found)
            return found;
    }
    return 0;
}

static uint32_t resolve(schema *c, uint32_t ref)
{
    const uint8_t *p = text_of(c->t, ref);
    uint32_t n = c->t->v[ref].len, hash = 0, from = c->root, to;
    while (hash < n && p[hash] != '#')
        hash++;
    if (hash > 0)
        from = named(c, c->root, "$id", p, hash, 0);
    uint32_t rest = n > hash ? n - hash - 1 : 0;
    const uint8_t *f = p + n - rest;
    if (!from)
        to = 0;
    else if (rest == 0 || f[0] == '/')
        to = pointer(c, from, f, rest);
    else
        to = named(c, from, "$anchor", f, rest, 0);
    if (!to)
        schema_error(c, "$ref leads nowhere: ", p, n);
    return to;
}

/* --- does a value satisfy a schema (for enum and const) ------------------------------ */

static bool fits(schema *c, uint32_t v, uint32_t s, uint32_t depth);

static bool is_type(schema *c, uint32_t v, uint32_t name)
{
    static const char *const names[] = {[V_NULL] = "null", [V_FALSE] = "boolean", [V_TRUE] = "boolean",
        [V_NUMBER] = "number", [V_TEXT] = "string", [V_LIST] = "array", [V_MAP] = "object"};
    decimal d;
    uint8_t kind = c->t->v[v].kind;
    if (kind == V_NUMBER && text_is(c->t, name, "integer"))
        return read_decimal(text_of(c->t, v), c->t->v[v].len, &d) && d.np == 0;
    return text_is(c->t, name, names[kind]);
}

static bool type_fits(schema *c, uint32_t v, uint32_t type)
{
    if (c->t->v[type].kind != V_LIST)
        return is_type(c, v, type);
    for (uint32_t k = c->t->v[type].first; k; k = c->t->v[k].next)
        if (is_type(c, v, k))
            return true;
    return false;
}

static bool equal(schema *c, uint32_t a, uint32_t b)
{
    decimal x, y;
    if (c->t->v[a].kind == V_NUMBER && c->t->v[b].kind == V_NUMBER && read_decimal(text_of(c->t, a), c->t->v[a].len, &x) &&
        read_decimal(text_of(c->t, b), c->t->v[b].len, &y))
        return compare(&x, &y) == 0;
    return same(c->t, a, b, 0);
}

static bool among(schema *c, uint32_t v, uint32_t list)
{
    for (uint32_t k = c->t->v[list].first; k; k = c->t->v[k].next)
        if (equal(c, v, k))
            return true;
    return false;
}

static bool number_fits(schema *c, uint32_t v, uint32_t s)
{
    static const char *const names[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"};
    decimal x, y;
    if (!read_decimal(text_of(c->t, v), c->t->v[v].len, &x))
        return false;
    for (uint32_t k = 0; k < 4; k++) {
        uint32_t b = get(c->t, s, names[k]);
        if (!b || !read_decimal(text_of(c->t, b), c->t->v[b].len, &y))
            continue;
        int32_t less = compare(&x, &y);
        if ((k & 1 ? less > 0 : less < 0) || (k >= 2 && less == 0))
            return false;
    }
    if (get(c->t, s, "multipleOf"))
        unsupported(c, "multipleOf beside enum or const");
    return true;
}

static bool count_fits(schema *c, uint32_t n, uint32_t s, const char *least, const char *most)
{
    uint32_t min = count_of(c, s, least), max = count_of(c, s, most);
    return (min == UNBOUNDED || n >= min) && n <= max;
}

static bool members_fit(schema *c, uint32_t v, uint32_t s, uint32_t depth)
{
    bool map = c->t->v[v].kind == V_MAP;
    uint32_t fixed = get(c->t, s, map ? "properties" : "prefixItems"), rest = get(c->t, s, map ? "additionalProperties" : "items");
    uint32_t k = c->t->v[v].first, p = fixed && !map ? c->t->v[fixed].first : 0;
    for (; k; k = c->t->v[k].next) {
        uint32_t sub = map ? (fixed ? get_n(c->t, fixed, key_of(c->t, k), c->t->v[k].keylen) : 0) : p;
        sub = sub ? sub : rest;
        if (sub && !fits(c, k, sub, depth + 1))
            return false;
        p = p ? c->t->v[p].next : 0;
    }
    uint32_t need = map ? get(c->t, s, "required") : 0;
    for (uint32_t r = need ? c->t->v[need].first : 0; r; r = c->t->v[r].next)
        if (!get_n(c->t, v, text_of(c->t, r), c->t->v[r].len))
            return false;
    return map ? count_fits(c, c->t->v[v].count, s, "minProperties", "maxProperties") : count_fits(c, c->t->v[v].count, s, "minItems", "maxItems");
}

static uint32_t characters(const uint8_t *p, uint32_t n)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++)
        count += (p[i] & 0xc0) != 0x80;
    return count;
}

static bool fits(schema *c, uint32_t v, uint32_t s, uint32_t depth)
{
    const value *x = &c->t->v[v];
    if (c->t->v[s].kind != V_MAP || depth > DEPTH_MAX)
        return c->t->v[s].kind == V_TRUE;
    uint32_t k;
    if ((k = get(c->t, s, "type")) && !type_fits(c, v, k))
        return false;
    if ((k = get(c->t, s, "const")) && !equal(c, v, k))
        return false;
    if ((k = get(c->t, s, "enum")) && !among(c, v, k))
        return false;
    if ((k = get(c->t, s, "$ref")) && (k = resolve(c, k)) && !fits(c, v, k, depth + 1))
        return false;
    static const char *const lists[] = {"allOf", "anyOf", "oneOf"};
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t list = get(c->t, s, lists[i]), n = 0;
        if (!list)
            continue;
        for (uint32_t a = c->t->v[list].first; a; a = c->t->v[a].next)
            n += fits(c, v, a, depth + 1);
        if (i == 0 ? n < c->t->v[list].count : i == 1 ? n == 0 : n != 1)
            return false;
    }
    if ((k = get(c->t, s, "not")) && fits(c, v, k, depth + 1))
        return false;
    if (x->kind == V_NUMBER)
        return number_fits(c, v, s);
    if (x->kind == V_TEXT && get(c->t, s, "pattern"))
        unsupported(c, "pattern beside enum or const");
    if (x->kind == V_TEXT)
        return count_fits(c, characters(text_of(c->t, v), x->len), s, "minLength", "maxLength");
    return (x->kind != V_LIST && x->kind != V_MAP) || members_fit(c, v, s, depth);
}

/* --- values that are given ------------------------------------------------------------- */

static uint32_t key_then(schema *c, const uint8_t *p, uint32_t n, uint32_t next)
{
    return word(c->g, "\"", json_text(c->g, p, n, word(c->g, "\":", blank(c, next))));
}

static uint32_t literal(schema *c, uint32_t v, uint32_t next, uint32_t depth)
{
    const value *x = &c->t->v[v];
    switch (x->kind) {
    case V_NULL: return word(c->g, "null", next);
    case V_FALSE: return word(c->g, "false", next);
    case V_TRUE: return word(c->g, "true", next);
    case V_NUMBER: return bytes_then(c->g, text_of(c->t, v), x->len, next);
    case V_TEXT: return word(c->g, "\"", json_text(c->g, text_of(c->t, v), x->len, word(c->g, "\"", next)));
    }
    bool map = x->kind == V_MAP;
    if (x->count > NAMES_MAX || depth > DEPTH_MAX)
        return schema_error(c, "a constant is too large", "", 0);
    uint32_t *members = sw_alloc((x->count + 1) * sizeof *members, 16), n = 0;
    if (!members)
        return schema_error(c, "no memory", "", 0);
    for (uint32_t k = x->first; k; k = c->t->v[k].next)
        members[n++] = k;
    next = blank(c, word(c->g, map ? "}" : "]", next));
    while (n > 0) {
        uint32_t k = members[--n];
        next = literal(c, k, next, depth + 1);
        if (map)
            next = key_then(c, key_of(c->t, k), c->t->v[k].keylen, next);
        if (n > 0)
            next = word(c->g, ",", blank(c, next));
    }
    sw_free(members, 0, 16);
    return word(c->g, map ? "{" : "[", blank(c, next));
}

/* --- strings and numbers ----------------------------------------------------------------- */

#define DAY "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
#define HOUR "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define BYTE "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"

static const struct {
    const char *name, *is;
} formats[] = {
    {"date", DAY}, {"time", HOUR}, {"date-time", DAY "T" HOUR},
    {"uuid", "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"},
    {"ipv4", BYTE "(\\." BYTE "){3}"},
    {"email", "[A-Za-z0-9_%+-]+(\\.[A-Za-z0-9_%+-]+)*@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\\.)+[A-Za-z]{2,}"},
};

/* From min to max times a rule that calls no other. */
static uint32_t times(net *g, uint32_t rule, uint32_t min, uint32_t max, uint32_t next)
{
    uint32_t out = next;
    if (max == UNBOUNDED)
        out = any_number(g, rule, next);
    else
        for (uint32_t k = min; k < max && !g->err; k++)
            out = either(g, call_leaf(g, rule, out), next);
    for (uint32_t k = 0; k < min && !g->err; k++)
        out = call_leaf(g, rule, out);
    return min > max ? DEAD : out;
}

/* A string with its quotes. */
static uint32_t string_net(schema *c, const parts *list, uint32_t next)
{
    uint32_t min, max, pattern = 0, format = UNBOUNDED, end = word(c->g, "\"", next), body;
    counts(c, list, "minLength", "maxLength", &min, &max);
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t p = get(c->t, list->at[i].v, "pattern"), f = get(c->t, list->at[i].v, "format");
        if (p && c->t->v[p].kind != V_TEXT)
            return schema_error(c, "pattern is not a string", "", 0);
        if (p && pattern && !same(c->t, p, pattern, 0))
            unsupported(c, "several patterns for one string");
        pattern = p ? p : pattern;
        for (uint32_t k = 0; f && k < sizeof formats / sizeof *formats; k++)
            if (text_is(c->t, f, formats[k].name))
                format = k;
    }
    if (pattern || format != UNBOUNDED) {
        if (min > 0 || max != UNBOUNDED)
            unsupported(c, "minLength or maxLength beside pattern or format");
        if (pattern && format != UNBOUNDED)
            unsupported(c, "format beside pattern");
        if (pattern)
            body = regex_net(c->g, text_of(c->t, pattern), c->t->v[pattern].len, QUOTED, c->quoted, end);
        else
            body = regex_net(c->g, (const uint8_t *)formats[format].is, (uint32_t)strlen(formats[format].is), QUOTED, 0, end);
    } else {
        body = times(c->g, c->quoted, min, max, end);
    }
    return word(c->g, "\"", body);
}

/* The tightest bounds, and the number all must be multiples of. */
static uint32_t number_net(schema *c, const parts *list, bool integer, uint32_t next)
{
    static const char *const names[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"};
    decimal low, high, d, step;
    bool has_low = false, has_high = false, over = false, under = false, has_step = false;
    for (uint32_t i = 0; i < list->n; i++) {
        for (uint32_t k = 0; k < 5; k++) {
            uint32_t b = get(c->t, list->at[i].v, k < 4 ? names[k] : "multipleOf");
            if (!b)
                continue;
            if (c->t->v[b].kind != V_NUMBER || !read_decimal(text_of(c->t, b), c->t->v[b].len, &d))
                return schema_error(c, "a bound is no number, or has more than 24 digits", "", 0);
            if (k == 4) {
                if (has_step && compare(&d, &step) != 0)
                    unsupported(c, "several multipleOf for one number");
                has_step = true;
                step = d;
            } else if (!(k & 1) && (!has_low || compare(&d, &low) > 0 || (k == 2 && compare(&d, &low) == 0))) {
                low = d;
                over = k == 2;
                has_low = true;
            } else if ((k & 1) && (!has_high || compare(&d, &high) < 0 || (k == 3 && compare(&d, &high) == 0))) {
                high = d;
                under = k == 3;
                has_high = true;
            }
        }
    }
    if (has_step && (has_low || has_high))
        unsupported(c, "multipleOf beside minimum or maximum");
    else if (has_step)
        return multiples(c->g, &step, integer, next);
    if (has_low && has_high) {
        int32_t order = compare(&low, &high);
        if (order > 0 || (order == 0 && (over || under)))
            return DEAD;
    }
    if (!has_low && !has_high)
        return any_number_form(c->g, integer, next);
    return between(c->g, has_low ? &low : NULL, over, has_high ? &high : NULL, under, integer, next);
}

/* --- arrays --------------------------------------------------------------------------------- */

/* The rule of element i; i beyond all prefixes for the rest. */
static uint32_t element(schema *c, const parts *list, uint32_t i, uint32_t also)
{
    parts sub = {0};
    for (uint32_t k = 0; k < list->n; k++) {
        uint32_t s = list->at[k].v, p = get(c->t, s, "prefixItems"), e = p ? c->t->v[p].first : 0;
        for (uint32_t skip = i; skip > 0 && e; skip--)
            e = c->t->v[e].next;
        if (!e)
            e = get(c->t, s, "items");
        if (e)
            add_part(c, &sub, e);
    }
    if (also)
        add_part(c, &sub, also);
    return rule_for(c, &sub);
}

static uint32_t array_net(schema *c, const parts *list, uint32_t next)
{
    uint32_t min, max, prefix = 0, contains = 0;
    counts(c, list, "minItems", "maxItems", &min, &max);
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t s = list->at[i].v, p = get(c->t, s, "prefixItems"), u = get(c->t, s, "uniqueItems"), k = get(c->t, s, "contains");
        if (p && c->t->v[p].count > prefix)
            prefix = c->t->v[p].count;
        if (u && c->t->v[u].kind == V_TRUE && max > 1)
            unsupported(c, "uniqueItems");
        if (get(c->t, s, "unevaluatedItems"))
            unsupported(c, "unevaluatedItems");
        if (k && (contains || get(c->t, s, "minContains") || get(c->t, s, "maxContains")))
            unsupported(c, "several contains, minContains or maxContains");
        contains = k ? k : contains;
        uint32_t items = get(c->t, s, "items");
        if (items && c->t->v[items].kind == V_LIST)
            return schema_error(c, "items is a list: use prefixItems", "", 0);
    }
    if (contains && (prefix > 0 || max != UNBOUNDED || min > 1)) {
        unsupported(c, "contains beside prefixItems, minItems or maxItems");
        contains = 0;
    }
    net *g = c->g;
    uint32_t close = blank(c, word(g, "]", next)), rest = element(c, list, prefix, 0), out;
    if (prefix > COUNT_MAX)
        return schema_error(c, "counts are supported up to 4096: prefixItems", "", 0);
    if (contains) { /* any before, one that fits, any behind */
        uint32_t fit = element(c, list, 0, contains), behind = hole(g), before = hole(g);
        uint32_t more = word(g, ",", blank(c, call(g, rest, behind)));
        if (!g->err) {
            g->nodes[behind].next = more;
            g->nodes[behind].other = close;
        }
        fill(g, before, word(g, ",", blank(c, either(g, call(g, fit, behind), call(g, rest, before)))));
        return word(g, "[", blank(c, either(g, call(g, fit, behind), call(g, rest, before))));
    }
    uint32_t k = prefix > min ? prefix : min;
    if (max == UNBOUNDED) {
        k = k > 0 ? k : 1;
        out = hole(g);
        uint32_t more = word(g, ",", blank(c, call(g, rest, out)));
        if (!g->err) {
            g->nodes[out].next = more;
            g->nodes[out].other = close;
        }
    } else {
        k = max;
        out = max >= min ? close : DEAD;
    }
    while (k > 0 && !g->err) {
        k--;
        uint32_t item = call(g, k < prefix ? element(c, list, k, 0) : rest, out);
        if (k > 0)
            item = item == DEAD ? DEAD : word(g, ",", blank(c, item));
        out = either(g, item, k >= min ? close : DEAD);
    }
    return word(g, "[", blank(c, out));
}

/* --- objects ----------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *p;
    uint32_t n;
    bool required;
} name;

typedef struct {
    name *at;
    uint32_t n;
} names;

static bool has_name(const names *l, const uint8_t *p, uint32_t n, uint32_t *i)
{
    for (*i = 0; *i < l->n; ++*i)
        if (l->at[*i].n == n && memcmp(l->at[*i].p, p, n) == 0)
            return true;
    return false;
}

static void add_name(schema *c, names *l, const uint8_t *p, uint32_t n, bool required)
{
    uint32_t i;
    if (!has_name(l, p, n, &i)) {
        if (l->n == NAMES_MAX) {
            schema_error(c, "more than 1000 properties", "", 0);
            return;
        }
        l->at[l->n++] = (name){p, n, false};
    }
    l->at[i].required |= required;
}

/* All properties the list names, in its order. */
static void collect(schema *c, const parts *list, names *l)
{
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t s = list->at[i].v, p = get(c->t, s, "properties");
        for (uint32_t k = p ? c->t->v[p].first : 0; k; k = c->t->v[k].next)
            add_name(c, l, key_of(c->t, k), c->t->v[k].keylen, false);
    }
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t r = get(c->t, list->at[i].v, "required");
        for (uint32_t k = r ? c->t->v[r].first : 0; k; k = c->t->v[k].next)
            add_name(c, l, text_of(c->t, k), c->t->v[k].len, true);
    }
}

/* What a schema says of properties it does not name. */
static uint32_t additional(schema *c, uint32_t s)
{
    static const char *const applies[] = {"$ref", "allOf", "anyOf", "oneOf", "if", "not", "dependentSchemas"};
    uint32_t a = get(c->t, s, "additionalProperties"), u = get(c->t, s, "unevaluatedProperties");
    if (a || !u)
        return a;
    for (uint32_t k = 0; k < sizeof applies / sizeof *applies; k++)
        if (c->t->v[u].kind != V_TRUE && get(c->t, s, applies[k]))
            unsupported(c, "unevaluatedProperties beside other schemas");
    return u;
}

/* The rule of a property's value; name NULL for those nobody names. */
static uint32_t property(schema *c, const parts *list, const name *x)
{
    parts sub = {0};
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t s = list->at[i].v, p = x ? get(c->t, s, "properties") : 0;
        uint32_t v = p ? get_n(c->t, p, x->p, x->n) : 0;
        v = v ? v : additional(c, s);
        if (v)
            add_part(c, &sub, v);
    }
    return rule_for(c, &sub);
}

static uint32_t code_point(const uint8_t *p, uint32_t n, uint32_t *len)
{
    int32_t k = sw_char(p, n);
    *len = k > 0 ? (uint32_t)k : 1;
    if (k <= 1)
        return k == 1 ? p[0] : 0xfffd;
    uint32_t x = p[0] & (0xffu >> (k + 1));
    for (int32_t i = 1; i < k; i++)
        x = x << 6 | (p[i] & 0x3f);
    return x;
}

/* The rest of a key, and its quote, that is none of names from..to, which are sorted
 * and the same up to byte at. A character none goes on with leads to `any`. */
static uint32_t other_key(schema *c, const names *l, uint32_t from, uint32_t to, uint32_t at, uint32_t any, uint32_t end, uint32_t depth)
{
    net *g = c->g;
    if (depth > 300)
        return schema_error(c, "a property's name is longer than 300 characters", "", 0);
    bool taken = from < to && l->at[from].n == at;
    from += taken;
    uint32_t out = taken ? DEAD : end, n = 0;
    span *rest = sw_alloc((to - from + 1) * sizeof *rest, 16);
    if (!rest)
        return schema_error(c, "no memory", "", 0);
    uint32_t low = 0;
    while (from < to) {
        uint32_t len, x = code_point(l->at[from].p + at, l->at[from].n - at, &len), until = from + 1, other;
        while (until < to && code_point(l->at[until].p + at, l->at[until].n - at, &other) == x)
            until++;
        span one = {x, x};
        out = either(g, out, character(g, &one, 1, QUOTED, other_key(c, l, from, until, at + len, any, end, depth + 1)));
        if (x > low)
            rest[n++] = (span){low, x - 1};
        low = x + 1;
        from = until;
    }
    rest[n++] = (span){low, 0x10ffff};
    out = either(g, out, character(g, rest, n, QUOTED, any));
    sw_free(rest, 0, 16);
    return out;
}

/* Names in order of their bytes, which is that of their characters. */
static void sort_names(names *l)
{
    for (uint32_t i = 1; i < l->n; i++) {
        name x = l->at[i];
        uint32_t j = i;
        for (; j > 0; j--) {
            const name *y = &l->at[j - 1];
            int order = memcmp(y->p, x.p, y->n < x.n ? y->n : x.n);
            if (order < 0 || (order == 0 && y->n <= x.n))
                break;
            l->at[j] = *y;
        }
        l->at[j] = x;
    }
}

/* A key that is none of the names, with its colon. */
static uint32_t free_key(schema *c, const parts *list, const names *l, uint32_t next)
{
    net *g = c->g;
    uint32_t colon = word(g, ":", blank(c, next)), end = word(g, "\"", colon);
    parts of_names = {0};
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t p = get(c->t, list->at[i].v, "propertyNames");
        if (p && c->t->v[p].kind != V_TRUE)
            add_part(c, &of_names, p);
    }
    if (of_names.n > 0 && l->n > 0)
        unsupported(c, "propertyNames beside properties or required");
    for (uint32_t i = 0; i < of_names.n; i++) {
        static const char *const plain[] = {"pattern", "minLength", "maxLength", "format", "type"};
        uint32_t s = of_names.at[i].v, known = 0;
        for (uint32_t k = 0; k < 5; k++)
            known += get(c->t, s, plain[k]) != 0;
        if (c->t->v[s].kind == V_FALSE)
            return DEAD;
        if (c->t->v[s].kind != V_MAP || known != c->t->v[s].count)
            unsupported(c, "propertyNames beyond pattern and lengths");
    }
    if (of_names.n > 0 && l->n == 0)
        return string_net(c, &of_names, colon);
    uint32_t any = any_number(g, c->quoted, end);
    return word(g, "\"", l->n > 0 ? other_key(c, l, 0, l->n, 0, any, end, 0) : any);
}

/* Pairs nobody names, from min to max of them, and the end. first: none came before. */
static uint32_t free_pairs(schema *c, const parts *list, const names *l, uint32_t min, uint32_t max, bool first, uint32_t close)
{
    net *g = c->g;
    uint32_t v = property(c, list, NULL), out, k = min;
    if (max == UNBOUNDED) {
        out = hole(g);
        uint32_t more = v == DEAD ? DEAD : word(g, ",", blank(c, free_key(c, list, l, call(g, v, out))));
        if (!g->err) {
            g->nodes[out].next = more;
            g->nodes[out].other = close;
        }
        k = first && k == 0 ? 1 : k;
    } else {
        out = max >= min ? close : DEAD;
        k = max;
    }
    while (k > 0 && !g->err) {
        k--;
        uint32_t pair = v == DEAD ? DEAD : free_key(c, list, l, call(g, v, out));
        if (pair != DEAD && (k > 0 || !first))
            pair = word(g, ",", blank(c, pair));
        out = either(g, pair, k >= min ? close : DEAD);
    }
    return out;
}

static uint32_t object_net(schema *c, const parts *list, uint32_t next)
{
    net *g = c->g;
    names l = {sw_alloc(2 * NAMES_MAX * sizeof *l.at, 16), 0}, sorted;
    if (!l.at)
        return schema_error(c, "no memory", "", 0);
    collect(c, list, &l);
    uint32_t min, max;
    counts(c, list, "minProperties", "maxProperties", &min, &max);
    if (l.n > 0 && (min > 0 || max != UNBOUNDED)) {
        unsupported(c, "minProperties or maxProperties beside properties or required");
        min = 0;
        max = UNBOUNDED;
    }
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t p = get(c->t, list->at[i].v, "patternProperties");
        if (p && c->t->v[p].count > 0)
            unsupported(c, "patternProperties");
        if (get(c->t, list->at[i].v, "dependentSchemas") || get(c->t, list->at[i].v, "dependencies"))
            unsupported(c, "dependentSchemas");
    }
    sorted = (names){l.at + NAMES_MAX, l.n};
    memcpy(sorted.at, l.at, l.n * sizeof *l.at);
    sort_names(&sorted);
    uint32_t close = blank(c, word(g, "}", next));
    uint32_t first = free_pairs(c, list, &sorted, min, max, true, close);
    uint32_t later = l.n > 0 ? free_pairs(c, list, &sorted, 0, UNBOUNDED, false, close) : DEAD;
    for (uint32_t i = l.n; i > 0 && !g->err; i--) { /* with the names from i - 1 on */
        const name *x = &l.at[i - 1];
        uint32_t pair = key_then(c, x->p, x->n, call(g, property(c, list, x), later));
        uint32_t comma = word(g, ",", blank(c, pair));
        first = either(g, pair, x->required ? DEAD : first);
        later = either(g, comma, x->required ? DEAD : later);
    }
    sw_free(l.at, 0, 16);
    return word(g, "{", blank(c, first));
}

/* --- lists of schemas ------------------------------------------------------------------------------ */

enum { T_NULL = 1, T_BOOLEAN = 2, T_INTEGER = 4, T_FRACTION = 8, T_STRING = 16, T_ARRAY = 32, T_OBJECT = 64, T_ALL = 127 };

static uint32_t type_bits(schema *c, uint32_t type)
{
    static const struct {
        const char *name;
        uint32_t bits;
    } types[] = {{"null", T_NULL}, {"boolean", T_BOOLEAN}, {"integer", T_INTEGER}, {"number", T_INTEGER | T_FRACTION},
        {"string", T_STRING}, {"array", T_ARRAY}, {"object", T_OBJECT}};
    uint32_t bits = 0;
    if (c->t->v[type].kind == V_LIST) {
        for (uint32_t k = c->t->v[type].first; k; k = c->t->v[k].next)
            if (c->t->v[k].kind == V_TEXT)
                bits |= type_bits(c, k);
        return bits;
    }
    for (uint32_t k = 0; k < sizeof types / sizeof *types; k++)
        if (text_is(c->t, type, types[k].name))
            bits = types[k].bits;
    if (!bits)
        schema_error(c, "unknown type: ", text_of(c->t, type), c->t->v[type].len);
    return bits;
}

static uint32_t kind_bits(schema *c, uint32_t v)
{
    static const uint8_t of[] = {0, T_NULL, T_BOOLEAN, T_BOOLEAN, T_INTEGER | T_FRACTION, T_STRING, T_ARRAY, T_OBJECT};
    decimal d;
    if (c->t->v[v].kind == V_NUMBER && read_decimal(text_of(c->t, v), c->t->v[v].len, &d))
        return d.np == 0 ? T_INTEGER : T_FRACTION;
    return of[c->t->v[v].kind];
}

/* Types a schema may admit, by its own keywords. */
static uint32_t may_be(schema *c, uint32_t s)
{
    if (c->t->v[s].kind == V_FALSE)
        return 0;
    uint32_t bits = T_ALL, k = get(c->t, s, "type"), e = get(c->t, s, "enum"), had = 0;
    if (k)
        bits = type_bits(c, k);
    if ((k = get(c->t, s, "const")))
        bits &= kind_bits(c, k);
    for (k = e ? c->t->v[e].first : 0; k; k = c->t->v[k].next)
        had |= kind_bits(c, k);
    return e ? bits & had : bits;
}

/* Whether two schemas have no value in common, as far as can be told: by their types,
 * by constants, or by a property both require. */
static bool disjoint(schema *c, uint32_t a, uint32_t b, uint32_t depth)
{
    uint32_t r;
    for (uint32_t hops = 0; hops < 8; hops++) {
        if ((r = get(c->t, a, "$ref")) && c->t->v[a].count == 1)
            a = resolve(c, r);
        if ((r = get(c->t, b, "$ref")) && c->t->v[b].count == 1)
            b = resolve(c, r);
    }
    if (!a || !b || (may_be(c, a) & may_be(c, b)) == 0)
        return true;
    for (uint32_t turn = 0; turn < 2; turn++) {
        uint32_t x = turn ? b : a, y = turn ? a : b, e = get(c->t, x, "enum"), k = get(c->t, x, "const"), n = 0;
        if (k && !fits(c, k, y, 0))
            return true;
        for (uint32_t v = e ? c->t->v[e].first : 0; v; v = c->t->v[v].next)
            n += fits(c, v, y, 0);
        if (e && n == 0)
            return true;
    }
    uint32_t p = get(c->t, a, "properties"), q = get(c->t, b, "properties"), ra = get(c->t, a, "required"), rb = get(c->t, b, "required");
    if (depth > 2 || !p || !q || !ra || !rb || (may_be(c, a) & may_be(c, b)) != T_OBJECT)
        return false;
    for (uint32_t k = c->t->v[ra].first; k; k = c->t->v[k].next) {
        uint32_t x = get_n(c->t, p, text_of(c->t, k), c->t->v[k].len), y = get_n(c->t, q, text_of(c->t, k), c->t->v[k].len);
        if (x && y && among(c, k, rb) && disjoint(c, x, y, depth + 1))
            return true;
    }
    return false;
}

/* One rule or another: each way the list can go with one of the schemas added. */
static uint32_t alternatives(schema *c, const parts *list, uint32_t i, uint32_t did, uint32_t first, bool only_one)
{
    uint32_t out = DEAD;
    for (uint32_t a = first; a; a = c->t->v[a].next) {
        for (uint32_t b = c->t->v[a].next; b && only_one; b = c->t->v[b].next)
            if (!disjoint(c, a, b, 0)) {
                unsupported(c, "oneOf whose schemas may overlap (use anyOf)");
                only_one = false;
            }
        parts with = *list;
        with.at[i].did |= did;
        if (add_part(c, &with, a))
            out = either(c->g, out, rule_for(c, &with));
    }
    return out;
}

/* dependentRequired: either the property is not there, or the others are, too. */
static uint32_t dependent(schema *c, const parts *list, uint32_t i, uint32_t d)
{
    parts with = *list;
    with.at[i].did |= DID_DEPENDENT;
    bool many = c->t->v[d].count > 1;
    uint32_t first = 0;
    for (uint32_t k = c->t->v[d].first; k; k = c->t->v[k].next) {
        uint32_t one = new_value(c->t, V_MAP), inner = new_value(c->t, V_MAP), leaf = new_value(c->t, V_FALSE);
        uint32_t need = new_value(c->t, V_MAP), copy = new_value(c->t, V_LIST), at = c->t->used;
        if (!copy || !keep(c->t, "dependentRequiredproperties", 27))
            return schema_error(c, "too large", "", 0);
        value *v = c->t->v;
        const value old = v[k];
        v[copy].first = old.first;
        v[copy].count = old.count;
        v[copy].key = many ? old.key : at + 9;
        v[copy].keylen = many ? old.keylen : 8; /* "Required": see below */
        if (many) { /* a schema for each */
            v[inner] = (value){.kind = V_MAP, .first = copy, .count = 1, .key = at, .keylen = 17};
            v[one].first = inner;
            v[one].count = 1;
            if (!add_part(c, &with, one))
                return DEAD;
            continue;
        }
        c->t->bytes[at + 9] = 'r';
        v[leaf].key = old.key;
        v[leaf].keylen = old.keylen;
        v[inner] = (value){.kind = V_MAP, .first = leaf, .count = 1, .key = at + 17, .keylen = 10};
        v[one].first = inner;
        v[need].first = copy;
        v[one].count = v[need].count = 1;
        v[one].next = need;
        first = one;
    }
    return many ? rule_for(c, &with) : alternatives(c, &with, i, 0, first, false);
}

/* Puts what the schemas refer to into the list. False if nothing can satisfy it, or
 * after an error. */
static bool flatten(schema *c, parts *list)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->n; i++) {
        part *p = &list->at[i];
        uint8_t kind = c->t->v[p->v].kind;
        uint32_t k;
        if (kind == V_FALSE)
            return false;
        if (kind != V_MAP && kind != V_TRUE) {
            schema_error(c, "a schema is a map, true or false", "", 0);
            return false;
        }
        if (!(p->did & DID_REF) && (k = get(c->t, p->v, "$ref"))) {
            if (c->t->v[k].kind != V_TEXT || !(k = resolve(c, k)) || !add_part(c, list, k))
                return false;
        }
        if (!(p->did & DID_ALL) && (k = get(c->t, p->v, "allOf")))
            for (uint32_t a = c->t->v[k].first; a; a = c->t->v[a].next)
                if (!add_part(c, list, a))
                    return false;
        if (get(c->t, p->v, "$dynamicRef") || get(c->t, p->v, "$recursiveRef"))
            unsupported(c, "$dynamicRef");
        if (get(c->t, p->v, "if") && (get(c->t, p->v, "then") || get(c->t, p->v, "else")))
            unsupported(c, "if");
        p->did |= DID_REF | DID_ALL;
    }
    for (uint32_t i = 0; i < list->n; i++)
        if (c->t->v[list->at[i].v].kind == V_MAP)
            list->at[kept++] = list->at[i];
    list->n = kept;
    return !c->g->err;
}

/* not: of a type, of everything, of nothing, of a not. */
static bool negated(schema *c, parts *list, uint32_t i, uint32_t *types)
{
    uint32_t s = get(c->t, list->at[i].v, "not"), k;
    list->at[i].did |= DID_NOT;
    if (c->t->v[s].kind == V_FALSE)
        return true;
    if (c->t->v[s].kind == V_TRUE || (c->t->v[s].kind == V_MAP && c->t->v[s].count == 0)) {
        *types = 0;
        return true;
    }
    if (c->t->v[s].kind == V_MAP && c->t->v[s].count == 1 && (k = get(c->t, s, "type"))) {
        uint32_t bits = type_bits(c, k);
        if (bits & T_INTEGER && !(bits & T_FRACTION) && *types & T_FRACTION) {
            unsupported(c, "not integer");
            return true;
        }
        *types &= ~bits;
        return true;
    }
    if (c->t->v[s].kind == V_MAP && c->t->v[s].count == 1 && (k = get(c->t, s, "not")))
        return add_part(c, list, k);
    unsupported(c, "not, of other than a type");
    return true;
}

/* The given values that all schemas of the list admit; those of its first const or
 * enum are tried. */
static bool given(schema *c, const parts *list, uint32_t types, uint32_t *out)
{
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t k = get(c->t, list->at[i].v, "const"), e = get(c->t, list->at[i].v, "enum");
        if (!k && !e)
            continue;
        *out = DEAD;
        for (uint32_t v = k ? k : c->t->v[e].first; v; v = k ? 0 : c->t->v[v].next) {
            bool good = kind_bits(c, v) & types;
            for (uint32_t j = 0; good && j < list->n; j++)
                good = fits(c, v, list->at[j].v, 0);
            if (good)
                *out = either(c->g, *out, literal(c, v, RETURN, 0));
        }
        return true;
    }
    return false;
}

static uint32_t compile(schema *c, parts *list)
{
    uint32_t types = T_ALL, k, out;
    if (!flatten(c, list))
        return DEAD;
    for (uint32_t i = 0; i < list->n; i++) {
        part *p = &list->at[i];
        if (!(p->did & DID_NOT) && get(c->t, p->v, "not")) {
            uint32_t n = list->n;
            if (!negated(c, list, i, &types))
                return DEAD;
            if (list->n > n)
                return rule_for(c, list);
            p->did &= ~(uint32_t)DID_NOT; /* types is not part of the list */
        }
        if (!(p->did & DID_ANY) && (k = get(c->t, p->v, "anyOf")))
            return alternatives(c, list, i, DID_ANY, c->t->v[k].first, false);
        if (!(p->did & DID_ONE) && (k = get(c->t, p->v, "oneOf")))
            return alternatives(c, list, i, DID_ONE, c->t->v[k].first, true);
        if (!(p->did & DID_DEPENDENT) && (k = get(c->t, p->v, "dependentRequired")) && c->t->v[k].count > 0)
            return dependent(c, list, i, k);
    }
    for (uint32_t i = 0; i < list->n; i++)
        if ((k = get(c->t, list->at[i].v, "type")))
            types &= type_bits(c, k);
    if (given(c, list, types, &out))
        return out;
    net *g = c->g;
    out = DEAD;
    if (types & T_OBJECT)
        out = object_net(c, list, RETURN);
    if (types & T_ARRAY)
        out = either(g, out, array_net(c, list, RETURN));
    if (types & T_STRING)
        out = either(g, out, string_net(c, list, RETURN));
    if (types & (T_INTEGER | T_FRACTION))
        out = either(g, out, number_net(c, list, !(types & T_FRACTION), RETURN));
    if (types & T_BOOLEAN)
        out = either(g, out, either(g, word(g, "true", RETURN), word(g, "false", RETURN)));
    if (types & T_NULL)
        out = either(g, out, word(g, "null", RETURN));
    return out;
}

/* The first node of the rule for a list; made when first asked for. */
static uint32_t rule_for(schema *c, const parts *list)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (c->rules[i].list.n == list->n && memcmp(c->rules[i].list.at, list->at, list->n * sizeof *list->at) == 0)
            return c->rules[i].at;
    if (c->g->err)
        return DEAD;
    if (c->depth >= COMPILE_DEPTH || c->n >= RULES_MAX || !room(&c->rules, &c->cap, c->n + 1, sizeof *c->rules))
        return schema_error(c, "too large, or nested too deep", "", 0);
    uint32_t at = hole(c->g), i = c->n++;
    c->rules[i].list = *list;
    c->rules[i].at = at;
    parts own = *list;
    c->depth++;
    uint32_t to = compile(c, &own);
    c->depth--;
    if (to == DEAD) { /* so that whoever asks leaves it out */
        c->rules[i].at = DEAD;
        return DEAD;
    }
    fill(c->g, at, to);
    return at;
}

/* The first node of the language of a schema. */
static uint32_t schema_net(net *g, tree *t, uint32_t root, bool compact, bool lenient)
{
    schema c = {.g = g, .t = t, .root = root, .lenient = lenient, .compact = compact};
    c.quoted = hole(g);
    fill(g, c.quoted, any_quoted(g));
    c.blank = hole(g);
    fill(g, c.blank, blank_rule(g));
    parts list = {1, {{root, 0}}};
    uint32_t at = rule_for(&c, &list);
    sw_free(c.rules, 0, 16);
    return at;
}

#endif
