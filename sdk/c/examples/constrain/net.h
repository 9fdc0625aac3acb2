/* net.h: the language as a net of nodes over bytes. Rules call each other, as in a
 * recursive transition network (Woods 1970, https://doi.org/10.1145/355598.362773):
 * a node reads a byte, forks, or calls a rule and goes on behind it.
 *
 * Nets are built from the end: a piece is told the node that follows, and returns
 * the node it begins with. */
#ifndef NET_H
#define NET_H

#include "array.h"

enum { N_RETURN, N_DEAD, N_RANGE, N_FORK, N_CALL };
enum { RETURN = 0, DEAD = 1 }; /* the two nodes every net has */
enum { NODES_MAX = 60000 };
#define FAR 0x00ffffff /* no way to the end */

typedef struct {
    uint8_t kind, low, high;
    uint32_t next;  /* RANGE, CALL: what follows; FORK: one way */
    uint32_t other; /* FORK: the other; CALL: the rule's first node */
} node;

enum { RECENT = 256 };

typedef struct {
    node *nodes;
    uint32_t n, cap;
    uint32_t *dist; /* fewest bytes from a node to the end of its rule; FAR */
    uint32_t recent[RECENT]; /* nodes that read a byte, by what they are: one does for all */
    int32_t err;
} net;

static uint32_t add_node(net *g, node x)
{
    if (g->err)
        return DEAD;
    if (g->n >= NODES_MAX) {
        g->err = sw_fail(SW_E2BIG, "the grammar is too large: repeat less, or bound lengths lower");
        return DEAD;
    }
    if (!room(&g->nodes, &g->cap, g->n + 1, sizeof *g->nodes)) {
        g->err = sw_fail(SW_ENOMEM, "no memory for the grammar");
        return DEAD;
    }
    g->nodes[g->n] = x;
    return g->n++;
}

static void net_begin(net *g)
{
    add_node(g, (node){.kind = N_RETURN});
    add_node(g, (node){.kind = N_DEAD});
}

static uint32_t one_of(net *g, uint8_t low, uint8_t high, uint32_t next)
{
    if (next == DEAD || g->err)
        return DEAD;
    uint32_t *had = &g->recent[(low * 31u + high * 7u + next * 101u) % RECENT];
    const node *x = &g->nodes[*had];
    if (x->kind != N_RANGE || x->low != low || x->high != high || x->next != next)
        *had = add_node(g, (node){N_RANGE, low, high, next, 0});
    return *had;
}

static uint32_t either(net *g, uint32_t a, uint32_t b)
{
    if (a == DEAD || a == b)
        return b;
    return b == DEAD ? a : add_node(g, (node){N_FORK, 0, 0, a, b});
}

/* A node that is told later where it leads: for loops and recursion. */
static uint32_t hole(net *g) { return add_node(g, (node){N_FORK, 0, 0, DEAD, DEAD}); }
static void fill(net *g, uint32_t at, uint32_t to)
{
    if (!g->err)
        g->nodes[at].next = g->nodes[at].other = to;
}

/* Calls a rule. One that has nothing behind it need not come back. */
static uint32_t call(net *g, uint32_t rule, uint32_t next)
{
    if (rule == DEAD || next == DEAD)
        return DEAD;
    return next == RETURN ? rule : add_node(g, (node){N_CALL, 0, 0, next, rule});
}

/* Calls a rule that calls none itself: it does not count as depth. */
static uint32_t call_leaf(net *g, uint32_t rule, uint32_t next)
{
    uint32_t at = call(g, rule, next);
    if (!g->err && g->nodes[at].kind == N_CALL && next != RETURN)
        g->nodes[at].low = 1;
    return at;
}

static uint32_t bytes_then(net *g, const void *p, uint32_t n, uint32_t next)
{
    const uint8_t *b = p;
    while (n > 0) {
        n--;
        next = one_of(g, b[n], b[n], next);
    }
    return next;
}

static uint32_t word(net *g, const char *s, uint32_t next) { return bytes_then(g, s, (uint32_t)strlen(s), next); }

static uint32_t near(uint32_t a, uint32_t b) { return a + b < FAR ? a + b : FAR; }

/* Notes the way from a node by those it leads to, if it is shorter than what was known. */
static bool shorten(net *g, uint32_t i)
{
    const node *x = &g->nodes[i];
    uint32_t d = g->dist[x->next];
    if (x->kind == N_RANGE)
        d = near(d, 1);
    else if (x->kind == N_CALL)
        d = near(d, g->dist[x->other]);
    else if (g->dist[x->other] < d)
        d = g->dist[x->other];
    if (d >= g->dist[i])
        return false;
    g->dist[i] = d;
    return true;
}

/* Finds the shortest way to the end from every node: until nothing changes. Nodes lead
 * to ones made before, or not long after, so that a few rounds in turn do. */
static bool measure(net *g)
{
    if (g->err)
        return false;
    uint32_t size = g->n * sizeof *g->dist;
    g->dist = sw_alloc(size, 16);
    if (!g->dist) {
        g->err = sw_fail(SW_ENOMEM, "no memory for the grammar");
        return false;
    }
    for (uint32_t i = 0; i < g->n; i++)
        g->dist[i] = FAR;
    g->dist[RETURN] = 0;
    bool changed = true;
    for (uint32_t round = 0; changed; round++) {
        changed = false;
        for (uint32_t k = 2; k < g->n; k++) /* up, then down */
            changed |= shorten(g, round & 1 ? g->n + 1 - k : k);
    }
    return true;
}

#endif
