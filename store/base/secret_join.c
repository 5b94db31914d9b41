/* secret_join.c: see secret_join.h. A run says of the letters from `at` on which bytes they were made of. */
#include "store/base/secret_join.h"

#include "store/base/secret.h"

enum {
    LEVELS = 3,           /* of escapes within escapes */
    TAIL_BYTES = 8 << 10  /* an end that a secret may have begun in, however it is spelled */
};

struct run {
    uint32_t at;     /* offset in the join */
    uint32_t from;   /* offset in the text below */
    uint32_t from_n; /* as many bytes as the run has letters: byte for letter; else all for all */
};

void join_init(struct join *j, char *below, struct join *lower)
{
    *j = (struct join){.below = below, .lower = lower};
    buf_init(&j->text, BUF_NO_LIMIT);
    buf_init(&j->runs, BUF_NO_LIMIT);
}

void join_fini(struct join *j)
{
    buf_fini(&j->text);
    buf_fini(&j->runs);
}

bool join_failed(const struct join *j)
{
    return j->text.err || j->runs.err;
}

static struct run *run_of(const struct join *j, size_t i)
{
    return (struct run *)(void *)j->runs.p + i;
}

size_t join_runs(const struct join *j)
{
    return j->runs.n / sizeof(struct run);
}

static size_t run_letters(const struct join *j, size_t i)
{
    size_t end = i + 1 < join_runs(j) ? run_of(j, i + 1)->at : j->text.n;
    return end - run_of(j, i)->at;
}

/* The run that the letter at `at` belongs to. */
static size_t run_at(const struct join *j, size_t at)
{
    size_t low = 0, high = join_runs(j);
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (run_of(j, middle)->at <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

size_t join_source(const struct join *j, size_t at)
{
    size_t i = run_at(j, at);
    const struct run *r = run_of(j, i);
    return r->from + (run_letters(j, i) == r->from_n ? at - r->at : 0);
}

void join_put(struct join *j, const char *letters, size_t n, size_t from, size_t from_n)
{
    struct run run = {(uint32_t)j->text.n, (uint32_t)from, (uint32_t)from_n};
    if (n == 0)
        return;
    buf_put(&j->runs, &run, sizeof run);
    buf_put(&j->text, letters, n);
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* The letter of the escape that s begins with, and its length. Secrets are ASCII: any other letter
 * only has to be none of theirs. */
static char escaped_letter(struct str s, size_t *length)
{
    static const char short_ones[] = "n\nr\rt\tb\bf\f";
    int code = 0;
    *length = 2;
    if (s.p[1] == 'u' && s.n >= 6) {
        for (size_t i = 2; i < 6 && code >= 0; i++)
            code = hex_value(s.p[i]) < 0 ? -1 : code * 16 + hex_value(s.p[i]);
        *length = code < 0 ? 2 : 6;
        return code > 0 && code < 0x80 ? (char)code : '\1';
    }
    for (size_t i = 0; i + 1 < sizeof short_ones; i += 2)
        if (s.p[1] == short_ones[i])
            return short_ones[i + 1];
    return s.p[1];
}

void join_decode(struct join *j, size_t from, size_t n)
{
    while (n) {
        const char *p = j->below + from, *escape = memchr(p, '\\', n);
        size_t plain = escape ? (size_t)(escape - p) : n, length;
        if (escape && n - plain < 2) /* half an escape */
            plain = n;
        join_put(j, p, plain, from, plain);
        from += plain;
        n -= plain;
        if (n) {
            char letter = escaped_letter(str_n(j->below + from, n), &length);
            join_put(j, &letter, 1, from, length);
            from += length;
            n -= length;
        }
    }
}

/* What stands for a letter: asterisks, of a number (in a list of bytes) the number of the asterisk. */
static void cover_source(char *p, size_t n)
{
    bool number = n > 1 && p[0] >= '0' && p[0] <= '9';
    for (size_t i = 0; number && i < n; i++)
        number = p[i] >= '0' && p[i] <= '9';
    memset(p, number ? ' ' : '*', n);
    if (number)
        memcpy(p, "42", 2);
}

void join_hide(struct join *j, size_t at, size_t n)
{
    for (size_t i = run_at(j, at); n && i < join_runs(j); i++) {
        struct run *r = run_of(j, i);
        size_t skip = at - r->at, letters = run_letters(j, i), here = MIN(n, letters - skip);
        bool one_for_one = letters == r->from_n;
        size_t from = r->from + (one_for_one ? skip : 0), from_n = one_for_one ? here : r->from_n;
        bool digit = letters == 1 && j->text.p[r->at] == '\1'; /* a number below ten: no letter */
        if (one_for_one && digit)
            ;
        else if (letters == 1 && !one_for_one && !j->lower)
            cover_source(j->below + from, from_n);
        else
            memset(j->below + from, '*', from_n);
        if (j->lower)
            join_hide(j->lower, from, from_n);
        at += here;
        n -= here;
    }
}

bool join_holds_escape(const char *p, size_t n)
{
    const char *end = p + n;
    while (end - p >= 6 && (p = memchr(p, '\\', (size_t)(end - p) - 5)) != NULL) {
        if (memcmp(p, "\\u00", 4) == 0)
            return true;
        p++;
    }
    return false;
}

static void hide_found(void *ctx, size_t at, size_t n)
{
    join_hide(ctx, at, n);
}

/* Looks for secrets in what the first n letters say once they are decoded again, then in themselves:
 * the other way round half of a secret might be covered, and its rest be known as none. */
size_t join_cover(struct join *j, size_t n, int level)
{
    size_t found = 0;
    if (level < LEVELS && join_holds_escape(j->text.p, n)) {
        struct join upper;
        join_init(&upper, j->text.p, j);
        join_decode(&upper, 0, n);
        if (!join_failed(&upper))
            found = join_cover(&upper, upper.text.n, level + 1);
        else
            join_hide(j, 0, n); /* unseen is unshown */
        join_fini(&upper);
    }
    return found + secret_find(j->text.p, n, hide_found, j);
}

size_t join_half_escape(struct str s)
{
    for (size_t back = 1; back <= MIN(s.n, (size_t)5); back++) {
        const char *p = s.p + s.n - back;
        if (*p == '\\')
            return back == 1 || p[1] == 'u' ? s.n - back : s.n;
    }
    return s.n;
}

size_t join_whole(const struct join *j, int level)
{
    struct str text = buf_str(&j->text);
    size_t whole = MIN(secret_whole(text), join_half_escape(text));
    size_t from = text.n > TAIL_BYTES ? text.n - TAIL_BYTES : 0;
    if (level == LEVELS || !memchr(text.p + from, '\\', text.n - from))
        return whole;
    struct join upper;
    join_init(&upper, j->text.p, NULL);
    join_decode(&upper, from, text.n - from);
    size_t upper_whole = join_whole(&upper, level + 1);
    if (join_failed(&upper))
        whole = 0;
    else if (upper_whole < upper.text.n)
        whole = MIN(whole, join_source(&upper, upper_whole));
    join_fini(&upper);
    return whole;
}

void join_drop(struct join *j, size_t n)
{
    size_t i = run_at(j, n), skip = n - run_of(j, i)->at;
    struct run *r = run_of(j, i);
    if (run_letters(j, i) == r->from_n) {
        r->from += (uint32_t)skip;
        r->from_n -= (uint32_t)skip;
    }
    r->at += (uint32_t)skip;
    buf_drop(&j->runs, i * sizeof *r);
    buf_drop(&j->text, n);
    for (i = 0; i < join_runs(j); i++)
        run_of(j, i)->at -= (uint32_t)n;
}
