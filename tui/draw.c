/* draw.c: see draw.h. */
#include "tui/draw.h"

#include "tui/clean.h"
#include "tui/terminal.h"

#include <curses.h>
#include <stdio.h>

static struct {
    struct theme theme;
    enum theme_depth depth;
    bool ascii;
    enum role under;
} d = {.under = ROLE_NONE};

void ui_theme(const struct theme *theme, enum theme_depth depth, bool ascii)
{
    d.theme = *theme;
    d.depth = depth;
    d.ascii = ascii;
}

bool ui_ascii(void)
{
    return d.ascii;
}

bool ui_plain(void)
{
    return d.ascii || clean_has_plain_marks();
}

void ui_under(enum role role)
{
    d.under = role;
}

/* The role's own style on the background of what is under it. */
static struct style style_of(enum role role)
{
    struct style s = d.theme.style[role][d.depth];
    if (d.under == ROLE_NONE)
        return s;
    struct style u = d.theme.style[d.under][d.depth];
    if (u.bg >= 0)
        s.bg = u.bg;
    if (u.fg >= 0)
        s.fg = u.fg;
    if (u.flags & STYLE_REVERSE)
        s.fg = s.bg = -1; /* coloured stripes in a reversed row would be hard to read */
    s.flags |= u.flags;
    return s;
}

static attr_t attributes(unsigned char flags)
{
    return (flags & STYLE_BOLD ? A_BOLD : 0) | (flags & STYLE_DIM ? A_DIM : 0) |
           (flags & STYLE_UNDERLINE ? A_UNDERLINE : 0) | (flags & STYLE_REVERSE ? A_REVERSE : 0) |
           (flags & STYLE_ITALIC ? A_ITALIC : 0);
}

struct ink {
    attr_t attr;
    int pair;
};

static struct ink ink_of(enum role role)
{
    struct style s = style_of(role);
    struct ink ink = {attributes(s.flags), 0};
    if (d.depth == DEPTH_MONO || (s.fg < 0 && s.bg < 0))
        return ink;
    if (COLORS < 16) { /* eight colours: bright ones are bold */
        ink.attr |= s.fg >= 8 ? A_BOLD : 0;
        s.fg = s.fg >= 8 ? (short)(s.fg - 8) : s.fg;
        s.bg = s.bg >= 8 ? (short)(s.bg - 8) : s.bg;
    }
    ink.pair = MAX(alloc_pair(s.fg, s.bg), 0);
    return ink;
}

static void put_glyph(int y, int x, const struct glyph *g, struct ink ink)
{
    wchar_t wide[GLYPH_CODES + 1] = {0};
    cchar_t cell;
    for (unsigned i = 0; i < g->n; i++)
        wide[i] = (wchar_t)g->cp[i];
    int pair = ink.pair;
    if (setcchar(&cell, wide, ink.attr, (short)MIN(pair, 32767), &pair) == OK)
        mvwadd_wch(stdscr, y, x, &cell);
}

/* Paints columns [skip, skip + width) of the text, no ellipsis. */
static int paint(int y, int x, int width, enum role role, struct str s, int skip)
{
    struct clean c = clean(s, d.ascii);
    struct ink ink = ink_of(role), hostile = ink_of(ROLE_HOSTILE);
    struct glyph g;
    int rows, columns, at = -skip, painted = 0;
    terminal_size(&rows, &columns);
    if (y < 0 || y >= rows || x < 0)
        return 0;
    width = MIN(width, columns - x);
    while (at < width && clean_next(&c, &g)) {
        if (at + (int)g.width > width)
            break;
        if (at >= 0)
            put_glyph(y, x + at, &g, g.marked ? hostile : ink);
        at += (int)g.width;
        painted = MAX(at, 0);
    }
    return painted;
}

int ui_text_from(int y, int x, int width, enum role role, struct str s, int skip)
{
    return paint(y, x, width, role, s, skip);
}

int ui_text(int y, int x, int width, enum role role, struct str s)
{
    size_t used;
    if (width <= 0)
        return 0;
    /* a text is never measured further than one column past its place */
    size_t fits = clean_fit(s, d.ascii, (size_t)width, &used);
    if (fits >= s.n)
        return paint(y, x, width, role, s, 0);
    struct clean rest = clean(str_from(s, fits), d.ascii);
    struct glyph g;
    if (!clean_next(&rest, &g))
        return paint(y, x, width, role, s, 0);
    fits = clean_fit(s, d.ascii, (size_t)width - 1, &used);
    int n = paint(y, x, width - 1, role, str_first(s, fits), 0);
    return n + paint(y, x + n, 1, role, STR("…"), 0);
}

int ui_text_middle(int y, int x, int width, enum role role, struct str s)
{
    size_t total = clean_columns(str_first(s, 512), d.ascii);
    if (width < 5 || total <= (size_t)width)
        return ui_text(y, x, width, role, s);
    size_t head = (size_t)(width - 1) / 2, used;
    size_t bytes = clean_fit(s, d.ascii, head, &used);
    int n = paint(y, x, (int)head, role, str_first(s, bytes), 0);
    n += paint(y, x + n, 1, role, STR("…"), 0);
    return n + paint(y, x + n, width - n, role, s, (int)total - (width - n));
}

int ui_text_right(int y, int x, int width, enum role role, struct str s)
{
    int columns = (int)clean_columns(str_first(s, 512), d.ascii);
    int pad = columns < width ? width - columns : 0;
    ui_text(y, x + pad, width - pad, role, s);
    return width;
}

int ui_put(int y, int x, int width, enum role role, const char *text)
{
    return ui_text(y, x, width, role, str_c(text));
}

int ui_put_right(int y, int x, int width, enum role role, const char *text)
{
    return ui_text_right(y, x, width, role, str_c(text));
}

int ui_printf(int y, int x, int width, enum role role, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return ui_text(y, x, width, role, str_c(text));
}

void ui_fill(struct rect r, enum role role)
{
    int rows, columns;
    struct ink ink = ink_of(role);
    struct glyph blank = {.cp = {' '}, .n = 1, .width = 1};
    terminal_size(&rows, &columns);
    for (int y = MAX(r.y, 0); y < MIN(r.y + r.h, rows); y++)
        for (int x = MAX(r.x, 0); x < MIN(r.x + r.w, columns); x++)
            put_glyph(y, x, &blank, ink);
}

void ui_hline(int y, int x, int width, enum role role)
{
    for (int i = 0; i < width; i++)
        paint(y, x + i, 1, role, STR("─"), 0);
}

void ui_vline(int y, int x, int height, enum role role)
{
    for (int i = 0; i < height; i++)
        paint(y + i, x, 1, role, STR("│"), 0);
}

void ui_box(struct rect r, const char *title)
{
    enum role under = d.under;
    d.under = ROLE_NONE;
    ui_fill(r, ROLE_TEXT);
    ui_hline(r.y, r.x + 1, r.w - 2, ROLE_BOX);
    ui_hline(r.y + r.h - 1, r.x + 1, r.w - 2, ROLE_BOX);
    ui_vline(r.y, r.x, r.h, ROLE_BOX);
    ui_vline(r.y, r.x + r.w - 1, r.h, ROLE_BOX);
    ui_put(r.y, r.x, 1, ROLE_BOX, "┌");
    ui_put(r.y, r.x + r.w - 1, 1, ROLE_BOX, "┐");
    ui_put(r.y + r.h - 1, r.x, 1, ROLE_BOX, "└");
    ui_put(r.y + r.h - 1, r.x + r.w - 1, 1, ROLE_BOX, "┘");
    if (title && *title && r.w > 6) {
        int n = ui_put(r.y, r.x + 3, r.w - 6, ROLE_BOX_TITLE, title);
        ui_put(r.y, r.x + 2, 1, ROLE_BOX, " ");
        ui_put(r.y, r.x + 3 + n, 1, ROLE_BOX, " ");
    }
    d.under = under;
}
