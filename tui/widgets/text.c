/* text.c: see text.h. Lines are laid out into pieces of the pane's width when they are first
 * needed; a line that grows is laid out again. */
#include "tui/widgets/text.h"

#include "store/base/array.h"
#include "tui/clean.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { TAB_COLUMNS = 4, INDENT_MAX = 60 };

void text_reset(struct text *t)
{
    if (!t->bytes.max)
        buf_init(&t->bytes, TEXT_BYTES_MAX + 65536);
    buf_reset(&t->bytes);
    t->line_count = t->piece_count = t->laid = 0;
    t->full = false;
}

void text_fini(struct text *t)
{
    buf_fini(&t->bytes);
    free(t->lines);
    free(t->pieces);
    *t = (struct text){0};
}

/* Tabs become blanks here, once; everything else is left to the sanitizer. */
static void put_bytes(struct text *t, struct str s)
{
    for (size_t i = 0; i < s.n;) {
        size_t n = 0;
        while (i + n < s.n && s.p[i + n] != '\t')
            n++;
        buf_put(&t->bytes, s.p + i, n);
        i += n;
        if (i < s.n) {
            buf_put(&t->bytes, "    ", TAB_COLUMNS);
            i++;
        }
    }
}

static struct text_line *new_line(struct text *t, enum role role, struct str s)
{
    if (!t->bytes.max)
        buf_init(&t->bytes, TEXT_BYTES_MAX + 65536);
    if (t->full || !array_room(&t->lines, &t->line_room, t->line_count, sizeof *t->lines))
        return NULL;
    if (t->bytes.n + s.n > TEXT_BYTES_MAX) {
        t->full = true;
        s = STR("… the rest is left out here: export has it");
        role = ROLE_WARN;
    }
    struct text_line *line = &t->lines[t->line_count++];
    *line = (struct text_line){.at = t->bytes.n, .role = (short)role};
    if (s.n && s.p[s.n - 1] == '\r')
        s.n--;
    put_bytes(t, s);
    line->n = t->bytes.n - line->at;
    while ((size_t)line->indent < line->n && line->indent < INDENT_MAX &&
           t->bytes.p[line->at + (size_t)line->indent] == ' ')
        line->indent++;
    return line;
}

void text_put(struct text *t, enum role role, struct str s)
{
    struct str line;
    if (!s.n) {
        new_line(t, role, s);
        return;
    }
    while (str_cut(&s, '\n', &line))
        new_line(t, role, line);
}

void text_add(struct text *t, enum role role, const char *line)
{
    text_put(t, role, str_c(line));
}

void text_printf(struct text *t, enum role role, const char *fmt, ...)
{
    char line[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    text_put(t, role, str_c(line));
}

void text_extend(struct text *t, enum role role, struct str s)
{
    struct str first;
    if (!s.n)
        return; /* there would be no first piece */
    if (!t->line_count) {
        text_put(t, role, s);
        return;
    }
    bool more = str_chr(s, '\n') >= 0;
    str_cut(&s, '\n', &first);
    struct text_line *last = &t->lines[t->line_count - 1];
    if (t->bytes.n + first.n <= TEXT_BYTES_MAX && last->at + last->n == t->bytes.n) {
        put_bytes(t, first);
        last->n = t->bytes.n - last->at;
    }
    if (t->laid >= t->line_count) { /* lay it out again */
        t->laid = t->line_count - 1;
        while (t->piece_count && t->pieces[t->piece_count - 1].line >= t->laid)
            t->piece_count--;
    }
    if (more)
        text_put(t, role, s);
}

static void json_break(struct buf *out, unsigned depth)
{
    buf_putc(out, '\n');
    for (unsigned i = 0; i < MIN(depth, 30u); i++)
        buf_puts(out, "  ");
}

/* Only blanks outside strings are touched: numbers, order and duplicates stay. */
void text_json(struct text *t, struct str json)
{
    struct buf out;
    unsigned depth = 0;
    bool quoted = false;
    if (json_check(json, NULL) < 0) {
        text_put(t, ROLE_TEXT, json);
        return;
    }
    buf_init(&out, TEXT_BYTES_MAX);
    for (size_t i = 0; i < json.n; i++) {
        char c = json.p[i];
        char next = i + 1 < json.n ? json.p[i + 1] : 0;
        if (quoted) {
            buf_putc(&out, c);
            if (c == '\\' && next)
                buf_putc(&out, json.p[++i]);
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
            buf_putc(&out, c);
        } else if ((c == '{' && next == '}') || (c == '[' && next == ']')) {
            buf_putc(&out, c);
            buf_putc(&out, json.p[++i]);
        } else if (c == '{' || c == '[') {
            buf_putc(&out, c);
            json_break(&out, ++depth);
        } else if (c == '}' || c == ']') {
            json_break(&out, depth ? --depth : 0);
            buf_putc(&out, c);
        } else if (c == ',') {
            buf_putc(&out, c);
            json_break(&out, depth);
        } else if (c == ':') {
            buf_puts(&out, ": ");
        } else if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
            buf_putc(&out, c);
        }
    }
    text_put(t, ROLE_TEXT, out.err ? json : buf_str(&out));
    buf_fini(&out);
}

/* Where to end the piece that begins at `s`: at a blank when one is near. */
static size_t piece_end(struct str s, size_t columns)
{
    size_t n = clean_fit(s, ui_ascii(), columns, NULL);
    if (n >= s.n)
        return s.n;
    for (size_t at = n; at > n / 2; at--)
        if (s.p[at - 1] == ' ')
            return at;
    return n ? n : 1;
}

static void lay_line(struct text *t, size_t line)
{
    const struct text_line *l = &t->lines[line];
    struct str s = str_n(t->bytes.p + l->at, l->n);
    size_t at = 0;
    do {
        size_t columns = (size_t)MAX(t->width - (at ? l->indent : 0), 8);
        size_t n = t->cut ? s.n : piece_end(str_from(s, at), columns);
        if (!array_room(&t->pieces, &t->piece_room, t->piece_count, sizeof *t->pieces))
            return;
        t->pieces[t->piece_count++] = (struct text_piece){line, l->at + at, n};
        at += n;
    } while (at < s.n);
}

static void lay_out(struct text *t, int width)
{
    if (width != t->width) {
        size_t line = t->top < t->piece_count ? t->pieces[t->top].line : 0;
        t->width = width;
        t->piece_count = t->laid = 0;
        for (; t->laid < t->line_count; t->laid++)
            lay_line(t, t->laid);
        for (t->top = 0; t->top < t->piece_count && t->pieces[t->top].line < line;)
            t->top++;
        return;
    }
    for (; t->laid < t->line_count; t->laid++)
        lay_line(t, t->laid);
}

static size_t last_top(const struct text *t)
{
    return t->piece_count > (size_t)t->page ? t->piece_count - (size_t)t->page : 0;
}

static void draw_hits(const struct text *t, const struct text_piece *p, int y, int x, int width)
{
    struct str s = str_n(t->bytes.p + p->at, p->n), needle = str_c(t->find);
    size_t at = 0;
    ptrdiff_t hit;
    while (needle.n && (hit = str_find_nocase(str_from(s, at), needle)) >= 0) {
        at += (size_t)hit;
        int column = (int)clean_columns(str_first(s, at), ui_ascii());
        if (column < width)
            ui_text_from(y, x + column, width - column, ROLE_HIT, str_n(s.p + at, needle.n), 0);
        at += needle.n;
    }
}

void text_draw(struct text *t, struct rect r, struct app *a)
{
    t->page = MAX(r.h, 1);
    lay_out(t, r.w);
    if (!t->stay || t->top > last_top(t))
        t->top = last_top(t);
    for (int i = 0; i < r.h && t->top + (size_t)i < t->piece_count; i++) {
        const struct text_piece *p = &t->pieces[t->top + (size_t)i];
        const struct text_line *l = &t->lines[p->line];
        int indent = p->at > l->at ? l->indent : 0;
        struct str s = str_n(t->bytes.p + p->at, p->n);
        if (t->cut)
            ui_text(r.y + i, r.x, r.w, (enum role)l->role, s);
        else
            ui_text_from(r.y + i, r.x + indent, r.w - indent, (enum role)l->role, s, 0);
        draw_hits(t, p, r.y + i, r.x + indent, r.w - indent);
    }
    app_cursor(a, r.y, r.x);
}

static void move(struct text *t, long by)
{
    long top = (long)t->top + by, last = (long)last_top(t);
    t->top = (size_t)MAX(0, MIN(top, last));
    t->stay = t->top < last_top(t) || by < 0;
}

bool text_find(struct text *t, const char *needle, bool backward)
{
    str_copy(t->find, sizeof t->find, str_c(needle));
    for (size_t step = 1; *needle && step <= t->piece_count; step++) {
        size_t i = backward ? (t->top + t->piece_count - step) % t->piece_count
                            : (t->top + step) % t->piece_count;
        struct str s = str_n(t->bytes.p + t->pieces[i].at, t->pieces[i].n);
        if (str_find_nocase(s, str_c(needle)) < 0)
            continue;
        t->top = MIN(i, last_top(t));
        t->stay = true;
        return true;
    }
    return false;
}

bool text_action(struct text *t, enum action action)
{
    switch (action) {
    case ACTION_SCROLL_DOWN:
        move(t, 1);
        return true;
    case ACTION_SCROLL_UP:
        move(t, -1);
        return true;
    case ACTION_PAGE_DOWN:
        move(t, MAX(t->page - 1, 1));
        return true;
    case ACTION_PAGE_UP:
        move(t, -MAX(t->page - 1, 1));
        return true;
    case ACTION_HALF_DOWN:
        move(t, MAX(t->page / 2, 1));
        return true;
    case ACTION_HALF_UP:
        move(t, -MAX(t->page / 2, 1));
        return true;
    case ACTION_TOP:
        t->top = 0;
        t->stay = true;
        return true;
    case ACTION_BOTTOM:
        t->stay = false;
        return true;
    case ACTION_WRAP:
        t->cut = !t->cut;
        t->width = 0;
        return true;
    case ACTION_SEARCH_NEXT:
        return t->find[0] && text_find(t, t->find, false);
    case ACTION_SEARCH_BEFORE:
        return t->find[0] && text_find(t, t->find, true);
    default:
        return false;
    }
}

/* ---- as a sheet ---- */

const enum context text_place[] = {CONTEXT_TEXT, CONTEXT_END};

void text_sheet_close(struct app *a, void *text)
{
    (void)a;
    text_fini(text);
}

bool text_sheet_action(struct app *a, void *text, enum action action)
{
    (void)a;
    return text_action(text, action);
}
