/* sequence.h: how far each sequence is. The state after every token is kept, so that
 * tokens are taken back at once. */
#ifndef SEQUENCE_H
#define SEQUENCE_H

#include "grammar.h"

enum { SEQUENCES = 1024 };
#define ENDED 0xfffffffe /* the state after an end token; behind what is not allowed it is NOWHERE */

/* A token, and the state it led to. */
typedef struct {
    int32_t id;
    uint32_t state;
} chosen;

typedef struct {
    grammar *g; /* NULL: everything is allowed */
    chosen *tokens;
    uint32_t n, cap;
} sequence;

static sw_slot slots[SEQUENCES];
static sequence sequences[SEQUENCES];

static uint32_t state_now(const sequence *s) { return s->n > 0 ? s->tokens[s->n - 1].state : s->g->m.start; }

static bool is_end(const grammar *x, int32_t id)
{
    for (uint32_t i = 0; i < x->ends_n; i++)
        if (x->ends[i] == id)
            return true;
    return false;
}

/* The state after a token; UNKNOWN if the machine is full. */
static uint32_t follow(grammar *x, uint32_t state, int32_t id)
{
    machine *m = &x->m;
    if (state == ENDED || state == NOWHERE)
        return state;
    if (id < 0 || (uint32_t)id >= vocab.n)
        return NOWHERE;
    if (is_end(x, id))
        return m->states[state].dist == 0 ? ENDED : NOWHERE;
    const uint8_t *p;
    uint32_t n = token_bytes((uint32_t)id, &p);
    for (uint32_t i = 0; i < n && state != NOWHERE && state != UNKNOWN; i++)
        state = next_state(m, state, p[i]);
    return state;
}

/* Forgets the states of a full machine, and finds those of its sequences again. */
static int32_t begin_again(grammar *x)
{
    drop_masks(&x->m);
    bool good = restart(&x->m);
    for (uint32_t i = 0; i < SEQUENCES && good; i++) {
        sequence *s = &sequences[i];
        if (slots[i].state != 1 || s->g != x)
            continue;
        uint32_t state = x->m.start;
        for (uint32_t k = 0; k < s->n && good; k++) {
            s->tokens[k].state = state = follow(x, state, s->tokens[k].id);
            good = state != UNKNOWN;
        }
    }
    return good ? SW_OK : sw_fail(SW_E2BIG, "the grammar has too many states: bound lengths lower, or repeat less");
}

/* Goes on by a token there is room for. */
static int32_t advance(sequence *s, int32_t id)
{
    uint32_t state = follow(s->g, state_now(s), id);
    s->tokens[s->n++] = (chosen){id, state};
    return state == UNKNOWN ? begin_again(s->g) : SW_OK;
}

static void empty(sequence *s)
{
    if (s->g)
        s->g->users--;
    sw_free(s->tokens, 0, 16);
    *s = (sequence){0};
}

/* Makes d, which is empty, another s. */
static bool copy(sequence *d, const sequence *s)
{
    if (s->g && !room(&d->tokens, &d->cap, s->n + 1, sizeof *d->tokens))
        return false;
    memcpy(d->tokens, s->tokens, s->n * sizeof *s->tokens);
    d->n = s->n;
    d->g = s->g;
    if (d->g)
        d->g->users++;
    return true;
}

#endif
