/* cost.c: what it cost: by key, model, route, team, session, tag or day; now (the last ten minutes),
 * an hour, today, a week, a month; and what that is an hour.
 *
 * The share that is not priced, estimated or told by the provider stands beside the sum. */
#include "tui/screens/list_screen.h"

#include "tui/format.h"
#include "tui/screens/requests.h"
#include "tui/widgets/chart.h"

#include <stdio.h>
#include <time.h>

struct state {
    struct listing list; /* first */
    int by, window;
    int64_t since; /* wall ms: where the time on show begins */
};

enum { COL_NAME, COL_COST, COL_SHARE, COL_HOUR };

static const struct {
    const char *name, *term; /* term: of the filter that finds its requests; NULL: none does */
} dimensions[] = {{"key", "key:="}, {"model", "target:="}, {"route", "route:="}, {"team", "team:="},
    {"session", "session:="}, {"tag", "tag:"}, {"day", NULL}};

static const struct {
    const char *text;
    int64_t ms; /* 0: since midnight */
} windows[] = {
    {"now", 600000}, {"last hour", 3600000}, {"today", 0}, {"7 days", 604800000}, {"30 days", 2592000000}};

static int64_t total_of(const struct listing *l)
{
    return listing_i64(buf_str(&l->reply), "total_nano");
}

static int64_t share_ppm(const struct listing *l, struct str row)
{
    int64_t total = total_of(l);
    return total > 0 ? (int64_t)((double)listing_i64(row, "cost_nano") * 1e6 / (double)total) : 0;
}

/* Nano-USD an hour over the time on show; a day of the list lasts its own day. */
static int64_t an_hour(const struct listing *l, struct str row)
{
    const struct state *s = CONTAINER_OF(l, const struct state, list);
    int64_t from = listing_i64(row, "from_ms"), now = app_now_ms(l->app);
    int64_t ms = from ? MIN(now - from, (int64_t)86400000) : now - s->since;
    return (int64_t)((double)listing_i64(row, "cost_nano") * 3600000 / (double)MAX(ms, (int64_t)60000));
}

static void own(struct listing *l, struct str row, int column, int y, int x, int width)
{
    char name[200], b[FORMAT_MAX];
    if (column == COL_HOUR) {
        ui_put_right(y, x, width, ROLE_MONEY, format_dollars(b, an_hour(l, row)));
        return;
    }
    if (column == COL_SHARE) {
        chart_bar(y, x, width, ROLE_CHART, share_ppm(l, row));
        return;
    }
    listing_text(row, "name", name, sizeof name);
    ui_text_middle(y, x, width, name[0] ? ROLE_ACCENT : ROLE_DIM, str_c(name[0] ? name : "(none)"));
}

static int64_t own_key(struct listing *l, struct str row, int column)
{
    return column == COL_HOUR ? an_hour(l, row) : share_ppm(l, row);
}

static const struct listing_column columns[] = {
    [COL_NAME] = {{"name", "Name", 18, 1, false, 40}, "name", CELL_OWN_TEXT},
    [COL_COST] = {{"cost", "$", 9, 2, true, 0}, "cost_nano", CELL_DOLLARS},
    [COL_SHARE] = {{"share", "Share", 12, 5, false, 24}, "cost_nano", CELL_OWN},
    [COL_HOUR] = {{"an hour", "$/h", 8, 3, true, 0}, "cost_nano", CELL_OWN},
    {{"requests", "Req", 6, 4, true, 0}, "requests", CELL_COUNT},
    {{"input tokens", "In", 6, 6, true, 0}, "input_tokens", CELL_COUNT},
    {{"from cache", "Cached", 6, 9, true, 0}, "cached_tokens", CELL_COUNT},
    {{"output tokens", "Out", 6, 7, true, 0}, "output_tokens", CELL_COUNT},
    {{"trend", "Trend", 16, 8, false, 40}, "history", CELL_SPARK},
    {{"measured", "Measured", 9, 10, true, 0}, "measured_nano", CELL_DOLLARS},
    {{"stated by the provider", "Stated", 9, 11, true, 0}, "provider_nano", CELL_DOLLARS},
    {{"the list's price of what was stated", "By list", 9, 12, true, 0}, "provider_list_nano",
        CELL_DOLLARS},
    {{"estimated", "Estim.", 9, 13, true, 0}, "estimated_nano", CELL_DOLLARS},
    {{"requests that are estimated", "Est.req", 7, 14, true, 0}, "estimated_requests", CELL_COUNT},
    {{"without a price", "Unpriced", 8, 15, true, 0}, "unpriced_requests", CELL_COUNT},
};

static const enum context place[] = {CONTEXT_COST, CONTEXT_LIST, CONTEXT_SORT, CONTEXT_END};

static int64_t since_ms(struct app *a, int window)
{
    time_t now = (time_t)(app_now_ms(a) / 1000);
    struct tm tm;
    if (windows[window].ms)
        return (int64_t)now * 1000 - windows[window].ms;
    localtime_r(&now, &tm);
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    tm.tm_isdst = -1;
    return (int64_t)mktime(&tm) * 1000;
}

/* The time on show moves on with the clock. */
static void prepare(struct listing *l)
{
    struct state *s = CONTAINER_OF(l, struct state, list);
    s->since = since_ms(l->app, s->window);
    snprintf(l->query, sizeof l->query, "?by=%s&since=%lld", dimensions[s->by].name,
        (long long)s->since);
}

static void set(struct state *s, int by, int window)
{
    int n = (int)ARRAY_LEN(dimensions);
    s->by = (by + n) % n;
    s->window = MAX(0, MIN(window, (int)ARRAY_LEN(windows) - 1));
    app_forget(s->list.app, &s->list);
    s->list.asked = false;
    listing_refresh(&s->list);
}

static int foot(int height)
{
    (void)height;
    return 1;
}

static void draw_foot(struct listing *l, struct rect r)
{
    struct str reply = buf_str(&l->reply);
    int y = r.y, width = r.w;
    char a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX], d[FORMAT_MAX];
    int64_t unpriced = listing_i64(reply, "unpriced_requests"), all = listing_i64(reply, "requests");
    ui_printf(y, 1, width - (unpriced ? 23 : 2), ROLE_MONEY,
        "%s  measured %s  stated %s  estimated %s",
        format_dollars(a, listing_i64(reply, "total_nano")),
        format_dollars(b, listing_i64(reply, "measured_nano")),
        format_dollars(c, listing_i64(reply, "provider_nano")),
        format_dollars(d, listing_i64(reply, "estimated_nano")));
    if (unpriced)
        ui_printf(y, width - 22, 21, ROLE_WARN, "! unpriced %s (%s%%)",
            format_count(a, unpriced), format_share(b, all > 0 ? unpriced * 1000000 / all : 0));
}

static void head(struct listing *l, int y, int width)
{
    const struct state *s = CONTAINER_OF(l, const struct state, list);
    int x = 1;
    for (size_t i = 0; i < ARRAY_LEN(dimensions); i++) {
        x += ui_put(y, x, width - x, (int)i == s->by ? ROLE_TAB_ON : ROLE_TAB, dimensions[i].name);
        x += ui_put(y, x, 1, ROLE_TAB, " ");
    }
    ui_printf(y, x + 2, width - x - 2, ROLE_DIM, "%s (+ -)", windows[s->window].text);
}

static bool act(struct listing *l, struct str row, enum action action)
{
    struct state *s = CONTAINER_OF(l, struct state, list);
    if (action == ACTION_TAB_NEXT || action == ACTION_TAB_BEFORE)
        set(s, s->by + (action == ACTION_TAB_NEXT ? 1 : -1), s->window);
    else if (action == ACTION_GROW || action == ACTION_SHRINK)
        set(s, s->by, s->window + (action == ACTION_GROW ? 1 : -1));
    else if (action != ACTION_OPEN)
        return false;
    else if (dimensions[s->by].term)
        requests_of(l->app, row, dimensions[s->by].term, "name");
    return true;
}

static const struct list_frame frame = {
    .def = {.path = "cost",
        .member = "rows",
        .id = "name",
        .columns = columns,
        .count = ARRAY_LEN(columns),
        .empty = "nothing was spent in this time: + shows a longer one",
        .order = "cost",
        .refresh_ms = 5000,
        .prepare = prepare,
        .own = own,
        .own_key = own_key},
    .head = head,
    .foot = foot,
    .draw_foot = draw_foot,
    .act = act};

const struct screen screen_cost = {LIST_SCREEN,
    .list = &frame,
    .name = "cost",
    .title = "Cost",
    .brief = "Cost",
    .digit = '7',
    .size = sizeof(struct state),
    .contexts = place};
