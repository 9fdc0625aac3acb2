/* letters.h: characters as a reader takes them, however they are dressed up. */
#ifndef LETTERS_H
#define LETTERS_H

/* The character of len bytes at p. */
static uint32_t from_utf8(const uint8_t *p, int32_t len)
{
    uint32_t c = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    for (int32_t i = 1; i < len; i++)
        c = c << 6 | (p[i] & 0x3f);
    return c;
}

static uint32_t to_utf8(uint32_t c, uint8_t *p)
{
    uint32_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (uint32_t i = n - 1; i > 0; i--, c >>= 6)
        p[i] = (uint8_t)(0x80 | (c & 0x3f));
    p[0] = (uint8_t)(n == 1 ? c : (0xf00u >> n & 0xff) | c);
    return n;
}

/* Characters that stand for others: c is as + (c - from) % period. 0 is nothing: what
 * does not show, and accents that come after their letter (Unicode 16, UAX 44). */
static const struct {
    uint32_t from, to;
    uint8_t as, period;
} stands[] = {
    {0x80, 0xa9, ' ', 1}, {0xab, 0xac, ' ', 1}, {0xad, 0xad, 0, 1}, {0xae, 0xb4, ' ', 1}, {0xb6, 0xb9, ' ', 1}, {0xbb, 0xbf, ' ', 1}, /* signs of Latin-1 */
    {0xd7, 0xd7, ' ', 1}, {0xf7, 0xf7, ' ', 1}, {0x130, 0x130, 'i', 1}, {0x300, 0x36f, 0, 1}, {0x60c, 0x60d, ' ', 1}, {0x61b, 0x61b, ' ', 1},
    {0x61c, 0x61c, 0, 1}, {0x61f, 0x61f, ' ', 1}, {0x6d4, 0x6d4, ' ', 1}, {0x964, 0x965, ' ', 1}, {0x180b, 0x180f, 0, 1},
    {0x2000, 0x200a, ' ', 1}, {0x200b, 0x200f, 0, 1}, {0x2010, 0x2029, ' ', 1}, {0x202a, 0x202e, 0, 1}, {0x202f, 0x205f, ' ', 1}, {0x2060, 0x206f, 0, 1}, /* blanks, joiners, directions */
    {0x2190, 0x2487, ' ', 1}, {0x249c, 0x24b5, 'a', 26}, {0x24b6, 0x24e9, 'a', 26}, {0x2500, 0x2bff, ' ', 1}, {0x2e00, 0x2e7f, ' ', 1}, /* arrows, (a), circled letters, boxes */
    {0x3000, 0x3004, ' ', 1}, {0x3008, 0x3020, ' ', 1}, {0x3030, 0x3030, ' ', 1}, {0x30fb, 0x30fb, ' ', 1},
    {0xfe00, 0xfe0f, 0, 1}, {0xfe10, 0xfe6b, ' ', 1}, {0xfeff, 0xfeff, 0, 1}, {0xff01, 0xff5e, '!', 94}, {0xff5f, 0xff65, ' ', 1}, {0xfff0, 0xfffd, ' ', 1}, /* full width */
    {0x1d400, 0x1d6a3, 'a', 26}, {0x1d7ce, 0x1d7ff, '0', 10}, /* mathematical alphabets */
    {0x1f130, 0x1f149, 'a', 26}, {0x1f150, 0x1f169, 'a', 26}, {0x1f170, 0x1f189, 'a', 26}, {0x1f1e6, 0x1f1ff, 'a', 26}, /* in squares, flags */
    {0x1f000, 0x1faff, ' ', 1},
    {0xe0020, 0xe007e, ' ', 95}, {0xe0000, 0xe01ef, 0, 1}, /* tags: ASCII that does not show */
};

/* Small letters of Latin, Greek and Cyrillic. Others of two sizes stay as they are. */
static uint32_t small(uint32_t c)
{
    if (c - 'A' < 26 || c - 0xc0 < 31 || c - 0x391 < 25 || c - 0x410 < 32)
        return c + 32;
    if (c - 0x100 < 56 || c - 0x14a < 46 || c - 0x460 < 34 || c - 0x48a < 54 || c - 0x4d0 < 96 || c - 0x1e00 < 256)
        return c | 1;
    if (c - 0x139 < 16 || c - 0x179 < 6 || c - 0x4c1 < 14)
        return c + (c & 1);
    if (c - 0x400 < 16)
        return c + 80;
    return c == 0x386 ? 0x3ac : c - 0x388 < 3 ? c + 37 : c == 0x38c ? 0x3cc : c - 0x38e < 2 ? c + 63 : c;
}

/* A character as what it stands for: a small letter, a digit, an ASCII mark or blank,
 * 0 for one that is not there. */
static uint32_t plain(uint32_t c)
{
    if (c >= 0x80 && c - 0x3400 >= 0xa400) /* not Chinese, not Korean */
        for (uint32_t i = 0; i < sizeof stands / sizeof *stands; i++)
            if (c - stands[i].from <= stands[i].to - stands[i].from) {
                c = stands[i].as + (c - stands[i].from) % stands[i].period;
                break;
            }
    return small(c);
}

static bool is_letter(uint32_t c) { return c - 'a' < 26 || c - '0' < 10 || c >= 0x80; }

/* The Latin letter that a character looks like, after plain: with its accent off, of
 * another script, small capitals, a digit or mark for a letter; 0 for none, '1' for i
 * or l. */
static uint8_t looks_like(uint32_t c)
{
    static const char accented[] = "aaaaaa ceeeeiiiidnooooo ouuuuy saaaaaa ceeeeiiiidnooooo ouuuuy y"
                                   "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkklllllll"
                                   "lllnnnnnnnnnoooooo  rrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";
    static const struct {
        uint16_t c;
        uint8_t as;
    } alike[] = {
        {'0', 'o'}, {'3', 'e'}, {'4', 'a'}, {'5', 's'}, {'7', 't'}, {'8', 'b'}, {'9', 'g'}, {'@', 'a'}, {'$', 's'}, {'1', '1'}, {'!', '1'}, {'|', '1'},
        {0x3b1, 'a'}, {0x3b5, 'e'}, {0x3b9, 'i'}, {0x3ba, 'k'}, {0x3bd, 'v'}, {0x3bf, 'o'}, {0x3c1, 'p'}, {0x3c4, 't'}, {0x3c5, 'u'}, {0x3c7, 'x'},
        {0x430, 'a'}, {0x435, 'e'}, {0x43a, 'k'}, {0x43c, 'm'}, {0x43d, 'h'}, {0x43e, 'o'}, {0x440, 'p'}, {0x441, 'c'}, {0x442, 't'}, {0x443, 'y'}, {0x445, 'x'},
        {0x451, 'e'}, {0x455, 's'}, {0x456, 'i'}, {0x457, 'i'}, {0x458, 'j'}, {0x4bb, 'h'}, {0x501, 'd'}, {0x51b, 'q'}, {0x51d, 'w'},
        {0x251, 'a'}, {0x261, 'g'}, {0x299, 'b'}, {0x262, 'g'}, {0x29c, 'h'}, {0x26a, 'i'}, {0x29f, 'l'}, {0x274, 'n'}, {0x280, 'r'}, {0x28f, 'y'},
        {0x1d00, 'a'}, {0x1d04, 'c'}, {0x1d05, 'd'}, {0x1d07, 'e'}, {0x1d0a, 'j'}, {0x1d0b, 'k'}, {0x1d0d, 'm'}, {0x1d0f, 'o'}, {0x1d18, 'p'}, {0x1d1b, 't'},
        {0x1d1c, 'u'}, {0x1d20, 'v'}, {0x1d21, 'w'}, {0x1d22, 'z'}, {0xa730, 'f'}, {0xa731, 's'},
    };
    if (c - 'a' < 26)
        return (uint8_t)c;
    if (c - 0xc0 < 192)
        return accented[c - 0xc0] == ' ' ? 0 : (uint8_t)accented[c - 0xc0];
    for (uint32_t i = 0; i < sizeof alike / sizeof *alike; i++)
        if (alike[i].c == c)
            return alike[i].as;
    return 0;
}

#endif
