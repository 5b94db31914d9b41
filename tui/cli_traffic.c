/* cli_traffic.c: requests as lines: ps, tail, show, export, cancel. */
#include "store/base/clock.h"
#include "tui/clean.h"
#include "tui/cli_ask.h"
#include "tui/cli_verbs.h"
#include "tui/format.h"
#include "tui/launch.h"
#include "tui/link.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 500, FOLLOW_WAIT_MS = 10000, PRINTED = 2048, FOLLOW_BACK_MS = 60000 };

/* ---- a record as a line ---- */

static void row_status(struct table *t, const struct json *r)
{
    int64_t status = json_int(r, "status", 0);
    const char *state = json_string(r, "state", "");
    const char *outcome = json_string(r, "outcome", "");
    char text[40];
    if (strcmp(state, "done") != 0)
        table_cell(t, str_c(state), CELL_DIM);
    else if (status && strcmp(outcome, "ok") == 0) {
        snprintf(text, sizeof text, "%lld", (long long)status);
        table_cell(t, str_c(text), CELL_GOOD);
    } else {
        snprintf(text, sizeof text, "%lld %s", (long long)status, outcome);
        table_cell(t, status ? str_c(text) : str_c(outcome),
            status >= 400 && status < 500 ? CELL_WARN : CELL_BAD);
    }
}

static int64_t time_of(const struct json *r)
{
    struct tm tm = {0};
    const char *text = json_string(r, "time", "");
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    return end ? (int64_t)timegm(&tm) * 1000 + (*end == '.' ? strtol(end + 1, NULL, 10) : 0) : 0;
}

static const char titles[] = "Time Status:24 Model:32 <In <Out <TTFT <Dur <Cost Key:20 Route:20 Id";

static void put_row(struct table *t, const struct json *r)
{
    char b[FORMAT_MAX];
    const char *target = json_string(r, "target", "");
    table_text(t, format_clock(b, time_of(r)));
    row_status(t, r);
    table_text(t, target[0] ? target : json_string(r, "model_asked", ""));
    table_count(t, json_int(r, "input_tokens", 0));
    table_count(t, json_int(r, "output_tokens", 0));
    table_seconds(t, json_int(r, "ttft_us", 0));
    table_seconds(t, json_int(r, "total_us", 0));
    table_money(t, json_int(r, "cost_nano", 0));
    table_json(t, r, "key");
    table_json(t, r, "route");
    table_json(t, r, "id");
}

/* A search that ran out of its time says how far it came. */
static void warn_unfinished(const struct cli *c, const struct json *reply, int64_t limit)
{
    const char *back = json_string(reply, "searched_back_to", "");
    if (!c->quiet && !json_bool(reply, "done", true) && back[0] &&
        (int64_t)json_size(json_member(reply, "rows")) < limit)
        cli_complain("searched back to %s", back);
}

static bool bad_number(const char *option, const char *text, int64_t *out)
{
    if (!text || (str_to_i64(str_c(text), out) && *out > 0))
        return false;
    cli_complain("--%s: \"%s\" is no number above 0", option, text);
    return true;
}

int cli_ps(struct cli *c)
{
    struct buf path;
    int64_t limit = 30;
    if (bad_number("limit", cli_option(c, "limit"), &limit))
        return CLI_USAGE;
    buf_init(&path, 4096);
    buf_printf(&path, "exchanges?live=1&limit=%lld", (long long)limit);
    cli_query(&path, "filter", cli_option(c, "filter"));
    struct reply r;
    int status = cli_get(c, &r, buf_c(&path));
    buf_fini(&path);
    if (status != CLI_DONE)
        return status;
    if (!cli_json_lines(c, &r, "rows")) {
        struct table t;
        table_init(&t, titles);
        for (const struct json *i = json_first(json_member(r.json, "rows")); i;
             i = json_following(i))
            put_row(&t, i);
        table_print(&t, c, "no request yet");
        warn_unfinished(c, r.json, limit);
    }
    reply_free(&r);
    return CLI_DONE;
}

/* ---- tail ---- */

/* Follows print as they come, so that widths are fixed. */
static void print_line(const struct cli *c, const struct json *r)
{
    struct cli quiet = *c;
    struct table t;
    quiet.quiet = true;
    table_init(&t, titles);
    for (size_t i = 0; i < t.column_count; i++) {
        static const size_t widths[] = {8, 12, 30, 5, 5, 6, 6, 8, 12, 12, 26};
        t.columns[i].width = MAX(t.columns[i].width, widths[i]);
    }
    put_row(&t, r);
    table_print(&t, &quiet, "");
}

/* One sentence a request, every figure with its word: for a screen reader, a log, a grep. */
static void print_plain(const struct cli *c, const struct json *r)
{
    char b[FORMAT_MAX];
    struct buf line;
    const char *target = json_string(r, "target", "");
    int64_t status = json_int(r, "status", 0);
    buf_init(&line, 8192);
    buf_printf(&line, "%s %s", format_clock(b, time_of(r)), json_string(r, "outcome", "running"));
    if (status)
        buf_printf(&line, " %lld", (long long)status);
    buf_printf(&line, ", %s", target[0] ? target : json_string(r, "model_asked", "no model"));
    buf_printf(&line, ", %s in", format_count(b, json_int(r, "input_tokens", 0)));
    buf_printf(&line, ", %s out", format_count(b, json_int(r, "output_tokens", 0)));
    if (json_int(r, "ttft_us", 0))
        buf_printf(&line, ", first token %s s", format_seconds(b, json_int(r, "ttft_us", 0)));
    buf_printf(&line, ", whole %s s", format_seconds(b, json_int(r, "total_us", 0)));
    buf_printf(&line, ", %s", format_dollars(b, json_int(r, "cost_nano", 0)));
    static const char *const named[] = {"key", "route", "session", "id"};
    for (size_t i = 0; i < ARRAY_LEN(named); i++)
        if (json_string(r, named[i], "")[0])
            buf_printf(&line, ", %s %s", named[i], json_string(r, named[i], ""));
    const char *why = json_string(json_member(r, "error"), "message", "");
    if (why[0])
        buf_printf(&line, ", because: %s", why);
    cli_say(c, "%s", buf_c(&line) ? buf_c(&line) : "");
    buf_fini(&line);
}

/* What was stored while we began to follow comes twice; so does a record that was amended. */
static uint64_t printed[PRINTED];
static size_t printed_next;

static bool seen_before(const struct json *record)
{
    uint64_t h = str_hash(str_c(json_string(record, "id", "")));
    for (size_t i = 0; i < PRINTED; i++)
        if (printed[i] == h)
            return true;
    printed[printed_next++ % PRINTED] = h;
    return false;
}

static void print_rows(const struct cli *c, const struct reply *r, bool backwards)
{
    const struct json *rows = json_member(r->json, "rows");
    size_t n = json_size(rows), at = 0;
    if (n == 0)
        return;
    const struct json **list = calloc(n, sizeof(struct json *));
    struct str *raw = calloc(n, sizeof *raw);
    struct json_iter it = json_iter(json_get(buf_str(&r->text), STR("rows")).raw);
    struct json_span key, value;
    for (const struct json *i = json_first(rows); list && raw && i && at < n;
         i = json_following(i)) {
        raw[at] = json_next(&it, &key, &value) ? value.raw : STR_NULL;
        list[at++] = i;
    }
    for (size_t i = 0; i < at; i++) {
        size_t k = backwards ? at - 1 - i : i;
        if (seen_before(list[k]))
            continue;
        if (c->json)
            cli_put_json(raw[k]);
        else if (cli_option(c, "plain"))
            print_plain(c, list[k]);
        else
            print_line(c, list[k]);
    }
    free(list);
    free(raw);
}

/* Everything stored, page by page, oldest first. */
static int print_stored(struct cli *c, const char *since, int64_t limit)
{
    char cursor[80] = "";
    int64_t left = limit > 0 ? limit : INT64_MAX;
    for (bool done = false; !done && left > 0;) {
        struct buf path;
        struct reply r;
        buf_init(&path, 4096);
        buf_printf(&path, "exchanges?oldest_first=1&limit=%lld", (long long)MIN(left, PAGE));
        cli_query(&path, "since", since[0] ? since : NULL);
        cli_query(&path, "before", cursor[0] ? cursor : NULL);
        cli_query(&path, "filter", cli_option(c, "filter"));
        int status = cli_get(c, &r, buf_c(&path));
        buf_fini(&path);
        if (status != CLI_DONE)
            return status;
        print_rows(c, &r, false);
        left -= (int64_t)json_size(json_member(r.json, "rows"));
        done = json_bool(r.json, "done", true);
        snprintf(cursor, sizeof cursor, "%s", json_string(r.json, "cursor", ""));
        reply_free(&r);
    }
    return CLI_DONE;
}

/* One page of the newest, from `cursor` on; moves the cursor, empties it at the end. */
static int get_newest(struct cli *c, struct reply *r, char cursor[80], int64_t most)
{
    struct buf path;
    buf_init(&path, 4096);
    buf_printf(&path, "exchanges?limit=%lld", (long long)MIN(most, PAGE));
    cli_query(&path, "before", cursor[0] ? cursor : NULL);
    cli_query(&path, "filter", cli_option(c, "filter"));
    int status = cli_get(c, r, buf_c(&path));
    buf_fini(&path);
    if (status == CLI_DONE)
        snprintf(cursor, 80, "%s",
            json_bool(r->json, "done", true) ? "" : json_string(r->json, "cursor", ""));
    return status;
}

/* The newest `limit` ones, oldest first: pages come newest first, so all are read before the first
 * is printed. */
static int print_last(struct cli *c, int64_t limit)
{
    struct reply *pages = NULL;
    size_t n = 0;
    int status = CLI_DONE;
    char cursor[80] = "";
    for (bool more = true; more && status == CLI_DONE;) {
        struct reply *grown = realloc(pages, (n + 1) * sizeof *pages);
        if (!grown)
            break;
        pages = grown;
        status = get_newest(c, &pages[n], cursor, limit);
        if (status != CLI_DONE)
            break;
        limit -= (int64_t)json_size(json_member(pages[n++].json, "rows"));
        more = limit > 0 && cursor[0];
    }
    while (n > 0) {
        print_rows(c, &pages[--n], true);
        reply_free(&pages[n]);
    }
    free(pages);
    return status;
}

static void print_recent(struct cli *c, struct reply *r, int64_t *seq)
{
    struct json_span recent = json_get(buf_str(&r->text), STR("recent"));
    struct buf rows; /* the same shape as a page */
    buf_init(&rows, LINK_REPLY_MAX);
    buf_printf(&rows, "{\"rows\":" STR_FMT "}", STR_ARG(recent.raw));
    *seq = json_int(r->json, "seq", *seq);
    struct reply page = {rows, json_parse(buf_str(&rows), NULL)};
    if (page.json)
        print_rows(c, &page, true);
    reply_free(&page);
    reply_free(r);
}

/* The gateway left: said once, then waited for, as `tail -F` waits for a file. What was stored since
 * is printed; what had begun shortly before may have ended with it. */
static int wait_for_gateway(struct cli *c, int64_t *seq)
{
    struct reply r;
    char since[32], path[256];
    int status = CLI_NO_GATEWAY;
    snprintf(since, sizeof since, "%lld", (long long)(clock_wall_ms() - FOLLOW_BACK_MS));
    cli_complain("waiting for the gateway to come back (^C ends)");
    while (status == CLI_NO_GATEWAY) {
        struct err e = {0};
        sleep(1);
        if (launch_find(c, path, &e) == 0)
            status = cli_get(c, &r, "snapshot?limit=1&only=recent");
    }
    if (status != CLI_DONE)
        return status;
    *seq = json_int(r.json, "seq", 0);
    reply_free(&r);
    return print_stored(c, since, 0);
}

static int follow(struct cli *c, int64_t seq)
{
    bool json = c->json;
    for (;;) {
        struct buf path;
        struct reply r;
        buf_init(&path, 4096);
        buf_printf(&path, "snapshot?since=%lld&wait_ms=%d&limit=1000&only=recent", (long long)seq,
            FOLLOW_WAIT_MS);
        cli_query(&path, "filter", cli_option(c, "filter"));
        c->json = false; /* an error object has no place between records */
        int status = cli_get(c, &r, buf_c(&path));
        c->json = json;
        buf_fini(&path);
        if (status == CLI_NO_GATEWAY)
            status = wait_for_gateway(c, &seq);
        else if (status == CLI_DONE)
            print_recent(c, &r, &seq);
        if (status != CLI_DONE)
            return status;
        fflush(stdout);
    }
}

static int since_text(struct cli *c, char out[32])
{
    out[0] = 0;
    const char *since = cli_option(c, "since");
    if (!since)
        return CLI_DONE;
    int64_t ms = cli_time(since, clock_wall_ms());
    if (ms < 0) {
        cli_complain("--since: \"%s\" is no time: 2h, today, 2026-11-23T14:00", since);
        return CLI_USAGE;
    }
    snprintf(out, 32, "%lld", (long long)ms);
    return CLI_DONE;
}

int cli_tail(struct cli *c)
{
    char since[32];
    int64_t limit = 0, seq = 0;
    bool following = !cli_option(c, "no-follow");
    if (since_text(c, since) != CLI_DONE || bad_number("limit", cli_option(c, "limit"), &limit))
        return CLI_USAGE;
    signal(SIGPIPE, SIG_DFL);
    if (following) {
        struct reply r;
        int status = cli_get(c, &r, "snapshot?limit=1&only=recent");
        if (status != CLI_DONE)
            return status;
        seq = json_int(r.json, "seq", 0);
        reply_free(&r);
        if (limit == 0 && !since[0] && !c->json && isatty(1))
            limit = 20; /* a person wants the end, a pipe wants all */
    }
    int status = limit && !since[0] ? print_last(c, limit) : print_stored(c, since, limit);
    fflush(stdout);
    return status == CLI_DONE && following ? follow(c, seq) : status;
}

/* ---- show ---- */

static void section(const struct cli *c, const char *title)
{
    printf(cli_colors(c) ? "\n\033[1m%s\033[0m\n" : "\n%s\n", title);
}

static void put_text(const char *text)
{
    struct buf out;
    buf_init(&out, LINK_REPLY_MAX);
    clean_put_lines(&out, str_c(text));
    printf("%s\n", buf_c(&out) ? buf_c(&out) : "");
    buf_fini(&out);
}

static void show_summary(const struct cli *c, const struct json *j)
{
    char a[FORMAT_MAX], b[FORMAT_MAX], d[FORMAT_MAX], e[FORMAT_MAX];
    const struct json *error = json_member(j, "error");
    cli_say(c, "%s  %s  %s %lld", json_string(j, "id", ""), json_string(j, "time", ""),
        json_string(j, "outcome", json_string(j, "state", "")),
        (long long)json_int(j, "status", 0));
    cli_say(c, "asked     %s  by key %s%s%s", json_string(j, "model_asked", "-"),
        json_string(j, "key", "")[0] ? json_string(j, "key", "") : "(none)",
        json_string(j, "session", "")[0] ? ", session " : "", json_string(j, "session", ""));
    cli_say(c, "went to   %s  route %s%s%s", json_string(j, "target", "-"),
        json_string(j, "route", "-"), json_string(j, "rule", "")[0] ? ", " : "",
        json_string(j, "rule", ""));
    cli_say(c, "tokens    %s in (%s cached), %s out, %s; %s, %s",
        format_count(a, json_int(j, "input_tokens", 0)),
        format_count(b, json_int(j, "cached_tokens", 0)),
        format_count(d, json_int(j, "output_tokens", 0)), json_string(j, "usage_source", ""),
        format_dollars(e, json_int(j, "cost_nano", 0)), json_string(j, "cost_source", ""));
    if (json_string(j, "billed", "")[0])
        cli_say(c, "besides   %s", json_string(j, "billed", ""));
    cli_say(c, "timing    first token %s s, whole %s s, in the queue %s s, retries %s s",
        format_seconds(a, json_int(j, "ttft_us", 0)), format_seconds(b, json_int(j, "total_us", 0)),
        format_seconds(d, json_int(j, "queue_us", 0)),
        format_seconds(e, json_int(j, "retry_us", 0)));
    if (json_string(j, "sentence", "")[0])
        cli_say(c, "          %s", json_string(j, "sentence", ""));
    if (json_string(error, "message", "")[0])
        cli_say(c, "error     %s: %s", json_string(error, "code", ""),
            json_string(error, "message", ""));
    for (const struct json *i = json_first(json_member(j, "attempts")); i; i = json_following(i))
        cli_say(c, "attempt   %s  %lld %s  %s  %lld ms", json_string(i, "target", ""),
            (long long)json_int(i, "status", 0), json_string(i, "outcome", ""),
            json_string(i, "reason", ""), (long long)json_int(i, "ms", 0));
}

static void show_side(const struct cli *c, const struct json *j, const char *member)
{
    const struct json *side = json_member(j, member);
    if (!json_is_object(side))
        return;
    section(c, member);
    const struct json *headers = json_member(side, "headers");
    for (const struct json *h = json_first(headers); h; h = json_following(h))
        cli_say(c, "%s: %s", json_key(h) ? json_key(h) : json_string(h, "name", ""),
            json_is_string(h) ? json_item_string(h, "") : json_string(h, "value", ""));
    if (json_string(side, "body", "")[0])
        put_text(json_string(side, "body", ""));
    if (json_bool(side, "body_cut", false))
        puts("(cut: longer than capture.max_bytes)");
}

static int show_as(struct cli *c, const char *dialect)
{
    struct buf path;
    struct reply r;
    buf_init(&path, 1024);
    buf_puts(&path, "exchanges/");
    link_path(&path, str_c(c->words[0]));
    buf_puts(&path, "/as/");
    link_path(&path, str_c(dialect));
    int status = cli_get(c, &r, buf_c(&path));
    buf_fini(&path);
    if (status != CLI_DONE)
        return status;
    if (!cli_json(c, &r)) {
        static const char *const sides[] = {"request", "response"};
        for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
            struct json_span side = json_get(buf_str(&r.text), str_c(sides[i]));
            section(c, sides[i]);
            if (side.type == JSON_STRING)
                put_text(json_string(r.json, sides[i], ""));
            else
                cli_put_json(side.raw);
        }
        if (json_string(r.json, "dropped", "")[0]) {
            section(c, "changed or left out");
            put_text(json_string(r.json, "dropped", ""));
        }
    }
    reply_free(&r);
    return CLI_DONE;
}

static int get_exchange(struct cli *c, struct reply *r)
{
    struct buf path;
    buf_init(&path, 1024);
    buf_puts(&path, "exchanges/");
    link_path(&path, str_c(c->words[0]));
    int status = cli_get(c, r, buf_c(&path));
    buf_fini(&path);
    return status;
}

int cli_show(struct cli *c)
{
    if (cli_option(c, "as"))
        return show_as(c, cli_option(c, "as"));
    struct reply r;
    int status = get_exchange(c, &r);
    if (status != CLI_DONE)
        return status;
    if (!cli_json(c, &r)) {
        show_summary(c, r.json);
        if (json_string(r.json, "denied", "")[0])
            cli_say(c, "\n%s", json_string(r.json, "denied", ""));
        show_side(c, r.json, "request");
        show_side(c, r.json, "response");
    }
    reply_free(&r);
    return CLI_DONE;
}

/* ---- export ---- */

static int export_curl(struct cli *c, const struct json *j)
{
    const struct json *request = json_member(j, "request");
    const char *body = json_string(request, "body", "");
    if (json_string(j, "denied", "")[0] || !body[0]) {
        cli_complain("no body is kept of this request: %s",
            json_string(j, "denied", "see capture in the configuration"));
        return CLI_FAILED;
    }
    struct reply status;
    if (cli_get(c, &status, "status") != CLI_DONE)
        return CLI_FAILED;
    struct buf raw, out;
    buf_init(&raw, LINK_REPLY_MAX);
    buf_init(&out, LINK_REPLY_MAX);
    buf_puts(&raw, "curl -sS ");
    struct buf url;
    buf_init(&url, 4096);
    buf_printf(&url, "%s%s", json_item_string(json_first(json_member(status.json, "listen")), ""),
        json_string(j, "endpoint", ""));
    cli_shell_quote(&raw, buf_c(&url));
    buf_puts(&raw,
        " -H 'content-type: application/json' -H \"authorization: Bearer $OPENAI_API_KEY\""
        " --data-binary ");
    cli_shell_quote(&raw, body);
    clean_put_lines(&out, buf_str(&raw));
    printf("%s\n", buf_c(&out) ? buf_c(&out) : "");
    buf_fini(&url);
    buf_fini(&raw);
    buf_fini(&out);
    reply_free(&status);
    return CLI_DONE;
}

static int export_one(struct cli *c, bool curl)
{
    struct reply r;
    int status = get_exchange(c, &r);
    if (status != CLI_DONE)
        return status;
    if (curl)
        status = export_curl(c, r.json);
    else
        cli_put_json(buf_str(&r.text));
    reply_free(&r);
    return status;
}

int cli_export(struct cli *c)
{
    const char *format = cli_option(c, "format");
    bool curl = format && strcmp(format, "curl") == 0;
    if (format && !curl && strcmp(format, "jsonl") != 0) {
        cli_complain("--format: \"%s\" is neither jsonl nor curl", format);
        return CLI_USAGE;
    }
    if (c->word_count)
        return export_one(c, curl);
    if (curl) {
        cli_complain("export --format curl needs the ID of one request");
        return CLI_USAGE;
    }
    char since[32];
    int64_t limit = 0;
    if (since_text(c, since) != CLI_DONE || bad_number("limit", cli_option(c, "limit"), &limit))
        return CLI_USAGE;
    c->json = true;
    return print_stored(c, since, limit);
}

int cli_cancel(struct cli *c)
{
    struct buf path;
    struct reply r;
    struct str id = str_c(c->words[0]);
    bool session = str_starts(id, STR("session:"));
    buf_init(&path, 1024);
    buf_puts(&path, session ? "sessions/" : "exchanges/");
    link_path(&path, session ? str_from(id, strlen("session:")) : id);
    buf_puts(&path, "/cancel");
    int status = cli_post(c, &r, buf_c(&path), STR_NULL);
    buf_fini(&path);
    if (status != CLI_DONE)
        return status;
    if (!cli_json(c, &r) && !c->quiet)
        cli_say(c, "cancelled: %lld", (long long)json_int(r.json, "cancelled", 0));
    reply_free(&r);
    return CLI_DONE;
}
