/* parts.h: what is being made: lists of schemas that apply to one value, each a rule. */
#ifndef PARTS_H
#define PARTS_H

#include "language.h"
#include "number.h"
#include "regex.h"

enum { LIST_MAX = 64, RULES_MAX = 4000, RULE_TABLE = 8192, COUNT_MAX = 4096, COMPILE_DEPTH = 100, NAMES_MAX = 1000 };
enum { WORK_MAX = 700000 }; /* of about 100 instructions: what opening a sequence may cost */

/* A schema of the list, and which of its keywords have been dealt with. */
enum { DID_REF = 1, DID_ANY = 2, DID_ONE = 4, DID_NOT = 8, DID_IF = 16 };
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
    uint32_t *table; /* of rules by their lists, and one; 0: free */
    uint32_t n, cap, depth;
    uint32_t quoted; /* rule: a character of a string */
    uint32_t blank;  /* rule: white space */
    languages tried; /* a pattern that values are held against */
    uint32_t tried_of;
    uint32_t derived; /* values made of others */
    uint32_t worked;
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

/* Counts work, so that a schema is refused rather than the budget spent. */
static bool work(schema *c, uint32_t n)
{
    c->worked += n;
    if (c->worked > WORK_MAX)
        schema_error(c, "too large: too many conditions together", "", 0);
    return c->worked <= WORK_MAX;
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
static bool flatten(schema *c, parts *list);

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

#endif
