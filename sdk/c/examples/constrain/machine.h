/* machine.h: runs a net. A configuration is a node and the calls it is inside of; a
 * state is the set of configurations a text leads to. States are made when a text
 * first leads there, and kept (as in a lazily built DFA, e.g. Aho, Sethi, Ullman 1986,
 * section 3.7). Of bytes no node tells apart, one stands for all. */
#ifndef MACHINE_H
#define MACHINE_H

#include "kinds.h"
#include "net.h"

enum { CONFIGS_MAX = 1000, TABLE_MAX = 16384 };
#define UNKNOWN 0xffffffff
#define NOWHERE 0 /* the state of texts that are no beginning of the language */

typedef struct {
    uint32_t node, frame;
} config;

/* A call that has not come back. Frame 0 is the outermost. */
typedef struct {
    uint32_t back, up, depth;
    uint32_t dist; /* fewest bytes from `back` to the end of all */
} frame;

typedef struct {
    uint32_t first, n; /* configurations, all at nodes that read a byte */
    uint32_t dist;     /* fewest bytes to the end of the language; 0: may end here */
    uint32_t mask;     /* slot of its mask, and one; 0: none */
    uint32_t stride;   /* once measured: where all characters of the kinds `same` lead; */
    kinds same, dead;  /* and those that lead nowhere */
    bool measured;
} state;

/* Configurations right behind a byte, before what they lead to without one, and the
 * state all of it is: many bytes have the same. */
typedef struct {
    uint32_t first, n, state;
} transition;

typedef struct {
    net g;
    uint32_t entry, depth; /* first node; most calls inside of each other */
    uint8_t class_of[256];
    uint8_t sample[256]; /* a byte of each class */
    uint32_t classes;

    config *configs;
    uint32_t configs_n, configs_cap;
    frame *frames;
    uint32_t frames_n, frames_cap;
    state *states;
    uint32_t states_n, states_cap;
    uint32_t *to; /* classes of each state: the next one, or UNKNOWN */
    uint32_t to_cap;
    config *kernels; /* of all transitions, one behind the other */
    uint32_t kernels_n, kernels_cap;
    transition *transitions;
    uint32_t transitions_n, transitions_cap;
    uint32_t size; /* a power of two, which bounds all: states to 3/8 of it, transitions to 3/4, frames to 5/2 */
    uint32_t *state_table, *frame_table, *kernel_table; /* of size, 4 * size, size; open addressing; 0: free */
    struct {
        uint32_t set, frame;
    } *seen;            /* of each node: the last set it was put into, with which frame */
    uint32_t sets;
    uint32_t start;
    bool full; /* begin again */
} machine;


static uint32_t hash_of(uint32_t h, uint32_t x)
{
    h ^= x;
    h *= 0x9e3779b1;
    return h ^ h >> 15;
}

/* Finds which bytes belong together: classes end where a node's range does. */
static void classify(machine *m)
{
    bool begins[257] = {true};
    for (uint32_t i = 0; i < m->g.n; i++)
        if (m->g.nodes[i].kind == N_RANGE)
            begins[m->g.nodes[i].low] = begins[m->g.nodes[i].high + 1] = true;
    m->classes = 0;
    for (uint32_t b = 0; b < 256; b++) {
        if (begins[b])
            m->sample[m->classes++] = (uint8_t)b;
        m->class_of[b] = (uint8_t)(m->classes - 1);
    }
}

/* The frame of a call; 0 if that is too deep, or there are too many. */
static uint32_t enter(machine *m, uint32_t back, uint32_t up, bool leaf)
{
    uint32_t h = hash_of(hash_of(7, back), up) & (4 * m->size - 1);
    for (; m->frame_table[h]; h = (h + 1) & (4 * m->size - 1)) {
        const frame *f = &m->frames[m->frame_table[h]];
        if (f->back == back && f->up == up)
            return m->frame_table[h];
    }
    if (!leaf && m->frames[up].depth >= m->depth)
        return 0;
    if (m->frames_n >= m->size / 2 * 5 || !room(&m->frames, &m->frames_cap, m->frames_n + 1, sizeof *m->frames)) {
        m->full = true;
        return 0;
    }
    m->frames[m->frames_n] = (frame){back, up, m->frames[up].depth + !leaf, near(m->g.dist[back], m->frames[up].dist)};
    return m->frame_table[h] = m->frames_n++;
}

/* What a set of configurations is put together in. */
static config set[CONFIGS_MAX], todo[CONFIGS_MAX];
static uint32_t set_n, todo_n, set_dist;

static bool push(machine *m, uint32_t at, uint32_t frame)
{
    if (near(m->g.dist[at], m->frames[frame].dist) >= FAR)
        return true; /* a dead end */
    if (todo_n == CONFIGS_MAX)
        return false;
    todo[todo_n++] = (config){at, frame};
    return true;
}

static void begin_set(machine *m)
{
    m->sets++;
    set_n = 0;
    set_dist = FAR;
}

/* Puts a configuration into the set. False if it is there. */
static bool put(machine *m, config c)
{
    bool had = m->seen[c.node].set == m->sets;
    for (uint32_t i = 0; had && i < set_n; i++) /* with another frame, or the same? */
        if (set[i].node == c.node && set[i].frame == c.frame)
            return false;
    m->seen[c.node].set = m->sets;
    m->seen[c.node].frame = c.frame;
    set[set_n++] = c;
    return true;
}

/* Adds a configuration and all it leads to without a byte. Forks and calls already
 * seen are in the set, too, until settle takes them out. */
static bool reach(machine *m, uint32_t at, uint32_t frame)
{
    todo_n = 0;
    if (!push(m, at, frame))
        return false;
    while (todo_n > 0) {
        config c = todo[--todo_n];
        if (m->seen[c.node].set == m->sets && m->seen[c.node].frame == c.frame)
            continue;
        if (set_n == CONFIGS_MAX)
            return false;
        if (!put(m, c))
            continue;
        const node *x = &m->g.nodes[c.node];
        bool good = true;
        if (x->kind == N_FORK) {
            good = push(m, x->next, c.frame) && push(m, x->other, c.frame);
        } else if (x->kind == N_CALL) {
            uint32_t f = enter(m, x->next, c.frame, x->low);
            good = !m->full && (!f || push(m, x->other, f));
        } else if (x->kind == N_RETURN && c.frame > 0) {
            good = push(m, m->frames[c.frame].back, m->frames[c.frame].up);
        }
        if (!good)
            return false;
    }
    return true;
}

/* Leaves those at bytes, sorted, and notes how far the end is. */
static void settle(machine *m)
{
    uint32_t n = 0;
    set_dist = FAR;
    for (uint32_t i = 0; i < set_n; i++) {
        config c = set[i];
        uint8_t kind = m->g.nodes[c.node].kind;
        if (kind == N_RETURN && c.frame == 0)
            set_dist = 0;
        if (kind != N_RANGE)
            continue;
        uint32_t d = near(m->g.dist[c.node], m->frames[c.frame].dist), j = n++;
        set_dist = d < set_dist ? d : set_dist;
        for (; j > 0 && (set[j - 1].node > c.node || (set[j - 1].node == c.node && set[j - 1].frame > c.frame)); j--)
            set[j] = set[j - 1];
        set[j] = c;
    }
    set_n = n;
}

/* The state of the set; UNKNOWN if there is no room for it. */
static uint32_t state_of(machine *m)
{
    uint32_t h = set_dist == 0;
    for (uint32_t i = 0; i < set_n; i++)
        h = hash_of(hash_of(h, set[i].node), set[i].frame);
    for (h &= m->size - 1; m->state_table[h]; h = (h + 1) & (m->size - 1)) {
        const state *s = &m->states[m->state_table[h]];
        if (s->n == set_n && s->dist == set_dist && memcmp(m->configs + s->first, set, set_n * sizeof *set) == 0)
            return m->state_table[h];
    }
    uint32_t cells = (m->states_n + 1) * m->classes;
    if (m->states_n >= m->size / 8 * 3 || !room(&m->states, &m->states_cap, m->states_n + 1, sizeof *m->states) ||
        !room(&m->to, &m->to_cap, cells, sizeof *m->to) || !room(&m->configs, &m->configs_cap, m->configs_n + set_n, sizeof *m->configs)) {
        m->full = true;
        return UNKNOWN;
    }
    memcpy(m->configs + m->configs_n, set, set_n * sizeof *set);
    m->states[m->states_n] = (state){.first = m->configs_n, .n = set_n, .dist = set_dist};
    m->configs_n += set_n;
    memset(m->to + cells - m->classes, 0xff, m->classes * sizeof *m->to);
    return m->state_table[h] = m->states_n++;
}

static config kernel[CONFIGS_MAX];
static uint32_t kernel_n;

/* The state of the kernel; UNKNOWN if there is no room for it. */
static uint32_t state_of_kernel(machine *m)
{
    uint32_t h = 0;
    for (uint32_t i = 0; i < kernel_n; i++)
        h = hash_of(hash_of(h, kernel[i].node), kernel[i].frame);
    for (h &= m->size - 1; m->kernel_table[h]; h = (h + 1) & (m->size - 1)) {
        const transition *t = &m->transitions[m->kernel_table[h] - 1];
        if (t->n == kernel_n && memcmp(m->kernels + t->first, kernel, kernel_n * sizeof *kernel) == 0)
            return t->state;
    }
    begin_set(m);
    for (uint32_t i = 0; i < kernel_n; i++)
        if (!reach(m, kernel[i].node, kernel[i].frame)) {
            m->full = true;
            return UNKNOWN;
        }
    settle(m);
    uint32_t s = set_n == 0 && set_dist > 0 ? NOWHERE : state_of(m);
    if (s == UNKNOWN || m->transitions_n == m->size / 4 * 3 || !room(&m->transitions, &m->transitions_cap, m->transitions_n + 1, sizeof *m->transitions) ||
        !room(&m->kernels, &m->kernels_cap, m->kernels_n + kernel_n, sizeof *m->kernels))
        return s;
    memcpy(m->kernels + m->kernels_n, kernel, kernel_n * sizeof *kernel);
    m->transitions[m->transitions_n++] = (transition){m->kernels_n, kernel_n, s};
    m->kernels_n += kernel_n;
    m->kernel_table[h] = m->transitions_n;
    return s;
}

/* The state after a byte of the class; UNKNOWN if there is no room for it. */
static uint32_t step(machine *m, uint32_t from, uint32_t class)
{
    uint8_t b = m->sample[class];
    kernel_n = 0;
    for (uint32_t i = 0; i < m->states[from].n; i++) {
        config c = m->configs[m->states[from].first + i];
        const node *x = &m->g.nodes[c.node];
        if (b < x->low || b > x->high)
            continue;
        c.node = x->next;
        if (kernel_n == 0 || kernel[kernel_n - 1].node != c.node || kernel[kernel_n - 1].frame != c.frame)
            kernel[kernel_n++] = c;
    }
    uint32_t s = kernel_n == 0 ? NOWHERE : state_of_kernel(m);
    if (s != UNKNOWN)
        m->to[from * m->classes + class] = s;
    return s;
}

/* Finds the states after all classes. Those that the same configurations read lead to
 * the same state, which is looked for once. False if there is no room. */
static bool find_row(machine *m, uint32_t from)
{
    static uint64_t read_by[256]; /* of each class: the configurations, by number */
    uint32_t n = m->states[from].n, first = m->states[from].first;
    memset(read_by, 0, m->classes * sizeof *read_by);
    for (uint32_t i = 0; i < n && n <= 64; i++) {
        config c = m->configs[first + i];
        const node *x = &m->g.nodes[c.node];
        uint32_t j = 0; /* the first of those that go on the same way */
        while (m->configs[first + j].frame != c.frame || m->g.nodes[m->configs[first + j].node].next != x->next)
            j++;
        for (uint32_t k = m->class_of[x->low]; k <= m->class_of[x->high]; k++)
            read_by[k] |= (uint64_t)1 << j;
    }
    uint64_t before = 0;
    for (uint32_t k = 0, s = NOWHERE; k < m->classes; k++) {
        uint32_t *to = &m->to[from * m->classes + k];
        if (n <= 64 && read_by[k] == before)
            *to = s;
        else if (*to == UNKNOWN && (s = step(m, from, k)) == UNKNOWN)
            return false;
        s = m->to[from * m->classes + k];
        before = read_by[k];
    }
    return true;
}

static uint32_t next_state(machine *m, uint32_t from, uint8_t b)
{
    uint32_t s = m->to[from * m->classes + m->class_of[b]];
    return s != UNKNOWN ? s : step(m, from, m->class_of[b]);
}

/* Forgets all states and makes the first one. False if there is no room, or the
 * grammar is too ambiguous. */
static bool restart(machine *m)
{
    m->full = false;
    m->configs_n = m->states_n = 0;
    m->frames_n = m->kernels_n = m->transitions_n = 0;
    memset(m->kernel_table, 0, m->size * sizeof *m->kernel_table);
    memset(m->state_table, 0, m->size * sizeof *m->state_table);
    memset(m->frame_table, 0, 4 * m->size * sizeof *m->frame_table);
    if (!room(&m->frames, &m->frames_cap, 1, sizeof *m->frames))
        return false;
    m->frames[m->frames_n++] = (frame){0};
    begin_set(m);
    if (state_of(m) == UNKNOWN) /* NOWHERE, whose number must be 0 */
        return false;
    for (uint32_t i = 0; i < m->classes; i++)
        m->to[i] = NOWHERE;
    memset(m->state_table, 0, m->size * sizeof *m->state_table);
    if (!reach(m, m->entry, 0))
        return false;
    settle(m);
    m->start = state_of(m);
    return m->start != UNKNOWN;
}

static int32_t machine_begin(machine *m, uint32_t depth, uint32_t size)
{
    m->depth = depth;
    m->size = size;
    if (!measure(&m->g))
        return m->g.err;
    if (m->g.dist[m->entry] >= FAR)
        return sw_fail(SW_EINVAL, "nothing satisfies the grammar");
    classify(m);
    m->state_table = sw_alloc(m->size * sizeof *m->state_table, 16);
    m->frame_table = sw_alloc(4 * m->size * sizeof *m->frame_table, 16);
    m->kernel_table = sw_alloc(m->size * sizeof *m->kernel_table, 16);
    m->seen = sw_alloc(m->g.n * sizeof *m->seen, 16);
    if (!m->state_table || !m->frame_table || !m->kernel_table || !m->seen)
        return sw_fail(SW_ENOMEM, "no memory for the grammar");
    memset(m->seen, 0, m->g.n * sizeof *m->seen);
    return restart(m) ? SW_OK : sw_fail(SW_E2BIG, "the grammar is too ambiguous: more than 1000 ways at once");
}

static void machine_end(machine *m)
{
    void *all[] = {m->g.nodes, m->g.dist, m->configs, m->frames, m->states, m->to, m->state_table, m->frame_table, m->kernel_table, m->kernels, m->transitions, m->seen};
    for (uint32_t i = 0; i < sizeof all / sizeof *all; i++)
        sw_free(all[i], 0, 16);
}

#endif
