/* judge.h: the text is judged, and what is released is written. Whoever includes it has
 * said by match() what is a match, and by another_place() where else one may begin.
 */
#ifndef JUDGE_H
#define JUDGE_H

#include "email.h"
#include "place.h"

/* What is released in place of the text; kept from call to call. */
static uint8_t *out;
static uint32_t out_n, out_cap;
enum { OUT_KEPT = 1 << 20 };

static bool put(const void *p, uint32_t n)
{
    if (n > out_cap - out_n) {
        uint64_t cap = 2 * ((uint64_t)out_n + n) + 1024;
        uint8_t *more = cap <= INT32_MAX ? sw_alloc((uint32_t)cap, 16) : NULL;
        if (!more)
            return false;
        memcpy(more, out, out_n);
        sw_free(out, out_cap, 16);
        out = more;
        out_cap = (uint32_t)cap;
    }
    memcpy(out + out_n, p, n);
    out_n += n;
    return true;
}

/* What is at i. A match of a kind that is left alone stays, in one piece. */
static find look(view *v, const settings *s, int32_t i)
{
    if (v->p[i] >= 0x80)
        return odd_character(v, i);
    int32_t start = i, kind = EMAIL, next = i + 1;
    int32_t end = match(v, s, i, &start, &kind);
    const label *l = &s->labels[kind];
    if (end > 0 && l->off) {
        next = v->floor = end;
        end = NONE;
    }
    while (next < v->n && is_digit(v->p[next - 1]) && is_digit(v->p[next]))
        next++; /* nothing begins inside of a group */
    return (find){start, end, next, l->text, l->n};
}

/* Judges the text: writes to out what is released if anything differs. Returns the
 * number of bytes settled, or SW_ENOMEM. */
static int32_t judge(view *v, const settings *s, bool *changed)
{
    int32_t i = 0, copied = 0, settled = -1;
    uint8_t more = another_place(s);
    *changed = false;
    while (settled < 0 && (i = next_place(v, i, more)) < v->n) {
        find f = look(v, s, i);
        i = f.next;
        if (f.end == MORE)
            settled = f.start;
        if (f.end <= 0)
            continue;
        if (!put(v->p + copied, (uint32_t)(f.start - copied)) || !put(f.instead, f.n))
            return SW_ENOMEM;
        *changed = true;
        i = v->floor = copied = f.end;
    }
    if (settled < 0)
        settled = v->n;
    if (!v->final) { /* the last word may go on to be an address */
        int32_t word = local_start(v, (int32_t)sw_whole(v->p, (uint32_t)v->n, 0));
        settled = word < settled ? word : settled;
    }
    if (*changed && !put(v->p + copied, (uint32_t)(settled - copied)))
        return SW_ENOMEM;
    return settled;
}

/* Keeps the last bytes of what is settled. */
static void remember(past *b, const uint8_t *p, uint32_t n)
{
    if (n >= CONTEXT) {
        memcpy(b->text, p + n - CONTEXT, CONTEXT);
        b->n = CONTEXT;
        return;
    }
    uint32_t keep = b->n + n > CONTEXT ? CONTEXT - n : b->n;
    memmove(b->text, b->text + b->n - keep, keep);
    memcpy(b->text + keep, p, n);
    b->n = keep + n;
}

int64_t sw_filter(uint64_t seq, const uint8_t *text, uint32_t n, uint32_t flags)
{
    int32_t slot = sw_slot_find(slots, SEQUENCES, seq);
    if (slot < 0)
        return sw_fail(SW_ENOENT, "the sequence is not open");
    if (n > INT32_MAX / 4)
        return sw_fail(SW_E2BIG, "the text is longer than 512 MiB");
    past *before = &pasts[slot];
    const settings *s = before->own ? before->own : &standard;
    if (flags & SW_FLAG_PROMPT && !s->prompts)
        return sw_pass(n);
    if (flags & SW_FLAG_REPLAY) {
        before->n = 0;
        remember(before, text, n);
        return sw_pass(n);
    }
    out_n = 0;
    if (out_cap > OUT_KEPT) { /* for a long text, once */
        sw_free(out, out_cap, 16);
        out = NULL;
        out_cap = 0;
    }
    view v = {text, (int32_t)n, flags & SW_FLAG_END, 0, before};
    bool changed;
    int32_t settled = judge(&v, s, &changed);
    if (settled < 0)
        return sw_fail(settled, "no memory for the redacted text");
    remember(before, text, (uint32_t)settled);
    if (v.final)
        before->n = 0;
    if (changed)
        return sw_replace((uint32_t)settled, out, out_n);
    return settled == 0 && n > 0 ? sw_hold() : sw_pass((uint32_t)settled);
}

#endif
