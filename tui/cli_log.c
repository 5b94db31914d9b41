/* cli_log.c: what happened, and who changed what: events, audit. */
#include "tui/clean.h"
#include "tui/cli_ask.h"
#include "tui/cli_verbs.h"
#include "tui/format.h"

#include <stdio.h>

static int ask_list(struct cli *c, struct reply *r, const char *base)
{
    struct buf path;
    buf_init(&path, 1024);
    buf_puts(&path, base);
    cli_query(&path, "limit", cli_option(c, "limit") ? cli_option(c, "limit") : "50");
    cli_query(&path, "level", cli_option(c, "level"));
    int status = cli_get(c, r, buf_c(&path));
    buf_fini(&path);
    return status;
}

static enum cell_color level_color(const char *level)
{
    if (strcmp(level, "error") == 0)
        return CELL_BAD;
    if (strcmp(level, "warn") == 0)
        return CELL_WARN;
    return strcmp(level, "debug") == 0 ? CELL_DIM : CELL_PLAIN;
}

int cli_events(struct cli *c)
{
    struct reply r;
    int status = ask_list(c, &r, "events");
    if (status != CLI_DONE)
        return status;
    if (!cli_json_lines(c, &r, "events")) {
        struct table t;
        char b[FORMAT_MAX];
        table_init(&t, "Time Level Kind What:240 Request");
        for (const struct json *e = json_first(json_member(r.json, "events")); e;
             e = json_following(e)) {
            const char *level = json_string(e, "level", "");
            table_text(&t, format_iso(b, json_int(e, "time_ms", 0)));
            table_cell(&t, str_c(level), level_color(level));
            table_json(&t, e, "kind");
            table_json(&t, e, "text");
            table_json(&t, e, "request_id");
        }
        table_print(&t, c, "no event yet");
    }
    reply_free(&r);
    return CLI_DONE;
}

int cli_audit(struct cli *c)
{
    struct reply r;
    int status = ask_list(c, &r, "audit");
    if (status != CLI_DONE)
        return status;
    if (!cli_json_lines(c, &r, "audit")) {
        struct table t;
        char b[FORMAT_MAX];
        table_init(&t, "<Rev Time Who Terminal What:240");
        for (const struct json *a = json_first(json_member(r.json, "audit")); a;
             a = json_following(a)) {
            snprintf(b, sizeof b, "%lld", (long long)json_int(a, "revision", 0));
            table_text(&t, b);
            table_text(&t, format_iso(b, json_int(a, "time_ms", 0)));
            table_json(&t, a, "who");
            table_json(&t, a, "terminal");
            table_json(&t, a, "what");
        }
        table_print(&t, c, "nothing was changed yet");
    }
    reply_free(&r);
    return CLI_DONE;
}
