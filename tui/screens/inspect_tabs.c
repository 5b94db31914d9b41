/* inspect_tabs.c: the contents of the inspector's tabs, as lines of text.
 *
 * What stands in the row is shown at once; what only the gateway has (bodies, headers, messages,
 * the sentence on timing) when its answer is there. */
#include "tui/screens/inspector.h"

#include "store/base/utf8.h"
#include "tui/format.h"
#include "tui/screens/columns.h"
#include "tui/screens/why.h"

#include <stdio.h>

/* ---- small pieces ---- */

static struct str detail(const struct inspector *i)
{
    return buf_str(&i->detail);
}

/* "waiting", or the reason why there is nothing to show. True when there is something. */
bool inspect_have_detail(struct inspector *i)
{
    struct arena a;
    if (!i->detail.n) {
        text_add(&i->text, ROLE_DIM, "asking the gateway…");
        return false;
    }
    arena_init(&a, 1024, 65536);
    struct str denied = json_get_str(detail(i), STR("denied"), &a);
    if (denied.n)
        text_printf(&i->text, ROLE_WARN, "not shown: " STR_FMT, STR_ARG(denied));
    arena_fini(&a);
    return !denied.n;
}

static void pair(struct text *t, const char *name, const char *value)
{
    if (!*value)
        return;
    text_printf(t, ROLE_HEADING, "%-14s", name);
    text_extend(t, ROLE_TEXT, str_c(value));
}

static void pair_str(struct text *t, const char *name, struct str value)
{
    char text[600];
    str_copy(text, sizeof text, value);
    pair(t, name, text);
}

/* ---- Summary ---- */

enum { CONTEXT_BAR = 10, BAR_WIDTH = 36, BAR_LEAST = 6, BAR_BYTES = BAR_WIDTH * 4, BAR_AT = 43 };

/* One bar over all lines, `width` columns: each part begins where the one above it ended. A part that
 * is there at all is seen. */
static const char *bar(char out[BAR_BYTES], int width, int64_t before, int64_t part, int64_t whole)
{
    size_t at = 0;
    out[0] = '\0';
    if (whole <= 0 || part <= 0)
        return out;
    int from = (int)MIN(before * width / whole, width - 1);
    int to = (int)MIN((before + part) * width / whole, width);
    for (int i = 0; i < MAX(to, from + 1); i++)
        at += (size_t)snprintf(out + at, BAR_BYTES - at, "%s", i < from ? " " : "█");
    return out;
}

static void lay_way(struct text *t, const struct row *row)
{
    const struct record *r = &row->r;
    char line[900], target[280];
    struct str to = row_target(row, target);
    snprintf(line, sizeof line, STR_FMT " → " STR_FMT "%s" STR_FMT "%s", STR_ARG(r->model_asked),
        STR_ARG(to.n ? to : STR("(nowhere)")), r->model_served.n ? "  (answered as " : "",
        STR_ARG(r->model_served), r->model_served.n ? ")" : "");
    pair(t, "model", line);
    snprintf(line, sizeof line, STR_FMT "%s" STR_FMT, STR_ARG(r->route), r->rule.n ? "  rule " : "",
        STR_ARG(r->rule));
    pair(t, "route", line);
    pair_str(t, "switched by", r->override_by);
    if (row_attempts(row) > 1) {
        snprintf(line, sizeof line, "%u, see Why", row_attempts(row));
        pair(t, "attempts", line);
    }
    pair_str(t, "dropped", r->dropped);
}

static void lay_who(struct text *t, const struct row *row)
{
    const struct record *r = &row->r;
    char line[400], time[FORMAT_MAX];
    snprintf(line, sizeof line, "%s   id " STR_FMT, format_iso(time, r->time_ms), STR_ARG(r->id));
    pair(t, "when", line);
    snprintf(line, sizeof line, STR_FMT "%s" STR_FMT, STR_ARG(r->key.n ? r->key : STR("(open)")),
        r->team.n ? "   team " : "", STR_ARG(r->team));
    pair(t, "key", line);
    pair_str(t, "session", r->session);
    pair_str(t, "tags", r->tags);
    snprintf(
        line, sizeof line, STR_FMT "  from " STR_FMT, STR_ARG(r->user_agent), STR_ARG(r->peer));
    pair(t, "client", line);
    pair_str(t, "endpoint", r->endpoint);
}

static void lay_use(struct text *t, const struct row *row)
{
    const struct record *r = &row->r;
    char line[300], a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX];
    int64_t cached = r->input_tokens > 0 ? r->cached_tokens * 1000000 / r->input_tokens : 0;
    snprintf(line, sizeof line, "%s in (%s%% cached, %s written)", format_count(a, r->input_tokens),
        format_share(b, cached), format_count(c, r->cache_write_tokens));
    pair(t, "tokens", line);
    snprintf(line, sizeof line, "%s out (%s reasoning)   %s tok/s   usage %s",
        format_count(a, r->output_tokens), format_count(b, r->reasoning_tokens),
        format_rate(c, (double)row->tps10 / 10), usage_source_name(r->usage_source));
    pair(t, "  ", line);
    snprintf(line, sizeof line, "%s   %s%s" STR_FMT, format_dollars(a, r->cost_nano),
        cost_source_name(r->cost_source), r->price_key.n ? "   price " : "", STR_ARG(r->price_key));
    pair(t, "cost", line);
    if (r->billed.n) {
        snprintf(line, sizeof line, "billed besides tokens: " STR_FMT, STR_ARG(r->billed));
        pair(t, "  ", line);
    }
}

/* A number of the gateway's answer; 0 as long as that is not there. */
static int64_t told(const struct inspector *i, const char *path)
{
    int64_t n;
    return json_i64(json_path(detail(i), path), &n) == 0 ? n : 0;
}

/* How full the model's window is. */
static void lay_context(struct inspector *i)
{
    int64_t used = i->row->r.input_tokens, most = told(i, "context_tokens");
    char line[200], a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX], blocks[BAR_BYTES];
    if (!most || !used)
        return;
    bar(blocks, CONTEXT_BAR, 0, MIN(used, most), most);
    snprintf(line, sizeof line, "%s/%s  %s%%  ▏%s%*s▏", format_count(a, used), format_count(b, most),
        format_share(c, used * 1000000 / most), blocks,
        CONTEXT_BAR - (int)utf8_columns(str_c(blocks)), "");
    pair(&i->text, "context", line);
}

/* The first token stands beside what is usual at this target, when the gateway has said so. */
static void lay_speed(struct inspector *i, int64_t now)
{
    const struct record *r = &i->row->r;
    char line[300], usual[2 * FORMAT_MAX + 16] = "", a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX];
    int64_t p50 = told(i, "usual.ttft_p50_us"), p95 = told(i, "usual.ttft_p95_us");
    if (p50)
        snprintf(usual, sizeof usual, " (p50 %s p95 %s)", format_seconds(a, p50),
            format_seconds(b, p95));
    snprintf(line, sizeof line, "first token %s s%s   whole %s s   longest gap %s s",
        format_seconds(a, r->ttft_us), usual, format_seconds(b, row_total_us(i->row, now)),
        format_seconds(c, r->max_gap_us));
    pair(&i->text, "time", line);
}

/* When what happened: the way of the request on one line. */
static void lay_course(struct text *t, const struct row *row)
{
    const struct record *r = &row->r;
    char line[400], bytes[FORMAT_MAX];
    int64_t sent_us = r->queue_us + r->retry_us + r->connect_us + r->overhead_us;
    int n = snprintf(line, sizeof line, "0.000 accepted");
    if (r->provider.n && r->state != STATE_QUEUED)
        n += snprintf(line + n, sizeof line - (size_t)n, "  %.3f sent %s", (double)sent_us / 1e6,
            format_bytes(bytes, r->request_bytes));
    if (r->ttft_us)
        n += snprintf(line + n, sizeof line - (size_t)n, "  %.3f first token",
            (double)r->ttft_us / 1e6);
    if (!row_is_live(row))
        snprintf(line + n, sizeof line - (size_t)n, "  %.3f end %s", (double)r->total_us / 1e6,
            format_bytes(bytes, r->response_bytes));
    pair(t, "course", line);
}

static void lay_summary(struct inspector *i, struct app *a)
{
    struct text *t = &i->text;
    const struct record *r = &i->row->r;
    char state[16], line[800];
    enum role role = request_state(i->row, state);
    const char *outcome =
        row_is_live(i->row) ? record_state_name(r->state) : record_outcome_name(r->outcome);
    snprintf(line, sizeof line, "%s  %s%s" STR_FMT, state, outcome,
        r->finish_reason.n ? ", finish " : "", STR_ARG(r->finish_reason));
    text_add(t, role, line);
    if (r->error_code.n || r->error_message.n) {
        snprintf(line, sizeof line, STR_FMT ": " STR_FMT, STR_ARG(r->error_code),
            STR_ARG(r->error_message));
        text_add(t, ROLE_BAD, line);
    }
    lay_way(t, i->row);
    lay_use(t, i->row);
    lay_context(i);
    lay_speed(i, app_now_ms(a));
    lay_course(t, i->row);
    struct arena mem;
    arena_init(&mem, 1024, 65536);
    pair_str(t, "why that long", json_get_str(detail(i), STR("sentence"), &mem));
    arena_fini(&mem);
    lay_who(t, i->row);
    if (r->redacted)
        pair(t, "redacted", "a secret was cut out of a kept body");
}

/* ---- bodies and headers ---- */

/* A stream as the text that it says. False: it is none. */
static bool lay_said(struct text *t, struct str body)
{
    struct transcript s = {0};
    transcript_reset(&s);
    bool stream = transcript_body(&s, body);
    if (stream)
        transcript_text(&s, t, FORM_TEXT);
    transcript_fini(&s);
    return stream;
}

void inspect_lay_body(struct inspector *i, const char *side, bool pretty)
{
    struct text *t = &i->text;
    struct str part = json_get(detail(i), str_c(side)).raw;
    struct arena a;
    arena_init(&a, 65536, (size_t)80 << 20);
    struct json_span body = json_get(part, STR("body"));
    struct str text = body.type == JSON_STRING ? json_text(body, &a) : body.raw;
    struct str denied = json_get_str(part, STR("denied"), &a);
    if (denied.n)
        text_printf(t, ROLE_WARN, "not shown: " STR_FMT, STR_ARG(denied));
    else if (body.type == JSON_NONE || body.type == JSON_NULL || !text.n)
        text_printf(t, ROLE_DIM, "no %s body was kept", side);
    else if (pretty && !lay_said(t, text))
        text_json(t, text);
    else if (pretty)
        text_add(t, ROLE_DIM, "(put together from a stream: Stream and Raw have its events)");
    else
        text_put(t, ROLE_TEXT, text);
    if (json_is_true(json_get(part, STR("body_cut"))))
        text_add(t, ROLE_WARN, "… cut: more was sent than is kept");
    arena_fini(&a);
}

static void lay_headers(struct inspector *i, const char *side)
{
    struct text *t = &i->text;
    struct json_iter it =
        json_iter(json_get(json_get(detail(i), str_c(side)).raw, STR("headers")).raw);
    struct json_span k, v;
    struct arena a;
    size_t n = 0;
    arena_init(&a, 8192, 1 << 20);
    text_add(t, ROLE_HEADING, side);
    while (json_next(&it, &k, &v)) {
        struct str name = json_text(it.object ? k : json_path(v.raw, "0"), &a);
        struct str value = json_text(it.object ? v : json_path(v.raw, "1"), &a);
        if (v.type == JSON_OBJECT) {
            name = json_get_str(v.raw, STR("name"), &a);
            value = json_get_str(v.raw, STR("value"), &a);
        }
        text_put(t, ROLE_ACCENT, name);
        text_extend(t, ROLE_TEXT, STR(": "));
        text_extend(t, ROLE_TEXT, value);
        n++;
    }
    if (!n)
        text_add(t, ROLE_DIM, "none were kept");
    text_add(t, ROLE_TEXT, "");
    arena_fini(&a);
}

/* ---- Stream ---- */

static void load_kept_body(struct inspector *i)
{
    struct arena a;
    arena_init(&a, 65536, (size_t)80 << 20);
    transcript_body(&i->stream, json_text(json_path(detail(i), "response.body"), &a));
    arena_fini(&a);
}

static void load_kept_stream(struct inspector *i)
{
    struct json_iter it = json_iter(json_get(detail(i), STR("events")).raw);
    struct json_span k, v;
    if (i->stream.count)
        return;
    while (json_next(&it, &k, &v)) {
        struct arena a;
        int64_t us = 0;
        arena_init(&a, 4096, TRANSCRIPT_BYTES_MAX);
        if (json_i64(json_get(v.raw, STR("us")), &us) < 0)
            us = 0;
        transcript_add(&i->stream, us, json_get_str(v.raw, STR("name"), &a),
            json_get_str(v.raw, STR("data"), &a));
        arena_fini(&a);
    }
    if (!i->stream.count)
        load_kept_body(i);
}

static void lay_stream(struct inspector *i)
{
    bool live = i->row && row_is_live(i->row);
    if (!i->laid)
        transcript_again(&i->stream);
    if (!live && !i->streaming && i->detail.n)
        load_kept_stream(i);
    transcript_text(&i->stream, &i->text, i->form);
    if (i->text.line_count)
        return;
    if (live)
        text_add(&i->text, ROLE_DIM, "waiting for the first token…");
    else if (inspect_have_detail(i) && i->detail.n)
        text_add(&i->text, ROLE_DIM, "no stream was kept: Response has the answer, if it was");
    i->laid = false; /* replaced by what comes */
}

/* ---- Timing ---- */

static void lay_timing(struct inspector *i, struct app *a)
{
    const struct record *r = &i->row->r;
    int64_t total = row_total_us(i->row, app_now_ms(a));
    int64_t first = r->ttft_us ? r->ttft_us : total;
    int64_t thinking = first - r->queue_us - r->retry_us - r->connect_us - r->overhead_us;
    int64_t streaming = r->ttft_us ? total - r->ttft_us - r->client_stall_us : 0;
    const struct {
        const char *name;
        int64_t us;
    } parts[] = {{"queue", r->queue_us}, {"retries", r->retry_us}, {"connect", r->connect_us},
        {"provider thinking", MAX(thinking, 0)}, {"streaming", MAX(streaming, 0)},
        {"client not reading", r->client_stall_us}, {"our own", r->overhead_us}};
    struct arena mem;
    char line[300], blocks[BAR_BYTES];
    int64_t before = 0;
    int room = MAX(BAR_LEAST, MIN(i->width - BAR_AT, BAR_WIDTH));
    arena_init(&mem, 1024, 65536);
    struct str sentence = json_get_str(detail(i), STR("sentence"), &mem);
    if (sentence.n)
        text_put(&i->text, ROLE_WARN, sentence);
    arena_fini(&mem);
    for (size_t n = 0; n < ARRAY_LEN(parts); n++) {
        snprintf(line, sizeof line, "%-19s %10.3f s  %5.1f %%  %s", parts[n].name,
            (double)parts[n].us / 1e6, total ? 100.0 * (double)parts[n].us / (double)total : 0.0,
            bar(blocks, room, before, parts[n].us, total));
        if (i->width < BAR_AT + BAR_LEAST)
            line[32] = '\0'; /* the seconds */
        before += parts[n].us;
        text_add(&i->text, parts[n].us ? ROLE_TEXT : ROLE_DIM, line);
    }
    snprintf(line, sizeof line, "%-19s %10.3f s", "whole", (double)total / 1e6);
    text_add(&i->text, ROLE_HEADING, line);
    snprintf(line, sizeof line, "%-19s %10.3f s", "longest gap", (double)r->max_gap_us / 1e6);
    text_add(&i->text, r->max_gap_us > 1000000 ? ROLE_WARN : ROLE_TEXT, line);
}

/* ---- Why ---- */

static void lay_attempts(struct inspector *i)
{
    struct json_iter it = json_iter(i->row->r.attempts);
    struct json_span k, v;
    struct arena a;
    size_t n = 0;
    arena_init(&a, 4096, 65536);
    while (json_next(&it, &k, &v)) {
        struct str outcome = json_get_str(v.raw, STR("outcome"), &a);
        struct str reason = json_get_str(v.raw, STR("reason"), &a);
        struct str target = json_get_str(v.raw, STR("target"), &a);
        struct str status = json_get(v.raw, STR("status")).raw; /* 0: nothing came */
        text_printf(&i->text, str_eq(outcome, STR("ok")) ? ROLE_OK : ROLE_BAD,
            "%2zu  " STR_FMT "  " STR_FMT "  " STR_FMT "  " STR_FMT " ms  " STR_FMT, ++n,
            STR_ARG(target), STR_ARG(str_eq(status, STR("0")) ? STR("-") : status),
            STR_ARG(outcome), STR_ARG(json_get(v.raw, STR("ms")).raw), STR_ARG(reason));
    }
    arena_fini(&a);
    if (!n)
        text_add(&i->text, ROLE_DIM, "no provider was called");
    if (i->row->r.why.n) {
        text_add(&i->text, ROLE_TEXT, "");
        text_add(&i->text, ROLE_HEADING, "why it went there");
        why_lay(&i->text, i->row->r.why);
    }
}

/* ---- all ---- */

static void lay_tab(struct inspector *i, struct app *a)
{
    switch (i->tab) {
    case TAB_SUMMARY:
        lay_summary(i, a);
        break;
    case TAB_REQUEST:
        if (inspect_have_detail(i))
            inspect_lay_body(i, "request", true);
        break;
    case TAB_MESSAGES:
        inspect_lay_messages(i);
        break;
    case TAB_RESPONSE:
        if (inspect_have_detail(i))
            inspect_lay_body(i, "response", true);
        break;
    case TAB_HEADERS:
        if (inspect_have_detail(i)) {
            lay_headers(i, "request");
            lay_headers(i, "response");
        }
        break;
    case TAB_TIMING:
        lay_timing(i, a);
        break;
    case TAB_ATTEMPTS:
        lay_attempts(i);
        break;
    case TAB_RAW:
        if (inspect_have_detail(i)) {
            text_add(&i->text, ROLE_HEADING, "request");
            inspect_lay_body(i, "request", false);
            text_add(&i->text, ROLE_HEADING, "response");
            inspect_lay_body(i, "response", false);
        }
        break;
    default:
        break;
    }
}

void inspect_lay(struct inspector *i, struct app *a)
{
    if (i->tab == TAB_STREAM) {
        if (!i->laid) {
            text_reset(&i->text);
            transcript_again(&i->stream);
        }
        i->laid = true;
        lay_stream(i);
        return;
    }
    text_reset(&i->text);
    if (i->row)
        lay_tab(i, a);
    else if (i->id[0])
        inspect_have_detail(i);
    i->laid = true;
}
