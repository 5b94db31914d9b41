/* request_list.c: see request_list.h. */
#include "tui/screens/request_list.h"

#include "store/base/array.h"
#include "store/base/clock.h"
#include "tui/format.h"
#include "tui/settings.h"
#include "tui/widgets/order.h"

#include <stdio.h>
#include <stdlib.h>

enum { RESORT_US = 1000000, LIVE_TICK_MS = 250, AWAY_TICK_MS = 1000, COLUMN_TIME = 0 };

/* ---- which rows ---- */

static bool is_marked(const struct request_list *l, struct str id)
{
    for (size_t i = 0; i < l->mark_count; i++)
        if (str_eq(str_c(l->marks[i]), id))
            return true;
    return false;
}

static bool passes(struct request_list *l, struct row *row)
{
    if (l->marks_only && !is_marked(l, row->r.id))
        return false;
    return filter_line_passes(&l->filter, row);
}

static void push_item(struct request_list *l, struct row *row, int marker)
{
    if (array_room(&l->items, &l->room, l->count, sizeof *l->items))
        l->items[l->count++] = (struct request_item){row ? row_get(row) : NULL, marker};
}

static void drop_items(struct request_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        row_put(l->items[i].row);
    l->count = 0;
}

static bool by_time(const struct request_list *l)
{
    return l->table.sort == COLUMN_TIME;
}

static struct {
    int column;
    bool descending;
    int64_t now_ms;
} order; /* qsort has no argument for it; one thread */

static int compare_items(const void *p, const void *q)
{
    const struct request_item *a = p, *b = q;
    int c = request_compare(a->row, b->row, order.column, order.now_ms);
    return order.descending ? -c : c;
}

static void sort_items(struct request_list *l)
{
    order.column = l->table.sort;
    order.descending = l->table.descending;
    order.now_ms = l->now_ms;
    qsort(l->items, l->count, sizeof *l->items, compare_items);
    l->sorted_us = clock_mono_us();
}

/* Markers stand where they fall in time; in another order they have no place. */
static void gather(struct request_list *l)
{
    const struct model *m = app_model(l->app);
    size_t marker = 0;
    bool lines = by_time(l) && !l->marks_only;
    int64_t first = l->older.count ? l->older.rows[0]->r.time_ms
                    : m->row_count ? m->rows[0]->r.time_ms
                                   : 0;
    while (marker < m->marker_count && m->markers[marker].time_ms < first)
        marker++;
    for (size_t i = 0; i < l->older.count + m->row_count; i++) {
        struct row *row = i < l->older.count ? l->older.rows[i] : m->rows[i - l->older.count];
        for (; lines && marker < m->marker_count && m->markers[marker].time_ms <= row->r.time_ms;
             marker++)
            push_item(l, NULL, (int)marker);
        if (passes(l, row))
            push_item(l, row, 0);
    }
    for (; lines && marker < m->marker_count; marker++)
        push_item(l, NULL, (int)marker);
}

static void reverse(struct request_list *l)
{
    for (size_t i = 0, j = l->count; i + 1 < j; i++) {
        struct request_item swap = l->items[i];
        l->items[i] = l->items[--j];
        l->items[j] = swap;
    }
}

static void find_selected(struct request_list *l)
{
    struct str id = str_c(l->selected);
    if (l->table.follow && by_time(l)) {
        table_select(&l->table, l->table.descending ? 0 : (int)l->count - 1);
        return;
    }
    for (size_t i = l->count; id.n && i-- > 0;)
        if (l->items[i].row && str_eq(l->items[i].row->r.id, id)) {
            int moved = (int)i - l->table.selected;
            l->table.top += moved; /* the row stays at its height on the screen */
            table_select(&l->table, (int)i);
            return;
        }
}

static void build(struct request_list *l)
{
    l->older.fresh = false;
    drop_items(l);
    gather(l);
    if (!by_time(l))
        sort_items(l);
    else if (l->table.descending)
        reverse(l);
    find_selected(l);
    l->stale = false;
    l->seen_version = app_model(l->app)->version;
}

struct row *request_list_row(const struct request_list *l)
{
    size_t i = (size_t)l->table.selected;
    return i < l->count ? l->items[i].row : NULL;
}

static void note_selected(struct request_list *l)
{
    struct row *row = request_list_row(l);
    if (row)
        str_copy(l->selected, sizeof l->selected, row->r.id);
}

void request_list_select(struct request_list *l, struct str id)
{
    str_copy(l->selected, sizeof l->selected, id);
    l->table.follow = false;
    build(l);
}

void request_list_refresh(struct request_list *l)
{
    unsigned missed = app_model(l->app)->missed;
    if (l->generation != l->filter.generation || l->seen_missed != missed) {
        l->generation = l->filter.generation;
        l->seen_missed = missed;
        history_forget(&l->older);
        l->stale = true;
    }
    if (l->stale || (l->older.fresh && !l->paused))
        build(l);
}

void request_list_data(struct request_list *l)
{
    if (l->paused || app_model(l->app)->version == l->seen_version)
        return;
    if (by_time(l) || clock_mono_us() - l->sorted_us > RESORT_US)
        l->stale = true;
}

/* Less than a page, after a start or with a filter: the store is asked while the list is on screen.
 */
static void look_further(struct request_list *l)
{
    if (app_model(l->app)->seq && !l->filter.editing && !l->marks_only && by_time(l) &&
        l->count < (size_t)MAX(l->table.page, 1))
        history_ask(&l->older, filter_line_active(&l->filter));
}

/* Rows in flight count up; nothing else here needs a clock. */
int request_list_tick(struct request_list *l)
{
    look_further(l);
    if (l->paused || !app_model(l->app)->now.live || app_slow(l->app))
        return -1;
    int every_ms = app_away(l->app) ? AWAY_TICK_MS : LIVE_TICK_MS;
    if (app_now_ms(l->app) - l->now_ms >= every_ms)
        app_dirty(l->app);
    return every_ms;
}

bool request_list_stop(struct request_list *l)
{
    const struct history *h = &l->older;
    bool short_of = h->asked || l->count < (size_t)MAX(l->table.page, 1);
    if (!filter_line_narrows(&l->filter) || h->done || h->stopped || !short_of)
        return false;
    history_stop(&l->older);
    app_say(l->app, ROLE_MESSAGE, "search stopped; g or a page up at the top goes on");
    return true;
}

bool request_list_none(const struct request_list *l)
{
    const struct model *m = app_model(l->app);
    return !m->row_count && !l->older.count && l->older.done && m->seq && !l->filter.text[0] &&
           !l->filter.editing;
}

/* ---- drawing ---- */

/* The request before this one in the list, whichever way it is ordered; lines do not count. */
static const struct row *row_before(const struct request_list *l, int row)
{
    int by = by_time(l) && l->table.descending ? 1 : -1;
    for (int i = row + by; i >= 0 && i < (int)l->count; i += by)
        if (l->items[i].row)
            return l->items[i].row;
    return NULL;
}

static void cell(void *ctx, int row, int column, int y, int x, int width)
{
    const struct request_list *l = ctx;
    struct time_style times = {l->time_form, l->now_ms, NULL};
    if (column == COLUMN_TIME && l->time_form == TIME_DELTA)
        times.before = row_before(l, row);
    request_cell(l->items[row].row, column, y, x, width, &times);
}

static void lead(void *ctx, int row, int y, int x)
{
    const struct request_list *l = ctx;
    if (is_marked(l, l->items[row].row->r.id))
        ui_put(y, x, 1, ROLE_MARKED, "•");
}

static bool is_rule(void *ctx, int row)
{
    return !((const struct request_list *)ctx)->items[row].row;
}

static bool rule(void *ctx, int row, int y, int x, int width)
{
    const struct request_list *l = ctx;
    const struct model *m = app_model(l->app);
    char clock[FORMAT_MAX];
    size_t i = (size_t)l->items[row].marker;
    if (l->items[row].row)
        return false;
    ui_hline(y, x, width, ROLE_SWITCH);
    if (i < m->marker_count)
        ui_printf(y, x + 2, width - 4, ROLE_SWITCH, " %s %s: %s%s ",
            format_clock(clock, m->markers[i].time_ms), m->markers[i].who, m->markers[i].text,
            m->markers[i].undo_rev ? " (u)" : "");
    return true;
}

static struct table_view view_of(struct request_list *l)
{
    return (struct table_view){
        .columns = &request_columns[0].head,
        .stride = sizeof request_columns[0],
        .column_count = request_column_count,
        .rows = (int)l->count,
        .ctx = l,
        .cell = cell,
        .lead = lead,
        .rule = rule,
        .is_rule = is_rule,
        .empty = !app_model(l->app)->seq ? "connecting…"
                 : !l->filter.on         ? "no request yet"
                 : l->older.asked        ? "searching…"
                                         : "nothing passes the filter (\\ turns it off)",
    };
}

void request_list_draw(struct request_list *l, struct rect r)
{
    struct table_view v = view_of(l);
    table_draw(&l->table, &v, r, l->app);
    note_selected(l);
}

static size_t shown_rows(const struct request_list *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->count; i++)
        n += l->items[i].row != NULL;
    return n;
}

/* The line of filter and counts: "37 of 12408   ▲Time   PAUSED +37". */
void request_list_draw_counts(struct request_list *l, int y, int width)
{
    const struct model *m = app_model(l->app);
    char right[160], count[64], state[48] = "";
    size_t all = m->row_count + l->older.count;
    size_t fresh = m->row_count > l->paused_count ? m->row_count - l->paused_count : 0;
    bool narrowed = l->marks_only || l->filter.on;
    filter_line_draw(&l->filter, l->app, y, width);
    if (l->filter.editing && (l->filter.error[0] || width < 70))
        return;
    if (narrowed)
        snprintf(count, sizeof count, "%zu of %zu", shown_rows(l), all);
    else
        snprintf(count, sizeof count, "%zu", all);
    if (l->paused)
        snprintf(state, sizeof state, "   PAUSED +%zu", fresh);
    else if (l->table.follow)
        snprintf(state, sizeof state, "   FOLLOW");
    snprintf(right, sizeof right, "%s%s%s   %s%s%s", l->marks_only ? "marked " : "", count,
        l->older.searched_back[0] && l->filter.on && !l->older.done ? "  searching back…" : "",
        l->table.descending ? "▼" : "▲", request_columns[l->table.sort].head.title, state);
    ui_put_right(y, width / 2 + 2, width - width / 2 - 3, l->paused ? ROLE_WARN : ROLE_DIM, right);
}

/* ---- actions ---- */

static void step_problem(struct request_list *l, int by)
{
    for (int i = l->table.selected + by; i >= 0 && i < (int)l->count; i += by)
        if (l->items[i].row && row_is_problem(l->items[i].row)) {
            l->table.follow = false;
            table_select(&l->table, i);
            return;
        }
    app_say(l->app, ROLE_MESSAGE, "no %s problem in this list", by > 0 ? "further" : "earlier");
}

static void mark(struct request_list *l, struct str id)
{
    if (is_marked(l, id))
        return;
    if (l->mark_count == REQUEST_MARKS_MAX)
        app_say(l->app, ROLE_WARN, "%d rows are marked already", REQUEST_MARKS_MAX);
    else
        str_copy(l->marks[l->mark_count++], sizeof l->marks[0], id);
}

static void toggle_mark(struct request_list *l)
{
    struct row *row = request_list_row(l);
    for (size_t i = 0; row && i < l->mark_count; i++)
        if (str_eq(str_c(l->marks[i]), row->r.id)) {
            memmove(l->marks[i], l->marks[i + 1], (l->mark_count - i - 1) * sizeof l->marks[0]);
            l->mark_count--;
            return;
        }
    if (row)
        mark(l, row->r.id);
}

/* From the row that was marked last to the cursor. */
static void mark_range(struct request_list *l)
{
    int to = l->table.selected, from = to;
    struct str last = l->mark_count ? str_c(l->marks[l->mark_count - 1]) : STR_NULL;
    for (size_t i = 0; last.n && i < l->count; i++)
        if (l->items[i].row && str_eq(l->items[i].row->r.id, last))
            from = (int)i;
    for (int i = MIN(from, to); i <= MAX(from, to) && i < (int)l->count; i++)
        if (l->items[i].row)
            mark(l, l->items[i].row->r.id);
}

static void mark_action(struct request_list *l, enum action action)
{
    if (action == ACTION_MARK) {
        toggle_mark(l);
    } else if (action == ACTION_MARK_RANGE) {
        mark_range(l);
    } else if (action == ACTION_MARK_NONE) {
        l->mark_count = 0;
        l->marks_only = false;
    } else {
        l->marks_only = !l->marks_only && l->mark_count;
    }
    l->stale = true;
}

static void add_to_filter(struct request_list *l)
{
    char term[400];
    struct row *row = request_list_row(l);
    if (row && request_term(row, l->table.sort, term, sizeof term))
        filter_line_add(&l->filter, l->app, term);
    else
        app_say(
            l->app, ROLE_WARN, "this column has no value to filter by (< and > choose the column)");
}

static void toggle_pause(struct request_list *l)
{
    l->paused = !l->paused;
    l->paused_count = app_model(l->app)->row_count;
    l->stale = !l->paused;
}

static void on_order(void *ctx, int column)
{
    struct request_list *l = ctx;
    if (column == l->table.sort)
        l->table.descending = !l->table.descending;
    l->table.sort = column;
    l->table.follow = column == COLUMN_TIME;
    l->stale = true;
}

static bool move_action(struct request_list *l, enum action action)
{
    int sort = l->table.sort;
    bool descending = l->table.descending;
    if (!l->paused)
        request_list_refresh(l);
    struct table_view v = view_of(l);
    if (!table_action(&l->table, &v, action))
        return false;
    if (!l->count || action == ACTION_COLUMN_LEFT || action == ACTION_COLUMN_RIGHT)
        return true; /* no row was left: the newest is still followed */
    l->table.follow = action == ACTION_BOTTOM && by_time(l) && !l->table.descending;
    if (sort != l->table.sort || descending != l->table.descending)
        l->stale = true;
    note_selected(l);
    if (by_time(l) && !l->table.descending && l->table.selected <= 1 && action != ACTION_DOWN) {
        history_resume(&l->older);
        history_ask(&l->older, filter_line_active(&l->filter));
    }
    return true;
}

void request_list_step(struct request_list *l, int by)
{
    struct table_view v = view_of(l);
    l->table.follow = false;
    table_action(&l->table, &v, by > 0 ? ACTION_DOWN : ACTION_UP);
    note_selected(l);
}

bool request_list_click(struct request_list *l, int y)
{
    struct table_view v = view_of(l);
    if (!table_click(&l->table, &v, y))
        return false;
    l->table.follow = false;
    note_selected(l);
    return true;
}

bool request_list_columns(struct request_list *l, struct str names, struct str *unknown)
{
    struct table_view v = view_of(l);
    return table_choose(&l->table, &v, names, unknown);
}

static void open_order(struct request_list *l)
{
    struct table_view v = view_of(l);
    order_menu(l->app, &(struct order_arg){"Order by", &v, l->table.sort, on_order, l});
}

bool request_list_action(struct request_list *l, enum action action)
{
    switch (action) {
    case ACTION_FILTER:
        filter_line_edit(&l->filter);
        return true;
    case ACTION_FILTER_TOGGLE:
        filter_line_toggle(&l->filter);
        return true;
    case ACTION_FILTER_ADD:
        add_to_filter(l);
        return true;
    case ACTION_PAUSE:
        toggle_pause(l);
        return true;
    case ACTION_FOLLOW:
        l->table.follow = !l->table.follow;
        l->stale = true;
        return true;
    case ACTION_PROBLEM_NEXT:
    case ACTION_PROBLEM_BEFORE:
        step_problem(l, action == ACTION_PROBLEM_NEXT ? 1 : -1);
        return true;
    case ACTION_MARK:
    case ACTION_MARK_RANGE:
    case ACTION_MARK_ONLY:
    case ACTION_MARK_NONE:
        mark_action(l, action);
        return true;
    case ACTION_TIME_FORM:
        l->time_form = (l->time_form + 1) % TIME_FORMS;
        return true;
    case ACTION_SORT_MENU:
        open_order(l);
        return true;
    default:
        return move_action(l, action);
    }
}

/* ---- life ---- */

void request_list_init(struct request_list *l, struct app *a)
{
    struct str unknown;
    l->app = a;
    l->older.app = a;
    l->table.sort = COLUMN_TIME;
    l->table.follow = true;
    l->stale = true;
    l->generation = l->filter.generation = 1;
    typed_open(&l->filter.kept, "filters");
    request_list_columns(l, str_c(settings_text(app_settings(a), "columns requests")), &unknown);
}

void request_list_fini(struct request_list *l)
{
    drop_items(l);
    history_forget(&l->older);
    free(l->items);
}
