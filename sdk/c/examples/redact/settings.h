/* settings.h: what is written instead of what, and the sequences. Whoever includes it
 * has numbered the kinds of things to redact, KINDS of them, and filled in this table
 * of what they are called and what stands instead; NULL: nothing, unless asked to.
 *
 *     static const struct { const char *key, *instead; } kinds[KINDS];
 */
#ifndef SETTINGS_H
#define SETTINGS_H

enum { LABEL_MAX = 64, CONTEXT = 48, SEQUENCES = 1024 };

typedef struct {
    bool off;
    uint32_t n;
    uint8_t text[LABEL_MAX];
} label;

typedef struct {
    label labels[KINDS];
    bool prompts;
} settings;

/* What is known of a sequence: the last bytes that were judged, for a decision may
 * look back at them, and settings of its own. */
typedef struct {
    uint32_t n;
    uint8_t text[CONTEXT];
    settings *own; /* NULL: standard */
} past;

static settings standard;
static sw_slot slots[SEQUENCES];
static past pasts[SEQUENCES];

static int32_t read_label(sw_reader *r, label *l)
{
    l->off = sw_read_nil(r);
    if (l->off)
        return SW_OK;
    uint32_t n;
    const uint8_t *text = sw_read_text(r, &n);
    if (r->err || n > LABEL_MAX)
        return sw_fail(SW_EINVAL, "configuration: a replacement is nil or text of at most 64 bytes");
    memcpy(l->text, text, n);
    l->n = n;
    return SW_OK;
}

static void usual_labels(label *l)
{
    for (int k = 0; k < KINDS; k++) {
        const char *text = kinds[k].instead ? kinds[k].instead : "";
        l[k].off = !kinds[k].instead;
        l[k].n = (uint32_t)strlen(text);
        memcpy(l[k].text, text, l[k].n);
    }
}

/* One text for all kinds, but those that wait to be asked for. */
static int32_t read_labels(sw_reader *r, label *l)
{
    label all;
    int32_t err = read_label(r, &all);
    for (int k = 0; k < KINDS && !err; k++)
        if (kinds[k].instead || !l[k].off)
            l[k] = all;
    return err;
}

static int32_t unknown_key(const uint8_t *key, uint32_t n)
{
    sw_fail(SW_EINVAL, "configuration: unknown key ");
    sw_fail_text(key, n);
    sw_fail_text("; known are ", 12);
    for (int k = 0; k < KINDS; k++) {
        sw_fail_text(kinds[k].key, (uint32_t)strlen(kinds[k].key));
        sw_fail_text(", ", 2);
    }
    sw_fail_text("text, prompts", 13);
    return SW_EINVAL;
}

static int32_t read_setting(settings *s, sw_reader *r, const uint8_t *key, uint32_t n)
{
    for (int k = 0; k < KINDS; k++)
        if (sw_is(key, n, kinds[k].key))
            return read_label(r, &s->labels[k]);
    if (sw_is(key, n, "text"))
        return read_labels(r, s->labels);
    if (sw_is(key, n, "prompts")) {
        s->prompts = sw_read_bool(r);
        return r->err ? sw_fail(SW_EINVAL, "configuration: prompts is true or false") : SW_OK;
    }
    return unknown_key(key, n);
}

/* Reads a map of settings. A request's may have a seed besides. */
static int32_t read_settings(settings *s, sw_reader *r, bool request)
{
    for (uint32_t pairs = sw_read_map(r); pairs > 0 && !r->err; pairs--) {
        uint32_t n;
        const uint8_t *key = sw_read_text(r, &n);
        if (r->err)
            break;
        if (request && sw_is(key, n, "seed")) {
            sw_skip(r);
            continue;
        }
        int32_t err = read_setting(s, r, key, n);
        if (err)
            return err;
    }
    return r->err ? sw_fail(SW_EINVAL, "configuration: want a map") : SW_OK;
}

int32_t sw_configure(const uint8_t *message, uint32_t n)
{
    sw_message m;
    int32_t err = sw_read_message(message, n, &m);
    usual_labels(standard.labels);
    if (err || m.config.at == m.config.end)
        return err;
    return read_settings(&standard, &m.config, false);
}

static int32_t own_settings(sw_reader *config, settings **own)
{
    *own = NULL;
    if (config->at == config->end)
        return SW_OK;
    settings *s = sw_alloc(sizeof *s, 16);
    if (!s)
        return sw_fail(SW_ENOMEM, "no memory for the request's settings");
    *s = standard;
    int32_t err = read_settings(s, config, true);
    if (err)
        sw_free(s, sizeof *s, 16);
    else
        *own = s;
    return err;
}

int32_t sw_seq_open(uint64_t seq, const uint8_t *message, uint32_t n)
{
    sw_message m;
    settings *own;
    int32_t err = sw_read_message(message, n, &m);
    if (!err)
        err = own_settings(&m.config, &own);
    if (err)
        return err;
    int32_t slot = sw_slot_open(slots, SEQUENCES, seq);
    if (slot < 0) {
        sw_free(own, sizeof *own, 16);
        return slot;
    }
    sw_free(pasts[slot].own, sizeof *own, 16);
    pasts[slot].own = own;
    pasts[slot].n = 0;
    return SW_OK;
}

int32_t sw_seq_fork(uint64_t src, uint64_t dst)
{
    int32_t from = sw_slot_find(slots, SEQUENCES, src);
    if (from < 0)
        return sw_fail(from, "the sequence is not open");
    settings *own = NULL;
    if (pasts[from].own) {
        own = sw_alloc(sizeof *own, 16);
        if (!own)
            return sw_fail(SW_ENOMEM, "no memory for the request's settings");
        *own = *pasts[from].own;
    }
    int32_t to = sw_slot_open(slots, SEQUENCES, dst);
    if (to < 0) {
        sw_free(own, sizeof *own, 16);
        return to;
    }
    sw_free(pasts[to].own, sizeof *own, 16);
    pasts[to] = pasts[from];
    pasts[to].own = own;
    return SW_OK;
}

int32_t sw_seq_close(uint64_t seq)
{
    int32_t slot = sw_slot_close(slots, SEQUENCES, seq);
    if (slot < 0)
        return slot;
    sw_free(pasts[slot].own, sizeof(settings), 16);
    pasts[slot].own = NULL;
    return SW_OK;
}

#endif
