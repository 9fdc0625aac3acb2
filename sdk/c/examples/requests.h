/* requests.h: settings, the plugin's own and those a request has on top of them. Whoever
 * includes it has defined what they are and how one is read; a request's settings do not
 * change, so that forks share them:
 *
 *     typedef struct { ... } settings;
 *     static settings standard = { ... };
 *     static int32_t read_setting(settings *s, sw_reader *r, const uint8_t *key, uint32_t n);
 *     static void drop_settings(settings *s);  // frees what a request's settings have of their own
 */
#ifndef REQUESTS_H
#define REQUESTS_H

enum { SEQUENCES = 1024 };

typedef struct {
    settings own;
    uint32_t users; /* sequences */
} request;

static sw_slot slots[SEQUENCES];
static request *requests[SEQUENCES]; /* NULL: standard */

/* Reads a map of settings; nothing is no setting. A seed is the host's business. */
static int32_t read_settings(settings *s, sw_reader *r)
{
    if (r->at == r->end)
        return SW_OK;
    for (uint32_t pairs = sw_read_map(r); pairs > 0 && !r->err; pairs--) {
        uint32_t n;
        const uint8_t *key = sw_read_text(r, &n);
        if (r->err)
            break;
        if (sw_is(key, n, "seed")) {
            sw_skip(r);
            continue;
        }
        int32_t err = read_setting(s, r, key, n);
        if (err)
            return err;
    }
    return r->err ? sw_fail(SW_EINVAL, "the configuration is not a map") : SW_OK;
}

static int32_t unknown_key(const uint8_t *key, uint32_t n, const char *known)
{
    sw_fail(SW_EINVAL, "unknown key ");
    sw_fail_text(key, n);
    sw_fail_text("; known are ", 12);
    sw_fail_text(known, (uint32_t)strlen(known));
    return SW_EINVAL;
}

/* The settings of an open sequence; NULL if it is not open. */
static const settings *settings_of(uint64_t seq)
{
    int32_t slot = sw_slot_find(slots, SEQUENCES, seq);
    return slot < 0 ? NULL : requests[slot] ? &requests[slot]->own : &standard;
}

static void leave(request *q)
{
    if (!q || --q->users > 0)
        return;
    drop_settings(&q->own);
    sw_free(q, sizeof *q, 16);
}

/* Opens a sequence for a request, NULL for the standard settings. */
static int32_t join(uint64_t seq, request *q)
{
    int32_t slot = sw_slot_open(slots, SEQUENCES, seq);
    if (slot < 0)
        return slot;
    if (q)
        q->users++;
    leave(requests[slot]);
    requests[slot] = q;
    return SW_OK;
}

int32_t sw_seq_open(uint64_t seq, const uint8_t *message, uint32_t n)
{
    sw_message m;
    int32_t err = sw_read_message(message, n, &m);
    if (err || m.config.at == m.config.end)
        return err ? err : join(seq, NULL);
    request *q = sw_alloc(sizeof *q, 16);
    if (!q)
        return sw_fail(SW_ENOMEM, "no memory for the request");
    *q = (request){standard, 1};
    err = read_settings(&q->own, &m.config);
    if (!err)
        err = join(seq, q);
    leave(q);
    return err;
}

int32_t sw_seq_fork(uint64_t src, uint64_t dst)
{
    int32_t slot = sw_slot_find(slots, SEQUENCES, src);
    return slot < 0 ? sw_fail(slot, "the sequence is not open") : join(dst, requests[slot]);
}

int32_t sw_seq_close(uint64_t seq)
{
    int32_t slot = sw_slot_close(slots, SEQUENCES, seq);
    if (slot < 0)
        return slot;
    leave(requests[slot]);
    requests[slot] = NULL;
    return SW_OK;
}

#endif
