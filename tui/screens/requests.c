/* requests.c: the live list, and beside or over it the inspector.
 *
 * The list shown is an array of counted rows and of lines that tell of switches, built anew when
 * the model, the filter or the order changes. Paused, it is simply not built. The cursor stays on
 * its request, whatever comes or goes around it; following keeps it on the newest. */
#include "tui/screens/requests.h"

#include "proxy/admin/filter.h"
#include "store/base/clock.h"
#include "tui/format.h"
#include "tui/screens/columns.h"
#include "tui/screens/filter_words.h"
#include "tui/screens/history.h"
#include "tui/screens/inspector.h"
#include "tui/screens/strip.h"
#include "tui/screens/welcome.h"
#include "tui/widgets/edit.h"
#include "tui/widgets/order.h"

#include <stdio.h>
#include <stdlib.h>

enum { RESORT_US = 1000000, LIVE_TICK_MS = 250, MARKS_MAX = 64, OLDER_MAX = 5000, PAGE_ROWS = 200 };

struct item { /* a request, or a line between them */
    struct row *row;
    int marker; /* index into the model's markers when row is NULL */
};

struct state {
    struct app *app;
    struct item *items;
    size_t count, room;
    struct table table;
    char selected[40];
    struct history older; /* from the store: before what the model holds */
    struct edit edit;
    bool editing, filter_on;
    char filter_text[EDIT_MAX + 1]; /* the last valid one */
    struct filter filter;
    char filter_error[160];
    unsigned generation;
    bool paused, marks_only;
    uint64_t seen_version;
    size_t paused_count;
    int64_t sorted_us;
    bool stale; /* to be built again */
    char marks[MARKS_MAX][40];
    size_t mark_count;
    enum time_form time_form;
    bool pane, focus_pane, zoom;
    int pane_share; /* per cent */
    struct inspector inspector;
    int64_t now_ms;
};

static const enum context list_place[] = {
    CONTEXT_REQUESTS, CONTEXT_SUBJECT, CONTEXT_LIST, CONTEXT_END};
static const enum context pane_place[] = {
    CONTEXT_INSPECT, CONTEXT_SUBJECT, CONTEXT_TEXT, CONTEXT_END};

static int column_time(void)
{
    return 0;
}

/* ---- the list ---- */

static bool is_marked(const struct state *s, struct str id)
{
    for (size_t i = 0; i < s->mark_count; i++)
        if (str_eq(str_c(s->marks[i]), id))
            return true;
    return false;
}

static bool passes(struct state *s, struct row *row)
{
    if (s->marks_only && !is_marked(s, row->r.id))
        return false;
    if (!s->filter_on || !s->filter.count)
        return true;
    if (row->generation != s->generation || row_is_live(row)) {
        row->match = filter_match(&s->filter, &row->r);
        row->generation = s->generation;
    }
    return row->match;
}

static void push_item(struct state *s, struct row *row, int marker)
{
    if (s->count == s->room) {
        size_t room = s->room ? s->room * 2 : 1024;
        struct item *items = realloc(s->items, room * sizeof *items);
        if (!items)
            return;
        s->items = items;
        s->room = room;
    }
    s->items[s->count++] = (struct item){row ? row_get(row) : NULL, marker};
}

static void drop_items(struct state *s)
{
    for (size_t i = 0; i < s->count; i++)
        row_put(s->items[i].row);
    s->count = 0;
}

static bool by_time(const struct state *s)
{
    return s->table.sort == column_time();
}

static struct {
    int column;
    bool descending;
    int64_t now_ms;
} order; /* qsort has no argument for it; one thread */

static int compare_items(const void *p, const void *q)
{
    const struct item *a = p, *b = q;
    int c = request_compare(a->row, b->row, order.column, order.now_ms);
    return order.descending ? -c : c;
}

static void sort_items(struct state *s)
{
    order.column = s->table.sort;
    order.descending = s->table.descending;
    order.now_ms = s->now_ms;
    qsort(s->items, s->count, sizeof *s->items, compare_items);
    s->sorted_us = clock_mono_us();
}

/* Markers stand where they fall in time; in another order they have no place. */
static void gather(struct state *s)
{
    const struct model *m = app_model(s->app);
    size_t marker = 0;
    bool lines = by_time(s) && !s->marks_only;
    int64_t first = s->older.count ? s->older.rows[0]->r.time_ms
                    : m->row_count ? m->rows[0]->r.time_ms
                                   : 0;
    while (marker < m->marker_count && m->markers[marker].time_ms < first)
        marker++;
    for (size_t i = 0; i < s->older.count + m->row_count; i++) {
        struct row *row = i < s->older.count ? s->older.rows[i] : m->rows[i - s->older.count];
        for (; lines && marker < m->marker_count && m->markers[marker].time_ms <= row->r.time_ms;
             marker++)
            push_item(s, NULL, (int)marker);
        if (passes(s, row))
            push_item(s, row, 0);
    }
    for (; lines && marker < m->marker_count; marker++)
        push_item(s, NULL, (int)marker);
}

static void reverse(struct state *s)
{
    for (size_t i = 0, j = s->count; i + 1 < j; i++) {
        struct item swap = s->items[i];
        s->items[i] = s->items[--j];
        s->items[j] = swap;
    }
}

static void find_selected(struct state *s)
{
    struct str id = str_c(s->selected);
    if (s->table.follow && by_time(s)) {
        table_select(&s->table, s->table.descending ? 0 : (int)s->count - 1);
        return;
    }
    for (size_t i = s->count; id.n && i-- > 0;)
        if (s->items[i].row && str_eq(s->items[i].row->r.id, id)) {
            int moved = (int)i - s->table.selected;
            s->table.top += moved; /* the row stays at its height on the screen */
            table_select(&s->table, (int)i);
            return;
        }
}

static void build(struct state *s)
{
    s->older.fresh = false;
    drop_items(s);
    gather(s);
    if (!by_time(s))
        sort_items(s);
    else if (s->table.descending)
        reverse(s);
    find_selected(s);
    s->stale = false;
    s->seen_version = app_model(s->app)->version;
}

static struct row *selected_row(const struct state *s)
{
    size_t i = (size_t)s->table.selected;
    return i < s->count ? s->items[i].row : NULL;
}

static void note_selected(struct state *s)
{
    struct row *row = selected_row(s);
    if (row)
        str_copy(s->selected, sizeof s->selected, row->r.id);
}

/* Less than a page, after a start or with a filter: the store is asked while the list is on screen.
 */
static void look_further(struct state *s)
{
    if (app_model(s->app)->seq && !s->editing && !s->marks_only && by_time(s) &&
        s->count < (size_t)MAX(s->table.page, 1))
        history_ask(&s->older, s->filter_on && s->filter.count ? s->filter_text : "");
}

/* ---- filter ---- */

static void apply_filter(struct state *s, const char *text)
{
    struct filter fresh;
    struct err e = {0};
    if (filter_parse(&fresh, str_c(text), app_now_ms(s->app), &e) < 0) {
        str_copy(s->filter_error, sizeof s->filter_error, str_c(e.text));
        return;
    }
    s->filter_error[0] = '\0';
    if (strcmp(text, s->filter_text) != 0)
        history_forget(&s->older);
    s->filter = fresh;
    /* terms point into the filter's own text: parse in place */
    if (filter_parse(&s->filter, str_c(text), app_now_ms(s->app), NULL) < 0)
        s->filter.count = 0;
    str_copy(s->filter_text, sizeof s->filter_text, str_c(text));
    s->filter_on = s->filter.count > 0;
    s->generation++;
    s->stale = true;
}

void requests_filter(struct app *a, const char *filter)
{
    app_show(a, "requests");
    struct state *s = app_state(a, "requests");
    if (!s)
        return;
    edit_set(&s->edit, filter);
    s->pane = s->focus_pane = s->zoom = s->editing = false;
    apply_filter(s, filter);
    s->table.follow = true;
}

static void add_to_filter(struct state *s)
{
    char term[400], text[EDIT_MAX + 1];
    struct row *row = selected_row(s);
    if (!row || !request_term(row, s->table.sort, term, sizeof term)) {
        app_say(
            s->app, ROLE_WARN, "this column has no value to filter by (< and > choose the column)");
        return;
    }
    snprintf(text, sizeof text, "%.500s%s%s", s->filter_text, s->filter_text[0] ? " " : "", term);
    edit_set(&s->edit, text);
    apply_filter(s, text);
}

static bool filter_key(struct state *s, int key)
{
    if (key == '\t') {
        if (filter_complete(&s->edit))
            apply_filter(s, s->edit.text);
        return true;
    }
    if (key == '\r') {
        s->editing = false;
        if (s->filter_error[0])
            app_say(s->app, ROLE_WARN, "filter: %s (the one before stays)", s->filter_error);
        return true;
    }
    if (key == 27) { /* leaves the field; a text that is not valid goes back */
        s->editing = false;
        edit_set(&s->edit, s->filter_text);
        s->filter_error[0] = '\0';
        return true;
    }
    if (edit_key(&s->edit, key)) {
        apply_filter(s, s->edit.text);
        return true;
    }
    return key != 3; /* ^C leaves */
}

/* ---- drawing ---- */

static void cell(void *ctx, int row, int column, int y, int x, int width)
{
    const struct state *s = ctx;
    request_cell(s->items[row].row, column, y, x, width, s->now_ms, s->time_form);
}

static void lead(void *ctx, int row, int y, int x)
{
    const struct state *s = ctx;
    if (is_marked(s, s->items[row].row->r.id))
        ui_put(y, x, 1, ROLE_MARKED, "•");
}

static bool is_rule(void *ctx, int row)
{
    return !((const struct state *)ctx)->items[row].row;
}

static bool rule(void *ctx, int row, int y, int x, int width)
{
    const struct state *s = ctx;
    const struct model *m = app_model(s->app);
    char clock[FORMAT_MAX];
    size_t i = (size_t)s->items[row].marker;
    if (s->items[row].row)
        return false;
    ui_hline(y, x, width, ROLE_SWITCH);
    if (i < m->marker_count)
        ui_printf(y, x + 2, width - 4, ROLE_SWITCH, " %s %s: %s%s ",
            format_clock(clock, m->markers[i].time_ms), m->markers[i].who, m->markers[i].text,
            m->markers[i].undo_rev ? " (u)" : "");
    return true;
}

static struct table_view view_of(struct state *s)
{
    return (struct table_view){
        .columns = request_columns,
        .column_count = request_column_count,
        .rows = (int)s->count,
        .ctx = s,
        .cell = cell,
        .lead = lead,
        .rule = rule,
        .is_rule = is_rule,
        .empty = !app_model(s->app)->seq ? "connecting…"
                 : !s->filter_on         ? "no request yet"
                 : s->older.asked        ? "searching…"
                                         : "nothing passes the filter (\\ turns it off)",
    };
}

static void draw_filter(struct state *s, int y, int width)
{
    int x = 1;
    x += ui_put(y, x, 2, ROLE_BAR_KEY, "/") + 1;
    if (s->editing) {
        edit_draw(&s->edit, y, x, MAX(width / 2, 10),
            s->filter_error[0] ? ROLE_INPUT_BAD : ROLE_INPUT, s->app);
        x += MAX(width / 2, 10) + 1;
        ui_put(y, x, width - x - 1, ROLE_BAD, s->filter_error);
    } else if (!s->filter_text[0]) {
        ui_put(y, x, width - x, ROLE_DIM, "(no filter)");
    } else {
        ui_put(y, x, width / 2, s->filter_on ? ROLE_INPUT : ROLE_DIM, s->filter_text);
    }
}

static size_t shown_rows(const struct state *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++)
        n += s->items[i].row != NULL;
    return n;
}

/* The line of filter and counts: "37 of 12408   ▲Time   PAUSED +37". */
static void draw_counts(struct state *s, int y, int width)
{
    const struct model *m = app_model(s->app);
    char right[160], count[64];
    size_t rows = shown_rows(s), all = m->row_count + s->older.count;
    bool narrowed = s->marks_only || s->filter_on;
    draw_filter(s, y, width);
    if (s->editing && (s->filter_error[0] || width < 70))
        return;
    if (narrowed)
        snprintf(count, sizeof count, "%zu of %zu", rows, all);
    else
        snprintf(count, sizeof count, "%zu", all);
    size_t fresh = m->row_count > s->paused_count ? m->row_count - s->paused_count : 0;
    char state[48] = "";
    if (s->paused)
        snprintf(state, sizeof state, "   PAUSED +%zu", fresh);
    else if (s->table.follow)
        snprintf(state, sizeof state, "   FOLLOW");
    snprintf(right, sizeof right, "%s%s%s   %s%s%s", s->marks_only ? "marked " : "", count,
        s->older.searched_back[0] && narrowed && !s->older.done ? "  searching back…" : "",
        s->table.descending ? "▼" : "▲", request_columns[s->table.sort].title, state);
    ui_put_right(y, width / 2 + 2, width - width / 2 - 3, s->paused ? ROLE_WARN : ROLE_DIM, right);
}

static bool side_by_side(struct rect r)
{
    return r.w >= 180;
}

static void draw_pane(struct state *s, struct rect *list, struct app *a)
{
    struct rect r = *list, pane;
    if (s->zoom || r.h < 16 || (s->focus_pane && r.h < 12)) {
        inspector_draw(&s->inspector, a, r, true);
        list->h = 0;
        return;
    }
    if (side_by_side(r)) {
        int w = r.w * s->pane_share / 100;
        pane = (struct rect){r.y, r.x + r.w - w, r.h, w};
        list->w -= w + 1;
        ui_vline(r.y, pane.x - 1, r.h, ROLE_RULE);
    } else {
        int h = MAX(r.h * s->pane_share / 100, 6);
        pane = (struct rect){r.y + r.h - h, r.x, h, r.w};
        list->h -= h;
    }
    struct table_view v = view_of(s);
    table_draw(&s->table, &v, *list, a);
    inspector_draw(&s->inspector, a, pane, s->focus_pane);
    if (!s->focus_pane)
        app_cursor(a, list->y + 1 + s->table.selected - s->table.top, list->x);
    list->h = 0;
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    const struct model *m = app_model(a);
    s->now_ms = app_now_ms(a);
    bool none = !m->row_count && !s->older.count && s->older.done && m->seq;
    if (none && !s->filter_text[0] && !s->editing) {
        welcome_draw(a, r);
        return;
    }
    if (s->stale || (s->older.fresh && !s->paused))
        build(s);
    if (r.w >= 180 && r.h >= 40)
        strip_draw(a, r.y++, r.w), r.h--;
    if (!app_compact(a) || s->editing || s->filter_text[0] || s->paused) {
        if (!s->zoom)
            draw_counts(s, r.y++, r.w), r.h--;
    }
    if (s->pane) {
        if (!s->focus_pane || !s->inspector.id[0])
            inspector_set(&s->inspector, a, selected_row(s));
        draw_pane(s, &r, a);
    }
    if (r.h > 0) {
        struct table_view v = view_of(s);
        table_draw(&s->table, &v, r, a);
    }
    note_selected(s);
}

/* ---- actions ---- */

static void step_problem(struct state *s, int by)
{
    for (int i = s->table.selected + by; i >= 0 && i < (int)s->count; i += by)
        if (s->items[i].row && row_is_problem(s->items[i].row)) {
            s->table.follow = false;
            table_select(&s->table, i);
            return;
        }
    app_say(s->app, ROLE_MESSAGE, "no %s problem in this list", by > 0 ? "further" : "earlier");
}

static void toggle_mark(struct state *s)
{
    struct row *row = selected_row(s);
    if (!row)
        return;
    for (size_t i = 0; i < s->mark_count; i++)
        if (str_eq(str_c(s->marks[i]), row->r.id)) {
            memmove(s->marks[i], s->marks[i + 1], (s->mark_count - i - 1) * sizeof s->marks[0]);
            s->mark_count--;
            return;
        }
    if (s->mark_count == MARKS_MAX)
        app_say(s->app, ROLE_WARN, "%d rows are marked already", MARKS_MAX);
    else
        str_copy(s->marks[s->mark_count++], sizeof s->marks[0], row->r.id);
}

static void toggle_pause(struct state *s)
{
    s->paused = !s->paused;
    s->paused_count = app_model(s->app)->row_count;
    s->stale = !s->paused;
}

static void open_pane(struct state *s, bool whole)
{
    struct row *row = selected_row(s);
    if (!row)
        return;
    s->pane = s->focus_pane = true;
    s->zoom = whole;
    s->table.follow = false;
    inspector_set(&s->inspector, s->app, row);
    inspector_first_tab(&s->inspector, row_is_live(row));
}

static void step_row(struct state *s, int by)
{
    struct table_view v = view_of(s);
    s->table.follow = false;
    table_action(&s->table, &v, by > 0 ? ACTION_DOWN : ACTION_UP);
    note_selected(s);
    inspector_set(&s->inspector, s->app, selected_row(s));
}

static bool pane_action(struct state *s, enum action action)
{
    switch (action) {
    case ACTION_BACK:
        if (inspector_back(&s->inspector))
            return true;
        s->focus_pane = s->zoom = false;
        s->pane = false;
        return true;
    case ACTION_PANE:
        if (s->zoom)
            s->zoom = false;
        s->focus_pane = false;
        return true;
    case ACTION_DETAIL:
        s->pane = s->focus_pane = s->zoom = false;
        return true;
    case ACTION_OTHER_DOWN:
        step_row(s, 1);
        return true;
    case ACTION_OTHER_UP:
        step_row(s, -1);
        return true;
    case ACTION_ZOOM:
        s->zoom = !s->zoom;
        return true;
    default:
        return inspector_action(&s->inspector, s->app, action);
    }
}

static void filter_action(struct state *s, enum action action)
{
    if (action == ACTION_FILTER) {
        s->editing = true;
        edit_set(&s->edit, s->filter_text);
    } else if (action == ACTION_FILTER_ADD) {
        add_to_filter(s);
    } else if (s->filter.count) {
        s->filter_on = !s->filter_on;
        history_forget(&s->older);
        s->stale = true;
    }
}

static void mark_action(struct state *s, enum action action)
{
    if (action == ACTION_MARK) {
        toggle_mark(s);
    } else if (action == ACTION_MARK_NONE) {
        s->mark_count = 0;
        s->marks_only = false;
    } else {
        s->marks_only = !s->marks_only && s->mark_count;
    }
    s->stale = true;
}

static void size_action(struct state *s, enum action action)
{
    int by = action == ACTION_GROW ? 5 : -5;
    s->pane_share = MAX(20, MIN(80, s->pane_share + by));
}

static void on_order(void *ctx, int column)
{
    struct state *s = ctx;
    if (column == s->table.sort)
        s->table.descending = !s->table.descending;
    s->table.sort = column;
    s->table.follow = column == column_time();
    s->stale = true;
}

static bool list_action(struct state *s, enum action action)
{
    switch (action) {
    case ACTION_OPEN:
        open_pane(s, !s->pane);
        return true;
    case ACTION_DETAIL:
        s->pane = !s->pane;
        s->zoom = s->focus_pane = false;
        if (s->pane)
            inspector_set(&s->inspector, s->app, selected_row(s));
        return true;
    case ACTION_PANE:
        s->focus_pane = s->pane;
        return true;
    case ACTION_FILTER:
    case ACTION_FILTER_TOGGLE:
    case ACTION_FILTER_ADD:
        filter_action(s, action);
        return true;
    case ACTION_PAUSE:
        toggle_pause(s);
        return true;
    case ACTION_FOLLOW:
        s->table.follow = !s->table.follow;
        s->stale = true;
        return true;
    case ACTION_PROBLEM_NEXT:
    case ACTION_PROBLEM_BEFORE:
        step_problem(s, action == ACTION_PROBLEM_NEXT ? 1 : -1);
        return true;
    case ACTION_MARK:
    case ACTION_MARK_ONLY:
    case ACTION_MARK_NONE:
        mark_action(s, action);
        return true;
    case ACTION_OTHER_DOWN:
    case ACTION_OTHER_UP:
        return s->pane && inspector_action(&s->inspector, s->app,
                              action == ACTION_OTHER_DOWN ? ACTION_SCROLL_DOWN : ACTION_SCROLL_UP);
    case ACTION_ZOOM:
        if (s->pane)
            s->zoom = s->focus_pane = true;
        return true;
    case ACTION_TIME_FORM:
        s->time_form = (s->time_form + 1) % TIME_FORMS;
        return true;
    case ACTION_SORT_MENU:
        order_menu(s->app, &(struct order_arg){"Order by", request_columns, request_column_count,
                               s->table.sort, on_order, s});
        return true;
    default:
        return false;
    }
}

static bool move_action(struct state *s, enum action action)
{
    struct table_view v = view_of(s);
    int sort = s->table.sort;
    bool descending = s->table.descending;
    if (s->paused == false && s->stale)
        build(s), v.rows = (int)s->count;
    if (!table_action(&s->table, &v, action))
        return false;
    if (!s->count)
        return true; /* nothing to leave: the first rows are still followed */
    s->table.follow = action == ACTION_BOTTOM && by_time(s) && !s->table.descending;
    if (sort != s->table.sort || descending != s->table.descending)
        s->stale = true;
    note_selected(s);
    if (by_time(s) && !s->table.descending && s->table.selected <= 1 && action != ACTION_DOWN)
        history_ask(&s->older, s->filter_on && s->filter.count ? s->filter_text : "");
    return true;
}

static bool action(struct app *a, void *state, enum action action)
{
    struct state *s = state;
    app_dirty(a);
    if (s->pane && (action == ACTION_GROW || action == ACTION_SHRINK)) {
        size_action(s, action);
        return true;
    }
    if (s->pane && s->focus_pane)
        return pane_action(s, action);
    return list_action(s, action) || move_action(s, action);
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    if (s->editing)
        return filter_key(s, key);
    if (s->pane && s->focus_pane && inspector_key(&s->inspector, a, key))
        return true;
    if (key == 27 && s->pane) {
        s->pane = s->focus_pane = s->zoom = false;
        return true;
    }
    if (key == KEY_N_WHEEL_UP || key == KEY_N_WHEEL_DOWN) {
        bool up = key == KEY_N_WHEEL_UP;
        if (s->focus_pane)
            return pane_action(s, up ? ACTION_SCROLL_UP : ACTION_SCROLL_DOWN);
        return move_action(s, up ? ACTION_UP : ACTION_DOWN);
    }
    return false;
}

/* ---- life ---- */

static const enum context *place(struct app *a, void *state)
{
    const struct state *s = state;
    (void)a;
    return s->pane && s->focus_pane ? pane_place : list_place;
}

static bool typing(struct app *a, void *state)
{
    const struct state *s = state;
    (void)a;
    return s->editing || inspector_typing(&s->inspector);
}

static const char *hint(struct app *a, void *state)
{
    const struct state *s = state;
    (void)a;
    return s->editing ? filter_hint(&s->edit) : NULL;
}

static void open(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    (void)arg;
    s->app = a;
    s->older.app = a;
    s->table.sort = column_time();
    s->table.follow = true;
    s->pane_share = 50;
    s->stale = true;
    s->generation = 1;
}

static void close(struct app *a, void *state)
{
    struct state *s = state;
    drop_items(s);
    history_forget(&s->older);
    free(s->items);
    inspector_fini(&s->inspector, a);
}

static void data(struct app *a, void *state)
{
    struct state *s = state;
    const struct model *m = app_model(a);
    if (s->pane)
        inspector_data(&s->inspector, a);
    if (s->paused || m->version == s->seen_version)
        return;
    if (by_time(s) || clock_mono_us() - s->sorted_us > RESORT_US)
        s->stale = true;
}

/* Rows in flight count up; nothing else here needs a clock. */
static int tick(struct app *a, void *state)
{
    struct state *s = state;
    const struct model *m = app_model(a);
    int wait = s->pane ? inspector_tick(&s->inspector, a) : -1;
    look_further(s);
    if (s->paused || !m->now.live)
        return wait;
    int64_t now = app_now_ms(a);
    if (now - s->now_ms >= LIVE_TICK_MS)
        app_dirty(a);
    return wait < 0 ? LIVE_TICK_MS : MIN(wait, LIVE_TICK_MS);
}

static bool subject(struct app *a, void *state, struct subject *out)
{
    const struct state *s = state;
    struct row *row = selected_row(s);
    char target[280];
    (void)a;
    if (s->pane && s->focus_pane && s->inspector.row)
        row = s->inspector.row;
    if (!row)
        return false;
    out->kind = SUBJECT_REQUEST;
    out->live = row_is_live(row);
    str_copy(out->id, sizeof out->id, row->r.id);
    str_copy(out->asked, sizeof out->asked, row->r.model_asked);
    str_copy(out->target, sizeof out->target, row_target(row, target));
    str_copy(out->route, sizeof out->route, row->r.route);
    str_copy(out->session, sizeof out->session, row->r.session);
    str_copy(out->key, sizeof out->key, row->r.key);
    str_copy(out->provider, sizeof out->provider, row->r.provider);
    return true;
}

void requests_open(struct app *a, struct str id)
{
    app_show(a, "requests");
    struct state *s = app_state(a, "requests");
    if (!s)
        return;
    str_copy(s->selected, sizeof s->selected, id);
    s->table.follow = false;
    s->pane = s->focus_pane = s->zoom = true;
    build(s);
    struct row *row = selected_row(s);
    if (row && str_eq(row->r.id, id)) {
        inspector_set(&s->inspector, a, row);
        inspector_first_tab(&s->inspector, row_is_live(row));
    } else {
        inspector_ask(&s->inspector, a, id);
    }
}

static void on_last_turn(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    struct row *row = status == 200 ? row_new(json_path(reply, "rows.0").raw) : NULL;
    if (!row) {
        s->pane = s->focus_pane = s->zoom = false;
        app_say(a, ROLE_WARN, "no request of this session is kept");
        return;
    }
    inspector_set(&s->inspector, a, row);
    inspector_first_tab(&s->inspector, row_is_live(row));
    row_put(row);
}

void requests_follow(struct app *a, struct str session)
{
    char name[200], path[700];
    struct buf query;
    str_copy(name, sizeof name, session);
    app_show(a, "requests");
    struct state *s = app_state(a, "requests");
    if (!s)
        return;
    s->table.follow = false;
    s->pane = s->focus_pane = s->zoom = true;
    if (inspector_follow_session(&s->inspector, a, str_c(name)))
        return;
    buf_init(&query, 600); /* its last turn is older than what the list holds */
    buf_puts(&query, "exchanges?limit=1&filter=session%3A%3D%22");
    link_path(&query, str_c(name));
    buf_puts(&query, "%22");
    snprintf(path, sizeof path, "%s", query.err ? "exchanges?limit=1" : buf_c(&query));
    buf_fini(&query);
    app_ask(a, s, "GET", path, STR_NULL, on_last_turn);
}

const struct screen screen_requests = {
    .name = "requests",
    .title = "Requests",
    .brief = "Req",
    .digit = '1',
    .size = sizeof(struct state),
    .contexts = list_place,
    .place = place,
    .open = open,
    .close = close,
    .draw = draw,
    .key = key,
    .action = action,
    .data = data,
    .tick = tick,
    .typing = typing,
    .hint = hint,
    .subject = subject,
};
