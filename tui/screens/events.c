/* events.c: what happened, newest at the bottom: failures, breakers, budgets, switches, people.
 *
 * Drawn from the model's own ring, so that it is there at once and costs no question. */
#include "tui/screen.h"

#include "tui/format.h"
#include "tui/screens/requests.h"
#include "tui/widgets/sift.h"
#include "tui/widgets/table.h"

#include <stdio.h>

struct state {
    struct app *app;
    struct table table;
    struct sift sift;
    int level; /* least level shown */
    int count;
    uint64_t seen;
    bool stale;
    int shown_storage[MODEL_EVENTS_MAX];
};

enum { COL_TIME, COL_LEVEL, COL_TEXT };

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
    return 1;
}

static bool passes(const struct state *s, const struct console_event *e)
{
    char text[400];
    snprintf(text, sizeof text, "%s %s %s", e->level, e->kind, e->text);
    return level_of(e->level) >= s->level && sift_passes(&s->sift, str_c(text));
}

static void build(struct state *s)
{
    const struct model *m = app_model(s->app);
    s->count = 0;
    for (size_t i = 0; i < m->event_count; i++)
        if (passes(s, &m->events[i]))
            s->shown_storage[s->count++] = (int)i;
    s->stale = false;
}

static const struct console_event *event_at(const struct state *s, int row)
{
    return &app_model(s->app)->events[s->shown_storage[row]];
}

static enum role level_role(const char *level)
{
    static const enum role roles[] = {ROLE_DIM, ROLE_TEXT, ROLE_SWITCH, ROLE_WARN, ROLE_BAD};
    return roles[level_of(level)];
}

static void cell(void *ctx, int row, int column, int y, int x, int width)
{
    const struct console_event *e = event_at(ctx, row);
    char b[FORMAT_MAX];
    if (column == COL_TIME) {
        ui_put(y, x, width, ROLE_TEXT, format_clock(b, e->time_ms));
    } else if (column == COL_LEVEL) {
        ui_put(y, x, width, level_role(e->level), levels[level_of(e->level)]);
    } else {
        int n = 0;
        if (e->repeated > 1)
            n = ui_printf(y, x, width, ROLE_DIM, "%s× ", format_count(b, e->repeated));
        n += ui_put(y, x + n, width - n, ROLE_TEXT, e->text);
        if (e->request_id[0])
            ui_put(y, x + n, width - n, ROLE_ACCENT, "  → request");
    }
}

static struct table_view view_of(struct state *s)
{
    return (struct table_view){.columns = columns,
        .column_count = ARRAY_LEN(columns),
        .rows = s->count,
        .ctx = s,
        .cell = cell,
        .empty = "nothing happened yet at this level (L shows more)"};
}

static void open(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    (void)arg;
    s->app = a;
    s->level = 1;
    s->stale = true;
    s->table = (struct table){.sort = -1, .follow = true};
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    const struct model *m = app_model(a);
    if (s->stale || s->seen != m->version)
        build(s);
    s->seen = m->version;
    ui_printf(r.y, 1, r.w - 2, ROLE_DIM, "level ≥ %s (L)   %d of %zu%s", levels[s->level], s->count,
        m->event_count, s->table.follow ? "   FOLLOW" : "");
    struct table_view v = view_of(s);
    struct rect list = {r.y + 1, r.x, r.h - 1, r.w}, below = list;
    if (sift_shown(&s->sift, list))
        below.y++, below.h--;
    table_draw(&s->table, &v, below, a);
    sift_draw(&s->sift, a, list, (size_t)s->count, m->event_count);
}

static bool action(struct app *a, void *state, enum action action)
{
    struct state *s = state;
    struct table_view v = view_of(s);
    if (action >= ACTION_SORT_LEFT && action <= ACTION_SORT_MENU) {
        app_say(a, ROLE_MESSAGE, "events stand in the order of time");
        return true;
    }
    if (table_action(&s->table, &v, action)) {
        s->table.follow = action == ACTION_BOTTOM;
        return true;
    }
    switch (action) {
    case ACTION_OPEN:
        if (s->count && event_at(s, s->table.selected)->request_id[0])
            requests_open(a, str_c(event_at(s, s->table.selected)->request_id));
        return true;
    case ACTION_FILTER:
        sift_open(&s->sift);
        return true;
    case ACTION_LEVEL:
        s->level = s->level >= 4 ? 1 : s->level + 1;
        s->stale = true;
        return true;
    case ACTION_FOLLOW:
        s->table.follow = !s->table.follow;
        return true;
    default:
        return false;
    }
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    enum sift_did did = sift_key(&s->sift, key);
    (void)a;
    s->stale = s->stale || did == SIFT_CHANGED;
    return did != SIFT_NOTHING;
}

static bool typing(struct app *a, void *state)
{
    (void)a;
    return ((const struct state *)state)->sift.typing;
}

/* The request that the event is about: X ends it or its session, s switches what it asks for. */
static bool subject(struct app *a, void *state, struct subject *out)
{
    const struct state *s = state;
    const struct row *row =
        s->count ? model_row(app_model(a), str_c(event_at(s, s->table.selected)->request_id)) : NULL;
    if (row)
        requests_subject(row, out);
    return row != NULL;
}

static void data(struct app *a, void *state)
{
    (void)a;
    ((struct state *)state)->stale = true;
}

const struct screen screen_events = {.name = "events",
    .title = "Events",
    .brief = "Ev",
    .digit = '8',
    .size = sizeof(struct state),
    .contexts = place,
    .open = open,
    .draw = draw,
    .key = key,
    .typing = typing,
    .action = action,
    .data = data,
    .subject = subject};
