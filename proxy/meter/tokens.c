/* tokens.c: see tokens.h. A text is seen as runs of one kind (a word, a number, signs, blanks); a
 * run costs what its kind usually costs in the vocabularies in use. The figures were fitted by
 * least squares on prose, code, tables and Chinese against a vocabulary of 200,000 entries. */
#include "proxy/meter/tokens.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* A counter of zeros stands in a run of no signs. */
enum kind { K_SIGN, K_LOWER, K_UPPER, K_DIGIT, K_SPACE, K_LINE, K_LATIN, K_CJK, K_OTHER };

static int64_t word_cost(uint32_t n)
{
    if (n <= 6)
        return 920;
    return n <= 9 ? 1080 : 1050 + (int64_t)(n - 10) * 300;
}

/* One sign in front of a word often belongs to it: "_name", ".get", "(x". */
static int64_t sign_cost(uint32_t n, bool before_word)
{
    if (n == 1)
        return before_word ? 400 : 1350;
    return (before_word ? 600 : 1400) + (int64_t)(n - 2) * 50;
}

/* Thousandths of a token for a run of `n` characters between two others. */
static int64_t run_cost(const struct tokens_counter *c, enum kind next)
{
    uint32_t n = c->run;
    if (n == 0)
        return 0;
    switch ((enum kind)c->kind) {
    case K_LOWER:
        return word_cost(n);
    case K_UPPER:
        return n <= 3 ? 950 : 950 + (int64_t)(n - 3) * 220;
    case K_DIGIT:
        return (int64_t)((n + 2) / 3) * 1200;
    case K_SPACE:
        return n == 1 ? 0 : 780; /* a single blank goes with the word after it */
    case K_LINE:
        return c->before == K_SIGN ? 0 : 1000; /* ";\n" is one */
    case K_SIGN:
        return sign_cost(n, next == K_LOWER || next == K_UPPER);
    case K_LATIN:
        return (int64_t)n * 300;
    case K_CJK:
        return (int64_t)n * 690;
    default:
        return (int64_t)n * 1600;
    }
}

/* The kind of each byte; what is not named here is a sign. A backslash, which may begin an escape,
 * and the bytes above ASCII end every run. */
enum { BACKSLASH = K_OTHER + 1, WIDE };
static const unsigned char byte_kind[256] = {
    ['a' ... 'z'] = K_LOWER,
    ['A' ... 'Z'] = K_UPPER,
    ['0' ... '9'] = K_DIGIT,
    ['\n'] = K_LINE,
    ['\r'] = K_LINE,
    [' '] = K_SPACE,
    ['\t'] = K_SPACE,
    ['\\'] = BACKSLASH,
    [0x80 ... 0xff] = WIDE,
};

static enum kind wide_kind(unsigned cp)
{
    if (cp < 0x80)
        return cp == '\\' ? K_SIGN : (enum kind)byte_kind[cp];
    if (cp < 0x2000)
        return K_LATIN;
    return cp >= 0x2E80 && cp < 0x10000 ? K_CJK : K_OTHER;
}

/* `n` characters of one kind. */
static inline void feed_run(struct tokens_counter *c, enum kind kind, uint32_t n)
{
    if (c->kind == kind) {
        c->run += n;
        return;
    }
    if (c->kind == K_UPPER && kind == K_LOWER && c->run == 1) { /* "The": one word */
        c->kind = K_LOWER;
        c->run = 1 + n;
        return;
    }
    c->milli += run_cost(c, kind);
    c->before = c->run ? c->kind : (unsigned char)K_SPACE;
    c->kind = (unsigned char)kind;
    c->run = n;
}

/* One character above ASCII; returns its bytes. Broken UTF-8 counts byte by byte. */
static size_t feed_wide(struct tokens_counter *c, const unsigned char *p, size_t left)
{
    size_t n = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : p[0] >= 0xC0 ? 2 : 1;
    if (n == 1 || n > left) {
        feed_run(c, K_OTHER, 1);
        return 1;
    }
    unsigned cp = p[0] & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++)
        cp = cp << 6 | (p[i] & 63);
    feed_run(c, wide_kind(cp), 1);
    return n;
}

static unsigned hex_value(unsigned char c)
{
    return c <= '9' ? (unsigned)c - '0' : ((unsigned)c | 32) - 'a' + 10;
}

/* The escape at p; returns its bytes. */
static size_t feed_escape(struct tokens_counter *c, const unsigned char *p, size_t left)
{
    if (left >= 6 && p[1] == 'u') {
        unsigned cp =
            hex_value(p[2]) << 12 | hex_value(p[3]) << 8 | hex_value(p[4]) << 4 | hex_value(p[5]);
        feed_run(c, cp >= 0xD800 && cp < 0xE000 ? K_OTHER : wide_kind(cp & 0xFFFF), 1);
        return 6;
    }
    unsigned char e = left > 1 ? p[1] : '\\';
    feed_run(c, e == 'n' || e == 'r' ? K_LINE : e == 't' ? K_SPACE : K_SIGN, 1);
    return 2;
}

/* The end of a run of one kind; of small letters, most of any text, 16 at a time. */
static inline const unsigned char *run_end(const unsigned char *p, const unsigned char *end,
    unsigned char kind)
{
#ifdef __SSE2__
    while (kind == K_LOWER && end - p >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        /* moved so that 'a' is the least of all signed values */
        __m128i moved = _mm_add_epi8(v, _mm_set1_epi8((char)(-128 - 'a')));
        unsigned letters =
            (unsigned)_mm_movemask_epi8(_mm_cmplt_epi8(moved, _mm_set1_epi8(-128 + 26)));
        if (letters != 0xffff)
            return p + __builtin_ctz(~letters);
        p += 16;
    }
#endif
    while (p < end && byte_kind[*p] == kind)
        p++;
    return p;
}

static void feed(struct tokens_counter *c, struct str text, bool escapes)
{
    const unsigned char *p = (const unsigned char *)text.p, *end = p + text.n, *from;
    while (p < end) {
        unsigned char kind = byte_kind[*p];
        if (kind == WIDE) {
            p += feed_wide(c, p, (size_t)(end - p));
            continue;
        }
        if (kind == BACKSLASH && escapes) {
            size_t n = feed_escape(c, p, (size_t)(end - p));
            p += MIN(n, (size_t)(end - p));
            continue;
        }
        from = p;
        p = run_end(p + 1, end, kind);
        feed_run(c, kind == BACKSLASH ? K_SIGN : (enum kind)kind, (uint32_t)(p - from));
    }
}

void tokens_feed(struct tokens_counter *c, struct str text)
{
    feed(c, text, false);
}

void tokens_break(struct tokens_counter *c)
{
    c->milli += run_cost(c, K_SPACE);
    c->kind = K_SIGN;
    c->run = 0;
}

/* A prompt of megabytes is uniform enough: past EXACT bytes a window of each STRIDE is counted and
 * scaled up. A window that starts inside a character or an escape errs by one run. */
enum { EXACT_BYTES = 128 << 10, WINDOW_BYTES = 1 << 10, STRIDE_BYTES = 8 << 10 };

static void feed_sampled(struct tokens_counter *c, struct str inside)
{
    struct tokens_counter sample = {0};
    int64_t counted = 0;
    for (size_t at = 0; at < inside.n; at += STRIDE_BYTES) {
        struct str window = str_first(str_from(inside, at), WINDOW_BYTES);
        feed(&sample, window, true);
        tokens_break(&sample);
        counted += (int64_t)window.n;
    }
    tokens_break(c);
    c->milli += sample.milli * ((int64_t)inside.n * 1000 / counted) / 1000;
}

void tokens_feed_json(struct tokens_counter *c, struct str inside)
{
    if (inside.n > WINDOW_BYTES && c->exact_bytes + inside.n > EXACT_BYTES) {
        feed_sampled(c, inside);
        return;
    }
    feed(c, inside, true);
    c->exact_bytes += (uint32_t)MIN(inside.n, (size_t)EXACT_BYTES);
    c->exact_bytes = MIN(c->exact_bytes, (uint32_t)EXACT_BYTES);
}

int64_t tokens_count(const struct tokens_counter *c)
{
    return (c->milli + run_cost(c, K_SPACE) + 999) / 1000;
}

int64_t tokens_estimate(struct str text)
{
    struct tokens_counter c = {0};
    tokens_feed(&c, text);
    return tokens_count(&c);
}

int64_t tokens_of_bytes(int64_t bytes)
{
    return bytes <= 0 ? 0 : (bytes + 3) / 4;
}
