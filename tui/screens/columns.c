/* columns.c: see columns.h. The table at the end is all there is to know of a column; its order is
 * the order on the screen, priorities say what is dropped first when the terminal is narrow. */
#include "tui/screens/columns.h"

#include "tui/format.h"

#include <stdio.h>

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

/* ---- what is in a column ---- */

/* One cell to paint. */
struct cell {
    const struct row *row;
    int y, x, width;
    struct time_style times;
};

static int64_t time_of(const struct row *row, int64_t now_ms)
{
    (void)now_ms;
    return row->r.time_ms;
}

static int64_t attempts_of(const struct row *row, int64_t now_ms)
{
    (void)now_ms;
    return row_attempts(row);
}

static int64_t tps_of(const struct row *row, int64_t now_ms)
{
    (void)now_ms;
    return row->tps10;
}

static int64_t cache_of(const struct row *row, int64_t now_ms)
{
    const struct record *r = &row->r;
    (void)now_ms;
    return r->input_tokens > 0 ? r->cached_tokens * 1000000 / r->input_tokens : 0;
}

static struct str model_of(const struct row *row)
{
    return row->r.model.n ? row->r.model : row->r.model_asked;
}

static void count_cell(const struct cell *c, int64_t n, bool growing)
{
    char b[FORMAT_MAX], text[FORMAT_MAX + 2];
    snprintf(text, sizeof text, "%.20s%s", n ? format_count(b, n) : "-", growing && n ? "+" : "");
    ui_put_right(c->y, c->x, c->width, ROLE_NUMBER, text);
}

/* How long after the request before it: a burst and a pause show at a glance. */
static void delta_cell(const struct cell *c)
{
    char b[FORMAT_MAX], text[FORMAT_MAX + 1] = "-";
    int64_t ms = c->times.before ? c->row->r.time_ms - c->times.before->r.time_ms : 0;
    if (c->times.before)
        snprintf(text, sizeof text, "%c%.40s", ms < 0 ? '-' : '+',
            format_duration(b, ms < 0 ? -ms : ms));
    ui_put_right(c->y, c->x, c->width, ROLE_NUMBER, text);
}

static void time_cell(const struct cell *c)
{
    char b[FORMAT_MAX];
    int64_t at = c->row->r.time_ms;
    if (c->times.form == TIME_DELTA)
        delta_cell(c);
    else if (c->times.form == TIME_AGE)
        ui_put_right(c->y, c->x, c->width, ROLE_TEXT, format_age(b, c->times.now_ms - at));
    else if (c->times.form == TIME_ISO)
        ui_put(c->y, c->x, c->width, ROLE_TEXT, format_iso(b, at) + (c->width < 19 ? 5 : 0));
    else
        ui_put(c->y, c->x, c->width, ROLE_TEXT, format_clock(b, at));
}

static void state_cell(const struct cell *c)
{
    char text[16];
    enum role role = request_state(c->row, text);
    ui_put(c->y, c->x, c->width, role, text);
}

/* The provider stands before a model that several have, cut so that its end is left: the ends of
 * "openrouter-eu" and "openrouter-us" tell them apart. */
static void model_cell(const struct cell *c)
{
    int n = row_is_switched(c->row) ? ui_put(c->y, c->x, c->width, ROLE_SWITCH, "→") : 0;
    if (row_needs_provider(c->row)) {
        int room = MIN(MAX(c->width / 3, 5), c->width - n);
        n += ui_text_middle(c->y, c->x + n, room, ROLE_ACCENT, c->row->r.provider);
        n += ui_put(c->y, c->x + n, c->width - n, ROLE_DIM, "/");
    }
    ui_text_middle(c->y, c->x + n, c->width - n, ROLE_TEXT, model_of(c->row));
}

static void in_cell(const struct cell *c)
{
    count_cell(c, c->row->r.input_tokens, false);
}

static void out_cell(const struct cell *c)
{
    count_cell(c, c->row->r.output_tokens, row_is_live(c->row));
}

static void tools_cell(const struct cell *c)
{
    count_cell(c, c->row->r.tool_calls, false);
}

static void ttft_cell(const struct cell *c)
{
    char b[FORMAT_MAX];
    ui_put_right(c->y, c->x, c->width, ROLE_NUMBER, format_seconds(b, c->row->r.ttft_us));
}

static void duration_cell(const struct cell *c)
{
    char b[FORMAT_MAX], text[FORMAT_MAX];
    snprintf(text, sizeof text, "%.20s%s", format_seconds(b, row_total_us(c->row, c->times.now_ms)),
        row_is_live(c->row) ? "+" : "");
    ui_put_right(c->y, c->x, c->width, ROLE_NUMBER, text);
}

static void cost_cell(const struct cell *c)
{
    const struct record *r = &c->row->r;
    char b[FORMAT_MAX], text[FORMAT_MAX + 4];
    bool unknown = r->cost_source == COST_NONE && !r->cost_nano;
    const char *mark = r->cost_source == COST_ESTIMATED      ? "~"
                       : r->cost_source == COST_SUBSCRIPTION ? "s"
                                                             : "";
    const char *money = unknown ? "-" : format_money(b, r->cost_nano);
    if (*mark && *money == '<')
        money++; /* an estimate of next to nothing: one mark is enough */
    snprintf(
        text, sizeof text, "%s%.20s%s", mark, money, row_is_live(c->row) && !unknown ? "+" : "");
    ui_put_right(c->y, c->x, c->width, ROLE_MONEY, text);
}

static void key_cell(const struct cell *c)
{
    ui_text(c->y, c->x, c->width, ROLE_TEXT, c->row->r.key.n ? c->row->r.key : STR("-"));
}

/* S streamed, T tools, R retried, O override, D fields dropped, ! redacted. */
static void flags_cell(const struct cell *c)
{
    const struct record *r = &c->row->r;
    char text[64];
    unsigned attempts = row_attempts(c->row);
    snprintf(text, sizeof text, "%s%s%s%s%s%s", r->stream ? "S" : "", r->tool_calls ? "T" : "",
        attempts > 1 ? "R" : "", r->override_by.n ? "O" : "", r->dropped.n ? "D" : "",
        r->redacted ? "!" : "");
    if (r->tool_calls > 1 && strlen(text) < 4)
        snprintf(text, sizeof text, "%s%sT%lld%s", r->stream ? "S" : "", attempts > 1 ? "R" : "",
            (long long)MIN(r->tool_calls, 99), r->override_by.n ? "O" : "");
    ui_put(c->y, c->x, c->width, ROLE_DIM, text);
}

static void tps_cell(const struct cell *c)
{
    char b[FORMAT_MAX], text[FORMAT_MAX];
    int64_t tps10 = c->row->tps10;
    snprintf(text, sizeof text, "%.20s%s", tps10 ? format_rate(b, (double)tps10 / 10) : "-",
        row_is_live(c->row) && tps10 ? "+" : "");
    ui_put_right(c->y, c->x, c->width, ROLE_NUMBER, text);
}

static void cache_cell(const struct cell *c)
{
    char b[FORMAT_MAX], text[FORMAT_MAX];
    snprintf(text, sizeof text, "%.20s%%", format_share(b, cache_of(c->row, 0) / 10000 * 10000));
    ui_put_right(c->y, c->x, c->width, ROLE_NUMBER, c->row->r.cached_tokens ? text : "-");
}

static void target_cell(const struct cell *c)
{
    char text[280];
    ui_text_middle(c->y, c->x, c->width, ROLE_TEXT, row_target(c->row, text));
}

static void finish_cell(const struct cell *c)
{
    const struct record *r = &c->row->r;
    ui_text(c->y, c->x, c->width, ROLE_DIM, r->error_code.n ? r->error_code : r->finish_reason);
}

static void session_cell(const struct cell *c)
{
    ui_text_middle(c->y, c->x, c->width, ROLE_DIM, c->row->r.session);
}

/* Members of the record as they are. */
#define TEXT_OF(member)                                                                            \
    static struct str member##_of(const struct row *row)                                           \
    {                                                                                              \
        return row->r.member;                                                                      \
    }
#define NUMBER_OF(member)                                                                          \
    static int64_t member##_of(const struct row *row, int64_t now_ms)                              \
    {                                                                                              \
        (void)now_ms;                                                                              \
        return row->r.member;                                                                      \
    }
TEXT_OF(key)
TEXT_OF(route)
TEXT_OF(provider)
TEXT_OF(user_agent)
TEXT_OF(session)
TEXT_OF(endpoint)
TEXT_OF(finish_reason)
TEXT_OF(id)
NUMBER_OF(status)
NUMBER_OF(input_tokens)
NUMBER_OF(output_tokens)
NUMBER_OF(ttft_us)
NUMBER_OF(cost_nano)
NUMBER_OF(tool_calls)

/* One row is one column: its head; what it orders by (the figure if there is one, else the text);
 * how its cell is painted (NULL: the text); the filter field that its value is a term of, or NULL.
 * `*` on a time means the model: a moment is no use as a filter. */
const struct request_column request_columns[] = {
    {{"time", "Time", 8, 9, false, 0}, model_of, time_of, time_cell, "model", ROLE_TEXT},
    {{"status", "St", 6, 1, false, 0}, NULL, status_of, state_cell, "st", ROLE_TEXT},
    {{"model", "Model", 16, 2, false, 30}, model_of, NULL, model_cell, "model", ROLE_TEXT},
    {{"input tokens", "In", 5, 8, true, 0}, NULL, input_tokens_of, in_cell, NULL, ROLE_NUMBER},
    {{"output tokens", "Out", 5, 4, true, 0}, NULL, output_tokens_of, out_cell, NULL, ROLE_NUMBER},
    {{"first token", "TTFT", 5, 6, true, 0}, NULL, ttft_us_of, ttft_cell, NULL, ROLE_NUMBER},
    {{"duration", "Dur", 5, 3, true, 0}, NULL, row_total_us, duration_cell, NULL, ROLE_NUMBER},
    {{"cost", "Cost", 8, 5, true, 0}, NULL, cost_nano_of, cost_cell, NULL, ROLE_MONEY},
    {{"key", "Key", 9, 7, false, 16}, key_of, NULL, key_cell, "key", ROLE_TEXT},
    {{"route", "Route", 10, 10, false, 16}, route_of, NULL, NULL, "route", ROLE_ACCENT},
    {{"flags", "Flags", 5, 11, false, 0}, NULL, attempts_of, flags_cell, NULL, ROLE_DIM},
    {{"tokens a second", "tok/s", 5, 12, true, 0}, NULL, tps_of, tps_cell, NULL, ROLE_NUMBER},
    {{"share from cache", "Cache", 5, 13, true, 0}, NULL, cache_of, cache_cell, NULL, ROLE_NUMBER},
    {{"upstream", "Upstream", 22, 14, false, 32}, provider_of, NULL, target_cell, "provider",
        ROLE_TEXT},
    {{"client", "Client", 16, 15, false, 24}, user_agent_of, NULL, NULL, "client", ROLE_DIM},
    {{"finish reason", "Finish", 10, 16, false, 0}, finish_reason_of, NULL, finish_cell, "finish",
        ROLE_DIM},
    {{"tool calls", "Tools", 5, 17, true, 0}, NULL, tool_calls_of, tools_cell, NULL, ROLE_NUMBER},
    {{"session", "Session", 12, 18, false, 24}, session_of, NULL, session_cell, "session",
        ROLE_DIM},
    {{"endpoint", "Endpoint", 20, 19, false, 28}, endpoint_of, NULL, NULL, "endpoint", ROLE_DIM},
    {{"request id", "ReqID", 26, 20, false, 0}, id_of, NULL, NULL, NULL, ROLE_DIM},
};
const size_t request_column_count = ARRAY_LEN(request_columns);

void request_cell(
    const struct row *row, int column, int y, int x, int width, const struct time_style *times)
{
    const struct request_column *c = &request_columns[column];
    if (c->paint)
        c->paint(&(struct cell){row, y, x, width, *times});
    else
        ui_text(y, x, width, c->role, c->text(row));
}

int request_compare(const struct row *a, const struct row *b, int column, int64_t now_ms)
{
    const struct request_column *c = &request_columns[column];
    int64_t p = c->number ? c->number(a, now_ms) : 0, q = c->number ? c->number(b, now_ms) : 0;
    int way = c->number ? (p > q) - (p < q) : str_cmp(c->text(a), c->text(b));
    return way ? way : str_cmp(a->r.id, b->r.id);
}

bool request_term(const struct row *row, int column, char *out, size_t size)
{
    const struct request_column *c = &request_columns[column];
    char number[32];
    if (!c->field)
        return false;
    if (!c->text)
        snprintf(number, sizeof number, "%lld", (long long)c->number(row, 0));
    struct str value = c->text ? c->text(row) : str_c(number);
    bool quote = str_chr(value, ' ') >= 0;
    snprintf(out, size, "%s:%s" STR_FMT "%s", c->field, quote ? "\"" : "", STR_ARG(value),
        quote ? "\"" : "");
    return value.n > 0;
}
