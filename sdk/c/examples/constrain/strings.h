/* strings.h: what schemas say of strings, as regular languages. */
#ifndef STRINGS_H
#define STRINGS_H

#include "types.h"

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

/* The expression of a format; NULL if it is none of those. */
static const char *format_of(schema *c, uint32_t s)
{
    uint32_t f = get(c->t, s, "format");
    for (uint32_t k = 0; f && k < sizeof formats / sizeof *formats; k++)
        if (text_is(c->t, f, formats[k].name))
            return formats[k].is;
    return NULL;
}

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

/* A rule: any one character. */
static uint32_t any_character(net *g, writing w)
{
    static const span all = {0, 0x10ffff};
    uint32_t at = hole(g);
    fill(g, at, character(g, &all, 1, w, RETURN));
    return at;
}

/* Texts of min to max characters. */
static void add_lengths(languages *l, uint32_t min, uint32_t max, writing w)
{
    net *g = add_language(l, WANTED);
    if (g)
        end_language(l, times(g, any_character(g, w), min, max, RETURN));
}

/* Texts that have a match of an expression; if whole, those that match all of it. */
static void add_expression(languages *l, role as, const void *p, uint32_t n, bool whole, writing w)
{
    net *g = add_language(l, as);
    if (g)
        end_language(l, regex_net(g, p, n, w, whole ? 0 : any_character(g, w), RETURN));
}

static void add_pattern(schema *c, languages *l, role as, uint32_t v, writing w)
{
    if (c->t->v[v].kind != V_TEXT)
        schema_error(c, "pattern is not a string", "", 0);
    else
        add_expression(l, as, text_of(c->t, v), c->t->v[v].len, false, w);
}

/* What "not" names in one of the ways that are not rewritten: const, enum, pattern,
 * multipleOf, alone. */
static uint32_t forbidden(schema *c, uint32_t s, const char *keyword)
{
    uint32_t not = get(c->t, s, "not");
    return not && c->t->v[not].kind == V_MAP && c->t->v[not].count == 1 ? get(c->t, not, keyword) : 0;
}

static bool forbids(schema *c, uint32_t s)
{
    return forbidden(c, s, "const") || forbidden(c, s, "enum") || forbidden(c, s, "pattern") || forbidden(c, s, "multipleOf");
}

/* The first value of a const (one) or enum (a list), and the one behind v. */
static uint32_t next_constant(schema *c, uint32_t one, uint32_t list, uint32_t v)
{
    if (one)
        return v ? 0 : one;
    return !list ? 0 : v ? c->t->v[v].next : c->t->v[list].first;
}

/* The strings of a const or enum. */
static void add_constants(schema *c, languages *l, role as, uint32_t one, uint32_t list, writing w)
{
    net *g = add_language(l, as);
    uint32_t out = DEAD;
    for (uint32_t v = next_constant(c, one, list, 0); g && v; v = next_constant(c, one, list, v))
        if (c->t->v[v].kind == V_TEXT) {
            const uint8_t *p = text_of(c->t, v);
            out = either(g, out, w == QUOTED ? json_text(g, p, c->t->v[v].len, RETURN) : bytes_then(g, p, c->t->v[v].len, RETURN));
        }
    if (g)
        end_language(l, out);
}

/* What a list of schemas says of a string; all of it together are the texts wanted. */
static void add_string_rules(schema *c, const parts *list, languages *l, writing w)
{
    uint32_t min, max;
    counts(c, list, "minLength", "maxLength", &min, &max);
    add_lengths(l, min, max, w);
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t s = list->at[i].v, p = get(c->t, s, "pattern"), not = forbidden(c, s, "pattern");
        const char *f = format_of(c, s);
        if (p)
            add_pattern(c, l, WANTED, p, w);
        if (f)
            add_expression(l, WANTED, f, (uint32_t)strlen(f), true, w);
        if (not)
            add_pattern(c, l, AVOIDED, not, w);
        uint32_t one = forbidden(c, s, "const"), many = forbidden(c, s, "enum");
        if (one || many)
            add_constants(c, l, AVOIDED, one, many, w);
    }
}

/* The texts of the languages, and what is behind; the work is counted. */
static uint32_t meet(schema *c, languages *l, uint32_t (*end)(void *, uint32_t), void *context)
{
    uint32_t out = work(c, l->n * LANGUAGE_WORK) ? languages_net(c->g, l, end, context) : DEAD;
    return work(c, l->steps * 12) ? out : DEAD;
}

static uint32_t to_node(void *node, uint32_t noted)
{
    (void)noted;
    return *(uint32_t *)node;
}

/* A string by one expression, or by its length, in any way JSON may write it; false if
 * the list says more. */
static bool simple_string(schema *c, const parts *list, uint32_t end, uint32_t *body)
{
    uint32_t min, max, pattern = 0;
    const char *format = NULL;
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t s = list->at[i].v, p = get(c->t, s, "pattern");
        const char *f = format_of(c, s);
        if (get(c->t, s, "not") || (p && pattern && !same(c->t, p, pattern, 0)) || (f && format && f != format) || (p && c->t->v[p].kind != V_TEXT))
            return false;
        pattern = p ? p : pattern;
        format = f ? f : format;
    }
    counts(c, list, "minLength", "maxLength", &min, &max);
    bool lengths = min > 0 || max != UNBOUNDED;
    if (lengths + (pattern != 0) + (format != NULL) > 1)
        return false;
    if (pattern)
        *body = regex_net(c->g, text_of(c->t, pattern), c->t->v[pattern].len, QUOTED, c->quoted, end);
    else if (format)
        *body = regex_net(c->g, (const uint8_t *)format, (uint32_t)strlen(format), QUOTED, 0, end);
    else
        *body = times(c->g, c->quoted, min, max, end);
    return true;
}

/* A string with its quotes. */
static uint32_t string_net(schema *c, const parts *list, uint32_t next)
{
    uint32_t end = word(c->g, "\"", next), body;
    if (!simple_string(c, list, end, &body)) {
        languages l = {0};
        add_string_rules(c, list, &l, QUOTED);
        body = meet(c, &l, to_node, &end);
        drop_languages(&l);
    }
    return word(c->g, "\"", body);
}

#endif
