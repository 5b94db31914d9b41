/* events.c: what happened, newest at the bottom: failures, breakers, budgets, switches, people.
 *
 * What the model holds is there at once; what happened before this console was attached is asked for
 * page by page while the list is shorter than its page or the cursor is near its top. The selected one
 * stands in full below the list. */
#include "tui/screen.h"

#include "store/base/array.h"
#include "tui/format.h"
#include "tui/screens/event_pages.h"
#include "tui/screens/list_screen.h"
#include "tui/screens/requests.h"
#include "tui/widgets/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { COL_TIME, COL_LEVEL, COL_TEXT };
enum { LEVEL_INFO = 1, LEVEL_ERROR = 4, FOOT_LEAST = 14, FOOT_LINES = 4, NEAR_TOP = 3 };

struct item {
    size_t at; /* among all, oldest first */
    bool day;  /* the line in front of the first event of another day */
};

struct state {
    struct app *app;
    struct table table;
    struct sift sift;
    struct event_pages older;
    struct text full;
    int level; /* least level shown */
    struct item *items;
    size_t count, room, events; /* events: items without the lines of days */
    int64_t seq, time_ms;       /* of the selected one */
    int64_t oldest_seq;         /* of what the model holds: it drops the oldest at times */
    uint64_t seen;
    bool stale;
    bool away;  /* the selected one is on a page that must be read again: it is waited for */
    int height; /* of the selected one on the screen, before it went away */
};

static const struct table_column columns[] = {
    [COL_TIME] = {"time", "Time", 8, 2, false, 0},
    [COL_LEVEL] = {"level", "Level", 5, 1, false, 0},
    [COL_TEXT] = {"event", "Event", 20, 1, false, 1000},
};

static const char *const levels[] = {"DEBUG", "INFO", "AUDIT", "WARN", "ERROR"};
static const enum context place[] = {CONTEXT_EVENTS, CONTEXT_SUBJECT, CONTEXT_LIST, CONTEXT_END};

static int level_of(const char *name)
{
    for (int i = 0; i < (int)ARRAY_LEN(levels); i++)
        if (str_eq_nocase(str_c(name), str_c(levels[i])))
            return i;
    return LEVEL_INFO;
}

/* ---- which events ---- */

static size_t all_of(const struct state *s)
{
    return s->older.count + app_model(s->app)->event_count;
}

static const struct console_event *event_at(const struct state *s, size_t at)
{
    size_t older = s->older.count;
    return at < older ? &s->older.rows[older - 1 - at] : &app_model(s->app)->events[at - older];
}

/* NULL: nothing is selected. */
static const struct console_event *selected(const struct state *s)
{
    size_t row = (size_t)s->table.selected;
    return row < s->count && !s->items[row].day ? event_at(s, s->items[row].at) : NULL;
}

static bool passes(const struct state *s, const struct console_event *e)
{
    char text[400];
    snprintf(text, sizeof text, "%s %s %s", e->level, e->kind, e->text);
    return level_of(e->level) >= s->level && sift_passes(&s->sift, str_c(text));
}

static int day_of(int64_t time_ms)
{
    time_t t = (time_t)(time_ms / 1000);
    struct tm tm;
    localtime_r(&t, &tm);
    return tm.tm_year * 366 + tm.tm_yday;
}

static void push(struct state *s, struct item item)
{
    if (array_room(&s->items, &s->room, s->count, sizeof *s->items))
        s->items[s->count++] = item;
}

/* The model has dropped it, and the pages that held it or would hold it now are yet to come. */
static bool may_come_back(const struct state *s)
{
    return !s->older.done && all_of(s) && s->time_ms <= event_at(s, 0)->time_ms;
}

static void find_selected(struct state *s)
{
    if (!s->away)
        s->height = s->table.selected - s->table.top;
    s->away = false;
    if (s->table.follow || !s->time_ms) {
        table_select(&s->table, (int)s->count - 1);
        return;
    }
    for (size_t i = s->count; i-- > 0;) {
        const struct console_event *e = event_at(s, s->items[i].at);
        if (s->items[i].day || e->seq != s->seq || e->time_ms != s->time_ms)
            continue;
        s->table.top = (int)i - s->height; /* it stays at its height on the screen */
        table_select(&s->table, (int)i);
        return;
    }
    if (may_come_back(s)) {
        s->away = true;
        table_select(&s->table, 0); /* near the top: tick() asks for more */
    }
}

static void build(struct state *s)
{
    int day = 0;
    s->count = s->events = 0;
    for (size_t i = 0; i < all_of(s); i++) {
        const struct console_event *e = event_at(s, i);
        if (!passes(s, e))
            continue;
        if (day && day_of(e->time_ms) != day)
            push(s, (struct item){i, true});
        day = day_of(e->time_ms);
        push(s, (struct item){i, false});
        s->events++;
    }
    s->stale = s->older.fresh = false;
    s->seen = app_model(s->app)->version;
    find_selected(s);
}

static void refresh(struct state *s)
{
    if (s->stale || s->older.fresh || s->seen != app_model(s->app)->version)
        build(s);
}

static void note_selected(struct state *s)
{
    const struct console_event *e = selected(s);
    if (e && !s->away)
        s->seq = e->seq, s->time_ms = e->time_ms;
}

/* ---- drawing ---- */

static enum role level_role(const char *level)
{
    static const enum role roles[] = {ROLE_DIM, ROLE_TEXT, ROLE_SWITCH, ROLE_WARN, ROLE_BAD};
    return roles[level_of(level)];
}

static void cell(void *ctx, int row, int column, int y, int x, int width)
{
    const struct state *s = ctx;
    const struct console_event *e = event_at(s, s->items[row].at);
    char b[FORMAT_MAX];
    int n = 0;
    if (column == COL_TIME) {
        ui_put(y, x, width, ROLE_TEXT, format_clock(b, e->time_ms));
    } else if (column == COL_LEVEL) {
        ui_put(y, x, width, level_role(e->level), levels[level_of(e->level)]);
    } else {
        if (e->repeated > 1)
            n = ui_printf(y, x, width, ROLE_DIM, "%s× ", format_count(b, e->repeated));
        n += ui_put(y, x + n, width - n, ROLE_TEXT, e->text);
        if (e->request_id[0])
            ui_put(y, x + n, width - n, ROLE_ACCENT, "  → request");
    }
}

static bool is_rule(void *ctx, int row)
{
    return ((const struct state *)ctx)->items[row].day;
}

static bool rule(void *ctx, int row, int y, int x, int width)
{
    const struct state *s = ctx;
    char day[64];
    time_t t = (time_t)(event_at(s, s->items[row].at)->time_ms / 1000);
    struct tm tm;
    if (!s->items[row].day)
        return false;
    strftime(day, sizeof day, " %A, %Y-%m-%d ", localtime_r(&t, &tm));
    ui_hline(y, x, width, ROLE_RULE);
    ui_put(y, x + 2, width - 4, ROLE_DIM, day);
    return true;
}

static struct table_view view_of(struct state *s)
{
    return (struct table_view){.columns = columns,
        .column_count = ARRAY_LEN(columns),
        .rows = (int)s->count,
        .ctx = s,
        .cell = cell,
        .rule = rule,
        .is_rule = is_rule,
        .empty = s->older.asked ? "asking the gateway…"
                                : "nothing happened yet at this level (L shows more)"};
}

static void draw_head(const struct state *s, struct rect r)
{
    char when[FORMAT_MAX] = "";
    if (!s->older.done && all_of(s))
        format_iso(when, event_at(s, 0)->time_ms), when[16] = '\0'; /* up to the minute */
    ui_printf(r.y, 1, r.w - 2, ROLE_DIM, "level ≥ %s (L)   %zu of %zu%s%s%s", levels[s->level],
        s->events, all_of(s), when[0] ? ", back to " : "", when, s->table.follow ? "   FOLLOW" : "");
}

static void draw_full(struct state *s, struct rect r)
{
    const struct console_event *e = selected(s);
    char when[FORMAT_MAX];
    ui_hline(r.y, r.x, r.w, ROLE_RULE);
    text_reset(&s->full);
    s->full.stay = true;
    if (e)
        text_printf(&s->full, level_role(e->level), "%s  %s %s  %s", format_iso(when, e->time_ms),
            e->level, e->kind, e->text);
    text_draw(&s->full, (struct rect){r.y + 1, r.x + 1, r.h - 1, r.w - 2}, s->app);
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    int foot = r.h >= FOOT_LEAST ? FOOT_LINES : 0;
    refresh(s);
    draw_head(s, r);
    struct table_view v = view_of(s);
    struct rect list = {r.y + 1, r.x, r.h - 1 - foot, r.w}, below = list;
    if (sift_shown(&s->sift, list))
        below.y++, below.h--;
    if (foot)
        draw_full(s, (struct rect){r.y + r.h - foot, r.x, foot, r.w});
    table_draw(&s->table, &v, below, a);
    sift_draw(&s->sift, a, list, s->events, all_of(s));
    note_selected(s);
}

/* ---- actions ---- */

/* While the list is on show and its beginning is, too. */
static int tick(struct app *a, void *state)
{
    struct state *s = state;
    const struct model *m = app_model(a);
    int64_t oldest = m->event_count ? m->events[0].seq : 0;
    if (oldest != s->oldest_seq) {
        event_pages_forget(&s->older); /* else there would be a hole */
        s->stale = true;               /* the items count with the rows that are freed */
        refresh(s);
    }
    s->oldest_seq = oldest;
    bool wanted = s->count < (size_t)MAX(s->table.page, 1) ||
                  (!s->table.follow && s->table.selected < NEAR_TOP);
    if (m->seq && wanted)
        event_pages_ask(
            &s->older, m->event_count ? m->events[0].time_ms : 0, s->level > LEVEL_INFO);
    return -1;
}

static void set_level(struct state *s)
{
    s->level = s->level >= LEVEL_ERROR ? LEVEL_INFO : s->level + 1;
    if (s->level <= LEVEL_INFO + 1)
        event_pages_forget(&s->older); /* from here on the gateway leaves out more, or less */
    s->stale = true;
}

static void put_object(struct buf *out, const struct console_event *e)
{
    struct json_writer w = json_writer(out);
    char when[FORMAT_MAX];
    json_object_begin(&w, NULL);
    json_put_c(&w, "time", format_iso(when, e->time_ms));
    json_put_int(&w, "time_ms", e->time_ms);
    json_put_c(&w, "level", e->level);
    json_put_c(&w, "kind", e->kind);
    json_put_int(&w, "repeated", e->repeated);
    json_put_c(&w, "text", e->text);
    json_put_c(&w, "request_id", e->request_id);
    json_object_end(&w);
}

static void save(struct state *s)
{
    struct buf json;
    struct str *rows = calloc(MAX(s->events, 1), sizeof *rows);
    size_t *ends = calloc(s->events + 1, sizeof *ends), n = 0;
    buf_init(&json, (size_t)32 << 20);
    for (size_t i = 0; rows && ends && i < s->count; i++)
        if (!s->items[i].day) {
            put_object(&json, event_at(s, s->items[i].at));
            ends[++n] = json.n;
        }
    for (size_t i = 0; !json.err && i < n; i++)
        rows[i] = str_n(json.p + ends[i], ends[i + 1] - ends[i]);
    if (rows && ends && !json.err)
        list_save(s->app, "events", rows, n);
    buf_fini(&json);
    free(rows);
    free(ends);
}

static bool action(struct app *a, void *state, enum action action)
{
    struct state *s = state;
    refresh(s);
    struct table_view v = view_of(s);
    const struct console_event *e = selected(s);
    if (table_action(&s->table, &v, action)) {
        s->table.follow = action == ACTION_BOTTOM;
        s->away = false;
        note_selected(s);
        return true;
    }
    switch (action) {
    case ACTION_OPEN:
        if (e && e->request_id[0])
            requests_open(a, str_c(e->request_id));
        else
            app_say(a, ROLE_MESSAGE, "this is about no single request");
        return true;
    case ACTION_FILTER:
        sift_open(&s->sift);
        return true;
    case ACTION_LEVEL:
        set_level(s);
        return true;
    case ACTION_FOLLOW:
        s->table.follow = !s->table.follow;
        s->stale = true;
        return true;
    case ACTION_EXPORT:
        save(s);
        return true;
    default:
        return false;
    }
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    refresh(s);
    struct table_view v = view_of(s);
    enum sift_did did = sift_key(&s->sift, key);
    int y, x;
    s->stale = s->stale || did == SIFT_CHANGED;
    if (did != SIFT_NOTHING || key != KEY_N_CLICK)
        return did != SIFT_NOTHING;
    terminal_click(&y, &x);
    int was = s->table.selected;
    if (!table_click(&s->table, &v, y))
        return false;
    s->table.follow = s->away = false;
    note_selected(s);
    if (s->table.selected == was)
        app_do(a, ACTION_OPEN);
    return true;
}

static bool typing(struct app *a, void *state)
{
    (void)a;
    return ((const struct state *)state)->sift.typing;
}

/* The request that the event is about: X ends it or its session, s switches what it asks for. */
static bool subject(struct app *a, void *state, struct subject *out)
{
    refresh(state);
    const struct console_event *e = selected(state);
    const struct row *row = e ? model_row(app_model(a), str_c(e->request_id)) : NULL;
    if (row)
        requests_subject(row, out);
    return row != NULL;
}

static void data(struct app *a, void *state)
{
    (void)a;
    ((struct state *)state)->stale = true;
}

static void open(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    (void)arg;
    s->app = s->older.app = a;
    s->level = LEVEL_INFO;
    s->stale = true;
    s->table = (struct table){.sort = -1, .follow = true};
}

static void close(struct app *a, void *state)
{
    struct state *s = state;
    (void)a;
    event_pages_forget(&s->older);
    text_fini(&s->full);
    free(s->items);
}

const struct screen screen_events = {.name = "events",
    .title = "Events",
    .brief = "Ev",
    .digit = '8',
    .size = sizeof(struct state),
    .contexts = place,
    .open = open,
    .close = close,
    .draw = draw,
    .key = key,
    .typing = typing,
    .action = action,
    .data = data,
    .tick = tick,
    .subject = subject};
