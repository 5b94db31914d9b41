/* models.c: what each model did in a window of time: requests, errors, latency, tokens, cost. */
#include "tui/screens/list_screen.h"

#include "tui/format.h"
#include "tui/widgets/menu.h"
#include "tui/widgets/text.h"

#include <stdio.h>

enum { DETAIL_SPARK = 12, COL_MODEL = 0 };

struct state {
    struct listing list; /* first */
    int window;
};

static const char *const windows[] = {"5m", "1h", "24h"};

static int64_t error_ppm(struct str row)
{
    int64_t n = listing_i64(row, "requests");
    return n > 0 ? listing_i64(row, "errors") * 1000000 / n : 0;
}

/* Another provider has a model of the same name. */
static bool has_namesake(const struct listing *l, const char *model)
{
    char other[200];
    size_t n = 0;
    for (size_t i = 0; i < l->count && n < 2; i++) {
        listing_text(l->rows[i], "model", other, sizeof other);
        n += strcmp(other, model) == 0;
    }
    return n > 1;
}

static void own(struct listing *l, struct str row, int column, int y, int x, int width)
{
    char model[200], provider[64];
    int n = 0;
    if (column != COL_MODEL) {
        listing_share(y, x, width, error_ppm(row));
        return;
    }
    listing_text(row, "model", model, sizeof model);
    listing_text(row, "provider", provider, sizeof provider);
    if (provider[0] && has_namesake(l, model)) {
        n = ui_text_middle(y, x, MAX(width / 2, 5), ROLE_ACCENT, str_c(provider));
        n += ui_put(y, x + n, width - n, ROLE_DIM, "/");
    }
    ui_text_middle(y, x + n, width - n, ROLE_TEXT, str_c(model));
}

static int64_t own_key(struct listing *l, struct str row, int column)
{
    (void)l;
    (void)column;
    return error_ppm(row);
}

static const struct listing_column columns[] = {
    [COL_MODEL] = {{"model", "Model", 18, 1, false, 30}, "model", CELL_OWN_TEXT},
    {{"provider", "Provider", 10, 12, false, 16}, "provider", CELL_TEXT},
    {{"requests", "Req", 5, 2, true, 0}, "requests", CELL_COUNT},
    {{"errors", "Err%", 4, 3, true, 0}, "errors", CELL_OWN},
    {{"first token, median", "TTFT50", 6, 6, true, 0}, "ttft_p50_us", CELL_SECONDS},
    {{"first token, p95", "p95", 5, 4, true, 0}, "ttft_p95_us", CELL_SECONDS},
    {{"first token, p99", "p99", 5, 9, true, 0}, "ttft_p99_us", CELL_SECONDS},
    {{"duration, p95", "Dur95", 5, 8, true, 0}, "total_p95_us", CELL_SECONDS},
    {{"tokens a second", "tok/s", 5, 7, true, 0}, "tokens_per_second", CELL_RATE},
    {{"input tokens", "In", 5, 10, true, 0}, "input_tokens", CELL_COUNT},
    {{"output tokens", "Out", 5, 11, true, 0}, "output_tokens", CELL_COUNT},
    {{"cost", "$", 8, 5, true, 0}, "cost_nano", CELL_DOLLARS},
    {{"requests over time", "req", 12, 13, false, 0}, "history", CELL_SPARK},
    {{"first token over time", "TTFT p95", 12, 14, false, 0}, "ttft_history", CELL_SPARK},
    {{"context", "Ctx", 5, 15, true, 0}, "context_tokens", CELL_COUNT},
    {{"price in", "$/M in", 7, 16, true, 0}, "price.input", CELL_TEXT},
    {{"price out", "$/M out", 7, 17, true, 0}, "price.output", CELL_TEXT},
};

static const enum context place[] = {
    CONTEXT_MODELS, CONTEXT_SUBJECT, CONTEXT_LIST, CONTEXT_SORT, CONTEXT_END};

static void set_window(struct listing *l, int window)
{
    struct state *s = CONTAINER_OF(l, struct state, list);
    s->window = MAX(0, MIN(window, (int)ARRAY_LEN(windows) - 1));
    snprintf(l->query, sizeof l->query, "?window=%s", windows[s->window]);
    listing_refresh(l);
}

static void opened(struct listing *l)
{
    set_window(l, 1);
}

/* "window 1h (+ -)   7 models, 6 active   $1.12": what the window holds in all. */
static void head(struct listing *l, int y, int width)
{
    const struct state *s = CONTAINER_OF(l, const struct state, list);
    char cost[FORMAT_MAX];
    int64_t nano = 0;
    for (size_t i = 0; i < l->count; i++)
        nano += listing_i64(l->rows[i], "cost_nano");
    ui_printf(y, 1, width - 2, ROLE_DIM, "window %s (+ -)   %zu models   %s", windows[s->window],
        l->count, format_dollars(cost, nano));
}

static int foot(int height)
{
    return height >= 5;
}

/* How the first tokens of the selected one spread and came along, and what went wrong. */
static void draw_foot(struct listing *l, struct rect r)
{
    struct str row = listing_row(l);
    char model[200];
    int x = r.x + 1, last = r.x + r.w - 1;
    if (!row.n)
        return;
    listing_text(row, "model", model, sizeof model);
    if (r.w >= 90)
        x += ui_printf(r.y, x, r.w / 4, ROLE_DIM, "%s  ", model);
    x += ui_put(r.y, x, last - x, ROLE_DIM, "TTFT .1s");
    listing_spark(r.y, x, MIN(DETAIL_SPARK, last - x), json_path(row, "ttft_spread").raw);
    x += DETAIL_SPARK;
    x += ui_put(r.y, x, last - x, ROLE_DIM, "10s  p95 ");
    listing_spark(r.y, x, MIN(DETAIL_SPARK, last - x), json_path(row, "ttft_history").raw);
    x += DETAIL_SPARK;
    ui_printf(r.y, x, last - x, ROLE_DIM, "  429: %lld  5xx: %lld  timeouts: %lld",
        (long long)listing_i64(row, "limited"), (long long)listing_i64(row, "server_errors"),
        (long long)listing_i64(row, "timeouts"));
}

/* ---- p: what it costs ---- */

struct price_arg {
    struct str row;
};

static void lay_rate(struct text *t, struct str row, const char *path, const char *what)
{
    char rate[40];
    listing_text(row, path, rate, sizeof rate);
    if (rate[0])
        text_printf(t, ROLE_TEXT, "%-18s $%s a million tokens", what, rate);
}

static void open_price(struct app *a, void *state, const void *arg)
{
    struct text *t = state;
    struct str row = ((const struct price_arg *)arg)->row;
    char besides[800], context[FORMAT_MAX];
    int64_t window = listing_i64(row, "context_tokens");
    (void)a;
    t->stay = true;
    lay_rate(t, row, "price.input", "input");
    lay_rate(t, row, "price.cached", "input from cache");
    lay_rate(t, row, "price.output", "output");
    if (!t->line_count)
        text_add(t, ROLE_WARN, "no price is known: its requests are counted as unpriced");
    listing_text(row, "price.besides", besides, sizeof besides);
    if (besides[0])
        text_printf(t, ROLE_TEXT, "%-18s %s", "besides", besides);
    if (window)
        text_printf(t, ROLE_TEXT, "%-18s %s tokens", "context", format_count(context, window));
    text_add(t, ROLE_TEXT, "");
    text_add(t, ROLE_DIM, "prices: in the configuration lays others over the built-in list;");
    text_add(t, ROLE_DIM, "pointsman prices import and reprice take a list of yours.");
}

static void draw_price(struct app *a, void *state, struct rect r)
{
    struct rect box = sheet_rect(r, 13, 76);
    ui_box(box, "Price");
    text_draw(state, (struct rect){box.y + 1, box.x + 2, box.h - 2, box.w - 4}, a);
}

static const struct screen sheet_price = {.name = "price",
    .size = sizeof(struct text),
    .contexts = text_place,
    .open = open_price,
    .close = text_sheet_close,
    .draw = draw_price,
    .action = text_sheet_action,
    .line = "j k scroll   Esc close"};

/* ---- the screen ---- */

static bool act(struct listing *l, struct str row, enum action action)
{
    const struct state *s = CONTAINER_OF(l, const struct state, list);
    if (action == ACTION_GROW || action == ACTION_SHRINK)
        set_window(l, s->window + (action == ACTION_GROW ? 1 : -1));
    else if (action == ACTION_PRICE && row.n)
        app_push(l->app, &sheet_price, &(struct price_arg){row});
    else
        return false;
    return true;
}

static void subject(struct listing *l, struct str row, struct subject *out)
{
    (void)l;
    out->kind = SUBJECT_MODEL;
    listing_text(row, "model", out->asked, sizeof out->asked);
    listing_text(row, "target", out->target, sizeof out->target);
    listing_text(row, "provider", out->provider, sizeof out->provider);
}

static const struct list_frame frame = {
    .def = {.path = "models",
        .member = "models",
        .id = "target",
        .columns = columns,
        .count = ARRAY_LEN(columns),
        .empty = "no model was asked in this time (+ for a longer one)",
        .order = "requests",
        .own = own,
        .own_key = own_key},
    .term = "target:=",
    .member = "target",
    .opened = opened,
    .head = head,
    .foot = foot,
    .draw_foot = draw_foot,
    .act = act,
    .subject = subject};

const struct screen screen_models = {LIST_SCREEN,
    .list = &frame,
    .name = "models",
    .title = "Models",
    .brief = "Mod",
    .digit = '3',
    .size = sizeof(struct state),
    .contexts = place};
