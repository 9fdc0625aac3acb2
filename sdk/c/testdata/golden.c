//go:build ignore

/* golden: the ABI's byte vectors, read and written again.
 *
 * A filter for tests. It takes a text "NAME HEX", reads the bytes as what the name
 * says, and answers with the hex of what it writes of that: the same, if the header's
 * reader and structs are right. The header has no writer of msgpack; here is one.
 */
#define SANDWARP_FILTER
#include "../sandwarp.h"

enum { ROOM = 1 << 15 };

static uint8_t in[ROOM] __attribute__((aligned(8))), out[ROOM], hex[2 * ROOM];
static uint32_t out_n;

static void put(const void *p, uint32_t n)
{
    if (n > ROOM - out_n)
        __builtin_trap();
    memcpy(out + out_n, p, n);
    out_n += n;
}

/* The lowest n bytes of v, the highest first. */
static void big(uint64_t v, int32_t n)
{
    while (n-- > 0) {
        uint8_t b = (uint8_t)(v >> (8 * n));
        put(&b, 1);
    }
}

/* A type's code, and a length or number of n bytes behind it. */
static void head(uint8_t code, uint64_t v, int32_t n)
{
    put(&code, 1);
    big(v, n);
}

static void write_uint(uint64_t v)
{
    if (v < 0x80)
        head((uint8_t)v, 0, 0);
    else if (v <= UINT8_MAX)
        head(0xcc, v, 1);
    else if (v <= UINT16_MAX)
        head(0xcd, v, 2);
    else if (v <= UINT32_MAX)
        head(0xce, v, 4);
    else
        head(0xcf, v, 8);
}

static void write_int(int64_t v)
{
    if (v >= 0)
        write_uint((uint64_t)v);
    else if (v >= -32)
        head((uint8_t)v, 0, 0);
    else if (v >= INT8_MIN)
        head(0xd0, (uint64_t)v, 1);
    else if (v >= INT16_MIN)
        head(0xd1, (uint64_t)v, 2);
    else if (v >= INT32_MIN)
        head(0xd2, (uint64_t)v, 4);
    else
        head(0xd3, (uint64_t)v, 8);
}

static void write_text(const void *p, uint32_t n)
{
    if (n < 32)
        head((uint8_t)(0xa0 | n), 0, 0);
    else
        head(0xd9, n, 1); /* none of the vectors has more */
    put(p, n);
}

static void write_key(const char *key) { write_text(key, (uint32_t)strlen(key)); }

static void write_float(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, 8);
    head(0xcb, bits, 8);
}

static void value(sw_reader *r, int32_t depth);

static void values(sw_reader *r, uint32_t n, int32_t depth)
{
    while (n-- > 0 && !r->err)
        value(r, depth);
}

static void text_or_bytes(sw_reader *r, bool text)
{
    uint32_t n;
    const uint8_t *p = sw_read_text(r, &n);
    if (r->err)
        return;
    if (text) {
        write_text(p, n);
        return;
    }
    head(0xc4, n, 1);
    put(p, n);
}

/* Copies one value, at most depth deep, through reader and writer. */
static void value(sw_reader *r, int32_t depth)
{
    uint32_t n;
    sw_type type = depth > 0 ? sw_peek(r) : SW_TYPE_NONE;
    switch (type) {
    case SW_TYPE_NIL:
        sw_read_nil(r);
        head(0xc0, 0, 0);
        return;
    case SW_TYPE_BOOL:
        head(sw_read_bool(r) ? 0xc3 : 0xc2, 0, 0);
        return;
    case SW_TYPE_INT:
        if (*r->at == 0xcf)
            write_uint(sw_read_uint(r, UINT64_MAX));
        else
            write_int(sw_read_int(r));
        return;
    case SW_TYPE_FLOAT:
        write_float(sw_read_float(r));
        return;
    case SW_TYPE_TEXT:
    case SW_TYPE_BYTES:
        text_or_bytes(r, type == SW_TYPE_TEXT);
        return;
    case SW_TYPE_ARRAY:
        n = sw_read_array(r);
        head((uint8_t)(0x90 | n), 0, 0);
        values(r, n, depth - 1);
        return;
    case SW_TYPE_MAP:
        n = sw_read_map(r);
        head((uint8_t)(0x80 | n), 0, 0);
        values(r, 2 * n, depth - 1);
        return;
    default:
        r->err = SW_EINVAL;
    }
}

static int32_t message(uint32_t n, bool configure)
{
    sw_message m;
    int32_t err = sw_read_message(in, n, &m);
    if (err)
        return err;
    head(configure ? 0x84 : 0x82, 0, 0);
    write_key("config");
    if (m.config.at == m.config.end)
        head(0xc0, 0, 0);
    else
        value(&m.config, 8);
    write_key("seed");
    write_uint(m.seed);
    if (!configure)
        return m.config.err;
    write_key("vocab");
    write_uint(m.vocab);
    uint32_t len = 0;
    const uint8_t *host = sw_read_host(in, n, &len);
    write_key("host");
    write_text(host, len);
    return m.config.err;
}

#define FIELD(s, name) put(&(s)->name, sizeof (s)->name)

static int32_t header(uint32_t n)
{
    if (n != SW_HEADER_SIZE)
        return SW_EINVAL;
    const sw_header *h = (const sw_header *)in;
    FIELD(h, magic), FIELD(h, header_size), FIELD(h, version), FIELD(h, rows), FIELD(h, vocab), FIELD(h, step);
    FIELD(h, flags), FIELD(h, row_off), FIELD(h, logits_off), FIELD(h, row_stride), FIELD(h, mask_off);
    FIELD(h, mask_stride), FIELD(h, cand_off), FIELD(h, cand_cap), FIELD(h, hist_off), FIELD(h, hist_cap);
    return SW_OK;
}

/* A row as it is, or as it is after picking token 999 with log-probability -1.5. */
static int32_t row(uint32_t n, bool pick)
{
    if (n != SW_ROW_SIZE)
        return SW_EINVAL;
    sw_row *r = (sw_row *)in;
    if (pick) {
        sw_pick(r, 999);
        r->logprob = -1.5f;
    }
    FIELD(r, seq), FIELD(r, parent), FIELD(r, pos), FIELD(r, hist_off), FIELD(r, hist_n), FIELD(r, cand_n);
    FIELD(r, flags), FIELD(r, seed), FIELD(r, temp), FIELD(r, top_p), FIELD(r, top_k), FIELD(r, min_p);
    FIELD(r, action), FIELD(r, token), FIELD(r, logprob), FIELD(r, out_off), FIELD(r, out_n), FIELD(r, reserved);
    return SW_OK;
}

static int32_t candidates(uint32_t n)
{
    const sw_candidate *list = (const sw_candidate *)in;
    for (uint32_t i = 0; i < n / SW_CANDIDATE_SIZE; i++)
        FIELD(list + i, id), FIELD(list + i, logit);
    return SW_OK;
}

static int32_t word(uint64_t v)
{
    big(v, 8);
    return SW_OK;
}

static int32_t again(const uint8_t *name, uint32_t len, uint32_t n)
{
    if (sw_is(name, len, "configure") || sw_is(name, len, "configure_empty"))
        return message(n, true);
    if (sw_is(name, len, "seq_open"))
        return message(n, false);
    if (sw_is(name, len, "frame_header_dense_slots_1_2_of_3"))
        return header(n);
    if (sw_is(name, len, "row_in") || sw_is(name, len, "row_picked"))
        return row(n, sw_is(name, len, "row_picked"));
    if (sw_is(name, len, "candidates"))
        return candidates(n);
    if (sw_is(name, len, "version_word"))
        return word((uint64_t)(SW_MINOR + 3) << 48 | SW_FEATURE_HOST_OPS | SW_FEATURE_REPLAY);
    if (sw_is(name, len, "packed"))
        return word((uint64_t)sw_pack((const void *)0x10000, 608000));
    if (sw_is(name, len, "verdict_pass_17"))
        return word((uint64_t)sw_pass(17));
    if (sw_is(name, len, "verdict_replace_17"))
        return word((uint64_t)sw_replace(17, "", 0));
    sw_reader r = sw_read(in, n); /* manifests, and any value */
    value(&r, 40);
    return r.err || r.at != r.end ? SW_EINVAL : SW_OK;
}

/* --- the filter ------------------------------------------------------------- */

static int32_t digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads hex into in; the number of bytes, or a code. */
static int32_t read_hex(const uint8_t *p, uint32_t n)
{
    if (n % 2 || n / 2 > ROOM)
        return sw_fail(SW_EINVAL, "not hex");
    for (uint32_t i = 0; i < n / 2; i++) {
        int32_t high = digit(p[2 * i]), low = digit(p[2 * i + 1]);
        if (high < 0 || low < 0)
            return sw_fail(SW_EINVAL, "not hex");
        in[i] = (uint8_t)(high << 4 | low);
    }
    return (int32_t)(n / 2);
}

int32_t sw_configure(const uint8_t *m, uint32_t n)
{
    (void)m, (void)n;
    return SW_OK;
}

int32_t sw_seq_open(uint64_t seq, const uint8_t *m, uint32_t n)
{
    (void)seq, (void)m, (void)n;
    return SW_OK;
}

int32_t sw_seq_close(uint64_t seq)
{
    (void)seq;
    return SW_OK;
}

int64_t sw_filter(uint64_t seq, const uint8_t *text, uint32_t n, uint32_t flags)
{
    (void)seq;
    if (!(flags & SW_FLAG_END))
        return sw_hold();
    uint32_t space = 0;
    while (space < n && text[space] != ' ')
        space++;
    if (space == n)
        return sw_fail(SW_EINVAL, "want NAME HEX");
    int32_t bytes = read_hex(text + space + 1, n - space - 1);
    if (bytes < 0)
        return bytes;
    out_n = 0;
    int32_t err = again(text, space, (uint32_t)bytes);
    if (err)
        return sw_fail(err, "not what the name says");
    for (uint32_t i = 0; i < out_n; i++) {
        hex[2 * i] = (uint8_t) "0123456789abcdef"[out[i] >> 4];
        hex[2 * i + 1] = (uint8_t) "0123456789abcdef"[out[i] & 15];
    }
    return sw_replace(n, hex, 2 * out_n);
}
