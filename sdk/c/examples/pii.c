//go:build ignore

/* pii: redact (redact.c) with more kinds: a filter that takes e-mail addresses, phone
 * numbers, payment card numbers, US social security numbers, bank accounts (IBAN), IP
 * addresses, and if asked to URLs out of a text while it is being written.
 *
 * What is redacted depends on the text alone, not on how it is cut into pieces:
 * a decision about a place looks at most CONTEXT bytes back and at most HOLD_MAX
 * bytes ahead, and is put off until that much is there or the text has ended.
 * Time is linear: each byte is looked at a bounded number of times.
 *
 * Configuration of the plugin, of a request, or both; every key may be left out:
 *     email, phone, card, ssn, iban, ip, url
 *                               text to write instead, at most 64 bytes, or nil to
 *                               leave this kind alone; "[email]", "[phone]", ..., but
 *                               nil for url
 *     text                      the same for all kinds; for url if it is on
 *     prompts                   true: redact prompts too. They pass otherwise
 *
 * What redact does it does by the same code, in redact/; its own kinds are in pii/.
 */
#define SANDWARP_FILTER
#define SANDWARP_FORK
#define SANDWARP_FEATURES SW_FEATURE_REPLAY /* what was judged matters */
#include "../sandwarp.h"

enum { EMAIL, PHONE, CARD, SSN, IBAN, IP, URL, KINDS };

static const struct {
    const char *key, *instead;
} kinds[KINDS] = {
    [EMAIL] = {"email", "[email]"},
    [PHONE] = {"phone", "[phone]"},
    [CARD] = {"card", "[card]"},
    [SSN] = {"ssn", "[ssn]"},
    [IBAN] = {"iban", "[iban]"},
    [IP] = {"ip", "[ip]"},
    [URL] = {"url", NULL},
};
#include "redact/settings.h"
#include "redact/email.h"
#include "redact/number.h"

#include "pii/iban.h"
#include "pii/ip.h"
#include "pii/url.h"

/* What a colon is part of. */
static int32_t colon_at(const view *v, const settings *s, int32_t i, int32_t *start, int32_t *kind)
{
    int32_t end = NONE;
    *kind = URL;
    if (!s->labels[URL].off)
        end = url_at(v, i, start);
    if (end == NONE && !s->labels[IP].off) {
        *kind = IP;
        end = ip6_at(v, i, start);
    }
    return end;
}

/* What a digit, a plus or a parenthesis begins. */
static int32_t digit_at(const view *v, const settings *s, int32_t i, int32_t *start, int32_t *kind)
{
    int32_t end = NONE;
    if (is_digit(v->p[i])) {
        *kind = IBAN;
        end = iban_at(v, i, start);
        if (end == NONE && !s->labels[IP].off) {
            *kind = IP;
            *start = i;
            end = ip4_at(v, i);
        }
    }
    if (end != NONE)
        return end;
    *start = i;
    return number_at(v, i, kind);
}

/* What the place i is part of: its kind, start and end, or NONE, or MORE. */
static int32_t match(const view *v, const settings *s, int32_t i, int32_t *start, int32_t *kind)
{
    if (v->p[i] == '@')
        return email_at(v, i, start);
    return v->p[i] == ':' ? colon_at(v, s, i, start, kind) : digit_at(v, s, i, start, kind);
}

/* The colon, if anything with one is looked for. */
static uint8_t another_place(const settings *s)
{
    return s->labels[IP].off && s->labels[URL].off ? '@' : ':';
}

#include "redact/judge.h"
