/* around.h: what characters and words around a number say of it. */
#ifndef AROUND_H
#define AROUND_H

#include "view.h"

/* What the character before a run allows: a card number, a phone number, one of
 * digits without separators. */
enum { MAY_CARD = 1, MAY_PHONE = 2, MAY_PLAIN = 4, MAY = 7 };

static int32_t allowed_before(const view *v, int32_t i)
{
    uint8_t a = at(v, i - 1), b = at(v, i - 2);
    if (a >= 0x80) {
        uint8_t c = at(v, i - 3);
        bool money = (b == 0xc2 && (a == 0xa3 || a == 0xa5)) || (c == 0xe2 && b == 0x82);
        return is_letter2(b, a) || money ? 0 : MAY;
    }
    if (is_word(a))
        return 0;
    switch (a) {
    case '.':
    case ':':
        return is_digit(b) ? 0 : MAY;
    case ',':
        return is_digit(b) ? MAY_CARD | MAY_PHONE : MAY;
    case '-':
    case '+':
        return is_word(b) ? 0 : MAY;
    case '(':
        return is_word(b) ? MAY_CARD : MAY;
    case '$':
        return 0;
    case '/':
    case '\\':
    case '#':
    case '`':
        return is_word(b) ? 0 : MAY_CARD;
    }
    return MAY;
}

/* Whether a number may end at i: 1, NONE, MORE. A plain one is not followed by
 * decimals. */
static int32_t allowed_after(const view *v, int32_t i, bool plain)
{
    if (i >= v->n)
        return v->final ? 1 : MORE;
    uint8_t c = v->p[i];
    if (is_word(c) || c == '@' || c == '%')
        return NONE;
    if ((c == ',' && plain) || c == ':' || c == '.') {
        if (i + 1 >= v->n)
            return v->final ? 1 : MORE;
        return !is_digit(v->p[i + 1]);
    }
    if (c < 0x80)
        return 1;
    int32_t len = char_at(v, i);
    if (len == MORE)
        return MORE;
    if (len == 2 && (is_letter2(c, v->p[i + 1]) || (c == 0xc2 && v->p[i + 1] != 0xa0 && v->p[i + 1] != 0xbb)))
        return NONE; /* a letter, a unit, money */
    return !(len == 3 && c == 0xe2 && v->p[i + 1] == 0x82);
}

/* Words by their first letter, each followed by what it says: + a phone number
 * comes, @ one went before, & both, $ a card comes, ! another number comes. A star
 * stands for any ending. "number" says little (#). */
static const char *const words[26] = {
    ['a' - 'a'] = "answer*+ account! amex$",
    ['c' - 'a'] = "call+ calls+ called+ calling+ cell& cellphone+ contact+ card$ cards$ credit$ case!",
    ['d' - 'a'] = "dial+ dialed+ debit$ doi!",
    ['f' - 'a'] = "fax&",
    ['h' - 'a'] = "hotline+ helpline+ handy+ home@",
    ['i' - 'a'] = "id! isbn*! issn! iban! invoice!",
    ['l' - 'a'] = "landline+ license! licence!",
    ['m' - 'a'] = "mobile& mobil+ mastercard$ maestro$ model!",
    ['n' - 'a'] = "number#",
    ['o' - 'a'] = "office@ order!",
    ['p' - 'a'] = "phone*& passport! population! part!",
    ['r' - 'a'] = "reach+ reached+ ring+ reference!",
    ['s' - 'a'] = "sms+ ssn! serial! sku!",
    ['t' - 'a'] = "tel& telephone*+ telef*+ text+ ticket! tracking! timestamp!",
    ['v' - 'a'] = "voicemail+ visa$ version!",
    ['w' - 'a'] = "whatsapp+ work@",
};

static uint8_t lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }
static bool is_letter(uint8_t c) { return (uint8_t)((c | 32) - 'a') < 26; }

/* What the word that the n bytes at w begin with says, 0 for nothing; its length. */
static char says(const uint8_t *w, int32_t n, int32_t *len)
{
    const char *t = words[lower(w[0]) - 'a'];
    while (t && *t) {
        int32_t i = 0, end;
        while (i < n && is_letter(t[i]) && t[i] == lower(w[i]))
            i++;
        for (end = i; t[i] == '*' && end < n && is_letter(w[end]); end++)
            ;
        if (!is_letter(t[i]) && (end == n || !is_letter(w[end]))) {
            *len = end;
            return t[i] == '*' ? t[i + 1] : t[i];
        }
        while (*t && *t++ != ' ')
            ;
    }
    return 0;
}

/* What the sentence before a number says of it; read when first asked for. */
typedef struct {
    bool read;
    int32_t phone; /* 2 a phone word, 1 "number", -1 a word for other numbers */
    bool card;
} hint;

static hint *hints(const view *v, int32_t start, hint *h)
{
    if (h->read)
        return h;
    uint8_t w[CONTEXT];
    for (int32_t i = 0; i < CONTEXT; i++)
        w[i] = at(v, start - CONTEXT + i);
    *h = (hint){true, 0, false};
    int32_t told = -1, len; /* told: where the last telling word ends */
    for (int32_t i = 1; i < CONTEXT; i++) {
        if (!is_letter(w[i])) {
            bool stop = w[i] == '.' || w[i] == '!' || w[i] == '?';
            if (stop && told != i && i + 1 < CONTEXT && w[i + 1] == ' ')
                *h = (hint){true, 0, false}; /* another sentence, unless "Tel. " */
            continue;
        }
        char word = is_letter(w[i - 1]) ? 0 : says(w + i, CONTEXT - i, &len);
        if (word == 0 || word == '@')
            continue;
        told = i + len;
        if (word != '#')
            *h = (hint){true, word == '+' || word == '&' ? 2 : -1, word == '$'};
        else if (h->phone == 0)
            h->phone = 1;
    }
    return h;
}

/* Whether a word after the number that ends at i says that it is a phone's: 1,
 * NONE, MORE. */
static int32_t place_after(const view *v, int32_t i)
{
    int32_t from = i, len, word;
    while (i < v->n && i - from < 2 && (v->p[i] == ' ' || v->p[i] == '-' || v->p[i] == '('))
        i++;
    for (word = i; i < v->n && i - word < 8 && is_letter(v->p[i]); i++)
        ;
    if (i >= v->n && !v->final)
        return MORE;
    if (i == word || i - word == 8)
        return NONE;
    char said = says(v->p + word, i - word, &len);
    return said == '&' || said == '@';
}

#endif
