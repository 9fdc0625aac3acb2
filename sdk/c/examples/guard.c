//go:build ignore

/* guard: a filter that looks at prompts for attempts to take over a model (injection),
 * to make it leave its role (jailbreak), and for requests to do harm. It knows words,
 * by classes, and which classes tell something when they stand near each other
 * (guard/words.h); each such pair adds to a topic's score, once for a text
 * (guard/reading.h). Letters are read as what they look like (guard/letters.h). It is a
 * sieve, no understanding: what it finds and what it misses is measured in
 * docs/plugin-gallery.md.
 *
 * A prompt is held until its end, or judged in blocks of 64 KiB, each by itself.
 * Answers pass.
 *
 * Configuration of the plugin, or of a request on top of it:
 *     action      "stop" (the default): the request ends, and the reason is shown in the
 *                 prompt's place; "log": a line in the log, a metric, and it passes
 *     injection, jailbreak, request
 *                 the score from which on a text is one: 1 to 1000, or nil to leave the
 *                 topic alone. 7, 7, nil; for requests 6 is about right
 *     text        what is shown instead of the reason, at most 256 bytes
 */
#define SANDWARP_FILTER
#define SANDWARP_FORK
#include "../sandwarp.h"

#include "guard/reading.h"

enum { SEQUENCES = 1024, BLOCK = 65536, TEXT = 256 };

static const char *const topics[TOPICS] = {"injection", "jailbreak", "request"};

typedef struct {
    bool log;
    uint32_t from[TOPICS]; /* 0: not looked for */
    uint32_t n;
    uint8_t text[TEXT];
} settings;

static settings standard = {.from = {7, 7, 0}};
static sw_slot slots[SEQUENCES];
static settings *own[SEQUENCES]; /* NULL: standard */
static reading readings[SEQUENCES];

/* --- settings ---------------------------------------------------------------------------- */

static int32_t bad(const char *what) { return sw_fail(SW_EINVAL, what); }

static int32_t read_setting(settings *s, sw_reader *r, const uint8_t *key, uint32_t n)
{
    uint32_t len;
    const uint8_t *p;
    for (uint32_t t = 0; t < TOPICS; t++) {
        if (!sw_is(key, n, topics[t]))
            continue;
        s->from[t] = sw_read_nil(r) ? 0 : (uint32_t)sw_read_uint(r, 1000);
        return r->err ? bad("injection, jailbreak, request: want a score from 1 to 1000, or nil") : SW_OK;
    }
    if (sw_is(key, n, "action")) {
        p = sw_read_text(r, &len);
        s->log = p && sw_is(p, len, "log");
        return s->log || (p && sw_is(p, len, "stop")) ? SW_OK : bad("action: want stop or log");
    }
    if (sw_is(key, n, "text")) {
        p = sw_read_text(r, &len);
        if (!p || len > TEXT)
            return bad("text: want text of at most 256 bytes");
        sw_clean(s->text, p, len);
        s->n = len;
        return SW_OK;
    }
    bad("unknown key ");
    sw_fail_text(key, n);
    sw_fail_text("; known are action, injection, jailbreak, request, text", 55);
    return SW_EINVAL;
}

static int32_t read_settings(settings *s, sw_reader *r)
{
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
    return r->err ? bad("the configuration is not a map") : SW_OK;
}

int32_t sw_configure(const uint8_t *message, uint32_t n)
{
    sw_message m;
    int32_t err = sw_read_message(message, n, &m);
    know_words();
    return err || m.config.at == m.config.end ? err : read_settings(&standard, &m.config);
}

int32_t sw_seq_open(uint64_t seq, const uint8_t *message, uint32_t n)
{
    sw_message m;
    settings *s = NULL;
    int32_t err = sw_read_message(message, n, &m);
    if (!err && m.config.at != m.config.end) {
        s = sw_alloc(sizeof *s, 16);
        if (!s)
            return sw_fail(SW_ENOMEM, "no memory for the request");
        *s = standard;
        err = read_settings(s, &m.config);
    }
    int32_t slot = err ? err : sw_slot_open(slots, SEQUENCES, seq);
    if (slot < 0) {
        sw_free(s, sizeof *s, 16);
        return slot;
    }
    sw_free(own[slot], sizeof **own, 16);
    own[slot] = s;
    begin(&readings[slot]);
    return SW_OK;
}

/* What is pending of the source will be shown to the fork, too: it goes on reading
 * where the source has got to. */
int32_t sw_seq_fork(uint64_t src, uint64_t dst)
{
    int32_t from = sw_slot_find(slots, SEQUENCES, src);
    if (from < 0)
        return sw_fail(from, "the sequence is not open");
    settings *s = NULL;
    if (own[from]) {
        s = sw_alloc(sizeof *s, 16);
        if (!s)
            return sw_fail(SW_ENOMEM, "no memory for the request");
        *s = *own[from];
    }
    int32_t to = sw_slot_open(slots, SEQUENCES, dst);
    if (to < 0) {
        sw_free(s, sizeof *s, 16);
        return to;
    }
    sw_free(own[to], sizeof **own, 16);
    own[to] = s;
    readings[to] = readings[from];
    return SW_OK;
}

int32_t sw_seq_close(uint64_t seq)
{
    int32_t slot = sw_slot_close(slots, SEQUENCES, seq);
    if (slot < 0)
        return slot;
    sw_free(own[slot], sizeof **own, 16);
    own[slot] = NULL;
    return SW_OK;
}

/* --- the verdict ---------------------------------------------------------------------------- */

static uint8_t shown[TEXT];

/* The topic the text is about; TOPICS for none. */
static uint32_t verdict(const reading *r, const settings *s)
{
    uint32_t worst = TOPICS;
    for (uint32_t t = 0; t < TOPICS; t++)
        if (s->from[t] && r->score[t] >= (int32_t)s->from[t] && (worst == TOPICS || r->score[t] > r->score[worst]))
            worst = t;
    return worst;
}

/* "[stopped: the prompt looks like a jailbreak, score 23]" */
static uint32_t reason(uint32_t topic, int32_t score)
{
    sw_fail(0, "[stopped: the prompt looks like ");
    sw_fail_text(topics[topic], (uint32_t)strlen(topics[topic]));
    sw_fail_text(", score ", 8);
    sw_fail_number(score);
    sw_fail_text("]", 1);
    int64_t note = sw_last_error();
    memcpy(shown, (const void *)(uintptr_t)(uint32_t)(note >> 32), (uint32_t)note);
    return (uint32_t)note;
}

int64_t sw_filter(uint64_t seq, const uint8_t *text, uint32_t n, uint32_t flags)
{
    int32_t slot = sw_slot_find(slots, SEQUENCES, seq);
    if (slot < 0)
        return sw_fail(SW_ENOENT, "the sequence is not open");
    if (!(flags & SW_FLAG_PROMPT))
        return sw_pass(n);
    const settings *s = own[slot] ? own[slot] : &standard;
    reading *r = &readings[slot];
    bool whole = n >= BLOCK, end = whole || flags & SW_FLAG_END;
    uint32_t until = whole ? sw_whole(text, BLOCK, 0) : n;
    read_text(r, text, end || until < BLOCK - 4 ? until : BLOCK - 4, end); /* the block may end there */
    if (!end)
        return n > 0 ? sw_hold() : sw_pass(0);
    uint32_t topic = verdict(r, s);
    int32_t score = topic < TOPICS ? r->score[topic] : 0;
    begin(r);
    if (topic == TOPICS)
        return sw_pass(until);
    uint32_t len = reason(topic, score);
    sw_metric(topics[topic], (uint32_t)strlen(topics[topic]), score);
    if (s->log) {
        sw_log(1, shown, len);
        return sw_pass(until);
    }
    return s->n > 0 ? sw_stop(n, s->text, s->n) : sw_stop(n, shown, len);
}
