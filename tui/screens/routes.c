/* routes.c: what the names mean: routes, patterns and names that only a switch defines, with the
 * targets of the selected one and its rules below. A switch (`s`) starts at everyone here. */
#include "tui/screens/list_screen.h"

#include "tui/format.h"
#include "tui/screens/route_edit.h"
#include "tui/widgets/text.h"

#include <stdio.h>

struct state {
    struct listing list; /* first */
    struct text detail;
};

enum { COL_NAME, COL_HOW, COL_GOES, COL_HEALTH, COL_RATE, COL_ERR, COL_LIVE };

static double sum_of(struct str row, const char *member)
{
    struct json_iter it = json_iter(json_get(row, STR("targets")).raw);
    struct json_span k, v;
    double sum = 0;
    while (json_next(&it, &k, &v))
        sum += listing_double(v.raw, member);
    return sum;
}

/* Weighted by what each target gets. */
static int64_t error_ppm(struct str row)
{
    struct json_iter it = json_iter(json_get(row, STR("targets")).raw);
    struct json_span k, v;
    double errors = 0, all = 0;
    while (json_next(&it, &k, &v)) {
        double rate = listing_double(v.raw, "requests_per_min");
        errors += rate * (double)listing_i64(v.raw, "err_ppm");
        all += rate;
    }
    return all > 0 ? (int64_t)(errors / all) : 0;
}

static void goes_cell(struct str row, int y, int x, int width)
{
    char to[280], who[64], text[500], clock[FORMAT_MAX];
    int64_t until = listing_i64(row, "override.until_ms");
    size_t targets = json_count(json_get(row, STR("targets")));
    listing_text(row, "override.to", to, sizeof to);
    listing_text(row, "override.who", who, sizeof who);
    if (to[0]) {
        snprintf(text, sizeof text, "→ %s  (%s%s%s)", to, who, until ? ", back " : "",
            until ? format_minute(clock, until) : "");
        ui_put(y, x, width, ROLE_SWITCH, text);
        return;
    }
    listing_text(row, "targets.0.target", to, sizeof to);
    snprintf(text, sizeof text, targets > 1 ? "%s + %zu more" : "%s", to, targets - 1);
    ui_put(y, x, width, ROLE_TEXT, text);
}

static void health_cell(struct str row, int y, int x, int width)
{
    struct json_iter it = json_iter(json_get(row, STR("targets")).raw);
    struct json_span k, v;
    size_t bad = 0, all = 0;
    for (; json_next(&it, &k, &v); all++)
        bad += !json_text_eq(json_get(v.raw, STR("health")), STR("ok"));
    if (!all)
        ui_put(y, x, width, ROLE_DIM, "-");
    else if (!bad)
        ui_put(y, x, width, ROLE_OK, "✓ ok");
    else
        ui_printf(y, x, width, bad == all ? ROLE_BAD : ROLE_WARN, "%s %zu of %zu",
            bad == all ? "✗" : "!", bad, all);
}

static void own(struct listing *l, struct str row, int column, int y, int x, int width)
{
    char b[FORMAT_MAX], goal[32], policy[32];
    (void)l;
    switch (column) {
    case COL_HOW:
        listing_text(row, "goal", goal, sizeof goal);
        listing_text(row, "policy", policy, sizeof policy);
        ui_put(y, x, width, ROLE_DIM,
            json_is_true(json_get(row, STR("live"))) ? "(live)"
            : goal[0]                                ? goal
                                                     : policy);
        break;
    case COL_GOES:
        goes_cell(row, y, x, width);
        break;
    case COL_HEALTH:
        health_cell(row, y, x, width);
        break;
    case COL_RATE:
        ui_put_right(y, x, width, ROLE_NUMBER, format_rate(b, sum_of(row, "requests_per_min")));
        break;
    case COL_LIVE:
        ui_put_right(y, x, width, ROLE_LIVE, format_count(b, (int64_t)sum_of(row, "in_flight")));
        break;
    default:
        listing_share(y, x, width, error_ppm(row));
    }
}

/* How many of the targets, in ppm; -1 without any. */
static int64_t sick_ppm(struct str row)
{
    struct json_iter it = json_iter(json_get(row, STR("targets")).raw);
    struct json_span k, v;
    int64_t bad = 0, all = 0;
    for (; json_next(&it, &k, &v); all++)
        bad += !json_text_eq(json_get(v.raw, STR("health")), STR("ok"));
    return all ? bad * 1000000 / all : -1;
}

static int64_t own_key(struct listing *l, struct str row, int column)
{
    (void)l;
    switch (column) {
    case COL_HEALTH: return sick_ppm(row);
    case COL_ERR: return error_ppm(row);
    case COL_LIVE: return (int64_t)sum_of(row, "in_flight");
    default: return (int64_t)(sum_of(row, "requests_per_min") * 1000);
    }
}

static const struct listing_column columns[] = {
    [COL_NAME] = {{"route", "Route", 14, 1, false, 24}, "name", CELL_ACCENT},
    [COL_HOW] = {{"policy", "Policy", 10, 6, false, 16}, "policy", CELL_OWN_TEXT},
    [COL_GOES] = {{"goes to", "Goes to", 20, 2, false, 60}, "targets.0.target", CELL_OWN_TEXT},
    [COL_HEALTH] = {{"health", "Health", 8, 4, false, 0}, "name", CELL_OWN},
    [COL_RATE] = {{"requests a minute", "Req/m", 5, 3, true, 0}, "name", CELL_OWN},
    [COL_ERR] = {{"errors", "Err%", 4, 5, true, 0}, "name", CELL_OWN},
    [COL_LIVE] = {{"in flight", "Live", 4, 7, true, 0}, "name", CELL_OWN},
};

static const enum context place[] = {
    CONTEXT_ROUTES, CONTEXT_SUBJECT, CONTEXT_LIST, CONTEXT_SORT, CONTEXT_END};

static void closed(struct listing *l)
{
    text_fini(&CONTAINER_OF(l, struct state, list)->detail);
}

/* ---- the selected one ---- */

static void lay_target(struct text *t, struct str v)
{
    char to[280], health[32], p95[FORMAT_MAX], err[FORMAT_MAX], rate[FORMAT_MAX], share[FORMAT_MAX],
        open[FORMAT_MAX];
    int64_t open_us = listing_i64(v, "open_for_us");
    listing_text(v, "target", to, sizeof to);
    listing_text(v, "health", health, sizeof health);
    bool ok = strcmp(health, "ok") == 0;
    text_printf(t, ok ? ROLE_TEXT : ROLE_BAD,
        "%s %-*s w%-3lld %4s%% %5s/m err %4s%% p95 %5s%s%s%s%s", ok ? "✓" : "✗",
        t->width && t->width < 90 ? 22 : 30, to, (long long)listing_i64(v, "weight"),
        format_share(share, listing_i64(v, "share_ppm")),
        format_rate(rate, listing_double(v, "requests_per_min")),
        format_share(err, listing_i64(v, "err_ppm")),
        format_seconds(p95, listing_i64(v, "ttft_p95_us")), ok ? "" : "  ", ok ? "" : health,
        open_us > 0 ? ", tried again in " : "",
        open_us > 0 ? format_duration(open, open_us / 1000) : "");
}

/* "a, b and c" of names or of NAME VALUE. */
static void put_list(struct text *t, enum role role, struct str list, const char *between)
{
    struct json_iter it = json_iter(list);
    struct json_span k, v;
    struct arena a;
    bool first = true;
    arena_init(&a, 1024, 65536);
    for (; json_next(&it, &k, &v); first = false) {
        if (!first)
            text_extend(t, role, str_c(between));
        if (it.object) {
            text_extend(t, role, json_text(k, &a));
            text_extend(t, role, STR(" "));
        }
        text_extend(t, role, v.type == JSON_STRING ? json_text(v, &a) : v.raw);
    }
    arena_fini(&a);
}

/* "2 long: if prompt_tokens >150k → anthropic/claude-sonnet-4-5" */
static void lay_rule(struct text *t, struct str v, size_t n)
{
    char name[96], usual[32];
    bool on = json_get(v, STR("enabled")).type != JSON_FALSE;
    enum role role = on ? ROLE_TEXT : ROLE_DIM;
    listing_text(v, "name", name, sizeof name);
    snprintf(usual, sizeof usual, "rule %zu", n);
    text_printf(t, role, "rule %zu%s%s%s: if ", n, strcmp(name, usual) == 0 ? "" : " ",
        strcmp(name, usual) == 0 ? "" : name, on ? "" : " (off)");
    put_list(t, role, json_get(v, STR("if")).raw, " and ");
    text_extend(t, role, STR(" → "));
    put_list(t, role, json_get(v, STR("use")).raw, ", ");
}

static void lay_override(struct text *t, struct str v)
{
    char to[280], scope[24], name[128], who[64], clock[FORMAT_MAX];
    listing_text(v, "to", to, sizeof to);
    listing_text(v, "scope", scope, sizeof scope);
    listing_text(v, "scope_name", name, sizeof name);
    listing_text(v, "who", who, sizeof who);
    int64_t until = listing_i64(v, "until_ms");
    if (to[0])
        text_printf(t, ROLE_SWITCH, "→ %s  for %s %s  by %s %s%s", to, scope, name, who,
            until ? "back " : "", until ? format_minute(clock, until) : "");
}

static void lay_canary(struct text *t, struct str v)
{
    char to[280], why[80], share[FORMAT_MAX], clock[FORMAT_MAX];
    bool back = json_is_true(json_get(v, STR("taken_back")));
    listing_text(v, "to", to, sizeof to);
    listing_text(v, "why", why, sizeof why);
    if (!to[0])
        return;
    int64_t when_ms = listing_i64(v, "when_ms");
    text_printf(t, back ? ROLE_WARN : ROLE_TEXT, "canary %s %s%% of the requests%s%s%s%s", to,
        format_share(share, listing_i64(v, "share_ppm")), back ? ", " : "",
        why[0] ? why : back ? "taken back" : "", when_ms ? " at " : "",
        when_ms ? format_minute(clock, when_ms) : "");
}

static void each(struct text *t, struct str list, void (*lay)(struct text *, struct str))
{
    struct json_iter it = json_iter(list);
    struct json_span k, v;
    while (json_next(&it, &k, &v))
        lay(t, v.raw);
}

static void lay_detail(struct state *s)
{
    struct str row = listing_row(&s->list);
    struct json_iter it = json_iter(json_get(row, STR("rules")).raw);
    struct json_span k, v;
    char expands[200];
    text_reset(&s->detail);
    s->detail.stay = true;
    if (!row.n)
        return;
    listing_text(row, "expands_to", expands, sizeof expands);
    if (expands[0])
        text_printf(&s->detail, ROLE_DIM, "goal: %s", expands);
    if (json_get(row, STR("overrides")).type == JSON_ARRAY)
        each(&s->detail, json_get(row, STR("overrides")).raw, lay_override);
    else
        lay_override(&s->detail, json_get(row, STR("override")).raw);
    for (size_t n = 1; json_next(&it, &k, &v); n++)
        lay_rule(&s->detail, v.raw, n);
    each(&s->detail, json_get(row, STR("targets")).raw, lay_target);
    if (json_get(row, STR("canary")).type == JSON_OBJECT)
        lay_canary(&s->detail, json_get(row, STR("canary")).raw);
    if (json_count(json_get(row, STR("fallback")))) {
        text_add(&s->detail, ROLE_DIM, "then ");
        put_list(&s->detail, ROLE_DIM, json_get(row, STR("fallback")).raw, ", ");
    }
}

static void head(struct listing *l, int y, int width)
{
    ui_printf(y, 1, width - 2, ROLE_DIM, "rev %lld   %zu routes",
        (long long)listing_i64(buf_str(&l->reply), "revision"), l->count);
}

static int foot(int height)
{
    return height >= 14 ? MAX(height * 2 / 5, 6) : 0;
}

static void draw_foot(struct listing *l, struct rect r)
{
    struct state *s = CONTAINER_OF(l, struct state, list);
    ui_hline(r.y, r.x, r.w, ROLE_RULE);
    lay_detail(s);
    text_draw(&s->detail, (struct rect){r.y + 1, r.x + 1, r.h - 1, r.w - 2}, l->app);
}

static bool act(struct listing *l, struct str row, enum action action)
{
    char name[200];
    if (action != ACTION_EDIT || !row.n)
        return false;
    listing_text(row, "name", name, sizeof name);
    rules_open(l->app, name, json_get(row, STR("object")).raw,
        listing_i64(buf_str(&l->reply), "revision"));
    return true;
}

static void data(struct app *a, void *state)
{
    struct state *s = state;
    const struct model *m = app_model(a);
    int64_t last = m->marker_count ? m->markers[m->marker_count - 1].seq : 0;
    if (last != s->list.total) /* somebody switched: look now, not in two seconds */
        listing_refresh(&s->list);
    s->list.total = last;
}

static void subject(struct listing *l, struct str row, struct subject *out)
{
    (void)l;
    out->kind = SUBJECT_ROUTE;
    listing_text(row, "name", out->asked, sizeof out->asked);
    listing_text(row, "name", out->route, sizeof out->route);
    listing_text(row, "override.to", out->target, sizeof out->target);
    if (!out->target[0])
        listing_text(row, "targets.0.target", out->target, sizeof out->target);
}

static const struct list_frame frame = {
    .def = {.path = "routes",
        .member = "routes",
        .id = "name",
        .columns = columns,
        .count = ARRAY_LEN(columns),
        .empty = "no route: names go to the provider that lists them; "
                 "s on any request makes one",
        .own = own,
        .own_key = own_key},
    .term = "route:=",
    .member = "name",
    .closed = closed,
    .head = head,
    .foot = foot,
    .draw_foot = draw_foot,
    .act = act,
    .subject = subject};

const struct screen screen_routes = {LIST_SCREEN,
    .list = &frame,
    .name = "routes",
    .title = "Routes",
    .brief = "Rt",
    .digit = '4',
    .size = sizeof(struct state),
    .contexts = place,
    .data = data};
