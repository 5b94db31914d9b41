/* listing.c: see listing.h. */
#include "tui/widgets/listing.h"

#include "store/base/array.h"
#include "store/base/clock.h"
#include "tui/format.h"
#include "tui/settings.h"
#include "tui/widgets/chart.h"
#include "tui/widgets/order.h"

#include <stdio.h>
#include <stdlib.h>

enum { REFRESH_MS = 2000, RETRY_MS = 1000 };

int64_t listing_i64(struct str object, const char *path)
{
    struct json_span v = json_path(object, path);
    int64_t n;
    if (json_i64(v, &n) == 0)
        return n;
    return v.type == JSON_NUMBER ? (int64_t)listing_double(object, path) : 0;
}

double listing_double(struct str object, const char *path)
{
    char digits[40];
    str_copy(digits, sizeof digits, json_path(object, path).raw);
    return strtod(digits, NULL);
}

void listing_text(struct str object, const char *path, char *out, size_t size)
{
    struct arena a;
    struct json_span v = json_path(object, path);
    arena_init(&a, 512, 65536);
    str_copy(out, size,
        v.type == JSON_STRING   ? json_text(v, &a)
        : v.type == JSON_NUMBER ? v.raw
                                : STR(""));
    arena_fini(&a);
}

void listing_init(struct listing *l, struct app *a, const struct listing_def *def)
{
    char key[80];
    struct str unknown;
    *l = (struct listing){.app = a, .def = def, .table = {.sort = -1}};
    buf_init(&l->reply, 32 << 20);
    for (size_t i = 0; def->order && i < def->count; i++)
        if (strcmp(def->columns[i].head.name, def->order) == 0)
            l->table.sort = (int)i, l->table.descending = true;
    snprintf(key, sizeof key, "columns %s", def->path);
    listing_columns(a, l, str_c(settings_text(app_settings(a), key)), &unknown);
}

void listing_close(struct app *a, void *list)
{
    struct listing *l = list;
    app_forget(a, l);
    buf_fini(&l->reply);
    free(l->rows);
}

struct str listing_row(const struct listing *l)
{
    size_t i = (size_t)l->table.selected;
    return i < l->count ? l->rows[i] : STR_NULL;
}

static void note_selected(struct listing *l)
{
    struct str row = listing_row(l);
    if (row.n)
        listing_text(row, l->def->id, l->selected, sizeof l->selected);
}

void listing_select(struct listing *l, const char *name)
{
    char id[300];
    str_copy(l->selected, sizeof l->selected, str_c(name));
    for (size_t i = 0; i < l->count; i++) {
        listing_text(l->rows[i], l->def->id, id, sizeof id);
        if (strcmp(id, name) == 0)
            table_select(&l->table, (int)i);
    }
}

/* ---- order ---- */

static struct {
    struct listing *list;
    const struct listing_column *column;
    int index;
    bool descending;
} order; /* qsort has no argument for it; one thread */

static int compare_text(struct str a, struct str b)
{
    char p[300], q[300];
    listing_text(a, order.column->path, p, sizeof p);
    listing_text(b, order.column->path, q, sizeof q);
    return strcmp(p, q);
}

static bool is_text(const struct listing_column *c)
{
    return c->kind <= CELL_ACCENT || c->kind == CELL_OWN_TEXT;
}

/* The worst on top: what does not work, what does badly, what was taken out, what is well. */
static int sickness(struct str row, const char *path)
{
    static const char *const from_well[] = {"ok", "drained", "probing", "errors"};
    char state[40];
    listing_text(row, path, state, sizeof state);
    for (size_t i = 0; i < ARRAY_LEN(from_well); i++)
        if (strcmp(state, from_well[i]) == 0)
            return (int)i;
    return (int)ARRAY_LEN(from_well);
}

static double key_of(struct str row)
{
    const struct listing_def *def = order.list->def;
    if (order.column->kind == CELL_OWN && def->own_key)
        return (double)def->own_key(order.list, row, order.index);
    if (order.column->kind == CELL_STATE)
        return sickness(row, order.column->path);
    return listing_double(row, order.column->path);
}

static int compare_rows(const void *p, const void *q)
{
    const struct str *a = p, *b = q;
    int c;
    if (is_text(order.column)) {
        c = compare_text(*a, *b);
    } else {
        double x = key_of(*a), y = key_of(*b);
        c = x < y ? -1 : x > y;
    }
    c = order.descending ? -c : c;
    return c ? c : a->p < b->p ? -1 : a->p > b->p;
}

static void sort_rows(struct listing *l)
{
    if (l->table.sort < 0 || !l->count)
        return;
    order.list = l;
    order.index = l->table.sort;
    order.column = &l->def->columns[l->table.sort];
    order.descending = l->table.descending;
    qsort(l->rows, l->count, sizeof *l->rows, compare_rows);
}

/* ---- asking ---- */

/* The filter looks at what the row says in words, figures do not count. */
static bool passes(const struct listing *l, struct str row)
{
    char text[2000];
    size_t n = 0;
    if (!l->sift.edit.n)
        return true;
    for (size_t i = 0; i < l->def->count && n + 302 < sizeof text; i++) {
        if (json_path(row, l->def->columns[i].path).type != JSON_STRING)
            continue;
        listing_text(row, l->def->columns[i].path, text + n, 300);
        n += strlen(text + n);
        text[n++] = ' ';
    }
    return sift_passes(&l->sift, str_n(text, n));
}

static void take_rows(struct listing *l)
{
    struct json_iter it = json_iter(json_get(buf_str(&l->reply), str_c(l->def->member)).raw);
    struct json_span k, v;
    l->count = l->all = 0;
    while (!it.object && json_next(&it, &k, &v)) {
        l->all++;
        if (!passes(l, v.raw))
            continue;
        if (!array_room(&l->rows, &l->room, l->count, sizeof *l->rows))
            return;
        l->rows[l->count++] = v.raw;
    }
}

/* From the answer that is there: rows chosen and ordered, the cursor where it was. */
static void lay_rows(struct listing *l)
{
    char selected[300];
    str_copy(selected, sizeof selected, str_c(l->selected));
    take_rows(l);
    sort_rows(l);
    if (selected[0])
        listing_select(l, selected);
}

static void on_rows(struct app *a, void *state, int status, struct str reply)
{
    struct listing *l = state;
    (void)a;
    l->asked = false;
    if (status != 200)
        return;
    buf_reset(&l->reply);
    buf_put_str(&l->reply, reply);
    lay_rows(l);
    l->loaded = true;
}

void listing_refresh(struct listing *l)
{
    char path[400];
    if (l->asked)
        return;
    if (l->def->prepare)
        l->def->prepare(l);
    snprintf(path, sizeof path, "%s%s", l->def->path, l->query);
    l->asked_us = clock_mono_us();
    l->asked = app_ask(l->app, l, "GET", path, STR_NULL, on_rows);
}

int listing_tick(struct app *a, void *list)
{
    struct listing *l = list;
    (void)a;
    int64_t every = (l->def->refresh_ms ? l->def->refresh_ms : REFRESH_MS) * INT64_C(1000);
    int64_t left = l->asked_us ? l->asked_us + every - clock_mono_us() : 0;
    if (l->asked)
        return -1;
    if (left > 0)
        return (int)(left / 1000) + 1;
    listing_refresh(l);
    return l->asked ? -1 : RETRY_MS;
}

/* ---- drawing ---- */

static void state_cell(const char *text, int y, int x, int width)
{
    static const struct {
        const char *word, *glyph;
        enum role role;
    } states[] = {{"ok", "✓", ROLE_OK}, {"closed", "✓", ROLE_OK}, {"active", "✓", ROLE_OK},
        {"paused", "!", ROLE_WARN}, {"drained", "!", ROLE_WARN}, {"expired", "!", ROLE_WARN},
        {"probing", "↻", ROLE_WARN}, {"half_open", "↻", ROLE_WARN}, {"limited", "!", ROLE_WARN},
        {"errors", "!", ROLE_WARN}};
    char line[80];
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (strcmp(text, states[i].word) == 0) {
            snprintf(line, sizeof line, "%s %s", states[i].glyph, states[i].word);
            ui_put(y, x, width, states[i].role, line);
            return;
        }
    snprintf(line, sizeof line, "✗ %.50s", text);
    ui_put(y, x, width, *text ? ROLE_BAD : ROLE_DIM, *text ? line : "-");
}

void listing_spark(int y, int x, int width, struct str array)
{
    struct json_iter it = json_iter(array);
    struct json_span k, v;
    int64_t values[120];
    size_t n = 0;
    while (n < ARRAY_LEN(values) && json_next(&it, &k, &v)) {
        char digits[40];
        str_copy(digits, sizeof digits, v.raw);
        values[n++] = (int64_t)strtod(digits, NULL);
    }
    chart_spark(y, x, width, ROLE_CHART, values, n);
}

void listing_share(int y, int x, int width, int64_t ppm)
{
    char b[FORMAT_MAX];
    ui_put_right(y, x, width,
        ppm >= 50000   ? ROLE_BAD
        : ppm >= 10000 ? ROLE_WARN
                       : ROLE_NUMBER,
        format_share(b, ppm));
}

static void number_cell(
    struct listing *l, struct str row, const struct listing_column *c, int y, int x, int width)
{
    char b[FORMAT_MAX] = "-";
    int64_t v = listing_i64(row, c->path);
    enum role role = ROLE_NUMBER;
    if (c->kind == CELL_COUNT && v >= 0) /* below: not known */
        format_count(b, v);
    else if (c->kind == CELL_SECONDS)
        format_seconds(b, v);
    else if (c->kind == CELL_DOLLARS)
        role = ROLE_MONEY, format_dollars(b, v);
    else if (c->kind == CELL_RATE)
        format_rate(b, listing_double(row, c->path));
    else if (c->kind == CELL_AGE && v > 0)
        format_age(b, MAX(app_now_ms(l->app) - v, 0));
    else if (c->kind == CELL_PERCENT)
        format_share(b, v);
    ui_put_right(y, x, width, role, b);
}

static void cell(void *ctx, int row, int column, int y, int x, int width)
{
    struct listing *l = ctx;
    const struct listing_column *c = &l->def->columns[column];
    struct str object = l->rows[row];
    char text[300];
    switch (c->kind) {
    case CELL_TEXT:
    case CELL_NAME:
    case CELL_ACCENT:
        listing_text(object, c->path, text, sizeof text);
        if (c->kind == CELL_NAME)
            ui_text_middle(y, x, width, ROLE_TEXT, str_c(text));
        else
            ui_put(y, x, width, c->kind == CELL_ACCENT ? ROLE_ACCENT : ROLE_TEXT, text);
        break;
    case CELL_STATE:
        listing_text(object, c->path, text, sizeof text);
        state_cell(text, y, x, width);
        break;
    case CELL_SHARE:
        listing_share(y, x, width, listing_i64(object, c->path));
        break;
    case CELL_SPARK:
        listing_spark(y, x, width, json_path(object, c->path).raw);
        break;
    case CELL_OWN:
    case CELL_OWN_TEXT:
        l->def->own(l, object, column, y, x, width);
        break;
    default:
        number_cell(l, object, c, y, x, width);
    }
}

static struct table_view view_of(struct listing *l)
{
    return (struct table_view){.columns = &l->def->columns[0].head,
        .stride = sizeof l->def->columns[0],
        .column_count = l->def->count,
        .rows = (int)l->count,
        .ctx = l,
        .cell = cell,
        .empty = !l->loaded ? "asking the gateway…"
                 : l->all   ? "no row holds these words"
                            : l->def->empty};
}

void listing_draw(struct listing *l, struct rect r)
{
    struct table_view v = view_of(l);
    struct rect below = r;
    if (sift_shown(&l->sift, r))
        below.y++, below.h--;
    table_draw(&l->table, &v, below, l->app);
    sift_draw(&l->sift, l->app, r, l->count, l->all); /* last: its cursor counts */
    note_selected(l);
}

bool listing_columns(struct app *a, void *list, struct str names, struct str *unknown)
{
    struct listing *l = list;
    struct table_view v = view_of(l);
    (void)a;
    return table_choose(&l->table, &v, names, unknown);
}

bool listing_key(struct app *a, void *list, int key)
{
    struct listing *l = list;
    struct table_view v = view_of(l);
    int y, x, was = l->table.selected;
    enum sift_did did = sift_key(&l->sift, key);
    if (did == SIFT_CHANGED)
        lay_rows(l);
    if (did != SIFT_NOTHING || key != KEY_N_CLICK)
        return did != SIFT_NOTHING;
    terminal_click(&y, &x);
    if (!table_click(&l->table, &v, y))
        return false;
    note_selected(l);
    if (l->table.selected == was)
        app_do(a, ACTION_OPEN);
    return true;
}

bool listing_typing(struct app *a, void *list)
{
    (void)a;
    return ((const struct listing *)list)->sift.typing;
}

/* Names from the first letter on, figures and states with the largest and the worst on top. */
static bool begins_descending(const struct listing *l, int column)
{
    return !is_text(&l->def->columns[column]);
}

static void on_order(void *ctx, int column)
{
    struct listing *l = ctx;
    l->table.descending =
        column == l->table.sort ? !l->table.descending : begins_descending(l, column);
    l->table.sort = column;
    sort_rows(l);
    listing_select(l, l->selected);
}

bool listing_action(struct listing *l, enum action action)
{
    struct table_view v = view_of(l);
    int sort = l->table.sort;
    bool descending = l->table.descending;
    if (action == ACTION_SORT_MENU) {
        order_menu(l->app, &(struct order_arg){"Order by", &v, l->table.sort, on_order, l});
        return true;
    }
    if (action == ACTION_FILTER) {
        sift_open(&l->sift);
        return true;
    }
    if (!table_action(&l->table, &v, action))
        return false;
    if (sort != l->table.sort)
        l->table.descending = begins_descending(l, l->table.sort);
    if (sort != l->table.sort || descending != l->table.descending) {
        sort_rows(l);
        listing_select(l, l->selected);
    }
    note_selected(l);
    return true;
}
