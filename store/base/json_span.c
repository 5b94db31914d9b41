/* json_span.c: the scanner behind json_span.h.
 *
 * Why: every body passes here once, so it must cost little more than reading memory. A value is
 * walked by one loop with a bit per open container instead of recursion; the inside of a string,
 * which is nearly all of a prompt, is passed 16 bytes at a time. The same walk checks everything
 * that RFC 8259 asks for, so that the parse which decides policy never disagrees with the parse of
 * a strict provider.
 *
 * What it takes that a cautious reader might not: lone surrogates as \u escapes (grammar allows
 * them), numbers of any length. What it refuses: a byte order mark, invalid UTF-8, raw controls. */
#include "store/base/json_span.h"
#include "store/base/err.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Where we are; after an error `err` is set and `p` stands on the offending byte. */
struct scan {
    const unsigned char *p, *end;
    int err;
};

static struct scan scan_of(struct str s)
{
    const unsigned char *p = (const unsigned char *)(s.p ? s.p : "");
    return (struct scan){p, p + s.n, 0};
}

static bool fail(struct scan *s, int code)
{
    if (!s->err)
        s->err = -code;
    return false;
}

static inline void skip_blanks(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
        s->p++;
}

/* First byte in [p, end) that is a quote, a backslash, a control or not ASCII. */
static inline const unsigned char *plain_run(const unsigned char *p, const unsigned char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), back = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(' ');
    while (end - p >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        /* signed: bytes of 0x80 and more are negative, so they count as below a blank too */
        __m128i hit = _mm_or_si128(_mm_cmplt_epi8(v, space),
            _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, back)));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask)
            return p + __builtin_ctz(mask);
        p += 16;
    }
#endif
    while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* Length of the valid UTF-8 sequence of two bytes or more at p, 0 when it is none. */
static inline size_t utf8_sequence(const unsigned char *p, const unsigned char *end)
{
    size_t left = (size_t)(end - p);
    unsigned c = p[0];
#define TAIL(i) ((p[i] & 0xC0) == 0x80)
    if (c >= 0xE0 && c < 0xF0) {
        if (left < 3 || !TAIL(1) || !TAIL(2))
            return 0;
        return (c == 0xE0 && p[1] < 0xA0) || (c == 0xED && p[1] >= 0xA0) ? 0 : 3;
    }
    if (c >= 0xC2 && c < 0xE0)
        return left >= 2 && TAIL(1) ? 2 : 0;
    if (c < 0xF0 || c > 0xF4 || left < 4 || !TAIL(1) || !TAIL(2) || !TAIL(3))
        return 0;
    return (c == 0xF0 && p[1] < 0x90) || (c == 0xF4 && p[1] >= 0x90) ? 0 : 4;
#undef TAIL
}

static inline bool is_hex(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

static bool skip_escape(struct scan *s)
{
    if (s->end - s->p < 2)
        return fail(s, ERR_SYNTAX);
    unsigned char c = s->p[1];
    if (c == 'u') {
        if (s->end - s->p < 6 || !is_hex(s->p[2]) || !is_hex(s->p[3]) || !is_hex(s->p[4]) ||
            !is_hex(s->p[5]))
            return fail(s, ERR_SYNTAX);
        s->p += 6;
        return true;
    }
    if (!memchr("\"\\/bfnrt", c, 8))
        return fail(s, ERR_SYNTAX);
    s->p += 2;
    return true;
}

/* s->p is on the opening quote; leaves it behind the closing one. */
static ALWAYS_INLINE bool skip_string(struct scan *s)
{
    s->p++;
    for (;;) {
        s->p = plain_run(s->p, s->end);
        if (s->p >= s->end)
            return fail(s, ERR_SYNTAX);
        unsigned char c = *s->p;
        if (c == '"') {
            s->p++;
            return true;
        }
        if (c == '\\') {
            if (!skip_escape(s))
                return false;
            continue;
        }
        if (c < 0x20)
            return fail(s, ERR_SYNTAX);
        while (s->p < s->end && *s->p >= 0x80) {
            size_t n = utf8_sequence(s->p, s->end);
            if (!n)
                return fail(s, ERR_SYNTAX);
            s->p += n;
        }
    }
}

static ALWAYS_INLINE bool skip_digits(struct scan *s)
{
    if (s->p >= s->end || *s->p < '0' || *s->p > '9')
        return fail(s, ERR_SYNTAX);
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return true;
}

static ALWAYS_INLINE bool skip_number(struct scan *s)
{
    if (*s->p == '-')
        s->p++;
    if (s->p < s->end && *s->p == '0')
        s->p++;
    else if (!skip_digits(s))
        return false;
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!skip_digits(s))
            return false;
    }
    if (s->p < s->end && (*s->p | 32) == 'e') {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        return skip_digits(s);
    }
    return true;
}

static bool skip_word(struct scan *s, const char *word, size_t n)
{
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return fail(s, ERR_SYNTAX);
    s->p += n;
    return true;
}

/* Anything but a container. */
static ALWAYS_INLINE bool skip_scalar(struct scan *s)
{
    switch (*s->p) {
    case '"': return skip_string(s);
    case 't': return skip_word(s, "true", 4);
    case 'f': return skip_word(s, "false", 5);
    case 'n': return skip_word(s, "null", 4);
    case '-': case '0': case '1': case '2': case '3': case '4':
    case '5': case '6': case '7': case '8': case '9': return skip_number(s);
    default: return fail(s, ERR_SYNTAX);
    }
}

/* `"key" :` and blanks around; leaves s->p on the value. */
static ALWAYS_INLINE bool skip_key(struct scan *s)
{
    skip_blanks(s);
    if (s->p >= s->end || *s->p != '"')
        return fail(s, ERR_SYNTAX);
    if (!skip_string(s))
        return false;
    skip_blanks(s);
    if (s->p >= s->end || *s->p != ':')
        return fail(s, ERR_SYNTAX);
    s->p++;
    return true;
}

static bool nest_open(struct json_nest *n, bool object, struct scan *s)
{
    if (n->depth >= JSON_DEPTH_MAX)
        return fail(s, ERR_LIMIT);
    uint64_t bit = (uint64_t)1 << (n->depth % 64);
    if (object)
        n->bits[n->depth / 64] |= bit;
    else
        n->bits[n->depth / 64] &= ~bit;
    n->depth++;
    return true;
}

static bool nest_is_object(const struct json_nest *n)
{
    return n->bits[(n->depth - 1) / 64] >> ((n->depth - 1) % 64) & 1;
}

/* After a value: closes what ends here. True when another element follows (s->p before it) or all
 * is closed (depth 0). */
static ALWAYS_INLINE bool skip_closers(struct scan *s, struct json_nest *n)
{
    while (n->depth) {
        skip_blanks(s);
        if (s->p >= s->end)
            return fail(s, ERR_SYNTAX);
        bool object = nest_is_object(n);
        if (*s->p == ',') {
            s->p++;
            return !object || skip_key(s);
        }
        if (*s->p != (object ? '}' : ']'))
            return fail(s, ERR_SYNTAX);
        s->p++;
        n->depth--;
    }
    return true;
}

/* Walks over one value with all that is in it. */
static bool skip_value(struct scan *s)
{
    struct json_nest n;
    n.depth = 0;
    do {
        skip_blanks(s);
        if (s->p >= s->end)
            return fail(s, ERR_SYNTAX);
        unsigned char c = *s->p;
        if (c == '{' || c == '[') {
            bool object = c == '{';
            if (!nest_open(&n, object, s))
                return false;
            s->p++;
            skip_blanks(s);
            if (s->p < s->end && *s->p == (object ? '}' : ']')) {
                s->p++;
                n.depth--;
            } else {
                if (object && !skip_key(s))
                    return false;
                continue;
            }
        } else if (!skip_scalar(s)) {
            return false;
        }
        if (!skip_closers(s, &n))
            return false;
    } while (n.depth);
    return true;
}

static enum json_type type_of(unsigned char c)
{
    switch (c) {
    case '{': return JSON_OBJECT;
    case '[': return JSON_ARRAY;
    case '"': return JSON_STRING;
    case 't': return JSON_TRUE;
    case 'f': return JSON_FALSE;
    case 'n': return JSON_NULL;
    default: return JSON_NUMBER;
    }
}

/* Takes the value at s->p as a span; type JSON_NONE after an error. */
static struct json_span take_value(struct scan *s)
{
    skip_blanks(s);
    const unsigned char *from = s->p;
    if (!skip_value(s))
        return (struct json_span){JSON_NONE, STR_NULL};
    return (struct json_span){type_of(*from), {(const char *)from, (size_t)(s->p - from)}};
}

int json_check(struct str text, size_t *at)
{
    struct scan s = scan_of(text);
    const unsigned char *from = s.p;
    if (skip_value(&s)) {
        skip_blanks(&s);
        if (s.p < s.end)
            fail(&s, ERR_SYNTAX);
    }
    if (at)
        *at = (size_t)(s.p - from);
    return s.err;
}

struct json_span json_value(struct str text)
{
    struct scan s = scan_of(text);
    return take_value(&s);
}

struct json_iter json_iter(struct str container)
{
    struct scan s = scan_of(container);
    skip_blanks(&s);
    struct json_iter it = {.done = true, .err = -ERR_TYPE};
    if (s.p < s.end && (*s.p == '{' || *s.p == '[')) {
        it = (struct json_iter){.object = *s.p == '{'};
        s.p++;
    }
    it.rest = (struct str){(const char *)s.p, (size_t)(s.end - s.p)};
    return it;
}

/* Before an element: the comma, or the end. False at the end and on an error. */
static bool iter_step(struct json_iter *it, struct scan *s)
{
    skip_blanks(s);
    if (s->p >= s->end)
        return fail(s, ERR_SYNTAX);
    if (*s->p == (it->object ? '}' : ']')) {
        s->p++;
        return false;
    }
    if (it->started) {
        if (*s->p != ',')
            return fail(s, ERR_SYNTAX);
        s->p++;
    }
    it->started = true;
    return true;
}

bool json_next(struct json_iter *it, struct json_span *key, struct json_span *value)
{
    if (it->done)
        return false;
    struct scan s = scan_of(it->rest);
    *key = (struct json_span){JSON_NONE, STR_NULL};
    bool more = iter_step(it, &s);
    if (more && it->object) {
        skip_blanks(&s);
        const unsigned char *from = s.p;
        more = s.p < s.end && *s.p == '"' ? skip_string(&s) : fail(&s, ERR_SYNTAX);
        key->raw = (struct str){(const char *)from, (size_t)(s.p - from)};
        key->type = JSON_STRING;
        skip_blanks(&s);
        if (more && (s.p >= s.end || *s.p != ':'))
            more = fail(&s, ERR_SYNTAX);
        s.p += more;
    }
    if (more) {
        *value = take_value(&s);
        more = value->type != JSON_NONE;
    }
    it->err = s.err;
    it->done = !more;
    it->rest = (struct str){(const char *)s.p, (size_t)(s.end - s.p)};
    return more;
}

struct json_walk json_walk(struct str text)
{
    return (struct json_walk){.text = text};
}

/* After the outermost value: nothing but blanks. */
static bool walk_end(struct json_walk *w, struct scan *s)
{
    skip_blanks(s);
    if (s->p < s->end)
        fail(s, ERR_SYNTAX);
    w->open.depth = 0;
    return false;
}

/* Takes the key in front of a member's value. */
static bool walk_key(struct scan *s, struct json_token *t)
{
    skip_blanks(s);
    const unsigned char *from = s->p;
    if (s->p >= s->end || *s->p != '"' || !skip_string(s))
        return fail(s, ERR_SYNTAX);
    t->key = (struct json_span){JSON_STRING, {(const char *)from, (size_t)(s->p - from)}};
    skip_blanks(s);
    if (s->p >= s->end || *s->p != ':')
        return fail(s, ERR_SYNTAX);
    s->p++;
    return true;
}

/* Between elements: a comma, or the bracket that closes (then *t is its token). */
static bool walk_between(struct json_walk *w, struct scan *s, struct json_token *t)
{
    bool object = nest_is_object(&w->open);
    skip_blanks(s);
    if (s->p >= s->end)
        return fail(s, ERR_SYNTAX);
    if (*s->p == (object ? '}' : ']')) {
        w->open.depth--;
        w->after_value = true;
        *t = (struct json_token){.type = object ? JSON_OBJECT : JSON_ARRAY, .end = true,
            .depth = w->open.depth, .raw = {(const char *)s->p, 1}};
        s->p++;
        return true;
    }
    if (w->after_value) {
        if (*s->p != ',')
            return fail(s, ERR_SYNTAX);
        s->p++;
    }
    return !object || walk_key(s, t);
}

static bool walk_value(struct json_walk *w, struct scan *s, struct json_token *t)
{
    skip_blanks(s);
    if (s->p >= s->end)
        return fail(s, ERR_SYNTAX);
    const unsigned char *from = s->p;
    t->depth = w->open.depth;
    t->type = type_of(*from);
    w->after_value = t->type != JSON_OBJECT && t->type != JSON_ARRAY;
    if (w->after_value) {
        if (!skip_scalar(s))
            return false;
    } else {
        if (!nest_open(&w->open, t->type == JSON_OBJECT, s))
            return false;
        s->p++;
    }
    t->raw = (struct str){(const char *)from, (size_t)(s->p - from)};
    return true;
}

static bool walk_step(struct json_walk *w, struct scan *s, struct json_token *t)
{
    *t = (struct json_token){0};
    if (w->open.depth) {
        if (!walk_between(w, s, t))
            return false;
        if (t->end)
            return true;
    } else if (w->started) {
        return walk_end(w, s);
    }
    w->started = true;
    return walk_value(w, s, t);
}

bool json_walk_next(struct json_walk *w, struct json_token *t)
{
    if (w->err)
        return false;
    struct scan s = scan_of(w->text);
    const unsigned char *from = s.p;
    s.p += w->at;
    bool more = walk_step(w, &s, t);
    w->at = (size_t)(s.p - from);
    w->err = s.err;
    return more && !s.err;
}

/* Most keys have no escape in them: compare the bytes between the quotes first. */
static inline bool key_is(struct json_span key, struct str want)
{
    if (key.raw.n == want.n + 2 && memcmp(key.raw.p + 1, want.p, want.n) == 0)
        return !memchr(want.p, '\\', want.n);
    return memchr(key.raw.p, '\\', key.raw.n) && json_text_eq(key, want);
}

struct json_span json_get(struct str object, struct str key)
{
    struct json_iter it = json_iter(object);
    struct json_span k, v;
    while (it.object && json_next(&it, &k, &v))
        if (key_is(k, key))
            return v;
    return (struct json_span){JSON_NONE, STR_NULL};
}

int json_scan(struct str object, struct json_want *wants, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        wants[i].value = (struct json_span){JSON_NONE, STR_NULL};
        wants[i].count = 0;
    }
    struct json_iter it = json_iter(object);
    if (it.err || !it.object)
        return -ERR_TYPE;
    struct json_span k, v;
    while (json_next(&it, &k, &v)) {
        for (size_t i = 0; i < n; i++)
            if (key_is(k, wants[i].key) && wants[i].count++ == 0)
                wants[i].value = v;
    }
    if (it.err)
        return it.err;
    struct scan tail = scan_of(it.rest);
    skip_blanks(&tail);
    return tail.p < tail.end ? -ERR_SYNTAX : 0;
}

static struct json_span element_at(struct str array, uint64_t index)
{
    struct json_iter it = json_iter(array);
    struct json_span k, v;
    while (!it.object && json_next(&it, &k, &v))
        if (index-- == 0)
            return v;
    return (struct json_span){JSON_NONE, STR_NULL};
}

struct json_span json_path(struct str text, const char *path)
{
    struct json_span at = json_value(text);
    struct str rest = str_c(path), step;
    while (at.type != JSON_NONE && str_cut(&rest, '.', &step)) {
        uint64_t index;
        if (at.type == JSON_OBJECT)
            at = json_get(at.raw, step);
        else if (at.type == JSON_ARRAY && str_to_u64(step, &index))
            at = element_at(at.raw, index);
        else
            at = (struct json_span){JSON_NONE, STR_NULL};
    }
    return at;
}

size_t json_count(struct json_span v)
{
    size_t n = 0;
    struct json_iter it = json_iter(v.raw);
    struct json_span k, e;
    while (json_next(&it, &k, &e))
        n++;
    return n;
}
