/* tokens.c: see tokens.h. A text is seen as runs of one kind; a run costs what its kind usually
 * costs. The figures in run_cost() were fitted on prose, code and Chinese against recorded usage. */
#include "proxy/meter/tokens.h"

enum kind { K_NONE, K_LOWER, K_UPPER, K_DIGIT, K_SPACE, K_LINE, K_SIGN, K_LATIN, K_CJK, K_OTHER };

/* Thousandths of a token for a run of `n` characters. */
static int64_t run_cost(unsigned kind, uint32_t n)
{
    if (n == 0)
        return 0;
    switch (kind) {
    case K_LOWER:
        return n <= 7 ? 1000 : 1000 + (int64_t)(n - 7) * 170;
    case K_UPPER:
        return n == 1 ? 500 : (int64_t)n * 420;
    case K_DIGIT:
        return (int64_t)(n + 2) / 3 * 1000;
    case K_SPACE:
        return n == 1 ? 0 : 700;
    case K_LINE:
        return 700;
    case K_SIGN:
        return n == 1 ? 800 : (int64_t)n * 500;
    case K_LATIN:
        return (int64_t)n * 450;
    case K_CJK:
        return (int64_t)n * 750;
    default:
        return (int64_t)n * 1500;
    }
}

static enum kind ascii_kind(unsigned char b)
{
    if (b >= 'a' && b <= 'z')
        return K_LOWER;
    if (b >= 'A' && b <= 'Z')
        return K_UPPER;
    if (b >= '0' && b <= '9')
        return K_DIGIT;
    if (b == '\n' || b == '\r')
        return K_LINE;
    return b == ' ' || b == '\t' ? K_SPACE : K_SIGN;
}

static enum kind wide_kind(unsigned cp)
{
    if (cp < 0x80)
        return ascii_kind((unsigned char)cp);
    if (cp < 0x2000)
        return K_LATIN;
    return cp >= 0x2E80 && cp < 0x10000 ? K_CJK : K_OTHER;
}

static inline void feed_kind(struct tokens_counter *c, enum kind kind)
{
    if (c->kind == kind) {
        c->run++;
        return;
    }
    if (c->kind == K_UPPER && kind == K_LOWER && c->run == 1) { /* "The": one word */
        c->kind = K_LOWER;
        c->run = 2;
        return;
    }
    c->milli += run_cost(c->kind, c->run);
    c->kind = (unsigned char)kind;
    c->run = 1;
}

/* One character that starts at p; returns its bytes. Broken UTF-8 counts byte by byte. */
static size_t feed_char(struct tokens_counter *c, const unsigned char *p, size_t left)
{
    if (p[0] < 0x80) {
        feed_kind(c, ascii_kind(p[0]));
        return 1;
    }
    size_t n = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : p[0] >= 0xC0 ? 2 : 1;
    if (n == 1 || n > left) {
        feed_kind(c, K_OTHER);
        return 1;
    }
    unsigned cp = p[0] & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++)
        cp = cp << 6 | (p[i] & 63);
    feed_kind(c, wide_kind(cp));
    return n;
}

void tokens_feed(struct tokens_counter *c, struct str text)
{
    const unsigned char *p = (const unsigned char *)text.p;
    for (size_t i = 0; i < text.n;)
        i += feed_char(c, p + i, text.n - i);
}

static unsigned hex_value(unsigned char c)
{
    return c <= '9' ? (unsigned)c - '0' : ((unsigned)c | 32) - 'a' + 10;
}

/* The escape at p; returns its bytes. */
static size_t feed_escape(struct tokens_counter *c, const unsigned char *p, size_t left)
{
    if (left >= 6 && p[1] == 'u') {
        unsigned cp = hex_value(p[2]) << 12 | hex_value(p[3]) << 8 | hex_value(p[4]) << 4 | hex_value(p[5]);
        feed_kind(c, cp >= 0xD800 && cp < 0xE000 ? K_OTHER : wide_kind(cp & 0xFFFF));
        return 6;
    }
    unsigned char e = left > 1 ? p[1] : '\\';
    feed_kind(c, e == 'n' || e == 'r' ? K_LINE : e == 't' ? K_SPACE : K_SIGN);
    return 2;
}

void tokens_feed_json(struct tokens_counter *c, struct str inside)
{
    const unsigned char *p = (const unsigned char *)inside.p;
    for (size_t i = 0; i < inside.n;)
        i += p[i] == '\\' ? feed_escape(c, p + i, inside.n - i) : feed_char(c, p + i, inside.n - i);
}

int64_t tokens_count(const struct tokens_counter *c)
{
    return (c->milli + run_cost(c->kind, c->run) + 999) / 1000;
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
