/* language.h: texts that are in some regular languages and not in others, as a net. The
 * machines of all are run side by side; where they are together is one state (the
 * product of Rabin and Scott 1959, https://doi.org/10.1147/rd.32.0114). */
#ifndef LANGUAGE_H
#define LANGUAGE_H

#include "machine.h"

enum { LANGUAGE_WORK = 1500 }; /* what making one costs, in hundreds of instructions */
enum { LANGUAGES_MAX = 12, TUPLES_MAX = 2000, TUPLE_TABLE = 8192, LANGUAGE_DEPTH = 8 };

/* What a text has to do with a language. */
typedef enum {
    WANTED,
    AVOIDED,
    NOTED /* it may be in it or not; which is told */
} role;

typedef struct {
    machine m;
    role as;
    bool none; /* there is no text in it */
} language;

/* Languages are added by add_language, its net, and end_language. */
typedef struct {
    language *at;
    uint32_t n;
    int32_t err;
    uint32_t *tuples; /* the states of each machine, n of them a tuple */
    uint32_t *entry;  /* of each tuple: its node */
    uint32_t *table;  /* open addressing; 0: free */
    uint32_t tuples_n;
    uint16_t bounds[257]; /* where a byte is told from the one before, and 256 */
    uint32_t bounds_n;
    uint32_t steps; /* looked at */
} languages;

static net *add_language(languages *l, role as)
{
    if (!l->at && !l->err && !(l->at = sw_alloc(LANGUAGES_MAX * sizeof *l->at, 16)))
        l->err = sw_fail(SW_ENOMEM, "no memory for the grammar");
    if (!l->err && l->n == LANGUAGES_MAX)
        l->err = sw_fail(SW_E2BIG, "schema: more than 12 rules for one text");
    if (l->err)
        return NULL;
    language *x = &l->at[l->n++];
    memset(x, 0, sizeof *x);
    x->as = as;
    net_begin(&x->m.g);
    return &x->m.g;
}

/* The net of the language added last begins at entry. */
static void end_language(languages *l, uint32_t entry)
{
    language *x = &l->at[l->n - 1];
    x->m.entry = entry;
    int32_t err = x->m.g.err;
    uint32_t size = 2048;
    while (size < 8 * x->m.g.n && size < TABLE_MAX)
        size *= 2;
    if (!err && entry != DEAD)
        err = machine_begin(&x->m, LANGUAGE_DEPTH, size);
    x->none = entry == DEAD || (err && x->m.g.dist && x->m.g.dist[entry] >= FAR);
    if ((!x->none || x->m.g.err) && !l->err)
        l->err = err;
}

static void drop_languages(languages *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        machine_end(&l->at[i].m);
    void *all[] = {l->at, l->tuples, l->entry, l->table};
    for (uint32_t i = 0; i < sizeof all / sizeof *all; i++)
        sw_free(all[i], 0, 16);
    *l = (languages){.err = l->err};
}

/* One byte further with all; false if no good text begins so. */
static bool go_on(languages *l, const uint32_t *from, uint8_t b, uint32_t *to)
{
    for (uint32_t i = 0; i < l->n; i++) {
        language *x = &l->at[i];
        to[i] = x->none || from[i] == NOWHERE ? NOWHERE : next_state(&x->m, from[i], b);
        if (to[i] == UNKNOWN)
            l->err = sw_fail(SW_E2BIG, "schema: the rules for a text are too large together");
        if (to[i] == UNKNOWN || (to[i] == NOWHERE && x->as == WANTED))
            return false;
    }
    return true;
}

/* Whether a text that led there is one; notes which of the NOTED it is in. */
static bool is_text(const languages *l, const uint32_t *at, uint32_t *noted)
{
    *noted = 0;
    for (uint32_t i = 0, k = 0; i < l->n; i++) {
        bool in = at[i] != NOWHERE && l->at[i].m.states[at[i]].dist == 0;
        if (l->at[i].as == NOTED)
            *noted |= (uint32_t)in << k++;
        else if (in != (l->at[i].as == WANTED))
            return false;
    }
    return true;
}

static void at_start(const languages *l, uint32_t *at)
{
    for (uint32_t i = 0; i < l->n; i++)
        at[i] = l->at[i].none ? NOWHERE : l->at[i].m.start;
}

/* Whether the languages take a text. */
static bool takes(languages *l, const uint8_t *p, uint32_t n, uint32_t *noted)
{
    uint32_t at[LANGUAGES_MAX];
    at_start(l, at);
    for (uint32_t i = 0; i < n; i++)
        if (!go_on(l, at, p[i], at))
            return false;
    return is_text(l, at, noted);
}

/* The number of a tuple, put down if it is new. */
static uint32_t tuple_of(net *g, languages *l, const uint32_t *at)
{
    uint32_t h = 0, size = l->n * sizeof *at;
    for (uint32_t i = 0; i < l->n; i++)
        h = hash_of(h, at[i]);
    for (h &= TUPLE_TABLE - 1; l->table[h]; h = (h + 1) & (TUPLE_TABLE - 1))
        if (memcmp(l->tuples + (l->table[h] - 1) * l->n, at, size) == 0)
            return l->table[h] - 1;
    if (l->tuples_n == TUPLES_MAX) {
        l->err = sw_fail(SW_E2BIG, "schema: the rules for a text are too large together");
        return 0;
    }
    memcpy(l->tuples + l->tuples_n * l->n, at, size);
    l->entry[l->tuples_n] = hole(g);
    l->table[h] = l->tuples_n + 1;
    return l->tuples_n++;
}

static void find_bounds(languages *l)
{
    l->bounds_n = 0;
    for (uint32_t b = 0; b <= 256; b++) {
        bool same = b > 0 && b < 256;
        for (uint32_t i = 0; i < l->n && same; i++)
            same = l->at[i].none || l->at[i].m.class_of[b] == l->at[i].m.class_of[b - 1];
        if (!same)
            l->bounds[l->bounds_n++] = (uint16_t)b;
    }
}

/* What the bytes lead to from tuple t. */
static uint32_t tuple_net(net *g, languages *l, uint32_t t, uint32_t out)
{
    uint32_t to[LANGUAGES_MAX], low = 0, into = DEAD;
    for (uint32_t k = 0; k < l->bounds_n && !l->err; k++) {
        uint32_t b = l->bounds[k], entry = DEAD;
        if (b < 256 && go_on(l, l->tuples + t * l->n, (uint8_t)b, to))
            entry = l->entry[tuple_of(g, l, to)];
        l->steps++;
        if (entry == into && b < 256)
            continue;
        if (into != DEAD)
            out = either(g, out, one_of(g, (uint8_t)low, (uint8_t)(b - 1), into));
        low = b;
        into = entry;
    }
    return out;
}

/* The texts of the languages. end gives the node behind one, by what was noted. */
static uint32_t languages_net(net *g, languages *l, uint32_t (*end)(void *, uint32_t), void *context)
{
    uint32_t at[LANGUAGES_MAX], noted;
    l->tuples = l->err ? NULL : sw_alloc(TUPLES_MAX * l->n * sizeof *l->tuples, 16);
    l->entry = l->err ? NULL : sw_alloc(TUPLES_MAX * sizeof *l->entry, 16);
    l->table = l->err ? NULL : sw_alloc(TUPLE_TABLE * sizeof *l->table, 16);
    if (!l->err && (!l->tuples || !l->entry || !l->table))
        l->err = sw_fail(SW_ENOMEM, "no memory for the grammar");
    for (uint32_t i = 0; i < l->n && !l->err; i++)
        if (l->at[i].none && l->at[i].as == WANTED)
            return DEAD;
    if (!l->err) {
        memset(l->table, 0, TUPLE_TABLE * sizeof *l->table);
        find_bounds(l);
        at_start(l, at);
        tuple_of(g, l, at);
    }
    for (uint32_t t = 0; t < l->tuples_n && !l->err && !g->err; t++) {
        uint32_t out = is_text(l, l->tuples + t * l->n, &noted) ? end(context, noted) : DEAD;
        fill(g, l->entry[t], tuple_net(g, l, t, out));
    }
    if (l->err && !g->err)
        g->err = l->err;
    return g->err ? DEAD : l->entry[0];
}

#endif
