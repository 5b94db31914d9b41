/* places.c: see places.h. A pair of surrogates (\ud83d\ude00) is one character of four bytes: the
 * first one counts as all of it, the second as nothing, so that a pair may be cut between fragments. */
#include "proxy/dialect/places.h"

static unsigned hex(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return (unsigned)((c | 32) - 'a') + 10;
}

/* The width in bytes of an escape as UTF-8; *n: its length as it is written. */
static unsigned escape_width(struct str rest, size_t *n)
{
    unsigned code = 0;
    *n = MIN(rest.n, (size_t)2);
    if (rest.n < 6 || rest.p[1] != 'u')
        return 1;
    *n = 6;
    for (int i = 2; i < 6; i++)
        code = code << 4 | (hex(rest.p[i]) & 15);
    if (code >= 0xd800 && code < 0xdc00)
        return 4;
    if (code >= 0xdc00 && code < 0xe000)
        return 0;
    return code < 0x80 ? 1 : code < 0x800 ? 2 : 3;
}

/* The next character: its width, and how much of `rest` it takes. */
static unsigned next_width(struct str rest, size_t *n)
{
    unsigned char c = (unsigned char)*rest.p;
    *n = 1;
    if (c == '\\')
        return escape_width(rest, n);
    if (c < 0xc0)
        return 1;
    unsigned width = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    *n = MIN(rest.n, (size_t)width);
    return width;
}

static size_t ascii_run(struct str text)
{
    size_t n = 0;
    while (n < text.n && (unsigned char)text.p[n] < 0x80 && text.p[n] != '\\')
        n++;
    return n;
}

void places_add(struct places *p, struct str text)
{
    size_t run = p->widths.n ? 0 : ascii_run(text), n;
    if (!p->widths.max)
        buf_init(&p->widths, PLACES_MAX);
    p->plain += (int64_t)run;
    p->chars += (int64_t)run;
    for (text = str_from(text, run); text.n; text = str_from(text, n)) {
        unsigned width = next_width(text, &n);
        if (!width)
            continue;
        p->chars++;
        if (width == 1 && !p->widths.n)
            p->plain++; /* "\n" */
        else
            buf_putc(&p->widths, (char)width);
    }
}

int64_t places_count(struct str text)
{
    int64_t chars = 0;
    size_t n, run;
    for (; text.n; text = str_from(text, n)) {
        run = ascii_run(text);
        chars += (int64_t)run;
        text = str_from(text, run);
        if (!text.n)
            break;
        chars += next_width(text, &n) != 0;
    }
    return chars;
}

int64_t places_bytes(const struct places *p, int64_t character)
{
    int64_t bytes = MIN(character, p->plain), left = character - bytes;
    if (left < 0 || left > (int64_t)p->widths.n || (left && p->widths.err))
        return -1;
    for (int64_t i = 0; i < left; i++)
        bytes += p->widths.p[i];
    return bytes;
}

int64_t places_chars(const struct places *p, int64_t byte)
{
    int64_t chars = MIN(byte, p->plain), left = byte - chars;
    size_t i = 0;
    if (left && p->widths.err)
        return -1;
    for (; left > 0 && i < p->widths.n; i++)
        left -= p->widths.p[i];
    return left > 0 ? -1 : chars + (int64_t)i;
}

void places_fini(struct places *p)
{
    buf_fini(&p->widths);
    *p = (struct places){0};
}
