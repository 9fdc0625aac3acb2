//go:build ignore

/* pii: redact (redact.c) with more kinds: a filter that takes e-mail addresses, phone numbers, payment card numbers,
 * US social security numbers, bank accounts (IBAN), IP addresses, and if asked to URLs
 * out of a text while it is being written.
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
 * The same program exists in Rust, Go and AssemblyScript, and a test compares what
 * they do: change all four.
 */
#define SANDWARP_FILTER
#define SANDWARP_FORK
#define SANDWARP_FEATURES SW_FEATURE_REPLAY /* what was judged matters */
#include "../sandwarp.h"

#include <wasm_simd128.h>

/* --- settings and sequences ------------------------------------------------ */

enum { EMAIL, PHONE, CARD, SSN, IBAN, IP, URL, KINDS };
enum { USUAL = URL }; /* the kinds before are on unless turned off */
enum { LABEL_MAX = 64, CONTEXT = 48, SEQUENCES = 1024 };
/* Longest piece put off: an address of LOCAL_MAX + 1 + DOMAIN_MAX bytes. */
enum { LOCAL_MAX = 64, DOMAIN_MAX = 253 };

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

static settings standard = {
    .labels = {{.n = 7, .text = "[email]"}, {.n = 7, .text = "[phone]"}, {.n = 6, .text = "[card]"}, {.n = 5, .text = "[ssn]"},
        {.n = 6, .text = "[iban]"}, {.n = 4, .text = "[ip]"}, {.off = true}},
};
static const char *const kinds[KINDS] = {"email", "phone", "card", "ssn", "iban", "ip", "url"};

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

static int32_t read_setting(settings *s, sw_reader *r, const uint8_t *key, uint32_t n)
{
    for (int k = 0; k < KINDS; k++)
        if (sw_is(key, n, kinds[k]))
            return read_label(r, &s->labels[k]);
    if (sw_is(key, n, "text")) {
        int32_t err = read_label(r, &s->labels[0]);
        for (int k = 1; k < KINDS; k++)
            if (k < USUAL || !s->labels[k].off)
                s->labels[k] = s->labels[0];
        return err;
    }
    if (sw_is(key, n, "prompts")) {
        s->prompts = sw_read_bool(r);
        return r->err ? sw_fail(SW_EINVAL, "configuration: prompts is true or false") : SW_OK;
    }
    sw_fail(SW_EINVAL, "configuration: unknown key ");
    sw_fail_text(key, n);
    sw_fail_text("; known are email, phone, card, ssn, iban, ip, url, text, prompts", 65);
    return SW_EINVAL;
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

/* --- characters -------------------------------------------------------------- */

enum { LETTER = 1, DIGIT = 2, MARK = 4 }; /* MARK: punctuation inside of local parts */

static const uint8_t class_of[256] = {
    ['0'] = DIGIT, ['1'] = DIGIT, ['2'] = DIGIT, ['3'] = DIGIT, ['4'] = DIGIT,
    ['5'] = DIGIT, ['6'] = DIGIT, ['7'] = DIGIT, ['8'] = DIGIT, ['9'] = DIGIT,
    ['a'] = LETTER, ['b'] = LETTER, ['c'] = LETTER, ['d'] = LETTER, ['e'] = LETTER,
    ['f'] = LETTER, ['g'] = LETTER, ['h'] = LETTER, ['i'] = LETTER, ['j'] = LETTER,
    ['k'] = LETTER, ['l'] = LETTER, ['m'] = LETTER, ['n'] = LETTER, ['o'] = LETTER,
    ['p'] = LETTER, ['q'] = LETTER, ['r'] = LETTER, ['s'] = LETTER, ['t'] = LETTER,
    ['u'] = LETTER, ['v'] = LETTER, ['w'] = LETTER, ['x'] = LETTER, ['y'] = LETTER,
    ['z'] = LETTER, ['A'] = LETTER, ['B'] = LETTER, ['C'] = LETTER, ['D'] = LETTER,
    ['E'] = LETTER, ['F'] = LETTER, ['G'] = LETTER, ['H'] = LETTER, ['I'] = LETTER,
    ['J'] = LETTER, ['K'] = LETTER, ['L'] = LETTER, ['M'] = LETTER, ['N'] = LETTER,
    ['O'] = LETTER, ['P'] = LETTER, ['Q'] = LETTER, ['R'] = LETTER, ['S'] = LETTER,
    ['T'] = LETTER, ['U'] = LETTER, ['V'] = LETTER, ['W'] = LETTER, ['X'] = LETTER,
    ['Y'] = LETTER, ['Z'] = LETTER, ['_'] = LETTER,
    ['.'] = MARK, ['-'] = MARK, ['+'] = MARK, ['%'] = MARK, ['\''] = MARK, ['~'] = MARK,
};

static bool is_digit(uint8_t c) { return (uint8_t)(c - '0') < 10; }
static bool is_word(uint8_t c) { return class_of[c] & (LETTER | DIGIT); }
static bool is_tail(uint8_t c) { return (c & 0xc0) == 0x80; }

/* Whether two bytes are a letter that addresses may hold: U+00C0 to U+07FF, that
 * is Latin, Greek, Cyrillic, Hebrew and Arabic, less the signs for times and divided. */
static bool is_letter2(uint8_t a, uint8_t b)
{
    return a >= 0xc3 && a <= 0xdf && is_tail(b) && !(a == 0xc3 && (b == 0x97 || b == 0xb7));
}

/* The text of a call, what came before it, and how far it is settled. */
typedef struct {
    const uint8_t *p;
    int32_t n;
    bool final;    /* nothing follows */
    int32_t floor; /* matches begin here or later */
    const past *before;
} view;

/* The byte at i >= -CONTEXT; 0 before the text's start. */
static uint8_t at(const view *v, int32_t i)
{
    if (i >= 0)
        return v->p[i];
    i += (int32_t)v->before->n;
    return i >= 0 ? v->before->text[i] : 0;
}

/* sw_char of the text at i; nothing more comes if the text is final. */
static int32_t char_at(const view *v, int32_t i)
{
    int32_t len = sw_char(v->p + i, (uint32_t)(v->n - i));
    return len < 0 && v->final ? 0 : len;
}

/* --- e-mail addresses -------------------------------------------------------- */

enum { NONE = 0, MORE = -1 }; /* results of matchers; a match is its end */

/* Where the local part before end begins: the last LOCAL_MAX bytes of letters,
 * digits and marks, whole characters, not beginning with a mark. */
static int32_t local_start(const view *v, int32_t end)
{
    int32_t i = end;
    while (i > v->floor && end - i < LOCAL_MAX) {
        if (class_of[v->p[i - 1]])
            i--;
        else if (i - 1 > v->floor && end - i + 2 <= LOCAL_MAX && is_letter2(v->p[i - 2], v->p[i - 1]))
            i -= 2;
        else
            break;
    }
    while (i < end && class_of[v->p[i]] == MARK)
        i++;
    return i;
}

/* The end of the domain that begins at i. It has two labels or more, and the last
 * is not a number: two letters at least. */
static int32_t domain_end(const view *v, int32_t from)
{
    int32_t good = NONE, i = from, label = from, letters = 0;
    for (;;) {
        bool over = i - from >= DOMAIN_MAX;
        if (i >= v->n && !v->final && !over)
            return MORE;
        uint8_t c = over || i >= v->n ? 0 : v->p[i];
        if (class_of[c] & (LETTER | DIGIT) && c != '_') {
            letters += !is_digit(c);
            i++;
            continue;
        }
        if (c >= 0xc3 && c <= 0xdf) {
            if (i + 1 >= v->n && !v->final)
                return MORE;
            if (i + 1 < v->n && is_letter2(c, v->p[i + 1])) {
                letters += 2;
                i += 2;
                continue;
            }
        }
        if (c == '-' && i > label) {
            i++;
            continue;
        }
        int32_t end = i;
        while (end > label && v->p[end - 1] == '-')
            end--;
        if (label > from && letters >= 2)
            good = end;
        if (c != '.' || i == label)
            return good;
        label = ++i;
        letters = 0;
    }
}

/* The address whose @ is at i. */
static int32_t email_at(const view *v, int32_t i, int32_t *start)
{
    *start = local_start(v, i);
    return *start == i ? NONE : domain_end(v, i + 1);
}

/* --- runs of digits ----------------------------------------------------------- */

enum { SPACE = 1, HYPHEN, DOT, SLASH, TOUCH }; /* what is between two groups */
enum { GROUPS = 8, DIGITS = 19 };

/* Groups of digits with separators between, from start on. One group more than
 * any match can have is there, if the text has it. */
typedef struct {
    int32_t start;
    bool plus;
    int32_t n;
    int32_t from[GROUPS], to[GROUPS];
    uint8_t sep[GROUPS];   /* before the group */
    bool paren[GROUPS];    /* the group stands in parentheses */
    int32_t close[GROUPS]; /* end of the group, its closing parenthesis included */
} run;

static int32_t length(const run *r, int32_t k) { return r->to[k] - r->from[k]; }

/* The separator at i: its length, 0 for none, MORE. */
static int32_t separator(const view *v, int32_t i, uint8_t *kind)
{
    switch (v->p[i]) {
    case ' ':
        *kind = SPACE;
        return 1;
    case '-':
        *kind = HYPHEN;
        return 1;
    case '.':
        *kind = DOT;
        return 1;
    case '/':
        *kind = SLASH;
        return 1;
    case 0xc2:
    case 0xe2:
        break;
    default:
        return 0;
    }
    int32_t len = char_at(v, i);
    if (len <= 0)
        return len;
    uint8_t b = v->p[i + 1], c = len > 2 ? v->p[i + 2] : 0;
    if (len == 2 ? b == 0xa0 : b == 0x80 && (c == 0x89 || c == 0xaf)) { /* U+00A0 2009 202F */
        *kind = SPACE;
        return len;
    }
    if (len == 3 && b == 0x80 && c >= 0x90 && c <= 0x93) { /* U+2010 to 2013 */
        *kind = HYPHEN;
        return len;
    }
    return 0;
}

/* Reads the group of digits at i, in parentheses if an opening one stands before
 * it: 1, NONE if that is not closed, MORE. */
static int32_t read_group(const view *v, run *r, int32_t i, uint8_t sep, bool paren)
{
    int32_t k = r->n, end = i;
    while (end < v->n && is_digit(v->p[end]) && end - i <= DIGITS)
        end++;
    if (end >= v->n && !v->final && end - i <= DIGITS)
        return MORE;
    if (paren && (end >= v->n || v->p[end] != ')'))
        return NONE;
    r->from[k] = i;
    r->to[k] = end;
    r->close[k] = end + paren;
    r->sep[k] = sep;
    r->paren[k] = paren;
    r->n++;
    return 1;
}

/* Where the digits of a run's next group must be, past + and parenthesis. */
static int32_t opening(const view *v, run *r, int32_t i, bool *paren)
{
    *paren = i < v->n && v->p[i] == '(' && r->n <= 2;
    i += *paren;
    if (r->n > 0 || i >= v->n || v->p[i] != '+')
        return i;
    r->plus = true;
    i++;
    if (!*paren && i < v->n && v->p[i] == '(') {
        *paren = true;
        i++;
    }
    return i;
}

/* Whether the run is long enough to judge its first group: nothing has more
 * groups, or two of one digit each. */
static bool enough(const run *r, int32_t total)
{
    int32_t k = r->n - 1;
    bool ones = k > 0 && length(r, k) == 1 && length(r, k - 1) == 1 && !r->paren[k] && !r->paren[k - 1] && !r->plus;
    return total > DIGITS || r->n == GROUPS || ones;
}

/* Reads the run that begins at start: 1, NONE if there is none, MORE. */
static int32_t read_run(const view *v, int32_t start, run *r)
{
    r->start = start;
    r->n = 0;
    r->plus = false;
    int32_t i = start, total = 0;
    uint8_t sep = TOUCH;
    for (;;) {
        bool paren;
        i = opening(v, r, i, &paren);
        if (i >= v->n)
            return v->final ? r->n > 0 : MORE;
        if (!is_digit(v->p[i]) || (sep == TOUCH && r->n > 0 && !paren && !r->paren[r->n - 1]))
            return r->n > 0;
        int32_t got = read_group(v, r, i, sep, paren);
        if (got != 1)
            return got == MORE ? MORE : r->n > 0;
        total += length(r, r->n - 1);
        if (enough(r, total))
            return 1;
        i = r->close[r->n - 1];
        sep = TOUCH;
        if (i >= v->n)
            return v->final ? 1 : MORE;
        int32_t len = separator(v, i, &sep);
        if (len == MORE)
            return MORE;
        i += len;
    }
}

static int32_t digits(const run *r)
{
    int32_t n = 0;
    for (int32_t k = 0; k < r->n; k++)
        n += length(r, k);
    return n;
}

static int32_t value(const view *v, const run *r, int32_t k)
{
    int32_t x = 0;
    for (int32_t i = r->from[k]; i < r->to[k] && i < r->from[k] + 6; i++)
        x = x * 10 + (v->p[i] - '0');
    return x;
}

static bool same_separators(const run *r, int32_t h)
{
    for (int32_t k = 2; k <= h; k++)
        if (r->sep[k] != r->sep[1])
            return false;
    return true;
}

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

/* --- words about a number ------------------------------------------------------ */

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

/* --- payment cards ------------------------------------------------------------ */

/* Whether issuers give out numbers of n digits that begin with d (six digits). */
static bool issued(int32_t d, int32_t n)
{
    int32_t two = d / 10000, three = d / 1000, four = d / 100;
    if (two >= 40 && two <= 49)
        return n == 13 || n == 16 || n == 19; /* Visa */
    if (n == 16 && ((two >= 51 && two <= 55) || (four >= 2200 && four <= 2204) || (four >= 2221 && four <= 2720)))
        return true; /* Mastercard, Mir */
    if (n == 15 && (two == 34 || two == 37 || four == 2131 || four == 1800))
        return true; /* American Express, early JCB */
    if (n == 14 && ((three >= 300 && three <= 305) || three == 309 || two == 36 || two == 38 || two == 39))
        return true; /* Diners Club */
    if (n >= 16 && (two == 35 || four == 6011 || (three >= 644 && three <= 659) || two == 62 || two == 60))
        return true; /* JCB, Discover, UnionPay, RuPay */
    return two == 50 || (two >= 56 && two <= 58) || four == 6304 || four == 6759 || (four >= 6761 && four <= 6763); /* Maestro */
}

/* The check digit (Luhn, US patent 2,950,048; ISO/IEC 7812-1 annex B). */
static bool luhn(const uint8_t *d, int32_t n)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < n; i++) {
        int32_t x = d[n - 1 - i];
        if (i & 1)
            x = x > 4 ? 2 * x - 9 : 2 * x;
        sum += x;
    }
    return sum % 10 == 0;
}

/* Whether groups 0..h stand as on cards: all together, by fours, or 4-6-4/5. */
static bool card_shape(const run *r, int32_t h)
{
    if (h == 0)
        return true;
    if (length(r, 0) != 4 || !same_separators(r, h) || r->sep[1] == SLASH || r->sep[1] == TOUCH)
        return false;
    if (h == 2 && length(r, 1) == 6 && (length(r, 2) == 4 || length(r, 2) == 5))
        return true;
    for (int32_t k = 1; k < h; k++)
        if (length(r, k) != 4)
            return false;
    return length(r, h) <= 4;
}

static int32_t card_end(const view *v, const run *r, hint *said)
{
    if (r->plus || r->paren[0] || (length(r, 0) != 4 && length(r, 0) < 12))
        return NONE;
    uint8_t d[DIGITS];
    int32_t n = 0, end[GROUPS], last = -1;
    for (int32_t k = 0; k < r->n && n + length(r, k) <= DIGITS && !r->paren[k]; k++) {
        for (int32_t i = r->from[k]; i < r->to[k]; i++)
            d[n++] = (uint8_t)(v->p[i] - '0');
        end[last = k] = n;
    }
    for (int32_t h = last; h >= 0 && end[h] >= 12; h--) {
        int32_t head = 0;
        for (int32_t i = 0; i < 6; i++)
            head = head * 10 + d[i];
        bool goes_on = h + 1 < r->n && r->sep[h + 1] != SPACE;
        if (goes_on || !card_shape(r, h) || !luhn(d, end[h]))
            continue;
        if (!issued(head, end[h]) && !hints(v, r->start, said)->card)
            continue;
        int32_t ok = h + 1 < r->n ? 1 : allowed_after(v, r->to[h], false);
        if (ok != NONE)
            return ok == MORE ? MORE : r->to[h];
    }
    return NONE;
}

/* --- phone numbers ------------------------------------------------------------- */

static bool is_year(int32_t x) { return x >= 1800 && x <= 2100; }

/* Whether groups 0..3 are an IP address. */
static bool is_address(const view *v, const run *r)
{
    if (r->sep[1] != DOT || !same_separators(r, 3) || (r->n > 4 && r->sep[4] == DOT))
        return false;
    for (int32_t k = 0; k < 4; k++)
        if (length(r, k) > 3 || value(v, r, k) > 255)
            return false;
    return true;
}

/* Whether the run begins with a date, an IP address or a span of years. */
static bool not_phone(const view *v, const run *r)
{
    if (r->plus || r->n < 2)
        return false;
    int32_t a = value(v, r, 0), b = value(v, r, 1), c = r->n > 2 ? value(v, r, 2) : 0;
    if (length(r, 0) == 4 && length(r, 1) == 4 && is_year(a) && is_year(b))
        return true;
    if (r->n < 3 || r->sep[1] != r->sep[2] || r->sep[1] == SPACE || r->sep[1] == TOUCH || length(r, 1) > 2)
        return r->n > 3 && is_address(v, r);
    if (length(r, 0) == 4 && length(r, 2) <= 2)
        return is_year(a) && b <= 12 && c <= 31;
    if (length(r, 2) == 4 && length(r, 0) <= 2)
        return is_year(c) && a <= 31 && b <= 31;
    return r->n > 3 && is_address(v, r);
}

/* Lengths of groups 0..h, each in four bits, the first on the left. */
static uint64_t shape(const run *r, int32_t h)
{
    uint64_t s = 0;
    for (int32_t k = 0; k <= h; k++)
        s = s << 4 | (uint64_t)(length(r, k) > 15 ? 15 : length(r, k));
    return s;
}

/* Whether all groups from..h have at least two digits and at most max. */
static bool sizes(const run *r, int32_t from, int32_t h, int32_t max)
{
    for (int32_t k = from; k <= h; k++)
        if (length(r, k) < 2 || length(r, k) > max)
            return false;
    return true;
}

/* Whether groups 0..h with n digits are an international number after + or 00
 * (ITU-T E.164: at most 15 digits). */
static bool international(const view *v, const run *r, int32_t h, int32_t n)
{
    const uint8_t *d = v->p + r->from[0];
    if (r->plus) {
        if (d[0] == '0' || n < 8 || n > 15 || (h > 0 && length(r, h) < 2))
            return false;
        return d[0] != '1' || n == 11;
    }
    if (d[0] != '0' || length(r, 0) < 2 || d[1] != '0' || h == 0 || n < 10 || n > 17 || length(r, h) < 2)
        return false;
    return length(r, 0) > 2 ? d[2] != '0' && length(r, 0) <= 5 : length(r, 1) <= 3 && v->p[r->from[1]] != '0' && h < 6 && !sizes(r, 0, h, 2);
}

/* North America: area code, exchange, line, with or without 1 in front. Points do
 * not mix with hyphens. */
static bool north_american(const view *v, const run *r, int32_t h)
{
    uint64_t s = shape(r, h);
    int32_t area = s == 0x334 ? 0 : s == 0x1334 && v->p[r->from[0]] == '1' ? 1 : -1;
    return area >= 0 && v->p[r->from[area]] >= '2' && (r->sep[h] == DOT) == (r->sep[h - 1] == DOT);
}

/* Area code in parentheses, or with the trunk prefix 0. */
static bool national(const view *v, const run *r, int32_t h, int32_t n)
{
    const uint8_t *d = v->p + r->from[0];
    bool trunk = d[0] == '0' && length(r, 0) >= 2 && d[1] != '0';
    if (!sizes(r, 0, h, h == 0 ? 11 : 8) || (h > 0 && r->paren[h]))
        return false;
    if (h == 0)
        return trunk && (n == 10 || n == 11) && memcmp(d, "0123456789", 10) != 0;
    if (r->paren[0]) {
        bool years = h == 2 && is_year(value(v, r, 1)) && is_year(value(v, r, 2));
        return n >= 8 && n <= 12 && length(r, 0) <= (trunk ? 5 : 3) && (trunk || h >= 2) && !years;
    }
    for (int32_t k = 2; k <= h; k++)
        if (r->sep[k] == SLASH)
            return false;
    return trunk && n >= 9 && n <= 11 && h <= 4 && shape(r, h) != 0x54;
}

/* Whether groups 0..h stand in a row of numbers, with nothing but spaces between. */
static bool in_row(const view *v, const run *r, int32_t h)
{
    for (int32_t k = 1; k <= h; k++)
        if (r->sep[k] != SPACE)
            return false;
    bool more = h + 1 < r->n && r->sep[h + 1] == SPACE;
    return !r->paren[0] && (more || (at(v, r->start - 1) == ' ' && is_digit(at(v, r->start - 2))));
}

/* Whether groups 0..h are a plain number with thousands apart. */
static bool thousands(const run *r, int32_t h)
{
    for (int32_t k = 1; k <= h; k++)
        if (length(r, k) != 3 || r->sep[k] != r->sep[1] || r->sep[k] == HYPHEN)
            return false;
    return length(r, 0) <= 3;
}

/* What only a word beside it makes a phone number: 1, NONE, MORE. */
static int32_t with_word(const view *v, const run *r, int32_t h, int32_t n, hint *said)
{
    if (n > 15 || n < (h == 0 ? 8 : 7) || h > 5 || !sizes(r, 1, h, 8))
        return NONE;
    int32_t phone = hints(v, r->start, said)->phone;
    if (phone < 0 || phone == 2)
        return phone > 0;
    if (thousands(r, h))
        return NONE;
    if (phone == 1 && h > 0)
        return 1;
    return h + 1 == r->n ? place_after(v, r->close[h]) : NONE;
}

/* The end of an extension (x and up to six digits) after a number that ends at i. */
static int32_t extension(const view *v, int32_t i)
{
    int32_t x = i;
    if (x < v->n && v->p[x] == ' ')
        x++;
    if (x < v->n && v->p[x] != 'x')
        return i;
    int32_t end = x + 1;
    while (end < v->n && end - x <= 6 && is_digit(v->p[end]))
        end++;
    if (end >= v->n && end - x <= 6 && !v->final)
        return MORE;
    return end > x + 1 && x < v->n ? end : i;
}

/* Whether groups 0..h are a phone number: 1, NONE, MORE. */
static int32_t phone_shape(const view *v, const run *r, int32_t h, int32_t n, hint *said)
{
    if (international(v, r, h, n))
        return 1;
    if (r->plus)
        return NONE;
    bool series = h + 1 < r->n && (r->sep[h + 1] != SPACE || length(r, h + 1) == length(r, h));
    if (series)
        return NONE;
    if ((north_american(v, r, h) || national(v, r, h, n)) && !in_row(v, r, h))
        return hints(v, r->start, said)->phone >= 0;
    return with_word(v, r, h, n, said);
}

static int32_t phone_end(const view *v, const run *r, hint *said)
{
    int32_t n = 0, last = -1, total[GROUPS];
    for (int32_t k = 0; k < r->n && k < GROUPS - 1; k++) {
        n += length(r, k);
        if (n > 17 || (k > 0 && length(r, k) > 8) || (k > 2 && length(r, k) == 1))
            break;
        total[last = k] = n;
    }
    if (last < 0 || total[last] < 7)
        return NONE;
    for (int32_t h = last; h >= 0 && total[h] >= 7; h--) {
        int32_t is = phone_shape(v, r, h, total[h], said);
        if (is == NONE)
            continue;
        if (is == MORE)
            return MORE;
        int32_t end = extension(v, r->close[h]);
        if (end == MORE)
            return MORE;
        int32_t ok = h + 1 < r->n && end == r->close[h] ? 1 : allowed_after(v, end, h == 0 || thousands(r, h));
        if (ok != NONE)
            return ok == MORE ? MORE : end;
    }
    return NONE;
}

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

/* --- bank accounts: ISO 13616 ---------------------------------------------------------- */

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

/* --- IP addresses and URLs --------------------------------------------------------------- */

/* Up to three digits that are no more than 255, at i; i if there are none. */
static int32_t octet(const view *v, int32_t i)
{
    int32_t x = 0, j = i;
    while (j < v->n && j - i < 3 && is_digit(v->p[j]))
        x = x * 10 + v->p[j++] - '0';
    return x > 255 ? i : j;
}

/* Whether what follows an address at j does not go on with it: 1, NONE, MORE. A point
 * may end a sentence. */
static int32_t address_ends(const view *v, int32_t j)
{
    if (j >= v->n)
        return v->final ? 1 : MORE;
    if (v->p[j] == '.' && j + 1 >= v->n)
        return v->final ? 1 : MORE;
    return is_word(v->p[j]) || v->p[j] == ':' || (v->p[j] == '.' && is_word(v->p[j + 1])) ? NONE : 1;
}

/* The four octets that begin at i. After a colon may come a port. */
static int32_t ip4_at(const view *v, int32_t i)
{
    uint8_t before = at(v, i - 1);
    if (is_word(before) || before == '.' || before == '-')
        return NONE;
    int32_t j = i;
    for (int32_t k = 0; k < 4; k++) {
        int32_t end = octet(v, j);
        if (end >= v->n && !v->final)
            return MORE;
        if (end == j || (k < 3 && (end >= v->n || v->p[end] != '.')))
            return NONE;
        j = end + (k < 3);
    }
    if (j < v->n && v->p[j] == ':')
        return j;
    int32_t ok = address_ends(v, j);
    return ok == 1 ? j : ok;
}

static bool is_hex(uint8_t c) { return is_digit(c) || (uint8_t)((c | 32) - 'a') < 6; }

/* The IPv6 address (RFC 4291) whose first colon is at i. */
static int32_t ip6_at(const view *v, int32_t i, int32_t *start)
{
    int32_t s = i, groups = 0, digits = 0;
    while (s > v->floor && i - s < 4 && is_hex(v->p[s - 1]))
        s--;
    *start = s;
    uint8_t before = at(v, s - 1);
    if (is_word(before) || before == ':' || before == '.')
        return NONE;
    bool gap = false;
    int32_t j = s;
    for (;;) {
        int32_t from = j;
        while (j < v->n && j - from < 4 && is_hex(v->p[j]))
            digits += is_digit(v->p[j++]);
        groups += j > from;
        if (j >= v->n && !v->final && groups <= 8)
            return MORE;
        if (groups > 8)
            return NONE;
        if (j + 1 >= v->n && j < v->n && v->p[j] == ':' && !v->final)
            return MORE;
        if (j + 1 < v->n && v->p[j] == ':' && v->p[j + 1] == ':' && !gap) {
            gap = true;
            j += 2;
        } else if (j > from && j + 1 < v->n && v->p[j] == ':' && is_hex(v->p[j + 1])) {
            j++;
        } else {
            break;
        }
    }
    bool good = gap ? groups >= 1 && groups < 8 && (digits > 0 || groups > 2) : groups == 8;
    int32_t ok = address_ends(v, j);
    return good || ok == MORE ? (ok == 1 ? j : ok) : NONE;
}

enum { SCHEME_MAX = 12, URL_MAX = 400 };

static bool in_url(uint8_t c) { return c > 0x20 && c != '<' && c != '>' && c != '"' && c != '`' && c != '{' && c != '}' && c != '|' && c != '\\' && c != '^' && c != 0x7f; }

/* The URL whose colon is at i: its scheme is letters, and :// follows. What ends a
 * sentence is not part of it, nor a parenthesis that closes none of its own. One
 * longer than URL_MAX bytes is cut there. */
static int32_t url_at(const view *v, int32_t i, int32_t *start)
{
    int32_t s = i, depth = 0, end = NONE, j = i + 3;
    while (s > v->floor && i - s < SCHEME_MAX && class_of[v->p[s - 1]] == LETTER && v->p[s - 1] != '_')
        s--;
    *start = s;
    if (i - s < 3 || is_word(at(v, s - 1)))
        return NONE;
    for (int32_t k = 1; k < 3; k++) {
        if (i + k >= v->n)
            return v->final ? NONE : MORE;
        if (v->p[i + k] != '/')
            return NONE;
    }
    for (; j < v->n && j - s < URL_MAX && in_url(v->p[j]); j++) {
        uint8_t c = v->p[j];
        depth += c == '(' ? 1 : c == ')' ? -1 : 0;
        if (depth < 0)
            break;
        bool mark = c == '.' || c == ',' || c == ';' || c == ':' || c == '!' || c == '?' || c == '\'' || c == '*' || c == ']' || is_tail(c) || c >= 0xc0;
        if (!mark || (is_tail(c) && (j + 1 >= v->n || !is_tail(v->p[j + 1]))))
            end = j + 1;
    }
    if (j >= v->n && j - s < URL_MAX && !v->final)
        return MORE;
    return end;
}

/* --- the text ------------------------------------------------------------------- */

/* What is released in place of the text; kept from call to call. */
static uint8_t *out;
static uint32_t out_n, out_cap;
enum { OUT_KEPT = 1 << 20 };

static bool put(const void *p, uint32_t n)
{
    if (n > out_cap - out_n) {
        uint64_t cap = 2 * ((uint64_t)out_n + n) + 1024;
        uint8_t *more = cap <= INT32_MAX ? sw_alloc((uint32_t)cap, 16) : NULL;
        if (!more)
            return false;
        memcpy(more, out, out_n);
        sw_free(out, out_cap, 16);
        out = more;
        out_cap = (uint32_t)cap;
    }
    memcpy(out + out_n, p, n);
    out_n += n;
    return true;
}

/* The next place from i on where something may begin: @ + ( digits, not ASCII, and
 * the colon if that is looked for. */
static int32_t next_place(const view *v, int32_t i, uint8_t colon)
{
    const v128_t nine = wasm_i8x16_splat(9), zero = wasm_i8x16_splat('0');
    for (; i + 16 <= v->n; i += 16) {
        v128_t x = wasm_v128_load(v->p + i);
        v128_t hit = wasm_u8x16_le(wasm_i8x16_sub(x, zero), nine);
        hit = wasm_v128_or(hit, wasm_i8x16_eq(x, wasm_i8x16_splat('@')));
        hit = wasm_v128_or(hit, wasm_i8x16_eq(x, wasm_i8x16_splat('+')));
        hit = wasm_v128_or(hit, wasm_i8x16_eq(x, wasm_i8x16_splat('(')));
        hit = wasm_v128_or(hit, wasm_i8x16_eq(x, wasm_i8x16_splat((int8_t)colon)));
        uint32_t bits = wasm_i8x16_bitmask(wasm_v128_or(hit, x));
        if (bits)
            return i + __builtin_ctz(bits);
    }
    for (; i < v->n; i++) {
        uint8_t c = v->p[i];
        if (is_digit(c) || c == '@' || c == '+' || c == '(' || c == colon || c >= 0x80)
            return i;
    }
    return v->n;
}

/* What is at a place: text from start to end to write something else for, or end
 * NONE and where to look next, or end MORE. */
typedef struct {
    int32_t start, end, next;
    const uint8_t *instead;
    uint32_t n;
} find;

/* A character that is not ASCII: it is a find if it is not UTF-8. */
static find odd_character(const view *v, int32_t i)
{
    static const uint8_t replacement[] = {0xef, 0xbf, 0xbd}; /* U+FFFD */
    int32_t len = char_at(v, i);
    int32_t end = len == 0 ? i + 1 : len == MORE ? MORE : NONE;
    return (find){i, end, i + len, replacement, sizeof replacement};
}

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

static find look(view *v, const settings *s, int32_t i)
{
    if (v->p[i] >= 0x80)
        return odd_character(v, i);
    int32_t kind = EMAIL, start = i, next = i + 1, end;
    if (v->p[i] == '@')
        end = email_at(v, i, &start);
    else if (v->p[i] == ':')
        end = colon_at(v, s, i, &start, &kind);
    else
        end = digit_at(v, s, i, &start, &kind);
    const label *l = &s->labels[kind];
    if (end > 0 && l->off) { /* it stays, in one piece */
        next = v->floor = end;
        end = NONE;
    }
    while (next < v->n && is_digit(v->p[next - 1]) && is_digit(v->p[next]))
        next++; /* nothing begins inside of a group */
    return (find){start, end, next, l->text, l->n};
}

/* Judges the text: writes to out what is released if anything differs. Returns the
 * number of bytes settled, or SW_ENOMEM. */
static int32_t judge(view *v, const settings *s, bool *changed)
{
    int32_t i = 0, copied = 0, settled = -1;
    uint8_t colon = s->labels[IP].off && s->labels[URL].off ? '@' : ':';
    *changed = false;
    while (settled < 0 && (i = next_place(v, i, colon)) < v->n) {
        find f = look(v, s, i);
        i = f.next;
        if (f.end == MORE)
            settled = f.start;
        if (f.end <= 0)
            continue;
        if (!put(v->p + copied, (uint32_t)(f.start - copied)) || !put(f.instead, f.n))
            return SW_ENOMEM;
        *changed = true;
        i = v->floor = copied = f.end;
    }
    if (settled < 0)
        settled = v->n;
    if (!v->final) { /* the last word may go on to be an address */
        int32_t word = local_start(v, (int32_t)sw_whole(v->p, (uint32_t)v->n, 0));
        settled = word < settled ? word : settled;
    }
    if (*changed && !put(v->p + copied, (uint32_t)(settled - copied)))
        return SW_ENOMEM;
    return settled;
}

/* Keeps the last bytes of what is settled. */
static void remember(past *b, const uint8_t *p, uint32_t n)
{
    if (n >= CONTEXT) {
        memcpy(b->text, p + n - CONTEXT, CONTEXT);
        b->n = CONTEXT;
        return;
    }
    uint32_t keep = b->n + n > CONTEXT ? CONTEXT - n : b->n;
    memmove(b->text, b->text + b->n - keep, keep);
    memcpy(b->text + keep, p, n);
    b->n = keep + n;
}

int64_t sw_filter(uint64_t seq, const uint8_t *text, uint32_t n, uint32_t flags)
{
    int32_t slot = sw_slot_find(slots, SEQUENCES, seq);
    if (slot < 0)
        return sw_fail(SW_ENOENT, "the sequence is not open");
    if (n > INT32_MAX / 4)
        return sw_fail(SW_E2BIG, "the text is longer than 512 MiB");
    past *before = &pasts[slot];
    const settings *s = before->own ? before->own : &standard;
    if (flags & SW_FLAG_PROMPT && !s->prompts)
        return sw_pass(n);
    if (flags & SW_FLAG_REPLAY) {
        before->n = 0;
        remember(before, text, n);
        return sw_pass(n);
    }
    out_n = 0;
    if (out_cap > OUT_KEPT) { /* for a long text, once */
        sw_free(out, out_cap, 16);
        out = NULL;
        out_cap = 0;
    }
    view v = {text, (int32_t)n, flags & SW_FLAG_END, 0, before};
    bool changed;
    int32_t settled = judge(&v, s, &changed);
    if (settled < 0)
        return sw_fail(settled, "no memory for the redacted text");
    remember(before, text, (uint32_t)settled);
    if (v.final)
        before->n = 0;
    if (changed)
        return sw_replace((uint32_t)settled, out, out_n);
    return settled == 0 && n > 0 ? sw_hold() : sw_pass((uint32_t)settled);
}
