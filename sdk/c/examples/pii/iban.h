/* iban.h: bank accounts, ISO 13616. */
#ifndef IBAN_H
#define IBAN_H

#include "../redact/view.h"

enum { IBAN_MAX = 34, IBAN_SPAN = IBAN_MAX + 8 };

/* Length of an IBAN of the country; 0 for none (registry of SWIFT, release 99). */
static int32_t iban_length(uint8_t a, uint8_t b)
{
    static const char lengths[] = "NO15BE16DK18FI18FO18GL18NL18SD18FK18MK19SI19AT20BA20EE20KZ20LT20LU20XK20MN20"
                                  "CH21HR21LI21LV21BG22BH22CR22DE22GB22GE22IE22ME22RS22AE23GI23IL23IQ23TL23OM23SO23"
                                  "AD24CZ24ES24MD24PK24RO24SA24SE24SK24TN24VG24LY25PT25ST25IS26TR26BI27DJ27FR27GR27IT27MC27MR27SM27"
                                  "AL28AZ28BY28CY28DO28GT28HU28LB28NI28PL28SV28BR29EG29PS29QA29UA29JO30KW30MU30YE30MT31SC31LC32RU33";
    for (uint32_t i = 0; i + 4 < sizeof lengths; i += 4)
        if (lengths[i] == a && lengths[i + 1] == b)
            return (lengths[i + 2] - '0') * 10 + lengths[i + 3] - '0';
    return 0;
}

static uint32_t mod97(uint32_t rest, uint8_t c)
{
    return is_digit(c) ? (rest * 10 + (uint32_t)(c - '0')) % 97 : (rest * 100 + (uint32_t)(c - 'A') + 10) % 97;
}

static bool is_capital(uint8_t c) { return (uint8_t)(c - 'A') < 26; }

/* The IBAN whose check digits begin at i, with or without blanks between groups of
 * four. */
static int32_t iban_at(const view *v, int32_t i, int32_t *start)
{
    *start = i - 2;
    if (i - 2 < v->floor || !is_capital(v->p[i - 2]) || !is_capital(v->p[i - 1]) || is_word(at(v, i - 3)))
        return NONE;
    int32_t want = iban_length(v->p[i - 2], v->p[i - 1]), n = 2, j = i;
    uint8_t text[IBAN_MAX];
    bool blanks = false;
    for (; want && n < want; j++) {
        if (j >= v->n)
            return v->final ? NONE : MORE;
        uint8_t c = v->p[j];
        if (c == ' ' && n % 4 == 0 && v->p[j - 1] != ' ' && (blanks || n == 4)) {
            blanks = true;
            continue;
        }
        bool group = n % 4 == 0 && n > 4 && blanks && v->p[j - 1] != ' ';
        if (group || !(is_digit(c) || (is_capital(c) && n >= 4)))
            return NONE;
        text[n++] = c;
    }
    if (!want)
        return NONE;
    uint32_t rest = 0;
    for (int32_t k = 4; k < want; k++)
        rest = mod97(rest, text[k]);
    rest = mod97(mod97(rest, v->p[i - 2]), v->p[i - 1]);
    if (mod97(mod97(rest, text[2]), text[3]) != 1)
        return NONE;
    if (j >= v->n && !v->final)
        return MORE;
    return j < v->n && is_word(v->p[j]) ? NONE : j;
}

#endif
