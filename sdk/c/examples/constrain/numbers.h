/* numbers.h: what schemas say of numbers. */
#ifndef NUMBERS_H
#define NUMBERS_H

#include "strings.h"

typedef struct {
    decimal low, high;
    bool has_low, has_high, over, under; /* over, under: the bound itself is out */
} interval;

static bool read_bound(schema *c, uint32_t v, decimal *d)
{
    if (c->t->v[v].kind == V_NUMBER && read_decimal(text_of(c->t, v), c->t->v[v].len, d))
        return true;
    schema_error(c, "a bound is no number, or has more than 24 digits", "", 0);
    return false;
}

/* The tightest bounds of the list. False after an error. */
static bool read_interval(schema *c, const parts *list, interval *b)
{
    static const char *const names[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"};
    *b = (interval){0};
    for (uint32_t i = 0; i < list->n; i++)
        for (uint32_t k = 0; k < 4; k++) {
            uint32_t v = get(c->t, list->at[i].v, names[k]);
            decimal d;
            if (!v)
                continue;
            if (!read_bound(c, v, &d))
                return false;
            if (!(k & 1) && (!b->has_low || compare(&d, &b->low) > 0 || (k == 2 && compare(&d, &b->low) == 0))) {
                b->low = d;
                b->over = k == 2;
                b->has_low = true;
            } else if ((k & 1) && (!b->has_high || compare(&d, &b->high) < 0 || (k == 3 && compare(&d, &b->high) == 0))) {
                b->high = d;
                b->under = k == 3;
                b->has_high = true;
            }
        }
    return true;
}

static uint32_t interval_net(net *g, const interval *b, bool integer, uint32_t next)
{
    int32_t order = b->has_low && b->has_high ? compare(&b->low, &b->high) : -1;
    if (order > 0 || (order == 0 && (b->over || b->under)))
        return DEAD;
    return between(g, b->has_low ? &b->low : NULL, b->over, b->has_high ? &b->high : NULL, b->under, integer, next);
}

/* The numbers a const or enum names, in all forms without exponent. */
static void add_numbers(schema *c, languages *l, uint32_t one, uint32_t list)
{
    net *g = add_language(l, AVOIDED);
    uint32_t out = DEAD;
    decimal d;
    for (uint32_t v = next_constant(c, one, list, 0); g && v; v = next_constant(c, one, list, v))
        if (c->t->v[v].kind == V_NUMBER && read_bound(c, v, &d))
            out = either(g, out, between(g, &d, false, &d, false, false, RETURN));
    if (g)
        end_language(l, out);
}

static void add_multiples(schema *c, languages *l, role as, uint32_t v, bool integer)
{
    decimal d;
    net *g = read_bound(c, v, &d) ? add_language(l, as) : NULL;
    if (g)
        end_language(l, multiples(g, &d, integer, RETURN));
}

/* Everything of the list that is more than bounds. */
static void add_number_rules(schema *c, const parts *list, languages *l, bool integer)
{
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t s = list->at[i].v, m = get(c->t, s, "multipleOf"), one = forbidden(c, s, "const"), many = forbidden(c, s, "enum");
        uint32_t no = forbidden(c, s, "multipleOf");
        if (m)
            add_multiples(c, l, WANTED, m, integer);
        if (no)
            add_multiples(c, l, AVOIDED, no, integer);
        if (one || many)
            add_numbers(c, l, one, many);
    }
}

/* A number of the types, integers or others or both. */
static uint32_t number_net(schema *c, const parts *list, uint32_t types, uint32_t next)
{
    net *g = c->g;
    interval b;
    languages l = {0};
    bool integer = !(types & T_FRACTION), bounded;
    if (!read_interval(c, list, &b))
        return DEAD;
    bounded = b.has_low || b.has_high;
    add_number_rules(c, list, &l, integer);
    uint32_t rules = l.n, out, step = 0;
    for (uint32_t i = 0; i < list->n; i++)
        step = get(c->t, list->at[i].v, "multipleOf") ? get(c->t, list->at[i].v, "multipleOf") : step;
    decimal d;
    if (rules == 0 && !l.err && types & T_INTEGER) {
        out = bounded ? interval_net(g, &b, integer, next) : any_number_form(g, integer, next);
    } else if (rules == 1 && step && !bounded && types & T_INTEGER) {
        out = read_bound(c, step, &d) ? multiples(g, &d, integer, next) : DEAD;
    } else {
        net *x = add_language(&l, WANTED);
        if (x)
            end_language(&l, interval_net(x, &b, integer, RETURN));
        static const decimal unit = {.whole = {1}, .nw = 1};
        if (!(types & T_INTEGER) && (x = add_language(&l, AVOIDED)))
            end_language(&l, multiples(x, &unit, false, RETURN));
        out = meet(c, &l, to_node, &next);
    }
    if (l.err && !g->err)
        g->err = l.err;
    drop_languages(&l);
    return out;
}

#endif
