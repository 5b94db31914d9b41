/* providers.c: health, breaker, queue, limits seen and latency of each provider; what a person can
 * do. */
#include "tui/screens/list_screen.h"

#include "tui/format.h"
#include "tui/screens/sheets.h"
#include "tui/widgets/menu.h"

#include <stdio.h>

enum { COL_NAME, COL_STATE, COL_BREAKER, COL_ERR, COL_P95, COL_SPARK, COL_RUN, COL_QUEUE };

static void own(struct listing *l, struct str row, int column, int y, int x, int width)
{
    char text[80], b[FORMAT_MAX], breaker[24];
    int64_t open_us = listing_i64(row, "open_for_us"), most = listing_i64(row, "max_concurrent");
    (void)l;
    if (column == COL_RUN) {
        if (most)
            snprintf(text, sizeof text, "%lld/%lld", (long long)listing_i64(row, "in_flight"),
                (long long)most);
        else
            snprintf(text, sizeof text, "%lld", (long long)listing_i64(row, "in_flight"));
        ui_put_right(y, x, width, ROLE_NUMBER, text);
        return;
    }
    listing_text(row, "breaker", breaker, sizeof breaker);
    if (strcmp(breaker, "closed") == 0 || !breaker[0]) {
        ui_put(y, x, width, ROLE_OK, "✓ closed");
        return;
    }
    snprintf(text, sizeof text, "✗ %s %s%s", breaker,
        open_us > 0 ? format_duration(b, open_us / 1000) : "",
        json_is_true(json_get(row, STR("by_hand"))) ? " by hand" : "");
    ui_put(y, x, width, ROLE_BAD, text);
}

/* An open breaker on top, the one that opens longest first. */
static int64_t own_key(struct listing *l, struct str row, int column)
{
    char breaker[24];
    (void)l;
    if (column == COL_RUN)
        return listing_i64(row, "in_flight");
    listing_text(row, "breaker", breaker, sizeof breaker);
    return !breaker[0] || strcmp(breaker, "closed") == 0 ? 0 : 1 + MAX(listing_i64(row, "open_for_us"), (int64_t)0);
}

static const struct listing_column columns[] = {
    [COL_NAME] = {{"provider", "Provider", 14, 1, false, 24}, "name", CELL_ACCENT},
    [COL_STATE] = {{"state", "State", 10, 2, false, 14}, "state", CELL_STATE},
    [COL_BREAKER] = {{"breaker", "Breaker", 14, 4, false, 24}, "breaker", CELL_OWN},
    [COL_ERR] = {{"errors", "Err%", 4, 3, true, 0}, "err_ppm", CELL_SHARE},
    [COL_P95] = {{"first token, p95", "p95", 5, 5, true, 0}, "ttft_p95_us", CELL_SECONDS},
    [COL_SPARK] = {{"latency", "p95 1h", 10, 9, false, 20}, "history", CELL_SPARK},
    [COL_RUN] = {{"in flight", "Live", 6, 6, true, 0}, "in_flight", CELL_OWN},
    [COL_QUEUE] = {{"queued", "Queue", 5, 7, true, 0}, "queued", CELL_COUNT},
    {{"requests left", "Req left", 8, 10, true, 0}, "requests_left", CELL_COUNT},
    {{"tokens left", "Tok left", 8, 11, true, 0}, "tokens_left", CELL_COUNT},
    {{"last error", "Last error", 20, 12, false, 60}, "last_error", CELL_TEXT},
    {{"dialect", "Dialect", 9, 13, false, 0}, "dialect", CELL_TEXT},
    {{"base URL", "Base URL", 20, 14, false, 50}, "base_url", CELL_TEXT},
};

static const enum context place[] = {
    CONTEXT_PROVIDERS, CONTEXT_SUBJECT, CONTEXT_LIST, CONTEXT_SORT, CONTEXT_END};

static void list_line(struct str list, char *out, size_t size)
{
    struct json_iter it = json_iter(list);
    struct json_span k, v;
    size_t n = 0;
    out[0] = '\0';
    while (n + 2 < size && json_next(&it, &k, &v)) {
        char one[200];
        struct arena a;
        arena_init(&a, 256, 4096);
        str_copy(one, sizeof one,
            v.type == JSON_STRING ? json_text(v, &a) : json_get_str(v.raw, STR("name"), &a));
        arena_fini(&a);
        int more = snprintf(out + n, size - n, "%s%s", n ? ", " : "", one);
        n += more > 0 ? (size_t)more : 0;
    }
}

/* Which, and who says so. */
static void draw_models(struct str row, int y, int width)
{
    char text[800], from[40], count[60];
    list_line(json_get(row, STR("models")).raw, text, sizeof text);
    listing_text(row, "models_from", from, sizeof from);
    if (strcmp(from, "asked") == 0)
        snprintf(count, sizeof count, "%lld named by it: ", (long long)listing_i64(row, "models_count"));
    else if (strcmp(from, "price list") == 0)
        snprintf(count, sizeof count, "%lld by the price list",
            (long long)listing_i64(row, "models_count"));
    else
        snprintf(count, sizeof count, "%s", text[0] ? "" : "any it offers");
    ui_printf(y, 1, width - 2, ROLE_DIM, "models   %s%s", count, text);
}

/* "env:OPENAI_API_KEY sk-a…9fQ2, sealed:b ✗ does not open"; true when one does not. */
static bool keys_line(struct str list, char *out, size_t size)
{
    struct json_iter it = json_iter(list);
    struct json_span k, v;
    size_t n = 0;
    bool locked = false;
    out[0] = '\0';
    while (n + 2 < size && json_next(&it, &k, &v)) {
        char name[120], shown[24], fault[8];
        listing_text(v.raw, "name", name, sizeof name);
        listing_text(v.raw, "shown", shown, sizeof shown);
        listing_text(v.raw, "fault", fault, sizeof fault);
        int more = snprintf(out + n, size - n, "%s%s %s", n ? ", " : "", name,
            fault[0] ? "✗ does not open" : shown);
        n += more > 0 ? (size_t)more : 0;
        locked = locked || fault[0];
    }
    return locked;
}

static void head(struct listing *l, int y, int width)
{
    ui_printf(y, 1, width - 2, ROLE_DIM, "%zu providers", l->count);
}

static int foot(int height)
{
    return height >= 11 ? 5 : 0;
}

/* On the selected one: what uses it, its models, its keys, what went wrong last. */
static void draw_foot(struct listing *l, struct rect r)
{
    struct str row = listing_row(l);
    char text[800];
    int y = r.y;
    ui_hline(y++, r.x, r.w, ROLE_RULE);
    if (!row.n)
        return;
    list_line(json_get(row, STR("used_by")).raw, text, sizeof text);
    ui_printf(y++, 1, r.w - 2, ROLE_TEXT, "used by  %s", text[0] ? text : "no route by name");
    draw_models(row, y++, r.w);
    bool locked = keys_line(json_get(row, STR("keys")).raw, text, sizeof text);
    ui_printf(y++, 1, r.w - 2, locked ? ROLE_BAD : ROLE_DIM, "keys     %s",
        text[0] ? text : "none");
    listing_text(row, "last_error", text, sizeof text);
    ui_printf(y, 1, r.w - 2, text[0] ? ROLE_WARN : ROLE_DIM, "last error  %s",
        text[0] ? text : "none");
}

static void on_done(struct app *a, void *state, int status, struct str reply)
{
    char text[300], error[200];
    if (status != 200)
        return;
    listing_text(reply, "marker", text, sizeof text);
    listing_text(reply, "error", error, sizeof error);
    if (json_get(reply, STR("ok")).type != JSON_NONE) {
        char b[FORMAT_MAX];
        bool ok = json_is_true(json_get(reply, STR("ok")));
        app_say(a, ok ? ROLE_OK : ROLE_BAD, "%s: %lld in %s s, %zu models %s",
            ok ? "✓ answers" : "✗ test failed", (long long)listing_i64(reply, "status"),
            format_seconds(b, listing_i64(reply, "total_us")),
            json_count(json_get(reply, STR("models"))), error);
    } else {
        app_say(a, ROLE_SWITCH, "%s", text[0] ? text : "done");
    }
    listing_refresh(state);
}

static void chosen(struct app *a, void *ctx, size_t i)
{
    static const struct {
        const char *verb, *body;
    } verbs[] = {
        {"test", "{}"}, {"trip", "{\"for_ms\":300000}"}, {"clear", "{}"}, {"undrain", "{}"}};
    char name[64];
    listing_text(listing_row(ctx), "name", name, sizeof name);
    if (i < ARRAY_LEN(verbs) && name[0])
        list_post(a, ctx, "providers", name, verbs[i].verb, verbs[i].body, on_done);
}

static bool act(struct listing *l, struct str row, enum action action)
{
    static const struct menu_item items[] = {{'t', "test: ask it for its models"},
        {'p', "trip the breaker for 5 min"}, {'c', "clear the breaker: use it again"},
        {'b', "bring it back from a drain"}};
    char name[64];
    listing_text(row, "name", name, sizeof name);
    if (action == ACTION_SWITCH && name[0])
        app_push(l->app, &sheet_drain, name);
    else if (action == ACTION_PROVIDER_MENU && name[0])
        menu_open(l->app, &(struct menu_arg){name, items, ARRAY_LEN(items), 0, chosen, l});
    else
        return false;
    return true;
}

/* The header's trouble mark leads here. */
static void show(struct app *a, void *state)
{
    const struct model *m = app_model(a);
    struct listing *l = state;
    if (m->trouble_count && !l->loaded)
        listing_select(l, m->trouble[0].provider);
}

static void subject(struct listing *l, struct str row, struct subject *out)
{
    (void)l;
    out->kind = SUBJECT_PROVIDER;
    listing_text(row, "name", out->provider, sizeof out->provider);
}

void providers_select(struct app *a, const char *provider)
{
    app_show(a, "providers");
    struct listing *l = app_state(a, "providers");
    if (l)
        listing_select(l, provider);
}

static const struct list_frame frame = {
    .def = {.path = "providers",
        .member = "providers",
        .id = "name",
        .columns = columns,
        .count = ARRAY_LEN(columns),
        .empty = "no provider: set OPENAI_API_KEY or another, or write pointsman.yaml",
        .own = own,
        .own_key = own_key},
    .term = "provider:=",
    .member = "name",
    .head = head,
    .foot = foot,
    .draw_foot = draw_foot,
    .act = act,
    .subject = subject};

const struct screen screen_providers = {LIST_SCREEN,
    .list = &frame,
    .name = "providers",
    .title = "Providers",
    .brief = "Prv",
    .digit = '6',
    .size = sizeof(struct listing),
    .contexts = place,
    .show = show};
