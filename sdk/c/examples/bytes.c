//go:build ignore

/* bytes: a tokenizer whose ids are the bytes, and some more for control tokens.
 *
 * Ids 0 to 255 stand for the bytes; 256 and the following for the control tokens, in
 * the order of the configuration:
 *     special   [text, ...]   at most 32 of 1 to 32 bytes each, all different;
 *                             ["<|begin|>", "<|end|>"] if it is left out
 * Where several control tokens match, the longest wins.
 */
#define SANDWARP_TOKENIZER
#include "../sandwarp.h"

enum { MOST = 32 }; /* control tokens, and bytes of one */

typedef struct {
    uint32_t n;
    uint8_t text[MOST];
} control;

static control special[MOST] = {{9, "<|begin|>"}, {7, "<|end|>"}};
static uint32_t specials = 2;

static int32_t read_special(sw_reader *r)
{
    for (uint32_t left = sw_read_array(r); left > 0 && !r->err; left--) {
        uint32_t n;
        const uint8_t *text = sw_read_text(r, &n);
        if (r->err)
            break;
        if (specials == MOST || n == 0 || n > MOST)
            return sw_fail(SW_EINVAL, "special: at most 32 texts of 1 to 32 bytes each");
        for (uint32_t i = 0; i < specials; i++)
            if (special[i].n == n && memcmp(special[i].text, text, n) == 0) {
                sw_fail(SW_EINVAL, "special: ");
                sw_fail_text(text, n);
                sw_fail_text(" appears twice", 14);
                return SW_EINVAL;
            }
        special[specials].n = n;
        memcpy(special[specials++].text, text, n);
    }
    return r->err ? sw_fail(SW_EINVAL, "special: want an array of texts") : SW_OK;
}

int32_t sw_configure(const uint8_t *message, uint32_t n)
{
    sw_message m;
    int32_t err = sw_read_message(message, n, &m);
    if (err || m.config.at == m.config.end)
        return err;
    specials = 0;
    for (uint32_t pairs = sw_read_map(&m.config); pairs > 0 && !m.config.err; pairs--) {
        uint32_t len;
        const uint8_t *key = sw_read_text(&m.config, &len);
        if (m.config.err)
            break;
        if (!sw_is(key, len, "special")) {
            sw_fail(SW_EINVAL, "unknown key ");
            sw_fail_text(key, len);
            sw_fail_text("; known is special", 18);
            return SW_EINVAL;
        }
        err = read_special(&m.config);
        if (err)
            return err;
    }
    return m.config.err ? sw_fail(SW_EINVAL, "the configuration is not a map") : SW_OK;
}

/* What was returned last; kept from call to call. */
static uint8_t *out;
static uint32_t out_cap;

/* Room for n bytes. */
static bool reserve(uint64_t n)
{
    if (n <= out_cap)
        return true;
    if (n > INT32_MAX / 2)
        return false;
    sw_free(out, out_cap, 16);
    out_cap = (uint32_t)n + 1024;
    out = sw_alloc(out_cap, 16);
    if (!out)
        out_cap = 0;
    return out != NULL;
}

/* The longest control token that the n bytes at text begin with, -1 for none. */
static int32_t control_at(const uint8_t *text, uint32_t n)
{
    int32_t best = -1;
    uint32_t longest = 0;
    for (uint32_t i = 0; i < specials; i++) {
        const control *c = &special[i];
        if (c->n <= longest || c->n > n || c->text[0] != text[0] || memcmp(c->text, text, c->n) != 0)
            continue;
        best = (int32_t)i;
        longest = c->n;
    }
    return best;
}

int64_t sw_encode(const uint8_t *text, uint32_t n, uint32_t flags)
{
    if (!reserve(4 * (uint64_t)n))
        return sw_fail(SW_ENOMEM, "no memory for the ids");
    int32_t *ids = (int32_t *)out;
    uint32_t count = 0;
    for (uint32_t i = 0; i < n;) {
        int32_t k = flags & SW_FLAG_SPECIAL ? control_at(text + i, n - i) : -1;
        ids[count++] = k < 0 ? text[i] : 256 + k;
        i += k < 0 ? 1 : special[k].n;
    }
    return sw_pack(ids, 4 * count);
}

int64_t sw_decode(const int32_t *ids, uint32_t n, uint32_t flags)
{
    if (!reserve(MOST * (uint64_t)n))
        return sw_fail(SW_ENOMEM, "no memory for the text");
    uint32_t len = 0;
    for (uint32_t i = 0; i < n; i++) {
        int32_t id = ids[i];
        if (id < 0 || id >= 256 + (int32_t)specials) {
            sw_fail(SW_ERANGE, "token ");
            sw_fail_number(id);
            sw_fail_text(": the vocabulary has ", 21);
            sw_fail_number(256 + specials);
            return SW_ERANGE;
        }
        if (id < 256) {
            out[len++] = (uint8_t)id;
        } else if (flags & SW_FLAG_SPECIAL) {
            memcpy(out + len, special[id - 256].text, special[id - 256].n);
            len += special[id - 256].n;
        }
    }
    return sw_pack(out, len);
}
