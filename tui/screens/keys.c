/* keys.c: who may spend what: used and left per window, dollars an hour, when it runs out. */
#include "tui/screens/keys.h"

#include "tui/format.h"
#include "tui/screens/list_screen.h"
#include "tui/widgets/chart.h"
#include "tui/widgets/menu.h"

#include <stdio.h>

struct state {
    struct listing list; /* first */
    char acting[80];     /* the key that the menu is about */
};

enum { COL_NAME, COL_OWNER, COL_HOUR, COL_TODAY, COL_WINDOW, COL_USED, COL_LEFT, COL_OUT, COL_RPM };

/* The window that is nearest to its limit. */
static bool tightest(struct str row, struct str *out)
{
    struct json_iter it = json_iter(json_get(row, STR("windows")).raw);
    struct json_span k, v;
    double worst = -1;
    while (json_next(&it, &k, &v)) {
        int64_t limit = listing_i64(v.raw, "limit_nano");
        double used = limit > 0 ? (double)listing_i64(v.raw, "used_nano") / (double)limit : 0;
        if (limit > 0 && used > worst) {
            worst = used;
            *out = v.raw;
        }
    }
    return worst >= 0;
}

static int64_t used_ppm(struct str row)
{
    struct str w;
    return tightest(row, &w) ? (int64_t)((double)listing_i64(w, "used_nano") * 1e6 /
                                         (double)listing_i64(w, "limit_nano"))
                             : 0;
}

static enum role near_role(int64_t ppm)
{
    return ppm >= 950000 ? ROLE_BAD : ppm >= 800000 ? ROLE_WARN : ROLE_CHART;
}

/* "$20", "$0.03": a limit as people wrote it. */
static void short_money(char *b, int64_t nano)
{
    format_dollars(b, nano);
    char *point = strchr(b, '.');
    for (char *end = b + strlen(b); point && end > point && (end[-1] == '0' || end[-1] == '.'); end--)
        end[-1] = '\0';
}

/* Prepaid credit is a window of its own, as long as no budget is nearer to its end. */
static void credit_cells(struct str row, int column, int y, int x, int width)
{
    char text[48];
    listing_text(row, "credit", text, sizeof text);
    if (column == COL_WINDOW)
        ui_put(y, x, width, text[0] ? ROLE_TEXT : ROLE_DIM, text[0] ? "prepaid" : "-");
    else if (column == COL_LEFT)
        ui_put_right(y, x, width, text[0] ? ROLE_MONEY : ROLE_DIM, text[0] ? text : "-");
    else
        ui_put(y, x, width, text[0] == '-' ? ROLE_BAD : ROLE_DIM,
            text[0] == '-' ? "in debt" : text[0] ? text : "-");
}

static void window_cells(struct str row, int column, int y, int x, int width)
{
    struct str w;
    char b[FORMAT_MAX], text[40];
    int64_t ppm = used_ppm(row);
    if (!tightest(row, &w)) {
        credit_cells(row, column, y, x, width);
        return;
    }
    if (column == COL_WINDOW) {
        listing_text(w, "window", text, sizeof text);
        short_money(b, listing_i64(w, "limit_nano"));
        ui_printf(y, x, width, ROLE_TEXT, "%s/%s", b, text);
    } else if (column == COL_USED) {
        chart_bar(y, x, width - 5, near_role(ppm), ppm);
        snprintf(text, sizeof text, "%s%%", format_share(b, ppm));
        ui_put_right(y, x + width - 4, 4, near_role(ppm), text);
    } else {
        int64_t left = listing_i64(w, "limit_nano") - listing_i64(w, "used_nano");
        ui_put_right(y, x, width, ROLE_MONEY, format_dollars(b, MAX(left, 0)));
    }
}

#define FAR_MS ((int64_t)366 * 86400000) /* nobody plans by it */

static void own(struct listing *l, struct str row, int column, int y, int x, int width)
{
    char b[FORMAT_MAX], text[64], state[24];
    int64_t out_ms = listing_i64(row, "runs_out_ms"), rpm = listing_i64(row, "rpm");
    switch (column) {
    case COL_NAME:
        listing_text(row, "name", text, sizeof text);
        listing_text(row, "state", state, sizeof state);
        ui_put(
            y, x, width, strcmp(state, "active") == 0 || !state[0] ? ROLE_ACCENT : ROLE_DIM, text);
        break;
    case COL_OUT:
        listing_text(row, "state", state, sizeof state);
        if (state[0] && strcmp(state, "active") != 0)
            ui_put(y, x, width, ROLE_WARN, state);
        else if (out_ms - app_now_ms(l->app) > FAR_MS)
            ui_put(y, x, width, ROLE_DIM, "over 1y");
        else if (out_ms > 0)
            ui_printf(y, x, width, out_ms - app_now_ms(l->app) < 3600000 ? ROLE_BAD : ROLE_TEXT,
                "in %s", format_duration(b, MAX(out_ms - app_now_ms(l->app), 1000)));
        else
            ui_put(y, x, width, ROLE_DIM, "-");
        break;
    case COL_RPM:
        snprintf(text, sizeof text, rpm ? "%lld/%lld" : "%lld",
            (long long)listing_i64(row, "rpm_used"), (long long)rpm);
        ui_put_right(y, x, width, ROLE_NUMBER, text);
        break;
    default:
        window_cells(row, column, y, x, width);
    }
}

static int64_t own_key(struct listing *l, struct str row, int column)
{
    (void)l;
    return column == COL_OUT   ? listing_i64(row, "runs_out_ms")
           : column == COL_RPM ? listing_i64(row, "rpm_used")
                               : used_ppm(row);
}

static const struct listing_column columns[] = {
    [COL_NAME] = {{"name", "Name", 12, 1, false, 24}, "name", CELL_OWN_TEXT},
    [COL_OWNER] = {{"owner", "Owner", 8, 7, false, 16}, "owner", CELL_TEXT},
    [COL_HOUR] = {{"cost an hour", "$/h", 7, 2, true, 0}, "nano_per_hour", CELL_DOLLARS},
    [COL_TODAY] = {{"today", "Today", 7, 5, true, 0}, "today_nano", CELL_DOLLARS},
    [COL_WINDOW] = {{"window", "Window", 10, 6, false, 14}, "windows", CELL_OWN},
    [COL_USED] = {{"used", "Used", 10, 3, false, 16}, "windows", CELL_OWN},
    [COL_LEFT] = {{"left", "Left", 7, 9, true, 0}, "windows", CELL_OWN},
    [COL_OUT] = {{"runs out", "Runs out", 8, 4, false, 0}, "runs_out_ms", CELL_OWN},
    [COL_RPM] = {{"requests a minute", "RPM", 6, 10, true, 0}, "rpm", CELL_OWN},
    {{"last used", "Last", 4, 8, true, 0}, "last_ms", CELL_AGE},
    {{"team", "Team", 8, 11, false, 16}, "team", CELL_TEXT},
    {{"key", "Key", 12, 12, false, 0}, "shown", CELL_TEXT},
    {{"credit", "Credit", 14, 13, true, 0}, "credit", CELL_TEXT},
    {{"debt", "Debt", 8, 14, true, 0}, "debt_nano", CELL_DOLLARS},
    {{"running", "Live", 4, 15, true, 0}, "running", CELL_COUNT},
};

static const enum context place[] = {CONTEXT_KEYS, CONTEXT_LIST, CONTEXT_SORT, CONTEXT_END};

static void head(struct listing *l, int y, int width)
{
    size_t near = 0;
    for (size_t i = 0; i < l->count; i++)
        near += used_ppm(l->rows[i]) >= 800000 || listing_i64(l->rows[i], "debt_nano") > 0;
    ui_printf(y, 1, width - 2, near ? ROLE_WARN : ROLE_DIM, near ? "%zu key%s, %zu near %s limit"
        : "%zu key%s", l->count, l->count == 1 ? "" : "s", near, near == 1 ? "its" : "their");
}

static void on_done(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    if (status != 200)
        return;
    if (json_get(reply, STR("secret")).type == JSON_STRING)
        key_secret_open(a, reply);
    else
        app_say(a, ROLE_MESSAGE, "done: %s", s->acting);
    listing_refresh(&s->list);
}

static void ask(struct app *a, struct state *s, const char *verb, const char *body)
{
    list_post(a, &s->list, "keys", s->acting, verb, body, on_done);
}

/* Half as much again of the window that is nearest to its end, until that is over. */
static void raise_once(struct app *a, struct state *s)
{
    struct str w;
    char window[24], body[120];
    if (!tightest(listing_row(&s->list), &w)) {
        app_say(a, ROLE_WARN, "%s has no budget that could be raised", s->acting);
        return;
    }
    listing_text(w, "window", window, sizeof window);
    int64_t more = MAX(listing_i64(w, "limit_nano") / 2, (int64_t)1);
    snprintf(body, sizeof body, "{\"line\":\"+%lld.%09lld/%s\"}", (long long)(more / 1000000000),
        (long long)(more % 1000000000), window);
    ask(a, s, "limit", body);
}

static void on_choice(struct app *a, void *ctx, size_t i)
{
    struct state *s = ctx;
    switch (i) {
    case 0:
        key_form_open(a, s->acting);
        break;
    case 1:
        raise_once(a, s);
        break;
    case 2:
        key_grant_open(a, s->acting);
        break;
    case 3:
        ask(a, s, "pause", "{}");
        break;
    case 4:
        ask(a, s, "resume", "{}");
        break;
    case 5:
        ask(a, s, "rotate", "{\"grace_ms\":86400000}");
        break;
    default:
        key_revoke_open(a, s->acting);
    }
}

static bool act(struct listing *l, struct str row, enum action action)
{
    static const struct menu_item items[] = {{'l', "limits: change them on one line"},
        {'n', "raise once: half as much again, until its window ends"}, {'g', "grant credit…"},
        {'p', "pause: refuse its requests"}, {'r', "resume"},
        {'o', "rotate: a new secret, the old one works for a day"}, {'x', "revoke for ever…"}};
    struct state *s = CONTAINER_OF(l, struct state, list);
    if (action == ACTION_KEY_ADD) {
        if (app_may_change(l->app))
            key_form_open(l->app, NULL);
        return true;
    }
    if (action != ACTION_KEY_MENU || !row.n)
        return false;
    listing_text(row, "name", s->acting, sizeof s->acting);
    menu_open(l->app, &(struct menu_arg){s->acting, items, ARRAY_LEN(items), 0, on_choice, s});
    return true;
}

static void subject(struct listing *l, struct str row, struct subject *out)
{
    (void)l;
    out->kind = SUBJECT_KEY;
    listing_text(row, "name", out->key, sizeof out->key);
}

static const struct list_frame frame = {
    .def = {.path = "keys",
        .member = "keys",
        .id = "name",
        .columns = columns,
        .count = ARRAY_LEN(columns),
        .empty = "no key yet: a makes one",
        .order = "cost an hour",
        .own = own,
        .own_key = own_key},
    .term = "key:=",
    .member = "name",
    .head = head,
    .act = act,
    .subject = subject};

const struct screen screen_keys = {LIST_SCREEN,
    .list = &frame,
    .name = "keys",
    .title = "Keys",
    .brief = "Key",
    .digit = '5',
    .size = sizeof(struct state),
    .contexts = place};
