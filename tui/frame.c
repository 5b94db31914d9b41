/* frame.c: one whole frame: header, the screen, sheets over it, the last line. */
#include "tui/app.h"

#include "tui/format.h"
#include "tui/widgets/chart.h"

#include <stdio.h>

enum { SEGMENTS_MAX = 12 };

/* A figure of the header; those that matter least are left out first. */
struct segment {
    char text[96];
    enum role role;
    int priority; /* 1 stays longest */
    bool on;
};

struct segments {
    struct segment s[SEGMENTS_MAX];
    int n;
};

static void add(struct segments *all, int priority, enum role role, const char *text)
{
    if (all->n == SEGMENTS_MAX || !*text)
        return;
    struct segment *s = &all->s[all->n++];
    *s = (struct segment){.role = role, .priority = priority, .on = true};
    str_copy(s->text, sizeof s->text, str_c(text));
}

/* What the process takes beside the most that it may hold for requests; near that it refuses, so
 * what is held is told sooner and louder. */
static void add_memory(struct segments *all, const struct figures *f)
{
    char b[FORMAT_MAX], most[FORMAT_MAX], line[128];
    bool near = f->held_most_bytes && f->held_bytes > f->held_most_bytes / 10 * 8;
    format_bytes(most, f->held_most_bytes);
    snprintf(line, sizeof line, "%s %s%s%s", near ? "held" : "mem",
        format_bytes(b, near ? f->held_bytes : f->mem_bytes), f->held_most_bytes ? "/" : "",
        f->held_most_bytes ? most : "");
    add(all, near ? 3 : 10, near ? ROLE_WARN : ROLE_DIM, line);
}

static void gather(struct app *a, struct segments *all, int width)
{
    const struct figures *f = &a->model.now;
    const struct gateway *g = &a->model.gateway;
    char b[FORMAT_MAX], line[128];
    bool brief = width < 100;
    if (!a->connected) {
        add(all, 1, ROLE_BAD, a->trouble[0] ? "✗ no gateway" : "…");
        return;
    }
    for (size_t i = 0; i < a->model.trouble_count; i++) {
        const struct trouble *t = &a->model.trouble[i];
        snprintf(line, sizeof line, "✗ %.24s %s %%", t->provider, format_share(b, t->err_ppm));
        if (i == 0)
            add(all, 2, ROLE_BAD, line);
    }
    if (strcmp(g->open_to, "any") == 0)
        add(all, 3, ROLE_BAD, brief ? "open" : "open to any user");
    snprintf(line, sizeof line, "%s/s", format_rate(b, f->req_per_s));
    add(all, 4, ROLE_HEADER, line);
    snprintf(line, sizeof line, brief ? "%slive" : "%s live", format_count(b, f->live));
    add(all, 5, f->live ? ROLE_LIVE : ROLE_HEADER, line);
    snprintf(line, sizeof line, brief ? "%s%%e" : "%s%% err", format_share(b, f->err_ppm));
    add(all, 6,
        f->err_ppm >= 50000   ? ROLE_BAD
        : f->err_ppm >= 10000 ? ROLE_WARN
                              : ROLE_HEADER,
        line);
    snprintf(line, sizeof line, brief ? "%s" : "%s today", format_dollars(b, f->today_nano));
    add(all, 4, ROLE_MONEY, line);
    snprintf(line, sizeof line, "%s/h%s%.20s", format_dollars(b, f->nano_per_hour),
        f->top_key[0] ? " ▲" : "", f->top_key);
    add(all, 8, ROLE_MONEY, line);
    if (width >= 120) {
        add_memory(all, f);
        snprintf(line, sizeof line, "%.40s@%.40s", g->owner,
            strstr(g->listen, "//") ? strstr(g->listen, "//") + 2 : g->listen);
        add(all, 9, ROLE_DIM, g->owner[0] ? line : "");
    }
    if (app_slow(a))
        add(all, 7, ROLE_WARN, "slow");
    if (f->consoles > 1) {
        snprintf(line, sizeof line, "%s attached", format_count(b, f->consoles));
        add(all, 11, ROLE_DIM, line);
    }
    if (a->options.readonly)
        add(all, 7, ROLE_WARN, "readonly");
    if (g->demo)
        add(all, 7, ROLE_WARN, "demo");
}

static int columns_of(const struct segments *all)
{
    int n = 0;
    for (int i = 0; i < all->n; i++)
        if (all->s[i].on) {
            const char *p = all->s[i].text;
            for (; *p; p++)
                n += (*p & 0xC0) != 0x80;
            n += 2;
        }
    return n ? n - 1 : 0; /* the last gap is half */
}

static void fit(struct segments *all, int width)
{
    while (columns_of(all) > width) {
        int worst = -1;
        for (int i = 0; i < all->n; i++)
            if (all->s[i].on && (worst < 0 || all->s[i].priority >= all->s[worst].priority))
                worst = i;
        if (worst < 0)
            return;
        all->s[worst].on = false;
    }
}

/* The tabs that a person can press; narrow terminals show the present one only. */
static int draw_tabs(struct app *a, int width)
{
    int x = 0;
    if (width >= 100)
        x += ui_put(0, x, 11, ROLE_TITLE, "pointsman ");
    for (size_t i = 0; i < a->screen_count; i++) {
        const struct screen *s = a->screens[i].screen;
        bool on = i == a->current;
        char label[48];
        a->tab_x[i] = width < 70 && !on ? -1 : x;
        if (a->tab_x[i] < 0)
            continue;
        snprintf(label, sizeof label, width >= 150 ? "%c %s" : "%c%s", s->digit,
            width >= 150 ? s->title : s->brief);
        x += ui_put(0, x, width - x, on ? ROLE_TAB_ON : ROLE_TAB, label);
        x += ui_put(0, x, 1, ROLE_TAB, " ");
    }
    a->tab_end = x;
    return x;
}

static void draw_header(struct app *a, int width)
{
    struct segments all = {.n = 0};
    int x = draw_tabs(a, width), spark = width >= 120 && !app_slow(a) ? 9 : 0;
    gather(a, &all, width);
    fit(&all, width - x - 3 - spark);
    if (spark && a->connected)
        chart_spark(0, width - columns_of(&all) - spark - 1, 8, ROLE_CHART,
            a->model.now.req_history, a->model.now.history);
    x = width - columns_of(&all) - 1;
    for (int i = 0; i < all.n; i++)
        if (all.s[i].on)
            x += ui_put(0, x, width - x, all.s[i].role, all.s[i].text) + 2;
    ui_put(0, width - 1, 1, a->connected ? ROLE_OK : ROLE_BAD, a->connected ? "●" : "○");
}

static int bar_item(int y, int x, int width, const struct key_row *row)
{
    char key[16];
    keymap_show(row->keys, key);
    int need = (int)strlen(key) + (int)strlen(row->label) + 3;
    if (x + need > width)
        return 0;
    int n = ui_put(y, x, width - x, ROLE_BAR_KEY, key);
    if (strcmp(row->label, row->keys) != 0 && strcmp(row->label, key) != 0)
        n += 1 + ui_put(y, x + n + 1, width - x - n - 1, ROLE_BAR, row->label);
    return n + 2;
}

static bool in_bar(const struct key_row *row, const enum context *contexts)
{
    if (!row->rank || !*row->label || !*row->keys || keymap_row(contexts, row->action) != row)
        return false;
    return true;
}

/* The keys that matter most here, in the order of their rank; `?` always ends the line. */
static void draw_bar(struct app *a, int y, int width)
{
    const struct shown *top = app_top(a);
    const enum context *contexts = app_place(a, top);
    int x = 1;
    for (int rank = 1; rank <= 8; rank++)
        for (size_t i = 0; i < key_row_count; i++)
            if (key_rows[i].rank == rank && in_bar(&key_rows[i], contexts))
                x += bar_item(y, x, width - 3, &key_rows[i]);
    ui_put(y, MIN(x, width - 2), 1, ROLE_BAR_KEY, "?");
}

static void draw_last_line(struct app *a, int y, int width)
{
    const struct shown *top = app_top(a);
    const struct screen *s = top->screen;
    const char *hint = s->hint ? s->hint(a, top->state) : s->line;
    if (a->message[0])
        ui_put(y, 1, width - 2, a->message_role, a->message);
    else if (!a->connected && a->trouble[0])
        ui_printf(y, 1, width - 2, ROLE_BAD, "%s; asking again every second (%s)", a->trouble,
            a->options.socket);
    else if (hint)
        ui_put(y, 1, width - 2, ROLE_BAR, hint);
    else if (!a->sheet_count)
        draw_bar(a, y, width);
}

static void draw_tiny(struct app *a, int width)
{
    const struct figures *f = &a->model.now;
    char r[FORMAT_MAX], e[FORMAT_MAX], m[FORMAT_MAX];
    if (!a->connected) {
        ui_put(0, 0, width, ROLE_BAD, "no gateway");
        return;
    }
    ui_printf(0, 0, width, ROLE_TEXT, "%s/s  %s%% err  %s", format_rate(r, f->req_per_s),
        format_share(e, f->err_ppm), format_dollars(m, f->today_nano));
}

void frame_draw(struct app *a)
{
    int rows, columns;
    terminal_size(&rows, &columns);
    a->cursor_y = a->cursor_x = -1;
    ui_under(ROLE_NONE);
    if (rows < 6 || columns < 28) {
        draw_tiny(a, columns);
        terminal_frame_end(-1, 0);
        return;
    }
    ui_fill((struct rect){0, 0, rows, columns}, ROLE_TEXT);
    struct rect body = {1, 0, rows - 2, columns};
    struct shown *s = app_current(a);
    size_t first = 0;
    for (size_t i = 0; i < a->sheet_count; i++)
        if (a->sheets[i].screen->full)
            first = i + 1;
    if (!first)
        s->screen->draw(a, s->state, body);
    for (size_t i = first ? first - 1 : 0; i < a->sheet_count; i++)
        a->sheets[i].screen->draw(a, a->sheets[i].state, body);
    draw_header(a, columns);
    draw_last_line(a, rows - 1, columns);
    terminal_frame_end(a->cursor_y, a->cursor_x);
}
