/* cli_reports.c: what was spent, and what things cost: cost, prices. */
#include "store/base/clock.h"
#include "tui/clean.h"
#include "tui/cli_ask.h"
#include "tui/cli_verbs.h"
#include "tui/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PRICES_MAX_BYTES = 32 << 20 };

/* --since and --until as ms for the query; false after complaining. */
static bool put_time(struct cli *c, struct buf *path, const char *option)
{
    const char *text = cli_option(c, option);
    if (!text)
        return true;
    int64_t ms = cli_time(text, clock_wall_ms());
    if (ms < 0) {
        cli_complain("--%s: \"%s\" is no time: 2h, 7d, today, 2026-11-23", option, text);
        return false;
    }
    buf_printf(path, "&%s=%lld", option, (long long)ms);
    return true;
}

/* Cells that a spreadsheet would run as a formula are put behind a quote. */
static void put_csv(const char *text)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    clean_put(&out, str_c(text), false);
    putchar('"');
    if (text[0] && strchr("=+-@\t\r", text[0]))
        putchar('\'');
    for (const char *p = buf_c(&out); p && *p; p++) {
        if (*p == '"')
            putchar('"');
        putchar(*p);
    }
    putchar('"');
    buf_fini(&out);
}

/* nano-USD with all nine decimals: exact. */
static void put_exact(int64_t nano)
{
    printf("%s%lld.%09lld", nano < 0 ? "-" : "", (long long)llabs(nano / 1000000000),
        (long long)llabs(nano % 1000000000));
}

static void print_csv(const char *by, const struct json *rows)
{
    printf("%s,requests,input_tokens,cached_tokens,output_tokens,cost_usd,measured_usd,provider_usd,"
           "provider_list_usd,estimated_usd,estimated_requests,unpriced_requests,"
           "unseen_requests\n", by);
    for (const struct json *r = json_first(rows); r; r = json_following(r)) {
        put_csv(json_string(r, "name", ""));
        printf(",%lld,%lld,%lld,%lld,", (long long)json_int(r, "requests", 0),
            (long long)json_int(r, "input_tokens", 0), (long long)json_int(r, "cached_tokens", 0),
            (long long)json_int(r, "output_tokens", 0));
        put_exact(json_int(r, "cost_nano", 0));
        putchar(',');
        put_exact(json_int(r, "measured_nano", 0));
        putchar(',');
        put_exact(json_int(r, "provider_nano", 0));
        putchar(',');
        put_exact(json_int(r, "provider_list_nano", 0));
        putchar(',');
        put_exact(json_int(r, "estimated_nano", 0));
        printf(",%lld,%lld,%lld\n", (long long)json_int(r, "estimated_requests", 0),
            (long long)json_int(r, "unpriced_requests", 0), (long long)json_int(r, "unseen_requests", 0));
    }
}

static void print_cost(const struct cli *c, const char *by, const struct json *j)
{
    struct table t;
    char title[120], a[FORMAT_MAX];
    snprintf(title, sizeof title, "%s:40 <Requests <In <Cached <Out <USD <Measured <Estimated", by);
    table_init(&t, title);
    for (const struct json *r = json_first(json_member(j, "rows")); r; r = json_following(r)) {
        const char *name = json_string(r, "name", "");
        table_text(&t, name[0] ? name : "(none)");
        table_count(&t, json_int(r, "requests", 0));
        table_count(&t, json_int(r, "input_tokens", 0));
        table_count(&t, json_int(r, "cached_tokens", 0));
        table_count(&t, json_int(r, "output_tokens", 0));
        table_money(&t, json_int(r, "cost_nano", 0));
        table_money(&t, json_int(r, "measured_nano", 0) + json_int(r, "provider_nano", 0));
        table_money(&t, json_int(r, "estimated_nano", 0));
    }
    table_print(&t, c, "nothing was spent in that time");
    if (!c->quiet)
        cli_say(c, "total %s", format_dollars(a, json_int(j, "total_nano", 0)));
    if (json_int(j, "unpriced_requests", 0))
        cli_say(c, "%lld requests have no known price: see pointsman prices list",
            (long long)json_int(j, "unpriced_requests", 0));
}

/* A line of its own also where it is 0: it is part of what a bill is laid beside. */
static void say_unseen(const struct cli *c, int64_t requests)
{
    if (!c->quiet)
        cli_say(c, "not seen by a gateway: storage (files, vector stores, cached contexts), container "
            "minutes, code-execution hours: %lld requests used such%s", (long long)requests,
            requests ? "; their provider may bill more than is shown here" : "");
}

/* Where the figures come from: what a bill can be laid beside. */
static void print_sources(const struct cli *c, const char *by, const struct json *j)
{
    struct table t;
    char title[160], a[FORMAT_MAX], b[FORMAT_MAX];
    snprintf(title, sizeof title, "%s:40 <Requests <USD <Measured <Provider <By-list <Differs <Estimated "
        "<Est.req <Unpriced", by);
    table_init(&t, title);
    for (const struct json *r = json_first(json_member(j, "rows")); r; r = json_following(r)) {
        const char *name = json_string(r, "name", "");
        int64_t stated = json_int(r, "provider_nano", 0), list = json_int(r, "provider_list_nano", 0);
        table_text(&t, name[0] ? name : "(none)");
        table_count(&t, json_int(r, "requests", 0));
        table_money(&t, json_int(r, "cost_nano", 0));
        table_money(&t, json_int(r, "measured_nano", 0));
        table_money(&t, stated);
        table_money(&t, list);
        table_money(&t, list ? stated - list : 0);
        table_money(&t, json_int(r, "estimated_nano", 0));
        table_count(&t, json_int(r, "estimated_requests", 0));
        table_count(&t, json_int(r, "unpriced_requests", 0));
    }
    table_print(&t, c, "nothing was spent in that time");
    if (!c->quiet)
        cli_say(c, "measured: their usage at our prices; provider: the cost they stated (by-list: what "
            "our prices say of the same requests); estimated: cut, cancelled or without usage: %s of "
            "%s", format_dollars(a, json_int(j, "estimated_nano", 0)),
            format_dollars(b, json_int(j, "total_nano", 0)));
    say_unseen(c, json_int(j, "unseen_requests", 0));
}

int cli_cost_report(struct cli *c)
{
    struct buf path;
    struct reply r;
    const char *by = cli_option(c, "by") ? cli_option(c, "by") : "key";
    buf_init(&path, 1024);
    buf_puts(&path, "cost");
    cli_query(&path, "by", by);
    bool ok = put_time(c, &path, "since") && put_time(c, &path, "until");
    int status = ok ? cli_get(c, &r, buf_c(&path)) : CLI_USAGE;
    buf_fini(&path);
    if (status != CLI_DONE)
        return status;
    if (cli_option(c, "csv"))
        print_csv(by, json_member(r.json, "rows"));
    else if (!cli_json(c, &r))
        (cli_option(c, "sources") ? print_sources : print_cost)(c, by, r.json);
    reply_free(&r);
    return CLI_DONE;
}

/* ---- prices ---- */

int cli_prices_list(struct cli *c)
{
    struct buf path;
    struct reply r;
    buf_init(&path, 1024);
    buf_puts(&path, "prices");
    cli_query(&path, "part", c->word_count ? c->words[0] : NULL);
    int status = cli_get(c, &r, buf_c(&path));
    buf_fini(&path);
    if (status != CLI_DONE)
        return status;
    if (!cli_json_lines(c, &r, "prices")) {
        struct table t;
        table_init(&t, "Model:60 <Input <Cached <Output <Context Besides:200");
        for (const struct json *p = json_first(json_member(r.json, "prices")); p;
             p = json_following(p)) {
            const struct json *price = json_member(p, "price");
            table_json(&t, p, "name");
            table_json(&t, price, "input");
            table_json(&t, price, "cached");
            table_json(&t, price, "output");
            table_count(&t, json_int(p, "context_tokens", 0));
            table_json(&t, price, "besides");
        }
        table_print(&t, c, "no price is called so");
        if (!c->quiet)
            cli_say(c, "USD per million tokens; built-in list of %s",
                json_string(r.json, "built_in_date", "?"));
    }
    reply_free(&r);
    return CLI_DONE;
}

/* Figures of the file that bill nothing here. */
static void print_not_carried(struct cli *c, const struct json *j)
{
    struct buf b;
    buf_init(&b, 4096);
    for (const struct json *f = json_first(json_member(j, "not_carried")); f; f = json_following(f))
        buf_printf(&b, "%s%s (%lld)", b.n ? ", " : "", json_string(f, "field", "?"),
            (long long)json_int(f, "models", 0));
    if (b.n)
        cli_say(c, "not carried, and so not billed, with their number of models: " STR_FMT,
            STR_ARG(buf_str(&b)));
    buf_fini(&b);
}

int cli_prices_import(struct cli *c)
{
    struct buf file, body;
    struct reply r;
    buf_init(&file, PRICES_MAX_BYTES);
    int status = cli_read_file(c->words[0], &file);
    buf_init(&body, 2 * (size_t)PRICES_MAX_BYTES);
    if (status == CLI_DONE) {
        struct json_writer w = json_writer(&body);
        json_object_begin(&w, NULL);
        json_put_str(&w, "text", buf_str(&file));
        json_object_end(&w);
        status = cli_post(c, &r, "prices/import", buf_str(&body));
    }
    buf_fini(&file);
    buf_fini(&body);
    if (status != CLI_DONE)
        return status;
    if (!cli_json(c, &r) && !c->quiet)
        cli_say(c, "%lld prices taken, %lld of them rounded; %lld entries carry no price",
            (long long)json_int(r.json, "taken", 0), (long long)json_int(r.json, "rounded", 0),
            (long long)json_int(r.json, "skipped", 0));
    if (!c->json && !c->quiet)
        print_not_carried(c, r.json);
    reply_free(&r);
    return CLI_DONE;
}

/* Models that would change, the largest difference as it comes; then the sum. */
static void print_reprice(const struct cli *c, const struct json *j)
{
    struct table t;
    char a[FORMAT_MAX], b[FORMAT_MAX];
    table_init(&t, "Model:50 <Requests <Change <USD-before <USD-after <Difference");
    for (const struct json *m = json_first(json_member(j, "models")); m; m = json_following(m)) {
        int64_t before = json_int(m, "before_nano", 0), after = json_int(m, "after_nano", 0);
        if (!json_int(m, "changed", 0))
            continue;
        table_json(&t, m, "model");
        table_count(&t, json_int(m, "rows", 0));
        table_count(&t, json_int(m, "changed", 0));
        table_money(&t, before);
        table_money(&t, after);
        table_money(&t, after - before);
    }
    table_print(&t, c, "no request would cost anything else");
    bool written = json_bool(j, "written", false);
    cli_say(c, "%lld requests, %lld %s: %s instead of %s; %lld keep what their provider stated, %lld have "
        "no known price%s", (long long)json_int(j, "rows", 0), (long long)json_int(j, "changed", 0),
        written ? "changed" : "would change", format_dollars(a, json_int(j, "after_nano", 0)),
        format_dollars(b, json_int(j, "before_nano", 0)), (long long)json_int(j, "stated", 0),
        (long long)json_int(j, "unpriced", 0),
        written ? "" : "; nothing was written (--write does)");
}

int cli_prices_reprice(struct cli *c)
{
    char body[100];
    int64_t since = 0;
    struct reply r;
    if (cli_option(c, "since") && (since = cli_time(cli_option(c, "since"), clock_wall_ms())) < 0) {
        cli_complain("--since: \"%s\" is no time", cli_option(c, "since"));
        return CLI_USAGE;
    }
    snprintf(body, sizeof body, "{\"since_ms\":%lld,\"write\":%s}", (long long)since,
        cli_option(c, "write") ? "true" : "false");
    int status = cli_post(c, &r, "prices/reprice", str_c(body));
    if (status != CLI_DONE)
        return status;
    if (!cli_json(c, &r) && !c->quiet)
        print_reprice(c, r.json);
    reply_free(&r);
    return CLI_DONE;
}
