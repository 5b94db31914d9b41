/* str.c: see str.h. */
#include "store/base/str.h"

#include <stdlib.h>

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

bool str_starts_nocase(struct str s, struct str prefix)
{
    if (s.n < prefix.n)
        return false;
    for (size_t i = 0; i < prefix.n; i++)
        if (s.p[i] != prefix.p[i] && lower(s.p[i]) != lower(prefix.p[i]))
            return false;
    return true;
}

bool str_is_token(struct str s)
{
    static const bool allowed[256] = {
        ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true,
        ['!'] = true, ['#'] = true, ['$'] = true, ['%'] = true, ['&'] = true, ['\''] = true,
        ['*'] = true, ['+'] = true, ['-'] = true, ['.'] = true, ['^'] = true, ['_'] = true,
        ['`'] = true, ['|'] = true, ['~'] = true,
    };
    for (size_t i = 0; i < s.n; i++)
        if (!allowed[(unsigned char)s.p[i]])
            return false;
    return s.n > 0;
}

/* Is one of eight bytes below a blank, or DEL? (The usual trick with the carry of each byte.) */
static bool word_has_control(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t del = w ^ 0x7f * ones;
    return (((w - ' ' * ones) & ~w) | ((del - ones) & ~del)) & high;
}

bool str_is_field(struct str s)
{
    uint64_t word;
    for (; s.n >= sizeof word; s = str_from(s, sizeof word)) {
        memcpy(&word, s.p, sizeof word);
        if (word_has_control(word)) /* a tab is one that may stand there */
            break;
    }
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

int str_cmp(struct str a, struct str b)
{
    size_t n = MIN(a.n, b.n);
    int c = n ? memcmp(a.p, b.p, n) : 0;
    if (c)
        return c;
    return a.n < b.n ? -1 : a.n > b.n;
}

ptrdiff_t str_chr(struct str s, char c)
{
    const char *hit = s.n ? memchr(s.p, c, s.n) : NULL;
    return hit ? hit - s.p : -1;
}

ptrdiff_t str_find(struct str s, struct str needle)
{
    if (needle.n == 0)
        return 0;
    const char *hit = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return hit ? hit - s.p : -1;
}

ptrdiff_t str_find_nocase(struct str s, struct str needle)
{
    for (size_t i = 0; i + needle.n <= s.n; i++)
        if (str_starts_nocase(str_from(s, i), needle))
            return (ptrdiff_t)i;
    return -1;
}

struct str str_after_bom(struct str s)
{
    return str_starts(s, STR("\xef\xbb\xbf")) ? str_from(s, 3) : s;
}

struct str str_trim(struct str s)
{
    while (s.n && (*s.p == ' ' || *s.p == '\t'))
        s = str_from(s, 1);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

bool str_cut(struct str *s, char sep, struct str *piece)
{
    if (!s->p)
        return false;
    ptrdiff_t at = str_chr(*s, sep);
    if (at < 0) {
        *piece = *s;
        *s = STR_NULL;
        return true;
    }
    *piece = str_first(*s, (size_t)at);
    *s = str_from(*s, (size_t)at + 1);
    return true;
}

static char folded(char c, bool fold)
{
    return fold && c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool glob(struct str pattern, struct str s, bool fold)
{
    /* The classic two-finger walk: on a mismatch go back to the latest star and let it eat one
     * byte more. No recursion, so a hostile pattern costs at most pattern × text. */
    size_t p = 0, i = 0, star = SIZE_MAX, mark = 0;
    while (i < s.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            mark = i;
        } else if (p < pattern.n &&
                   (pattern.p[p] == '?' || folded(pattern.p[p], fold) == folded(s.p[i], fold))) {
            p++;
            i++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            i = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

bool str_glob(struct str pattern, struct str s)
{
    return glob(pattern, s, false);
}

bool str_glob_nocase(struct str pattern, struct str s)
{
    return glob(pattern, s, true);
}

bool str_to_u64(struct str s, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
            return false;
    }
    *out = v;
    return true;
}

bool str_to_i64(struct str s, int64_t *out)
{
    bool negative = s.n && *s.p == '-';
    uint64_t v;
    if (!str_to_u64(str_from(s, negative), &v) || v > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

struct str str_of_i64(int64_t v, char memory[STR_I64_SIZE])
{
    char *end = memory + STR_I64_SIZE - 1, *p = end;
    uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    *end = '\0';
    do
        *--p = (char)('0' + rest % 10);
    while (rest /= 10);
    if (v < 0)
        *--p = '-';
    return str_n(p, (size_t)(end - p));
}

void str_copy(char *dst, size_t size, struct str s)
{
    if (size == 0)
        return;
    size_t n = MIN(s.n, size - 1);
    if (n < s.n)
        while (n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
            n--;
    if (n)
        memcpy(dst, s.p, n);
    dst[n] = '\0';
}

char *str_dup(struct str s)
{
    char *c = malloc(s.n + 1);
    if (!c)
        return NULL;
    if (s.n)
        memcpy(c, s.p, s.n);
    c[s.n] = '\0';
    return c;
}

unsigned str_distance(struct str a, struct str b, unsigned max)
{
    enum { MOST = 64 };
    a = str_first(a, MOST);
    b = str_first(b, MOST);
    unsigned row[MOST + 1];
    for (size_t j = 0; j <= b.n; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a.n; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.n; j++) {
            unsigned change = diagonal + (lower(a.p[i - 1]) != lower(b.p[j - 1]));
            diagonal = row[j];
            row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return MIN(row[b.n], max + 1);
}

uint64_t str_hash(struct str s)
{
    /* Eight bytes a step: prompts pass here too. For in-process tables only, never for anything that
     * an outsider must not forge. */
    const uint64_t odd = 0x9fb21c651e98df25u;
    uint64_t h = 1469598103934665603u ^ s.n * odd, word;
    for (; s.n >= sizeof word; s = str_from(s, sizeof word)) {
        memcpy(&word, s.p, sizeof word);
        h = (h ^ word) * odd;
        h ^= h >> 29;
    }
    word = 0;
    if (s.n)
        memcpy(&word, s.p, s.n);
    h = (h ^ word) * odd;
    h = (h ^ h >> 32) * odd;
    return h ^ h >> 29;
}
