/* cli_whatif.c: `route whatif`: recorded requests through something else, nothing sent. It may take
 * long over long spans, so it waits without end; Ctrl-C ends the gateway's work too. */
#include "store/base/clock.h"
#include "tui/cli_ask.h"
#include "tui/cli_verbs.h"
#include "tui/format.h"
#include "tui/link.h"

#include <stdio.h>
#include <stdlib.h>

enum { FILE_MAX_BYTES = 1 << 20, TOLD = 20 };

/* Exactly one proposal. */
static bool one_is_given(const struct cli *c)
{
    static const char *const names[] = {"rule", "policy", "goal", "file"};
    int given = c->word_count > 1;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        given += cli_option(c, names[i]) != NULL;
    if (given != 1)
        cli_complain("give one of: TARGET (a target, a route or goal:NAME), --rule, --policy, --goal, "
              "--file");
    return given == 1;
}

static int put_json(struct json_writer *w, const char *member, const char *what, struct str json)
{
    size_t at = 0;
    json = str_trim(json);
    if (json_check(json, &at) < 0 || json.p[0] != '{') {
        cli_complain("%s: no valid JSON object at byte %zu", what, at);
        return CLI_FAILED;
    }
    json_put_raw(w, member, json);
    return CLI_DONE;
}

static int put_proposal(struct cli *c, struct json_writer *w)
{
    const char *rule = cli_option(c, "rule"), *file = cli_option(c, "file");
    if (c->word_count > 1)
        json_put_c(w, "to", c->words[1]);
    if (cli_option(c, "policy"))
        json_put_c(w, "policy", cli_option(c, "policy"));
    if (cli_option(c, "goal"))
        json_put_c(w, "goal", cli_option(c, "goal"));
    if (rule)
        return put_json(w, "rule", "--rule", str_c(rule));
    if (!file)
        return CLI_DONE;
    struct buf text;
    buf_init(&text, FILE_MAX_BYTES);
    int status = cli_read_file(file, &text);
    status = status ? status : put_json(w, "set", file, buf_str(&text));
    buf_fini(&text);
    return status;
}

static bool put_time(struct cli *c, struct json_writer *w, const char *option, const char *member)
{
    const char *text = cli_option(c, option);
    int64_t ms = text ? cli_time(text, clock_wall_ms()) : 0;
    if (text && ms < 0)
        cli_complain("--%s: \"%s\" is no time", option, text);
    else if (text)
        json_put_int(w, member, ms);
    return ms >= 0;
}

/* ---- what came out ---- */

static void put_money(struct table *t, const struct json *row, const char *member, bool known)
{
    char b[FORMAT_MAX];
    table_text(t, known ? format_dollars(b, json_int(row, member, 0)) : "?");
}

static void say_targets(struct cli *c, const struct json *list)
{
    struct table t;
    table_init(&t, "Target:44 <Requests <Cost <Was <p50 <p95 <Measured");
    for (const struct json *k = json_first(list); k; k = json_following(k)) {
        bool goes = json_string(k, "target", NULL) != NULL;
        table_cell(&t, str_c(json_string(k, goes ? "target" : "refused", "")),
            goes ? CELL_PLAIN : CELL_BAD);
        table_count(&t, json_int(k, "requests", 0));
        put_money(&t, k, "cost_nano", !goes || json_bool(k, "priced", false));
        put_money(&t, k, "was_nano", true);
        table_seconds(&t, json_int(k, "ttft_p50_us", 0));
        table_seconds(&t, json_int(k, "ttft_p95_us", 0));
        table_count(&t, json_int(k, "measured_requests", 0));
    }
    table_print(&t, c, "no recorded request of that name in that time");
}

static void say_moves(struct cli *c, const struct json *moves)
{
    struct table t;
    int told = 0;
    if (!json_first(moves))
        return;
    printf("\n");
    table_init(&t, "From:40 To:44 <Requests <Cost <Was Newest");
    for (const struct json *k = json_first(moves); k && told < TOLD; k = json_following(k), told++) {
        bool goes = json_string(k, "to", NULL) != NULL;
        table_json(&t, k, "from");
        table_cell(&t, str_c(json_string(k, goes ? "to" : "refused", "")),
            goes ? CELL_PLAIN : CELL_BAD);
        table_count(&t, json_int(k, "requests", 0));
        put_money(&t, k, "cost_nano", true);
        put_money(&t, k, "was_nano", true);
        table_text(&t, json_item_string(json_first(json_member(k, "ids")), ""));
    }
    table_print(&t, c, "");
}

static void say_count(struct cli *c, const struct json *r, const char *member, const char *what)
{
    int64_t n = json_int(r, member, 0);
    if (n)
        cli_say(c, "%lld %s", (long long)n, what);
}

static void say_all(struct cli *c, const struct json *r)
{
    char a[FORMAT_MAX], b[FORMAT_MAX], d[FORMAT_MAX], e[FORMAT_MAX];
    cli_say(c, "%s: %lld requests, %lld of them elsewhere; %s instead of %s",
        json_string(r, "proposal", ""), (long long)json_int(r, "rows", 0),
        (long long)json_int(r, "moved", 0), format_dollars(a, json_int(r, "cost_nano", 0)),
        format_dollars(b, json_int(r, "was_nano", 0)));
    cli_say(c, "first token p50 %s s (was %s), p95 %s s (was %s), as measured at each target%s",
        format_seconds(a, json_int(r, "ttft_p50_us", 0)),
        format_seconds(b, json_int(r, "was_ttft_p50_us", 0)),
        format_seconds(d, json_int(r, "ttft_p95_us", 0)),
        format_seconds(e, json_int(r, "was_ttft_p95_us", 0)),
        json_bool(r, "measured_earlier", false) ? " at any time" : "");
    say_count(c, r, "too_long", "would not fit a target that would have taken them");
    say_count(c, r, "refused", "would be refused");
    say_count(c, r, "unpriced", "would go where no price is known: their cost counts as 0");
    say_count(c, r, "guessed",
        "depend on what records don't hold (headers, budget of that time, features of old records), "
        "which was read as absent");
    printf("\n");
    say_targets(c, json_member(r, "targets"));
    say_moves(c, json_member(r, "moves"));
    printf("\n");
    cli_say(c, "%lld rows looked at in %lld ms; nothing was sent",
        (long long)json_int(r, "scanned", 0), (long long)json_int(r, "took_ms", 0));
}

int cli_route_whatif(struct cli *c)
{
    struct buf body;
    struct reply r;
    if (!one_is_given(c))
        return CLI_USAGE;
    buf_init(&body, 2 * FILE_MAX_BYTES);
    struct json_writer w = json_writer(&body);
    json_object_begin(&w, NULL);
    json_put_c(&w, "route", c->words[0]);
    int status = put_time(c, &w, "since", "since_ms") && put_time(c, &w, "until", "until_ms")
        ? put_proposal(c, &w) : CLI_USAGE;
    json_object_end(&w);
    if (status == CLI_DONE) {
        link_set_patience(c->link, -1);
        status = cli_post(c, &r, "whatif", buf_str(&body));
    }
    buf_fini(&body);
    if (status != CLI_DONE)
        return status;
    if (!cli_json(c, &r))
        say_all(c, r.json);
    reply_free(&r);
    return CLI_DONE;
}
