/* cli_providers.c: providers: how they are doing, added, tried, drained. */
#include "tui/cli_ask.h"
#include "tui/cli_verbs.h"
#include "tui/format.h"
#include "tui/link.h"

#include <stdio.h>
#include <stdlib.h>

static void provider_path(struct buf *path, const char *name, const char *verb)
{
    buf_init(path, 1024);
    buf_puts(path, "providers/");
    link_path(path, str_c(name));
    buf_printf(path, "/%s", verb);
}

static void provider_row(struct table *t, const struct json *p)
{
    char text[64];
    const char *state = json_string(p, "state", "");
    int64_t most = json_int(p, "max_concurrent", 0);
    table_json(t, p, "name");
    table_json(t, p, "dialect");
    table_cell(t, str_c(state), strcmp(state, "ok") == 0 ? CELL_GOOD : CELL_BAD);
    if (most)
        snprintf(text, sizeof text, "%lld/%lld", (long long)json_int(p, "in_flight", 0),
            (long long)most);
    else
        snprintf(text, sizeof text, "%lld", (long long)json_int(p, "in_flight", 0));
    table_text(t, text);
    table_count(t, json_int(p, "queued", 0));
    table_share(t, json_int(p, "err_ppm", 0));
    table_seconds(t, json_int(p, "ttft_p50_us", 0));
    table_seconds(t, json_int(p, "ttft_p95_us", 0));
    table_json(t, p, "base_url");
    table_json(t, p, "last_error");
}

int cli_provider_list(struct cli *c)
{
    struct reply r;
    int status = cli_get(c, &r, "providers");
    if (status != CLI_DONE)
        return status;
    if (!cli_json_lines(c, &r, "providers")) {
        struct table t;
        table_init(&t, "Provider Dialect State <Live <Queue <Err% <p50 <p95 URL:44 Last-error:50");
        for (const struct json *p = json_first(json_member(r.json, "providers")); p;
             p = json_following(p))
            provider_row(&t, p);
        table_print(&t, c,
            "no provider: set OPENAI_API_KEY or another provider's key, or write a "
            "configuration");
    }
    reply_free(&r);
    return CLI_DONE;
}

int cli_provider_add(struct cli *c)
{
    struct buf body;
    struct reply r;
    const char *url = cli_option(c, "url"), *dialect = cli_option(c, "dialect");
    const char *key = cli_option(c, "api-key");
    if (!url) {
        cli_complain("--url is missing, such as --url http://127.0.0.1:11434/v1");
        return CLI_USAGE;
    }
    buf_init(&body, 8192);
    struct json_writer w = json_writer(&body);
    json_object_begin(&w, NULL);
    json_put_c(&w, "name", c->words[0]);
    json_object_begin(&w, "provider");
    json_put_c(&w, "dialect", dialect ? dialect : "openai");
    json_put_c(&w, "base_url", url);
    if (key)
        json_put_c(&w, "api_key", key);
    json_object_end(&w);
    json_object_end(&w);
    int status = cli_post(c, &r, "providers", buf_str(&body));
    buf_fini(&body);
    if (status != CLI_DONE)
        return status;
    if (!cli_json(c, &r) && !c->quiet)
        cli_say(c, "%s", json_string(r.json, "marker", "added"));
    reply_free(&r);
    return CLI_DONE;
}

int cli_provider_test(struct cli *c)
{
    struct buf path;
    struct reply r;
    provider_path(&path, c->words[0], "test");
    int status = cli_post(c, &r, buf_c(&path), STR_NULL);
    buf_fini(&path);
    if (status != CLI_DONE)
        return status;
    bool ok = json_bool(r.json, "ok", false);
    if (!cli_json(c, &r)) {
        char b[FORMAT_MAX];
        cli_say(c, "%s: %s, status %lld in %s s, %zu models%s%s", c->words[0], ok ? "ok" : "failed",
            (long long)json_int(r.json, "status", 0),
            format_seconds(b, json_int(r.json, "total_us", 0)),
            json_size(json_member(r.json, "models")),
            json_string(r.json, "error", "")[0] ? ": " : "", json_string(r.json, "error", ""));
    }
    reply_free(&r);
    return ok ? CLI_DONE : CLI_FAILED;
}

int cli_provider_detect(struct cli *c)
{
    struct reply r;
    int status = cli_post(c, &r, "providers/detect", STR_NULL);
    if (status != CLI_DONE)
        return status;
    if (!cli_json_lines(c, &r, "found")) {
        struct table t;
        table_init(&t, "Provider From:44 <Models Used");
        for (const struct json *f = json_first(json_member(r.json, "found")); f;
             f = json_following(f)) {
            const char *url = json_string(f, "base_url", "");
            table_json(&t, f, "provider");
            table_json(&t, f, *url ? "base_url" : "variable");
            table_count(&t, (int64_t)json_size(json_member(f, "models")));
            table_text(&t, json_bool(f, "used", false) ? "yes"
                    : *url ? "no: pointsman provider add NAME --url URL" : "no");
        }
        table_print(&t, c, "no provider key in the gateway's environment, and no Ollama, LM Studio, "
            "llama.cpp or vLLM at its usual port");
    }
    reply_free(&r);
    return CLI_DONE;
}

static int post_hand(struct cli *c, const char *verb, struct str body)
{
    struct buf path;
    struct reply r;
    provider_path(&path, c->words[0], verb);
    int status = cli_post(c, &r, buf_c(&path), body);
    buf_fini(&path);
    if (status != CLI_DONE)
        return status;
    if (!cli_json(c, &r) && !c->quiet) {
        cli_say(c, "%s%s", json_bool(r.json, "dry_run", false) ? "would: " : "",
            json_string(r.json, "marker", "done"));
        for (const struct json *m = json_first(json_member(r.json, "moves")); m;
             m = json_following(m)) {
            const char *to = json_string(m, "to", "");
            cli_say(c, "  %s → %s%s", json_string(m, "route", ""), to[0] ? to : "nowhere",
                json_bool(m, "by_itself", false) ? " (by its own list)" : "");
        }
        if (json_int(r.json, "nowhere", 0))
            cli_say(c, "%lld have nowhere to go and %s refused: give one with --to TARGET",
                (long long)json_int(r.json, "nowhere", 0),
                json_bool(r.json, "dry_run", false) ? "would be" : "are now");
    }
    reply_free(&r);
    return CLI_DONE;
}

int cli_provider_drain(struct cli *c)
{
    struct buf body;
    buf_init(&body, 4096);
    struct json_writer w = json_writer(&body);
    json_object_begin(&w, NULL);
    if (cli_option(c, "to"))
        json_put_c(&w, "to", cli_option(c, "to"));
    int64_t ms = cli_option(c, "for") ? cli_duration("for", cli_option(c, "for")) : 0;
    if (ms > 0)
        json_put_int(&w, "for_ms", ms);
    if (cli_option(c, "dry-run"))
        json_put_bool(&w, "dry_run", true);
    json_object_end(&w);
    int status = ms < 0 ? CLI_USAGE : post_hand(c, "drain", buf_str(&body));
    buf_fini(&body);
    return status;
}

int cli_provider_undrain(struct cli *c)
{
    return post_hand(c, "undrain", STR_NULL);
}

int cli_provider_trip(struct cli *c)
{
    char body[64] = "{}";
    if (cli_option(c, "for")) {
        int64_t ms = cli_duration("for", cli_option(c, "for"));
        if (ms < 0)
            return CLI_USAGE;
        snprintf(body, sizeof body, "{\"for_ms\":%lld}", (long long)ms);
    }
    return post_hand(c, "trip", str_c(body));
}

int cli_provider_clear(struct cli *c)
{
    return post_hand(c, "clear", STR_NULL);
}
