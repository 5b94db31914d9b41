/* requests.c: the live list, and beside or over it the inspector: which of both has the keys, how
 * much room each, and the ways that lead here from other screens. The rows are request_list.c. */
#include "tui/screens/requests.h"

#include "tui/app.h"
#include "tui/screens/filter_words.h"
#include "tui/screens/inspector.h"
#include "tui/screens/request_list.h"
#include "tui/screens/strip.h"
#include "tui/screens/welcome.h"
#include "tui/widgets/listing.h"

#include <stdio.h>

struct state {
    struct app *app;
    struct request_list list;
    struct inspector inspector;
    struct strip strip;
    bool pane, focus_pane, zoom, strip_shown;
    int pane_share; /* per cent */
};

static const enum context list_place[] = {
    CONTEXT_REQUESTS, CONTEXT_SUBJECT, CONTEXT_LIST, CONTEXT_SORT, CONTEXT_END};
static const enum context pane_place[] = {
    CONTEXT_INSPECT, CONTEXT_SUBJECT, CONTEXT_TEXT, CONTEXT_END};

/* ---- drawing ---- */

static bool has_strip(const struct app *a, struct rect r)
{
    return r.w >= 180 && r.h >= 40 && !app_slow(a);
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
    request_list_draw(&s->list, *list);
    inspector_draw(&s->inspector, a, pane, s->focus_pane);
    if (!s->focus_pane)
        app_cursor(a, list->y + 1 + s->list.table.selected - s->list.table.top, list->x);
    list->h = 0;
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    struct request_list *l = &s->list;
    l->now_ms = app_now_ms(a);
    request_list_refresh(l);
    if (request_list_none(l)) {
        welcome_draw(a, r);
        return;
    }
    s->strip_shown = has_strip(a, r);
    if (s->strip_shown)
        strip_draw(&s->strip, a, r.y++, r.w), r.h--;
    if (!app_compact(a) || l->filter.editing || l->filter.text[0] || l->paused) {
        if (!s->zoom)
            request_list_draw_counts(l, r.y++, r.w), r.h--;
    }
    if (s->pane) {
        if (!s->focus_pane || !s->inspector.id[0])
            inspector_set(&s->inspector, a, request_list_row(l));
        draw_pane(s, &r, a);
    }
    if (r.h > 0)
        request_list_draw(l, r);
}

/* ---- actions ---- */

static void open_pane(struct state *s, bool whole)
{
    struct row *row = request_list_row(&s->list);
    if (!row)
        return;
    s->pane = s->focus_pane = true;
    s->zoom = whole;
    s->list.table.follow = false;
    inspector_set(&s->inspector, s->app, row);
    inspector_first_tab(&s->inspector, row_is_live(row));
}

static void step_row(struct state *s, int by)
{
    s->inspector.follow = false;
    request_list_step(&s->list, by);
    inspector_set(&s->inspector, s->app, request_list_row(&s->list));
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

/* Of the inspector; without one, of the time that the strip shows. */
static bool size_action(struct state *s, enum action action)
{
    bool more = action == ACTION_GROW;
    if (s->pane)
        s->pane_share = MAX(20, MIN(80, s->pane_share + (more ? 5 : -5)));
    else if (s->strip_shown)
        strip_zoom(&s->strip, more);
    return s->pane || s->strip_shown;
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
            inspector_set(&s->inspector, s->app, request_list_row(&s->list));
        return true;
    case ACTION_PANE:
        s->focus_pane = s->pane;
        return true;
    case ACTION_OTHER_DOWN:
    case ACTION_OTHER_UP:
        return s->pane && inspector_action(&s->inspector, s->app,
                              action == ACTION_OTHER_DOWN ? ACTION_SCROLL_DOWN : ACTION_SCROLL_UP);
    case ACTION_ZOOM:
        if (s->pane)
            s->zoom = s->focus_pane = true;
        return true;
    default:
        return request_list_action(&s->list, action);
    }
}

static bool action(struct app *a, void *state, enum action action)
{
    struct state *s = state;
    app_dirty(a);
    if (action == ACTION_GROW || action == ACTION_SHRINK)
        return size_action(s, action);
    return s->pane && s->focus_pane ? pane_action(s, action) : list_action(s, action);
}

/* On a row: the cursor; on the row under the cursor: its inspector. */
static bool click(struct state *s)
{
    int y, x, was = s->list.table.selected;
    terminal_click(&y, &x);
    if (s->zoom || !request_list_click(&s->list, y))
        return false;
    s->focus_pane = false;
    if (s->list.table.selected == was)
        open_pane(s, !s->pane);
    return true;
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    if (s->list.filter.editing)
        return filter_line_key(&s->list.filter, a, key);
    if (key == 3 && request_list_stop(&s->list))
        return true;
    if (s->pane && s->focus_pane && inspector_key(&s->inspector, a, key))
        return true;
    if (key == 27 && s->pane) {
        s->pane = s->focus_pane = s->zoom = false;
        return true;
    }
    if (key == KEY_N_CLICK)
        return click(s);
    if (key == KEY_N_WHEEL_UP || key == KEY_N_WHEEL_DOWN) {
        bool up = key == KEY_N_WHEEL_UP;
        if (s->focus_pane)
            return pane_action(s, up ? ACTION_SCROLL_UP : ACTION_SCROLL_DOWN);
        return list_action(s, up ? ACTION_UP : ACTION_DOWN);
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
    return s->list.filter.editing || inspector_typing(&s->inspector);
}

static const char *hint(struct app *a, void *state)
{
    const struct state *s = state;
    return s->list.filter.editing && s->list.filter.error[0] ? s->list.filter.error
           : s->list.filter.editing ? filter_hint(&s->list.filter.edit, a)
           : request_list_none(&s->list) ? "y copies a block   2 to 8 screens   : commands   ? help   q leave"
                                         : NULL;
}

static void open(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    (void)arg;
    s->app = a;
    s->pane_share = 50;
    request_list_init(&s->list, a);
}

static void close(struct app *a, void *state)
{
    struct state *s = state;
    request_list_fini(&s->list);
    inspector_fini(&s->inspector, a);
}

static void data(struct app *a, void *state)
{
    struct state *s = state;
    if (s->pane)
        inspector_data(&s->inspector, a);
    request_list_data(&s->list);
}

static int tick(struct app *a, void *state)
{
    struct state *s = state;
    int wait = s->pane ? inspector_tick(&s->inspector, a) : -1;
    int counting = request_list_tick(&s->list);
    return wait < 0 ? counting : counting < 0 ? wait : MIN(wait, counting);
}

void requests_subject(const struct row *row, struct subject *out)
{
    char target[280];
    out->kind = SUBJECT_REQUEST;
    out->live = row_is_live(row);
    str_copy(out->id, sizeof out->id, row->r.id);
    str_copy(out->asked, sizeof out->asked, row->r.model_asked);
    str_copy(out->target, sizeof out->target, row_target(row, target));
    str_copy(out->route, sizeof out->route, row->r.route);
    str_copy(out->session, sizeof out->session, row->r.session);
    str_copy(out->key, sizeof out->key, row->r.key);
    str_copy(out->provider, sizeof out->provider, row->r.provider);
}

static bool subject(struct app *a, void *state, struct subject *out)
{
    const struct state *s = state;
    struct row *row = request_list_row(&s->list);
    (void)a;
    if (s->pane && s->focus_pane && s->inspector.row)
        row = s->inspector.row;
    if (row)
        requests_subject(row, out);
    return row != NULL;
}

static bool columns(struct app *a, void *state, struct str names, struct str *unknown)
{
    (void)a;
    return request_list_columns(&((struct state *)state)->list, names, unknown);
}

/* ---- from elsewhere ---- */

void requests_filter(struct app *a, const char *filter)
{
    app_show(a, "requests");
    struct state *s = app_state(a, "requests");
    if (!s)
        return;
    s->pane = s->focus_pane = s->zoom = false;
    filter_line_set(&s->list.filter, a, filter);
    s->list.table.follow = true;
}

size_t requests_marked(struct app *a, char ids[][40])
{
    const struct state *s = app_state(a, "requests");
    if (!s || app_current(a)->state != s)
        return 0; /* marks count where they are seen */
    memcpy(ids, s->list.marks, s->list.mark_count * sizeof s->list.marks[0]);
    return s->list.mark_count;
}

const char *requests_filter_text(struct app *a)
{
    const struct state *s = app_state(a, "requests");
    return s ? s->list.filter.text : "";
}

void requests_of(struct app *a, struct str row, const char *term, const char *member)
{
    char value[300], filter[400];
    listing_text(row, member, value, sizeof value);
    if (!value[0])
        return;
    bool quote = value[strcspn(value, " \"|")] != '\0';
    snprintf(filter, sizeof filter, "%s%s%s%s", term, quote ? "\"" : "", value, quote ? "\"" : "");
    requests_filter(a, filter);
}

void requests_open(struct app *a, struct str id)
{
    app_show(a, "requests");
    struct state *s = app_state(a, "requests");
    if (!s)
        return;
    s->pane = s->focus_pane = s->zoom = true;
    request_list_select(&s->list, id);
    struct row *row = request_list_row(&s->list);
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
    s->list.table.follow = false;
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
    .columns = columns,
};
