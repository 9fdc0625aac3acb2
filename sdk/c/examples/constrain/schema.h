/* schema.h: JSON schemas (draft 2020-12) as nets. A rule reads what satisfies all of
 * a list of schemas; lists grow by $ref and allOf, and split by anyOf and what else is
 * rewritten as alternatives. */
#ifndef SCHEMA_H
#define SCHEMA_H

#include "elements.h"
#include "objects.h"

/* One rule or another: each way the list can go with one of the schemas added. */
static uint32_t alternatives(schema *c, const parts *list, uint32_t i, uint32_t did, uint32_t ways)
{
    uint32_t out = DEAD;
    for (uint32_t a = c->t->v[ways].first; a && !c->g->err; a = c->t->v[a].next) {
        parts with = *list;
        with.at[i].did |= did;
        if (add_part(c, &with, a))
            out = either(c->g, out, rule_for(c, &with));
    }
    return out;
}

/* Adds all schemas of a list. */
static bool add_parts(schema *c, parts *list, uint32_t schemas)
{
    for (uint32_t a = c->t->v[schemas].first; a; a = c->t->v[a].next)
        if (!add_part(c, list, a))
            return false;
    return true;
}

/* Puts what schema s refers to, and what it is rewritten as, into the list. */
static bool add_referred(schema *c, parts *list, uint32_t s)
{
    static const char *const dependent[] = {"dependentRequired", "dependentSchemas", "dependencies"};
    uint32_t k;
    if ((k = get(c->t, s, "$ref")))
        if (c->t->v[k].kind != V_TEXT || !(k = resolve(c, k)) || !add_part(c, list, k))
            return false;
    if ((k = get(c->t, s, "allOf")) && !add_parts(c, list, k))
        return false;
    for (uint32_t i = 0; i < 3; i++)
        if ((k = get(c->t, s, dependent[i])) && !add_parts(c, list, dependencies(c, k)))
            return false;
    if (get(c->t, s, "$dynamicRef") || get(c->t, s, "$recursiveRef"))
        unsupported(c, "$dynamicRef");
    return true;
}

/* Puts what the schemas refer to into the list. False if nothing can satisfy it, or
 * after an error. */
static bool flatten(schema *c, parts *list)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t v = list->at[i].v;
        uint8_t kind = c->t->v[v].kind;
        if (kind == V_FALSE)
            return false;
        if (kind != V_MAP && kind != V_TRUE) {
            schema_error(c, "a schema is a map, true or false", "", 0);
            return false;
        }
        if (!(list->at[i].did & DID_REF) && !add_referred(c, list, v))
            return false;
        list->at[i].did |= DID_REF;
    }
    for (uint32_t i = 0; i < list->n; i++)
        if (c->t->v[list->at[i].v].kind == V_MAP)
            list->at[kept++] = list->at[i];
    list->n = kept;
    return !c->g->err;
}

/* A keyword of the list that is to be rewritten as alternatives. False if none is left. */
static bool rewritten(schema *c, const parts *list, uint32_t *out)
{
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t s = list->at[i].v, did = list->at[i].did, k, ways = 0, doing = 0;
        if (!(did & DID_ANY) && (k = get(c->t, s, "anyOf"))) {
            ways = k;
            doing = DID_ANY;
        } else if (!(did & DID_ONE) && (k = get(c->t, s, "oneOf"))) {
            ways = only_one(c, k);
            doing = DID_ONE;
        } else if (!(did & DID_NOT) && !forbids(c, s) && (k = get(c->t, s, "not"))) {
            ways = negation(c, k, 0);
            doing = DID_NOT;
        } else if (!(did & DID_IF) && (k = get(c->t, s, "if")) && (get(c->t, s, "then") || get(c->t, s, "else"))) {
            ways = branches(c, s, k);
            doing = DID_IF;
        }
        if (!doing)
            continue;
        *out = c->g->err ? DEAD : alternatives(c, list, i, doing, ways);
        return true;
    }
    return false;
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
        for (uint32_t v = next_constant(c, k, e, 0); v; v = next_constant(c, k, e, v)) {
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

/* Whether "not" names a constant of the kind. */
static bool is_forbidden(schema *c, const parts *list, value_kind kind)
{
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t s = list->at[i].v, one = forbidden(c, s, "const"), many = forbidden(c, s, "enum");
        for (uint32_t v = next_constant(c, one, many, 0); v; v = next_constant(c, one, many, v))
            if (c->t->v[v].kind == kind)
                return true;
    }
    return false;
}

static uint32_t simple_value(schema *c, const parts *list, value_kind kind, const char *text)
{
    return is_forbidden(c, list, kind) ? DEAD : word(c->g, text, RETURN);
}

/* The types all schemas of the list admit. */
static uint32_t types_of(schema *c, const parts *list)
{
    uint32_t types = T_ALL, k;
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t s = list->at[i].v;
        if ((k = get(c->t, s, "type")))
            types &= type_bits(c, k);
        if (forbidden(c, s, "pattern")) /* which other types always satisfy */
            types &= T_STRING;
        if (forbidden(c, s, "multipleOf"))
            types &= T_INTEGER | T_FRACTION;
    }
    return types;
}

static uint32_t compile(schema *c, parts *list)
{
    uint32_t out;
    if (!flatten(c, list))
        return DEAD;
    uint32_t types = types_of(c, list);
    if (types == 0 || given(c, list, types, &out))
        return types == 0 ? DEAD : out;
    if (rewritten(c, list, &out))
        return out;
    if ((types & T_OBJECT && is_forbidden(c, list, V_MAP)) || (types & T_ARRAY && is_forbidden(c, list, V_LIST)))
        unsupported(c, "not, of a constant that is an object or array");
    net *g = c->g;
    out = DEAD;
    if (types & T_OBJECT)
        out = object_net(c, list, RETURN);
    if (types & T_ARRAY)
        out = either(g, out, array_net(c, list, RETURN));
    if (types & T_STRING)
        out = either(g, out, string_net(c, list, RETURN));
    if (types & (T_INTEGER | T_FRACTION))
        out = either(g, out, number_net(c, list, types, RETURN));
    if (types & T_BOOLEAN)
        out = either(g, out, either(g, simple_value(c, list, V_TRUE, "true"), simple_value(c, list, V_FALSE, "false")));
    if (types & T_NULL)
        out = either(g, out, simple_value(c, list, V_NULL, "null"));
    return out;
}

/* The place of a list in the table of rules. */
static uint32_t rule_place(const schema *c, const parts *list)
{
    uint32_t h = list->n;
    for (uint32_t i = 0; i < list->n; i++)
        h = hash_of(hash_of(h, list->at[i].v), list->at[i].did);
    for (h &= RULE_TABLE - 1; c->table[h]; h = (h + 1) & (RULE_TABLE - 1)) {
        const parts *other = &c->rules[c->table[h] - 1].list;
        if (other->n == list->n && memcmp(other->at, list->at, list->n * sizeof *list->at) == 0)
            break;
    }
    return h;
}

/* The first node of the rule for a list; made when first asked for. */
static uint32_t rule_for(schema *c, const parts *list)
{
    if (c->g->err)
        return DEAD;
    uint32_t place = rule_place(c, list);
    if (c->table[place])
        return c->rules[c->table[place] - 1].at;
    if (c->depth >= COMPILE_DEPTH || c->n >= RULES_MAX || !work(c, 10) || !room(&c->rules, &c->cap, c->n + 1, sizeof *c->rules))
        return schema_error(c, "too large, or nested too deep", "", 0);
    uint32_t at = hole(c->g), i = c->n++;
    c->table[place] = i + 1;
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
    c.table = sw_alloc(RULE_TABLE * sizeof *c.table, 16);
    if (!c.table)
        return schema_error(&c, "no memory", "", 0);
    memset(c.table, 0, RULE_TABLE * sizeof *c.table);
    c.quoted = hole(g);
    fill(g, c.quoted, any_quoted(g));
    c.blank = hole(g);
    fill(g, c.blank, blank_rule(g));
    parts list = {1, {{root, 0}}};
    uint32_t at = rule_for(&c, &list);
    sw_free(c.rules, 0, 16);
    sw_free(c.table, 0, 16);
    drop_languages(&c.tried);
    return at;
}

#endif
