/* columns.c: see columns.h. The order of the table is the order on the screen; priorities say what
 * is dropped first when the terminal is narrow. */
#include "tui/screens/columns.h"

#include "tui/format.h"

#include <stdio.h>

enum column {
    COL_TIME,
    COL_STATE,
    COL_MODEL,
    COL_IN,
    COL_OUT,
    COL_TTFT,
    COL_DUR,
    COL_COST,
    COL_KEY,
    COL_ROUTE,
    COL_FLAGS,
    COL_TPS,
    COL_CACHE,
    COL_TARGET,
    COL_CLIENT,
    COL_FINISH,
    COL_TOOLS,
    COL_SESSION,
    COL_ENDPOINT,
    COL_ID
};

const struct table_column request_columns[] = {
    [COL_TIME] = {"time", "Time", 8, 9, false, 0},
    [COL_STATE] = {"status", "St", 6, 1, false, 0},
    [COL_MODEL] = {"model", "Model", 16, 2, false, 30},
    [COL_IN] = {"input tokens", "In", 5, 8, true, 0},
    [COL_OUT] = {"output tokens", "Out", 5, 4, true, 0},
    [COL_TTFT] = {"first token", "TTFT", 5, 6, true, 0},
    [COL_DUR] = {"duration", "Dur", 5, 3, true, 0},
    [COL_COST] = {"cost", "Cost", 8, 5, true, 0},
    [COL_KEY] = {"key", "Key", 9, 7, false, 16},
    [COL_ROUTE] = {"route", "Route", 10, 10, false, 16},
    [COL_FLAGS] = {"flags", "Flags", 5, 11, false, 0},
    [COL_TPS] = {"tokens a second", "tok/s", 5, 12, true, 0},
    [COL_CACHE] = {"share from cache", "Cache", 5, 13, true, 0},
    [COL_TARGET] = {"upstream", "Upstream", 22, 14, false, 32},
    [COL_CLIENT] = {"client", "Client", 16, 15, false, 24},
    [COL_FINISH] = {"finish reason", "Finish", 10, 16, false, 0},
    [COL_TOOLS] = {"tool calls", "Tools", 5, 17, true, 0},
    [COL_SESSION] = {"session", "Session", 12, 18, false, 24},
    [COL_ENDPOINT] = {"endpoint", "Endpoint", 20, 19, false, 28},
    [COL_ID] = {"request id", "ReqID", 26, 20, false, 0},
};
const size_t request_column_count = ARRAY_LEN(request_columns);

static const struct {
    int64_t outcome;
    const char *glyph, *word;
    enum role role;
} outcomes[] = {
    {OUTCOME_TIMEOUT, "✗", "time", ROLE_BAD},
    {OUTCOME_TRUNCATED, "✗", "cut", ROLE_BAD},
    {OUTCOME_CANCELLED, "!", "left", ROLE_WARN},
    {OUTCOME_INTERRUPTED, "✗", "died", ROLE_BAD},
    {OUTCOME_REFUSED, "!", NULL, ROLE_WARN},
    {OUTCOME_UPSTREAM_ERROR, "✗", NULL, ROLE_BAD},
    {OUTCOME_CLIENT_ERROR, "!", NULL, ROLE_WARN},
};

static enum role state_role(const struct row *row)
{
    const struct record *r = &row->r;
    for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
        if (outcomes[i].outcome == r->outcome)
            return outcomes[i].role;
    return r->status >= 500        ? ROLE_BAD
           : r->status >= 400      ? ROLE_WARN
           : row_attempts(row) > 1 ? ROLE_RETRIED
                                   : ROLE_OK;
}

enum role request_state(const struct row *row, char out[16])
{
    const struct record *r = &row->r;
    const char *word = NULL, *glyph = row_attempts(row) > 1 ? "↻" : "✓";
    static const char *const live[] = {"wait", "sent", "live"};
    if (row_is_live(row)) {
        snprintf(out, 16, "▸ %s", live[MAX(0, MIN(r->state, STATE_STREAMING))]);
        return ROLE_LIVE;
    }
    for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
        if (outcomes[i].outcome == r->outcome) {
            glyph = outcomes[i].glyph;
            word = outcomes[i].word;
        }
    if (r->outcome == OUTCOME_OK && r->status >= 400)
        glyph = r->status >= 500 ? "✗" : "!";
    if (word)
        snprintf(out, 16, "%s %.5s", glyph, word);
    else
        snprintf(out, 16, "%s %lld", glyph, (long long)MAX(0, MIN(r->status, 999)));
    return state_role(row);
}

static void count_cell(int64_t n, bool growing, int y, int x, int width)
{
    char b[FORMAT_MAX], text[FORMAT_MAX + 2];
    snprintf(text, sizeof text, "%.20s%s", n ? format_count(b, n) : "-", growing && n ? "+" : "");
    ui_put_right(y, x, width, ROLE_NUMBER, text);
}

static void time_cell(
    const struct row *row, int y, int x, int width, int64_t now, enum time_form form)
{
    char b[FORMAT_MAX];
    int64_t at = row->r.time_ms;
    if (form == TIME_AGE)
        ui_put_right(y, x, width, ROLE_TEXT, format_age(b, now - at));
    else if (form == TIME_ISO)
        ui_put(y, x, width, ROLE_TEXT, format_iso(b, at) + (width < 19 ? 5 : 0));
    else
        ui_put(y, x, width, ROLE_TEXT, format_clock(b, at));
}

static void cost_cell(const struct record *r, bool live, int y, int x, int width)
{
    char b[FORMAT_MAX], text[FORMAT_MAX + 4];
    bool unknown = r->cost_source == COST_NONE && !r->cost_nano;
    const char *mark = r->cost_source == COST_ESTIMATED      ? "~"
                       : r->cost_source == COST_SUBSCRIPTION ? "s"
                                                             : "";
    snprintf(text, sizeof text, "%s%.20s%s", mark, unknown ? "-" : format_money(b, r->cost_nano),
        live && !unknown ? "+" : "");
    ui_put_right(y, x, width, ROLE_MONEY, text);
}

static void model_cell(const struct row *row, int y, int x, int width)
{
    const struct record *r = &row->r;
    struct str shown = r->model.n ? r->model : r->model_asked;
    int n = 0;
    if (row_is_switched(row))
        n = ui_put(y, x, width, ROLE_SWITCH, "→");
    ui_text_middle(y, x + n, width - n, ROLE_TEXT, shown);
}

/* S streamed, T tools, R retried, C from cache, O override, D fields dropped, ! redacted. */
static void flags_cell(const struct row *row, int y, int x, int width)
{
    const struct record *r = &row->r;
    char text[64];
    unsigned attempts = row_attempts(row);
    snprintf(text, sizeof text, "%s%s%s%s%s%s", r->stream ? "S" : "", r->tool_calls ? "T" : "",
        attempts > 1 ? "R" : "", r->override_by.n ? "O" : "", r->dropped.n ? "D" : "",
        r->redacted ? "!" : "");
    if (r->tool_calls > 1 && strlen(text) < 4)
        snprintf(text, sizeof text, "%s%sT%lld%s", r->stream ? "S" : "", attempts > 1 ? "R" : "",
            (long long)MIN(r->tool_calls, 99), r->override_by.n ? "O" : "");
    ui_put(y, x, width, ROLE_DIM, text);
}

static int64_t cache_ppm(const struct record *r)
{
    return r->input_tokens > 0 ? r->cached_tokens * 1000000 / r->input_tokens : 0;
}

void request_cell(
    const struct row *row, int column, int y, int x, int width, int64_t now, enum time_form form)
{
    const struct record *r = &row->r;
    bool live = row_is_live(row);
    char b[FORMAT_MAX], text[280];
    enum role role;
    switch ((enum column)column) {
    case COL_TIME:
        time_cell(row, y, x, width, now, form);
        break;
    case COL_STATE:
        role = request_state(row, text);
        ui_put(y, x, width, role, text);
        break;
    case COL_MODEL:
        model_cell(row, y, x, width);
        break;
    case COL_IN:
        count_cell(r->input_tokens, false, y, x, width);
        break;
    case COL_OUT:
        count_cell(r->output_tokens, live, y, x, width);
        break;
    case COL_TTFT:
        ui_put_right(y, x, width, ROLE_NUMBER, format_seconds(b, r->ttft_us));
        break;
    case COL_DUR:
        snprintf(text, sizeof text, "%.20s%s", format_seconds(b, row_total_us(row, now)),
            live ? "+" : "");
        ui_put_right(y, x, width, ROLE_NUMBER, text);
        break;
    case COL_COST:
        cost_cell(r, live, y, x, width);
        break;
    case COL_KEY:
        ui_text(y, x, width, ROLE_TEXT, r->key.n ? r->key : STR("-"));
        break;
    case COL_ROUTE:
        ui_text(y, x, width, ROLE_ACCENT, r->route);
        break;
    case COL_FLAGS:
        flags_cell(row, y, x, width);
        break;
    case COL_TPS:
        snprintf(text, sizeof text, "%.20s%s",
            row->tps10 ? format_rate(b, (double)row->tps10 / 10) : "-",
            live && row->tps10 ? "+" : "");
        ui_put_right(y, x, width, ROLE_NUMBER, text);
        break;
    case COL_CACHE:
        snprintf(text, sizeof text, "%.20s%%", format_share(b, cache_ppm(r) / 10000 * 10000));
        ui_put_right(y, x, width, ROLE_NUMBER, r->cached_tokens ? text : "-");
        break;
    case COL_TARGET:
        ui_text_middle(y, x, width, ROLE_TEXT, row_target(row, text));
        break;
    case COL_CLIENT:
        ui_text(y, x, width, ROLE_DIM, r->user_agent);
        break;
    case COL_FINISH:
        ui_text(y, x, width, ROLE_DIM, r->error_code.n ? r->error_code : r->finish_reason);
        break;
    case COL_TOOLS:
        count_cell(r->tool_calls, false, y, x, width);
        break;
    case COL_SESSION:
        ui_text_middle(y, x, width, ROLE_DIM, r->session);
        break;
    case COL_ENDPOINT:
        ui_text(y, x, width, ROLE_DIM, r->endpoint);
        break;
    case COL_ID:
        ui_text(y, x, width, ROLE_DIM, r->id);
        break;
    }
}

static int by_number(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare(const struct row *a, const struct row *b, enum column column, int64_t now)
{
    const struct record *p = &a->r, *q = &b->r;
    switch (column) {
    case COL_TIME:
        return by_number(p->time_ms, q->time_ms);
    case COL_STATE:
        return by_number(p->status, q->status);
    case COL_MODEL:
        return str_cmp(p->model, q->model);
    case COL_IN:
        return by_number(p->input_tokens, q->input_tokens);
    case COL_OUT:
        return by_number(p->output_tokens, q->output_tokens);
    case COL_TTFT:
        return by_number(p->ttft_us, q->ttft_us);
    case COL_DUR:
        return by_number(row_total_us(a, now), row_total_us(b, now));
    case COL_COST:
        return by_number(p->cost_nano, q->cost_nano);
    case COL_KEY:
        return str_cmp(p->key, q->key);
    case COL_ROUTE:
        return str_cmp(p->route, q->route);
    case COL_FLAGS:
        return by_number(row_attempts(a), row_attempts(b));
    case COL_TPS:
        return by_number(a->tps10, b->tps10);
    case COL_CACHE:
        return by_number(cache_ppm(p), cache_ppm(q));
    case COL_TARGET: {
        int c = str_cmp(p->provider, q->provider);
        return c ? c : str_cmp(p->model, q->model);
    }
    case COL_CLIENT:
        return str_cmp(p->user_agent, q->user_agent);
    case COL_FINISH:
        return str_cmp(p->finish_reason, q->finish_reason);
    case COL_TOOLS:
        return by_number(p->tool_calls, q->tool_calls);
    case COL_SESSION:
        return str_cmp(p->session, q->session);
    case COL_ENDPOINT:
        return str_cmp(p->endpoint, q->endpoint);
    case COL_ID:
        break;
    }
    return 0;
}

int request_compare(const struct row *a, const struct row *b, int column, int64_t now)
{
    int c = compare(a, b, (enum column)column, now);
    return c ? c : str_cmp(a->r.id, b->r.id);
}

bool request_term(const struct row *row, int column, char *out, size_t size)
{
    const struct record *r = &row->r;
    const char *field = NULL;
    struct str value = STR_NULL;
    char number[32];
    switch ((enum column)column) {
    case COL_STATE:
        field = "st";
        snprintf(number, sizeof number, "%lld", (long long)r->status);
        value = str_c(number);
        break;
    case COL_TIME: /* the time itself is no use as a filter: the model is what one means */
    case COL_MODEL:
        field = "model", value = r->model.n ? r->model : r->model_asked;
        break;
    case COL_KEY:
        field = "key", value = r->key;
        break;
    case COL_ROUTE:
        field = "route", value = r->route;
        break;
    case COL_TARGET:
        field = "provider", value = r->provider;
        break;
    case COL_CLIENT:
        field = "client", value = r->user_agent;
        break;
    case COL_SESSION:
        field = "session", value = r->session;
        break;
    case COL_ENDPOINT:
        field = "endpoint", value = r->endpoint;
        break;
    case COL_FINISH:
        field = "finish", value = r->finish_reason;
        break;
    default:
        return false;
    }
    bool quote = str_chr(value, ' ') >= 0;
    snprintf(out, size, "%s:%s" STR_FMT "%s", field, quote ? "\"" : "", STR_ARG(value),
        quote ? "\"" : "");
    return value.n > 0;
}
