/* utf8.c: see utf8.h. The ranges in utf8.def were computed from the Unicode character database
 * (general category Mn, Me and Hangul medial and final jamo for WIDTH 0; East Asian Width W and F
 * for WIDTH 2, A for AMBIGUOUS). They are sorted and searched by halves; ASCII never gets that far. */
#include "store/base/utf8.h"

struct range {
    uint32_t from, to;
};

static const struct range combining[] = {
#define ZERO(from, to) {from, to},
#define WIDE(from, to)
#define AMBIGUOUS(from, to)
#include "store/base/utf8.def"
#undef ZERO
#undef WIDE
#undef AMBIGUOUS
};

static const struct range wide[] = {
#define ZERO(from, to)
#define WIDE(from, to) {from, to},
#define AMBIGUOUS(from, to)
#include "store/base/utf8.def"
#undef ZERO
#undef WIDE
#undef AMBIGUOUS
};

static const struct range ambiguous[] = {
#define ZERO(from, to)
#define WIDE(from, to)
#define AMBIGUOUS(from, to) {from, to},
#include "store/base/utf8.def"
#undef ZERO
#undef WIDE
#undef AMBIGUOUS
};

static bool ambiguous_wide;

void utf8_ambiguous_wide(bool on)
{
    ambiguous_wide = on;
}

/* Invisible, or able to change the order of what is beside them. */
static const struct range format[] = {
    {0x00AD, 0x00AD},
    {0x034F, 0x034F},
    {0x0600, 0x0605},
    {0x061C, 0x061C},
    {0x06DD, 0x06DD},
    {0x070F, 0x070F},
    {0x0890, 0x0891},
    {0x08E2, 0x08E2},
    {0x115F, 0x1160},
    {0x17B4, 0x17B5},
    {0x180B, 0x180F},
    {0x200B, 0x200C},
    {0x200E, 0x200F},
    {0x2028, 0x202E},
    {0x2060, 0x206F},
    {0x3164, 0x3164},
    {0xFEFF, 0xFEFF},
    {0xFFA0, 0xFFA0},
    {0xFFF0, 0xFFFB},
    {0x110BD, 0x110BD},
    {0x110CD, 0x110CD},
    {0x13430, 0x1343F},
    {0x1BCA0, 0x1BCA3},
    {0x1D173, 0x1D17A},
    {0xE0000, 0xE0FFF},
};

/* Parts of clusters that one terminal joins and the next does not. */
static const struct range unsure[] = {
    {0x200D, 0x200D},
    {0xFE00, 0xFE0F},
    {0x1F1E6, 0x1F1FF},
    {0x1F3FB, 0x1F3FF},
};

static bool in(const struct range *table, size_t n, uint32_t cp)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (cp > table[mid].to)
            low = mid + 1;
        else if (cp < table[mid].from)
            high = mid;
        else
            return true;
    }
    return false;
}

unsigned utf8_decode(const char *p, size_t n, uint32_t *cp)
{
    const unsigned char *b = (const unsigned char *)p;
    if (!n)
        return 0;
    if (b[0] < 0x80) {
        *cp = b[0];
        return 1;
    }
    unsigned len = b[0] >= 0xF0 ? 4 : b[0] >= 0xE0 ? 3 : 2;
    if (b[0] < 0xC2 || b[0] > 0xF4 || n < len)
        return 0;
    uint32_t c = b[0] & (0xFFu >> (len + 1));
    for (unsigned i = 1; i < len; i++) {
        if ((b[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (b[i] & 0x3Fu);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (c < least[len] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return 0;
    *cp = c;
    return len;
}

unsigned utf8_encode(uint32_t cp, char out[4])
{
    if (cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF))
        cp = 0xFFFD;
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    unsigned len = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (unsigned i = len - 1; i > 0; i--, cp >>= 6)
        out[i] = (char)(0x80 | (cp & 0x3F));
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    out[0] = (char)(lead[len] | cp);
    return len;
}

static bool is_private(uint32_t cp)
{
    return (cp >= 0xE000 && cp <= 0xF8FF) || cp >= 0xE1000 || (cp >= 0xFDD0 && cp <= 0xFDEF) ||
           (cp & 0xFFFE) == 0xFFFE || (cp >= 0x40000 && cp <= 0xDFFFF) ||
           (cp >= 0xD800 && cp <= 0xDFFF);
}

enum utf8_class utf8_class(uint32_t cp)
{
    if (cp >= 0x20 && cp < 0x7F)
        return UTF8_PRINT;
    if (cp < 0x20 || (cp >= 0x7F && cp < 0xA0))
        return UTF8_CONTROL;
    if (cp < 0xAD)
        return UTF8_PRINT;
    if (in(format, ARRAY_LEN(format), cp))
        return UTF8_FORMAT;
    if (in(unsure, ARRAY_LEN(unsure), cp))
        return UTF8_UNSURE;
    if (is_private(cp))
        return UTF8_PRIVATE;
    return in(combining, ARRAY_LEN(combining), cp) ? UTF8_COMBINING : UTF8_PRINT;
}

unsigned utf8_width(uint32_t cp)
{
    switch (utf8_class(cp)) {
    case UTF8_PRINT:
        if (cp >= 0x1100 && in(wide, ARRAY_LEN(wide), cp))
            return 2;
        return ambiguous_wide && cp >= 0xA1 && in(ambiguous, ARRAY_LEN(ambiguous), cp) ? 2 : 1;
    case UTF8_UNSURE:
    case UTF8_PRIVATE:
        return 1;
    default:
        return 0;
    }
}

size_t utf8_columns(struct str s)
{
    size_t columns = 0;
    for (size_t i = 0; i < s.n;) {
        uint32_t cp;
        unsigned n = utf8_decode(s.p + i, s.n - i, &cp);
        columns += n ? utf8_width(cp) : 1;
        i += n ? n : 1;
    }
    return columns;
}

bool utf8_valid(struct str s)
{
    for (size_t i = 0; i < s.n;) {
        uint32_t cp;
        unsigned n = utf8_decode(s.p + i, s.n - i, &cp);
        if (!n)
            return false;
        i += n;
    }
    return true;
}
