/* models.c: what each model did in a window of time: requests, errors, latency, tokens, cost. */
#include "tui/screen.h"

#include "tui/screens/requests.h"
#include "tui/widgets/listing.h"

#include <stdio.h>

enum { DETAIL_SPARK = 12 };

struct state {
    struct listing list; /* first: listing_close(), listing_tick() */
    int window;
};

static const char *const windows[] = {"5m", "1h", "24h"};

static int64_t error_ppm(struct str row)
{
    int64_t n = listing_i64(row, "requests");
    return n > 0 ? listing_i64(row, "errors") * 1000000 / n : 0;
}

static void own(struct listing *l, struct str row, int column, int y, int x, int width)
{
    (void)l;
    (void)column;
    listing_share(y, x, width, error_ppm(row));
}

static int64_t own_key(struct listing *l, struct str row, int column)
{
    (void)l;
    (void)column;
    return error_ppm(row);
}

static const struct listing_column columns[] = {
    {{"model", "Model", 18, 1, false, 30}, "model", CELL_NAME},
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

static const struct listing_def def = {.path = "models",
    .member = "models",
    .id = "target",
    .columns = columns,
    .count = ARRAY_LEN(columns),
    .empty = "no model was asked in this time (+ for a longer one)",
    .order = "requests",
    .own = own,
    .own_key = own_key};

static const enum context place[] = {CONTEXT_MODELS, CONTEXT_SUBJECT, CONTEXT_LIST, CONTEXT_END};

static void set_window(struct state *s, int window)
{
    s->window = MAX(0, MIN(window, (int)ARRAY_LEN(windows) - 1));
    snprintf(s->list.query, sizeof s->list.query, "?window=%s", windows[s->window]);
    listing_refresh(&s->list);
}

static void open(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    (void)arg;
    listing_init(&s->list, a, &def);
    set_window(s, 1);
}

/* What went wrong with the selected one, and how its first token came along. */
static void draw_detail(struct state *s, int y, int width)
{
    struct str row = listing_row(&s->list);
    char model[200];
    if (!row.n)
        return;
    listing_text(row, "model", model, sizeof model);
    int x = 1 + ui_printf(y, 1, width / 3, ROLE_DIM, "%s  TTFT p95 ", model);
    listing_spark(y, x, DETAIL_SPARK, json_path(row, "ttft_history").raw);
    ui_printf(y, x + DETAIL_SPARK, width - x - DETAIL_SPARK - 1, ROLE_DIM,
        "   429: %lld   5xx: %lld   timeouts: %lld", (long long)listing_i64(row, "limited"),
        (long long)listing_i64(row, "server_errors"), (long long)listing_i64(row, "timeouts"));
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    (void)a;
    ui_printf(r.y, 1, r.w - 2, ROLE_DIM, "window %s (+ -)   %zu models", windows[s->window],
        s->list.count);
    listing_draw(&s->list, (struct rect){r.y + 1, r.x, r.h - 2, r.w});
    draw_detail(s, r.y + r.h - 1, r.w);
}

static bool action(struct app *a, void *state, enum action action)
{
    struct state *s = state;
    if (listing_action(&s->list, action))
        return true;
    switch (action) {
    case ACTION_OPEN:
        requests_of(a, listing_row(&s->list), "target:=", "target");
        return true;
    case ACTION_GROW:
    case ACTION_SHRINK:
        set_window(s, s->window + (action == ACTION_GROW ? 1 : -1));
        return true;
    default:
        return false;
    }
}

static bool subject(struct app *a, void *state, struct subject *out)
{
    struct str row = listing_row(state);
    (void)a;
    if (!row.n)
        return false;
    out->kind = SUBJECT_MODEL;
    listing_text(row, "model", out->asked, sizeof out->asked);
    listing_text(row, "target", out->target, sizeof out->target);
    listing_text(row, "provider", out->provider, sizeof out->provider);
    return true;
}

const struct screen screen_models = {.name = "models",
    .title = "Models",
    .brief = "Mod",
    .digit = '3',
    .size = sizeof(struct state),
    .contexts = place,
    .open = open,
    .close = listing_close,
    .draw = draw,
    .action = action,
    .columns = listing_columns,
    .key = listing_key,
    .typing = listing_typing,
    .tick = listing_tick,
    .subject = subject};
