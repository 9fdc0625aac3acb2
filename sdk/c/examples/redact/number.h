/* number.h: which number a run of digits is. */
#ifndef NUMBER_H
#define NUMBER_H

#include "card.h"
#include "phone.h"

/* A US social security number, written with hyphens. */
static int32_t ssn_end(const view *v, const run *r)
{
    if (r->plus || r->paren[0] || r->n < 3 || shape(r, 2) != 0x324 || r->sep[1] != HYPHEN || r->sep[2] != HYPHEN)
        return NONE;
    int32_t area = value(v, r, 0);
    if (area == 0 || area == 666 || value(v, r, 1) == 0 || value(v, r, 2) == 0)
        return NONE;
    int32_t ok = r->n > 3 ? r->sep[3] == SPACE : allowed_after(v, r->to[2], false);
    return ok == 1 ? r->to[2] : ok;
}

/* The number at start: its end and kind, NONE, or MORE. It depends on the text
 * around start only, never on what was found before: where a call ends and the
 * next begins must not matter. */
static int32_t number_at(const view *v, int32_t start, int32_t *kind)
{
    int32_t may = allowed_before(v, start);
    if (!may)
        return NONE;
    run r;
    int32_t got = read_run(v, start, &r);
    if (got != 1 || digits(&r) < 7)
        return got == MORE ? MORE : NONE;
    hint said = {false, 0, false};
    *kind = CARD;
    int32_t end = may & MAY_CARD ? card_end(v, &r, &said) : NONE;
    if (end != NONE || !(may & MAY_PHONE) || (r.n == 1 && !(may & MAY_PLAIN)) || not_phone(v, &r))
        return end;
    *kind = SSN;
    end = ssn_end(v, &r);
    if (end != NONE)
        return end;
    *kind = PHONE;
    return phone_end(v, &r, &said);
}

#endif
