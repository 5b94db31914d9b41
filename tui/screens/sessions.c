/* sessions.c: one row per agent run or conversation; Enter follows it from turn to turn. */
#include "tui/screens/list_screen.h"

#include "tui/format.h"
#include "tui/screens/requests.h"

#include <stdio.h>

enum { COL_CTX = 4, COL_CACHE = 5 };

static int64_t cache_ppm(struct str row)
{
    int64_t in = listing_i64(row, "input_tokens");
    return in > 0 ? listing_i64(row, "cached_tokens") * 1000000 / in : 0;
}

/* The prompt of its newest request that the list knows. */
static int64_t context_now(struct app *a, struct str row)
{
    const struct model *m = app_model(a);
    char session[200];
    listing_text(row, "session", session, sizeof session);
    for (size_t i = m->row_count; i-- > 0;)
        if (m->rows[i]->r.input_tokens && str_eq(m->rows[i]->r.session, str_c(session)))
            return m->rows[i]->r.input_tokens;
    return listing_i64(row, "context_tokens");
}

static int64_t own_key(struct listing *l, struct str row, int column)
{
    return column == COL_CACHE ? cache_ppm(row)
           : column == COL_CTX ? context_now(l->app, row)
                               : listing_i64(row, "live");
}

static void own(struct listing *l, struct str row, int column, int y, int x, int width)
{
    char b[FORMAT_MAX], text[FORMAT_MAX + 8];
    int64_t live = listing_i64(row, "live"), context;
    switch (column) {
    case COL_CACHE:
        ui_put_right(y, x, width, ROLE_NUMBER, format_share(b, cache_ppm(row)));
        break;
    case COL_CTX:
        context = context_now(l->app, row);
        ui_put_right(y, x, width, ROLE_NUMBER, context ? format_count(b, context) : "-");
        break;
    default:
        snprintf(text, sizeof text, "▸ %s", format_count(b, live));
        ui_put_right(y, x, width, live ? ROLE_LIVE : ROLE_DIM, live ? text : "-");
    }
}

static const struct listing_column columns[] = {
    {{"session", "Session", 16, 1, false, 36}, "session", CELL_NAME},
    {{"client", "Client", 12, 8, false, 24}, "client", CELL_TEXT},
    {{"turns", "Turns", 5, 4, true, 0}, "turns", CELL_COUNT},
    {{"in flight", "Live", 4, 3, true, 0}, "live", CELL_OWN},
    {{"context now", "Ctx", 5, 7, true, 0}, "context_tokens", CELL_OWN},
    {{"share from cache", "Cache%", 6, 6, true, 0}, "cached_tokens", CELL_OWN},
    {{"cost", "$", 7, 2, true, 0}, "cost_nano", CELL_DOLLARS},
    {{"cost an hour", "$/h", 7, 9, true, 0}, "nano_per_hour", CELL_DOLLARS},
    {{"model", "Model", 16, 5, false, 28}, "model", CELL_NAME},
    {{"last", "Last", 4, 10, true, 0}, "last_ms", CELL_AGE},
    {{"key", "Key", 10, 11, false, 16}, "key", CELL_TEXT},
    {{"errors", "Err", 4, 12, true, 0}, "errors", CELL_COUNT},
};

static const enum context place[] = {
    CONTEXT_SESSIONS, CONTEXT_SUBJECT, CONTEXT_LIST, CONTEXT_SORT, CONTEXT_END};

static void head(struct listing *l, int y, int width)
{
    ui_printf(y, 1, width - 2, ROLE_DIM, "%zu sessions", l->count);
}

static bool act(struct listing *l, struct str row, enum action action)
{
    char session[200];
    listing_text(row, "session", session, sizeof session);
    if (action == ACTION_OPEN && session[0])
        requests_follow(l->app, str_c(session));
    else if (action == ACTION_FILTER_ADD && session[0])
        requests_of(l->app, row, "session:=", "session");
    else
        return false;
    return true;
}

/* What the session asks for now: its newest request knows. */
static void newest_asked(struct app *a, struct subject *out)
{
    const struct model *m = app_model(a);
    char target[280];
    for (size_t i = m->row_count; i-- > 0;)
        if (str_eq(m->rows[i]->r.session, str_c(out->session))) {
            str_copy(out->asked, sizeof out->asked, m->rows[i]->r.model_asked);
            str_copy(out->route, sizeof out->route, m->rows[i]->r.route);
            str_copy(out->target, sizeof out->target, row_target(m->rows[i], target));
            return;
        }
}

static void subject(struct listing *l, struct str row, struct subject *out)
{
    out->kind = SUBJECT_SESSION;
    listing_text(row, "session", out->session, sizeof out->session);
    listing_text(row, "key", out->key, sizeof out->key);
    listing_text(row, "asked", out->asked, sizeof out->asked);
    if (!out->asked[0])
        newest_asked(l->app, out);
    if (!out->asked[0])
        listing_text(row, "model", out->asked, sizeof out->asked);
    out->live = listing_i64(row, "live") > 0;
}

static const struct list_frame frame = {
    .def = {.path = "sessions",
        .member = "sessions",
        .id = "session",
        .columns = columns,
        .count = ARRAY_LEN(columns),
        .empty = "no session yet: agents name theirs, /s/NAME/v1 in the base URL "
                 "or x-pointsman-session does it too",
        .order = "last",
        .own = own,
        .own_key = own_key},
    .head = head,
    .act = act,
    .subject = subject};

const struct screen screen_sessions = {LIST_SCREEN,
    .list = &frame,
    .name = "sessions",
    .title = "Sessions",
    .brief = "Ses",
    .digit = '2',
    .size = sizeof(struct listing),
    .contexts = place};
