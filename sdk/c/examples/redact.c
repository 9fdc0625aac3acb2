//go:build ignore

/* redact: a filter that takes e-mail addresses, phone numbers, payment card numbers
 * and US social security numbers out of a text while it is being written.
 *
 * What is redacted depends on the text alone, not on how it is cut into pieces:
 * a decision about a place looks at most CONTEXT bytes back and at most HOLD_MAX
 * bytes ahead, and is put off until that much is there or the text has ended.
 * Time is linear: each byte is looked at a bounded number of times.
 *
 * Configuration of the plugin, of a request, or both; every key may be left out:
 *     email, phone, card, ssn   text to write instead, at most 64 bytes, or nil to
 *                               leave this kind alone; "[email]", "[phone]", ...
 *     text                      the same for all kinds
 *     prompts                   true: redact prompts too. They pass otherwise
 *
 * The same program exists in Rust, Go and AssemblyScript, and a test compares what
 * they do: change all four.
 */
#define SANDWARP_FILTER
#define SANDWARP_FORK
#define SANDWARP_FEATURES SW_FEATURE_REPLAY /* what was judged matters */
#include "../sandwarp.h"

enum { EMAIL, PHONE, CARD, SSN, KINDS };

static const struct {
    const char *key, *instead;
} kinds[KINDS] = {
    [EMAIL] = {"email", "[email]"},
    [PHONE] = {"phone", "[phone]"},
    [CARD] = {"card", "[card]"},
    [SSN] = {"ssn", "[ssn]"},
};
#include "redact/settings.h"
#include "redact/email.h"
#include "redact/number.h"

/* What the place i is part of: its kind, start and end, or NONE, or MORE. */
static int32_t match(const view *v, const settings *s, int32_t i, int32_t *start, int32_t *kind)
{
    (void)s;
    return v->p[i] == '@' ? email_at(v, i, start) : number_at(v, i, kind);
}

/* No places besides those number_at and email_at know. */
static uint8_t another_place(const settings *s)
{
    (void)s;
    return '@';
}

#include "redact/judge.h"
