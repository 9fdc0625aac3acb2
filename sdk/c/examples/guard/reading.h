/* reading.h: a text is read word by word, and what stands near what adds to scores. */
#ifndef READING_H
#define READING_H

#include "letters.h"
#include "words.h"

enum { TABLE = 4096, WORD = 32, RUN = 96, LONGEST = 36, RULE_WORDS = (RULES + 63) / 64 };

/* What has been read of the text that is pending. */
typedef struct {
    uint32_t scanned;             /* bytes */
    uint32_t word;                /* number of the word, from 1000 on */
    uint32_t last[CLASS_COUNT];   /* the last word of each class */
    uint64_t fired[RULE_WORDS];   /* rules, a bit each */
    int32_t score[TOPICS];
    bool ascii;                   /* so far */
    uint32_t n;                   /* of the word begun */
    uint8_t begun[RUN];
    /* What stands between blanks, as what it looks like; before it, letters that stood
     * alone, with one blank between. */
    bool odd, foreign;            /* not all letters; not all look like any */
    uint32_t alone, looks;        /* bytes of those, bytes in all */
    uint8_t look[WORD];
} reading;

/* Open addressing; a word's text lies in lists. */
static struct {
    const char *text;
    uint32_t n;
    classes in;
} table[TABLE];

/* The hash of nothing, and of a byte more (FNV-1a). */
enum { HASH = 0x811c9dc5u };
static uint32_t hash(uint32_t h, uint8_t c) { return (h ^ c) * 16777619; }

/* Where the n bytes at p are, or belong. h is their hash. */
static uint32_t place(uint32_t h, const uint8_t *p, uint32_t n)
{
    h ^= h >> 15;
    for (h &= TABLE - 1; table[h].text; h = (h + 1) & (TABLE - 1))
        if (table[h].n == n && memcmp(table[h].text, p, n) == 0)
            break;
    return h;
}

/* Beginnings of words, of whole characters and at most HEAD bytes: a bit by their hash. */
enum { HEAD = 9, HEADS = 32768 };
static uint32_t heads[HEADS / 32];

static bool is_head(uint32_t h) { return heads[h % HEADS / 32] >> h % 32 & 1; }

/* The rules a class is part of, a bit each. */
static uint64_t part_of[CLASS_COUNT][RULE_WORDS];

static void know_words(void)
{
    for (uint32_t k = 0; k < RULES; k++) {
        part_of[rules[k].a][k / 64] |= (uint64_t)1 << k % 64;
        part_of[rules[k].b][k / 64] |= (uint64_t)1 << k % 64;
    }
    for (uint32_t k = 0; k < sizeof lists / sizeof *lists; k++) {
        const char *p = lists[k].words;
        while (*p) {
            uint32_t n = 0, h = HASH;
            for (; p[n] && p[n] != ' '; n++) {
                h = hash(h, (uint8_t)p[n]);
                if (n < HEAD && (p[n + 1] & 0xc0) != 0x80)
                    heads[h % HEADS / 32] |= 1u << h % 32;
            }
            h = place(h, (const uint8_t *)p, n);
            table[h].text = p;
            table[h].n = n;
            table[h].in |= (classes)1 << lists[k].class;
            p += n + (p[n] == ' ');
        }
    }
}

static classes known(const uint8_t *p, uint32_t n)
{
    uint32_t h = HASH;
    for (uint32_t i = 0; i < n; i++)
        h = hash(h, p[i]);
    return table[place(h, p, n)].in;
}

/* Whether the classes of a word stand as rule k says. One word is no pair, unless it is
 * a run of letters of a script without blanks. */
static bool holds(const reading *r, uint32_t k, classes in, bool run)
{
    uint8_t x = rules[k].a, y = rules[k].b;
    bool a = in >> x & 1, b = in >> y & 1;
    uint32_t other = a && (!b || r->last[y] > r->last[x]) ? r->last[y] : r->last[x];
    if (a && b && (run || x == y))
        other = r->word;
    return other && r->word - other <= rules[k].within;
}

/* A word of these classes: notes it, and what stands near. */
static void meet(reading *r, classes in, bool run)
{
    for (uint32_t i = 0; in && i < RULE_WORDS; i++) {
        uint64_t open = 0;
        for (classes c = in; c; c &= c - 1)
            open |= part_of[__builtin_ctzll(c)][i];
        for (open &= ~r->fired[i]; open; open &= open - 1) {
            uint32_t k = i * 64 + (uint32_t)__builtin_ctzll(open);
            if (!holds(r, k, in, run))
                continue;
            r->fired[i] |= (uint64_t)1 << k % 64;
            r->score[rules[k].topic] += rules[k].weight;
        }
    }
    for (classes c = in; c; c &= c - 1)
        r->last[__builtin_ctzll(c)] = r->word;
}

/* Classes of the words inside of letters that are not ASCII: from every character on,
 * the words of up to LONGEST bytes. */
static classes inside(const uint8_t *p, uint32_t n)
{
    classes in = 0;
    for (uint32_t i = 0; i < n; i++) {
        if ((p[i] & 0xc0) == 0x80)
            continue;
        uint32_t len = 0, h = HASH, most = n - i < LONGEST ? n - i : LONGEST;
        while (len < most) {
            h = hash(h, p[i + len++]);
            if (len < most && (p[i + len] & 0xc0) == 0x80)
                continue; /* within a character */
            if (len >= 4)
                in |= table[place(h, p + i, len)].in;
            if (len <= HEAD && !is_head(h))
                break; /* no word begins so */
        }
    }
    return in;
}

/* The word begun is over. Of letters apart from each other only the
 * first counts as one. */
static void end_word(reading *r)
{
    if (r->n == 0)
        return;
    if (r->n > 1 || r->looks <= 1) {
        r->word++;
        meet(r, r->ascii ? known(r->begun, r->n) : inside(r->begun, r->n), !r->ascii);
    }
    r->n = 0;
    r->ascii = true;
}

/* A run is full. If it is of several words, one may lie across: its end is kept. */
static void cut_word(reading *r)
{
    uint32_t n = r->n, from = n - LONGEST;
    bool ascii = r->ascii;
    end_word(r);
    if (ascii)
        return;
    while (from < n && (r->begun[from] & 0xc0) == 0x80)
        from++;
    r->ascii = false;
    r->n = n - from;
    memmove(r->begun, r->begun + from, r->n);
}

static void add_letter(reading *r, uint32_t c)
{
    if (r->n + 4 > RUN)
        cut_word(r);
    uint32_t n = to_utf8(c, r->begun + r->n);
    r->n += n;
    r->ascii &= n == 1;
}

static void add_look(reading *r, uint32_t c)
{
    uint8_t as = looks_like(c);
    r->odd |= as != c;
    r->foreign |= !as && is_letter(c);
    if (as && r->looks < WORD)
        r->look[r->looks] = as;
    r->looks += as > 0;
}

/* Notes the word that the n letters at p look like; what may be i or l is one of the
 * two throughout. */
static void meet_look(reading *r, const uint8_t *p, uint32_t n)
{
    uint8_t w[WORD];
    bool either = true;
    for (const char *as = "il"; *as && either && n >= 4; as++) {
        either = false;
        for (uint32_t i = 0; i < n; i++) {
            w[i] = p[i] == '1' ? (uint8_t)*as : p[i];
            either |= p[i] == '1';
        }
        meet(r, known(w, n), false);
    }
}

/* What add_letter and add_look do, for a letter from a to z. */
static void add_small(reading *r, uint8_t c)
{
    if (r->n + 4 > RUN)
        cut_word(r);
    r->begun[r->n++] = c;
    if (r->looks < WORD)
        r->look[r->looks] = c;
    r->looks++;
}

/* A blank: what stood before it may look like a word, and so may letters that stood
 * alone. */
static void end_look(reading *r)
{
    uint32_t n = r->looks - r->alone;
    bool letter = n == 1 && !r->foreign;
    if (letter && r->looks < WORD) {
        r->alone = r->looks;
    } else {
        meet_look(r, r->look, r->alone);
        if (r->odd && !r->foreign && r->looks <= WORD)
            meet_look(r, r->look + r->alone, n);
        r->alone = r->looks = 0;
    }
    r->odd = r->foreign = false;
}

static void read_char(reading *r, uint32_t c)
{
    c = plain(c);
    if (c == 0)
        return;
    if (is_letter(c))
        add_letter(r, c);
    else
        end_word(r);
    if (c > ' ')
        add_look(r, c);
    else
        end_look(r);
}

/* Reads on, as far as whole characters go; at the end all. What is not UTF-8 is a
 * blank. */
static void read_text(reading *r, const uint8_t *text, uint32_t n, bool end)
{
    while (r->scanned < n) {
        const uint8_t *p = text + r->scanned;
        uint8_t small = *p | 32;
        if ((uint8_t)(small - 'a') < 26) {
            add_small(r, small);
            r->scanned++;
            continue;
        }
        int32_t len = sw_char(p, n - r->scanned);
        if (len < 0 && !end)
            return;
        read_char(r, len > 0 ? from_utf8(p, len) : ' ');
        r->scanned += len > 0 ? (uint32_t)len : 1;
    }
    if (end)
        read_char(r, ' ');
    if (end)
        read_char(r, ' '); /* the second ends letters that stand alone */
}

static void begin(reading *r)
{
    memset(r, 0, sizeof *r);
    r->word = 1000; /* so that what was never seen is far away */
    r->ascii = true;
}

#endif
