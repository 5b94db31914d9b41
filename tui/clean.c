/* clean.c: see clean.h. */
#include "tui/clean.h"

#include "store/base/utf8.h"

#include <stdio.h>

/* Marks that we draw ourselves and what stands for them where only ASCII may be sent. */
static const struct {
    uint32_t cp;
    char ascii;
} stand_ins[] = {
    {0x2192, '>'},
    {0x2190, '<'},
    {0x2026, '~'},
    {0x2500, '-'},
    {0x2502, '|'},
    {0x00B7, '.'},
    {0x2713, '+'},
    {0x2717, 'x'},
    {0x25B8, '>'},
    {0x25BE, 'v'},
    {0x25CF, '*'},
    {0x2022, '*'},
    {0x00BB, '>'},
    {0x25BC, 'v'},
    {0x2039, '<'},
    {0x203A, '>'},
    {0x25B2, '^'},
    {0x21BB, 'r'},
    {0x2588, '#'},
    {0x2581, '.'},
    {0x2582, '.'},
    {0x2583, ':'},
    {0x2584, ':'},
    {0x2585, '|'},
    {0x2586, '|'},
    {0x2587, '#'},
    {0x250C, '+'},
    {0x2510, '+'},
    {0x2514, '+'},
    {0x2518, '+'},
    {0x251C, '+'},
    {0x2524, '+'},
    {0x2212, '-'},
    {0x00D7, 'x'},
    {0x2014, '-'},
    {0x2013, '-'},
    {0x2018, '\''},
    {0x2019, '\''},
    {0x201C, '"'},
    {0x201D, '"'},
    {0x0394, 'd'},
    {0x2264, '<'},
    {0x2265, '>'},
    {0x22EE, ':'},
    {0x2504, '-'},
    {0x2591, '.'},
    {0x258C, '|'},
    {0x2191, '^'},
    {0x2193, 'v'},
    {0x25CB, 'o'},
};

static bool plain_marks;

void clean_plain_marks(bool on)
{
    plain_marks = on;
}

bool clean_has_plain_marks(void)
{
    return plain_marks;
}

struct clean clean(struct str text, bool ascii)
{
    return (struct clean){.text = text, .ascii = ascii};
}

static bool give(struct clean *c, struct glyph *g, uint32_t cp, unsigned width, bool marked)
{
    g->cp[0] = cp;
    g->n = 1;
    g->width = width;
    g->marked = marked;
    g->end = c->at;
    return true;
}

/* The first character of a stand-in now, the rest in the calls that follow. */
static bool give_queue(struct clean *c, struct glyph *g)
{
    return give(c, g, (unsigned char)c->queue[c->sent++], 1, true);
}

static bool give_control(struct clean *c, struct glyph *g, uint32_t cp)
{
    if (cp == '\t')
        return give(c, g, ' ', 1, false);
    if (cp < 0x20 && !c->ascii)
        return give(c, g, 0x2400 + cp, 1, true);
    if (cp < 0x20)
        c->queued = (unsigned)snprintf(c->queue, sizeof c->queue, "^%c", (char)('@' + cp));
    else
        c->queued = (unsigned)snprintf(c->queue, sizeof c->queue, "\\x%02x", (unsigned)cp);
    c->sent = 0;
    return give_queue(c, g);
}

static bool is_dropped(uint32_t cp)
{
    return cp >= 0xE0000 || cp == 0x200D || cp == 0x00AD || cp == 0x034F ||
           (cp >= 0xFE00 && cp <= 0xFE0F) || (cp >= 0x180B && cp <= 0x180F) ||
           (cp >= 0x1F3FB && cp <= 0x1F3FF);
}

/* Marks that follow sit on the glyph: two are kept, a flood is swallowed. */
static void take_marks(struct clean *c, struct glyph *g)
{
    while (c->at < c->text.n) {
        uint32_t cp;
        unsigned n = utf8_decode(c->text.p + c->at, c->text.n - c->at, &cp);
        if (!n)
            break;
        enum utf8_class class = utf8_class(cp);
        bool dropped = (class == UTF8_FORMAT || class == UTF8_UNSURE || class == UTF8_PRIVATE) &&
                       is_dropped(cp);
        if (class != UTF8_COMBINING && !dropped)
            break;
        if (class == UTF8_COMBINING && g->n < GLYPH_CODES && !c->ascii)
            g->cp[g->n++] = cp;
        c->at += n;
    }
    g->end = c->at;
}

/* 0: it is none of our marks. */
static uint32_t stand_in(uint32_t cp)
{
    for (size_t i = 0; i < ARRAY_LEN(stand_ins); i++)
        if (stand_ins[i].cp == cp)
            return (unsigned char)stand_ins[i].ascii;
    return 0;
}

static bool give_print(struct clean *c, struct glyph *g, uint32_t cp)
{
    uint32_t plain = cp > 0x7E && (c->ascii || plain_marks) ? stand_in(cp) : 0;
    if (plain)
        give(c, g, plain, 1, false);
    else if (c->ascii && cp > 0x7E)
        give(c, g, '?', 1, true);
    else
        give(c, g, cp, utf8_width(cp), false);
    take_marks(c, g);
    return true;
}

bool clean_next(struct clean *c, struct glyph *g)
{
    if (c->sent < c->queued)
        return give_queue(c, g);
    while (c->at < c->text.n) {
        uint32_t cp;
        unsigned n = utf8_decode(c->text.p + c->at, c->text.n - c->at, &cp);
        c->at += n ? n : 1;
        if (!n)
            return give(c, g, c->ascii ? '?' : 0xFFFD, 1, true);
        switch (utf8_class(cp)) {
        case UTF8_PRINT:
            return give_print(c, g, cp);
        case UTF8_CONTROL:
            return give_control(c, g, cp);
        case UTF8_COMBINING: /* nothing before it to sit on */
            give(c, g, ' ', 1, true);
            take_marks(c, g);
            return true;
        case UTF8_UNSURE:
            if (cp >= 0x1F1E6 && cp <= 0x1F1FF)
                return give(c, g, 'A' + (cp - 0x1F1E6), 1, true);
            break;
        case UTF8_FORMAT:
        case UTF8_PRIVATE:
            if (!is_dropped(cp))
                return give(c, g, c->ascii ? '?' : 0x00B7, 1, true);
            break;
        }
    }
    return false;
}

size_t clean_columns(struct str text, bool ascii)
{
    struct clean c = clean(text, ascii);
    struct glyph g;
    size_t columns = 0;
    while (clean_next(&c, &g))
        columns += g.width;
    return columns;
}

size_t clean_fit(struct str text, bool ascii, size_t columns, size_t *used)
{
    struct clean c = clean(text, ascii);
    struct glyph g;
    size_t bytes = 0, total = 0;
    while (clean_next(&c, &g)) {
        if (total + g.width > columns)
            break;
        total += g.width;
        bytes = g.end;
    }
    if (used)
        *used = total;
    return bytes;
}

void clean_put(struct buf *out, struct str text, bool ascii)
{
    struct clean c = clean(text, ascii);
    struct glyph g;
    while (clean_next(&c, &g))
        for (unsigned i = 0; i < g.n; i++) {
            char bytes[4];
            buf_put(out, bytes, utf8_encode(g.cp[i], bytes));
        }
}

void clean_put_lines(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n;) {
        uint32_t cp = 0xFFFD;
        unsigned n = utf8_decode(text.p + i, text.n - i, &cp);
        if (n && (cp == '\n' || cp == '\t' || utf8_class(cp) != UTF8_CONTROL))
            buf_put(out, text.p + i, n);
        else if (cp != '\r')
            buf_printf(out, "\\x%02x", n ? (unsigned)cp : (unsigned char)text.p[i]);
        i += n ? n : 1;
    }
}
