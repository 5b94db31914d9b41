/* json_text.c: the values inside spans: text with its escapes, whole numbers, and the way back.
 *
 * Why apart from the scanner: these run on the few values that somebody wants, not on every byte.
 * Numbers never pass through a double: an id of 19 digits and a price of 12 decimals stay exact. */
#include "store/base/err.h"
#include "store/base/json_span.h"

static unsigned hex4(const char *p)
{
    unsigned v = 0;
    for (int i = 0; i < 4; i++) {
        unsigned c = (unsigned char)p[i];
        v = v << 4 | (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    return v & 0xFFFF;
}

static size_t utf8_put(unsigned cp, char out[4])
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xC0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 63));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xE0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 63));
        out[2] = (char)(0x80 | (cp & 63));
        return 3;
    }
    out[0] = (char)(0xF0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 63));
    out[2] = (char)(0x80 | (cp >> 6 & 63));
    out[3] = (char)(0x80 | (cp & 63));
    return 4;
}

/* One \u escape (two, for a pair of surrogates) at *s. */
static unsigned unicode_escape(struct str *s)
{
    if (s->n < 6) { /* only in text that was never scanned */
        *s = str_from(*s, s->n);
        return 0xFFFD;
    }
    unsigned cp = hex4(s->p + 2);
    *s = str_from(*s, 6);
    if (cp < 0xD800 || cp > 0xDFFF)
        return cp;
    if (cp < 0xDC00 && s->n >= 6 && s->p[0] == '\\' && s->p[1] == 'u') {
        unsigned low = hex4(s->p + 2);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            *s = str_from(*s, 6);
            return 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
        }
    }
    return 0xFFFD;
}

/* Decodes what *s starts with: an escape, or a run of plain bytes (then *run is that run). */
static size_t decode_piece(struct str *s, char out[4], struct str *run)
{
    *run = STR_NULL;
    if (*s->p != '\\') {
        const char *back = memchr(s->p, '\\', s->n);
        *run = str_first(*s, back ? (size_t)(back - s->p) : s->n);
        *s = str_from(*s, run->n);
        return run->n;
    }
    if (s->n > 1 && s->p[1] == 'u')
        return utf8_put(unicode_escape(s), out);
    char c = s->n > 1 ? s->p[1] : '\\';
    *s = str_from(*s, 2);
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *hit = memchr(from, c, 5);
    out[0] = hit ? to[hit - from] : c;
    return 1;
}

static struct str inside(struct json_span v)
{
    if (v.type != JSON_STRING || v.raw.n < 2)
        return STR_NULL;
    return (struct str){v.raw.p + 1, v.raw.n - 2};
}

struct str json_text(struct json_span v, struct arena *a)
{
    struct str in = inside(v), run;
    if (!in.p || !memchr(in.p, '\\', in.n))
        return in;
    char *to = arena_alloc(a, in.n); /* an escape is never shorter than what it stands for */
    if (!to)
        return STR_NULL;
    size_t n = 0;
    char piece[4];
    while (in.n) {
        size_t k = decode_piece(&in, piece, &run);
        memcpy(to + n, run.p ? run.p : piece, k);
        n += k;
    }
    return (struct str){to, n};
}

bool json_text_eq(struct json_span v, struct str plain)
{
    struct str in = inside(v), run;
    if (!in.p)
        return false;
    char piece[4];
    while (in.n) {
        size_t k = decode_piece(&in, piece, &run);
        if (plain.n < k || memcmp(plain.p, run.p ? run.p : piece, k) != 0)
            return false;
        plain = str_from(plain, k);
    }
    return plain.n == 0;
}

struct str json_get_str(struct str object, struct str key, struct arena *a)
{
    return json_text(json_get(object, key), a);
}

bool json_is_true(struct json_span v)
{
    return v.type == JSON_TRUE;
}

bool json_is_false(struct json_span v)
{
    return v.type == JSON_FALSE;
}

/* The decimal text of a number: digits without the point, and the power of ten they carry. */
struct decimal {
    bool negative;
    struct str whole, fraction;
    int64_t exponent; /* of the "e" part; clamped to ±1000000 */
};

static struct decimal decimal_of(struct str raw)
{
    struct decimal d = {0};
    if (raw.n && *raw.p == '-') {
        d.negative = true;
        raw = str_from(raw, 1);
    }
    size_t n = 0;
    while (n < raw.n && raw.p[n] >= '0' && raw.p[n] <= '9')
        n++;
    d.whole = str_first(raw, n);
    raw = str_from(raw, n);
    if (raw.n && *raw.p == '.') {
        for (n = 1; n < raw.n && raw.p[n] >= '0' && raw.p[n] <= '9';)
            n++;
        d.fraction = (struct str){raw.p + 1, n - 1};
        raw = str_from(raw, n);
    }
    if (raw.n > 1) {
        bool minus = raw.p[1] == '-';
        size_t i = minus || raw.p[1] == '+' ? 2 : 1;
        for (; i < raw.n && d.exponent < 1000000; i++)
            d.exponent = d.exponent * 10 + (raw.p[i] - '0');
        d.exponent = minus ? -d.exponent : d.exponent;
    }
    return d;
}

/* Digit i of whole and fraction seen as one run. */
static unsigned digit_at(const struct decimal *d, size_t i)
{
    char c = i < d->whole.n ? d->whole.p[i] : d->fraction.p[i - d->whole.n];
    return (unsigned)(c - '0');
}

int json_i64(struct json_span v, int64_t *out)
{
    if (v.type != JSON_NUMBER)
        return -ERR_TYPE;
    struct decimal d = decimal_of(v.raw);
    size_t first = 0, last = d.whole.n + d.fraction.n;
    while (first < last && digit_at(&d, first) == 0)
        first++;
    if (first == last) {
        *out = 0;
        return 0;
    }
    while (digit_at(&d, last - 1) == 0)
        last--;
    /* value = digits[first..last) × 10^zeros */
    int64_t zeros = d.exponent + (int64_t)d.whole.n - (int64_t)last;
    if (zeros < 0)
        return -ERR_TYPE;
    if ((int64_t)(last - first) + zeros > 19)
        return -ERR_RANGE;
    uint64_t value = 0;
    for (size_t i = first; i < last + (size_t)zeros; i++)
        value = value * 10 + (i < last ? digit_at(&d, i) : 0);
    if (value > (uint64_t)INT64_MAX + d.negative)
        return -ERR_RANGE;
    *out = d.negative ? (int64_t)(0 - value) : (int64_t)value;
    return 0;
}

/* Bytes of the valid UTF-8 sequence at p, 0 when it is none. One byte for ASCII. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    static const unsigned least[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (p[0] < 0x80)
        return 1;
    size_t len = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || n < len)
        return 0;
    unsigned cp = p[0] & (0xFFu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        cp = cp << 6 | (p[i] & 63);
    }
    return cp < least[len] || cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF) ? 0 : len;
}

static void quote_byte(struct buf *out, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *hit = memchr(from, c, 7);
    if (hit)
        buf_put(out, (char[]){'\\', to[hit - from]}, 2);
    else if (c < 0x20)
        buf_printf(out, "\\u%04x", c);
    else
        buf_puts(out, "\xEF\xBF\xBD");
}

static const bool passes_as_it_is[256] = {
    [' ' ... '!'] = true, ['#' ... '['] = true, [']' ... 0x7f] = true, /* but " and \ */
};

/* Most texts need nothing but their quotes. */
static bool quote_plain(struct buf *out, struct str s)
{
    size_t i = 0;
    while (i < s.n && passes_as_it_is[(unsigned char)s.p[i]])
        i++;
    char *to = i == s.n ? buf_reserve(out, s.n + 2) : NULL;
    if (!to)
        return false;
    to[0] = '"';
    if (s.n)
        memcpy(to + 1, s.p, s.n);
    to[s.n + 1] = '"';
    out->n += s.n + 2;
    return true;
}

void json_quote(struct buf *out, struct str s)
{
    const unsigned char *p = (const unsigned char *)(s.p ? s.p : "");
    size_t from = 0, i = 0;
    if (quote_plain(out, s))
        return;
    buf_putc(out, '"');
    while (i < s.n) {
        if (passes_as_it_is[p[i]]) {
            i++;
            continue;
        }
        size_t len = p[i] < 0x80 ? 0 : utf8_length(p + i, s.n - i);
        if (len) {
            i += len;
            continue;
        }
        buf_put(out, p + from, i - from);
        quote_byte(out, p[i++]);
        from = i;
    }
    buf_put(out, p + from, i - from);
    buf_putc(out, '"');
}

void json_splice(struct buf *out, struct str body, struct str at, struct str with)
{
    size_t before = (size_t)(at.p - body.p);
    buf_reserve(out, body.n - at.n + with.n);
    buf_put(out, body.p, before);
    buf_put_str(out, with);
    buf_put_str(out, str_from(body, before + at.n));
}
