/* cli_key_show.c: `key show`: one key with all its windows, and the ledger behind its figures. */
#include "store/base/clock.h"
#include "tui/cli_ask.h"
#include "tui/cli_verbs.h"
#include "tui/format.h"
#include "tui/link.h"

#include <stdio.h>
#include <stdlib.h>

enum { LEDGER_PAGE = 1000 };

/* Nano-dollars to the last digit: what is audited is not rounded. */
static const char *exact(char *b, int64_t nano)
{
    uint64_t v = nano < 0 ? 0 - (uint64_t)nano : (uint64_t)nano;
    snprintf(b, FORMAT_MAX, "%s%llu.%09llu", nano < 0 ? "-" : "",
        (unsigned long long)(v / 1000000000), (unsigned long long)(v % 1000000000));
    return b;
}

static void say_texts(const struct cli *c, const char *title, const struct json *list)
{
    struct buf b;
    buf_init(&b, 8192);
    for (const struct json *i = json_first(list); i; i = json_following(i))
        buf_printf(&b, "%s%s", b.n ? ", " : "", json_item_string(i, ""));
    if (b.n)
        cli_say(c, "%-9s %s", title, buf_c(&b));
    buf_fini(&b);
}

static void say_text(const struct cli *c, const char *title, const char *text)
{
    if (*text)
        cli_say(c, "%-9s %s", title, text);
}

static void say_windows(const struct cli *c, const struct json *k, int64_t now)
{
    struct table t;
    char b[FORMAT_MAX];
    table_init(&t, "Window <Limit <Used <Reserved <Left <Used% Resets");
    for (const struct json *w = json_first(json_member(k, "windows")); w; w = json_following(w)) {
        int64_t limit = json_int(w, "limit_nano", 0), used = json_int(w, "used_nano", 0);
        int64_t held = json_int(w, "reserved_nano", 0), resets = json_int(w, "resets_ms", 0);
        table_json(&t, w, "window");
        table_text(&t, format_money(b, limit));
        table_text(&t, format_money(b, used));
        table_text(&t, format_money(b, held));
        table_text(&t, format_money(b, MAX(limit - used - held, (int64_t)0)));
        table_share(&t, limit > 0 ? (int64_t)((double)used * 1e6 / (double)limit) : 0);
        table_text(&t, resets > now && resets < now + (int64_t)366 * 86400000
            ? format_duration(b, resets - now) : "never");
    }
    table_print(&t, c, "no budget");
}

static void say_rates(const struct cli *c, const struct json *k)
{
    static const struct {
        const char *limit, *used, *unit;
    } rows[] = {{"rpm", "rpm_used", "requests a minute"}, {"tpm", "tpm_used", "tokens a minute"},
        {"concurrent", "running", "at once"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (json_int(k, rows[i].limit, 0))
            cli_say(c, "%-9s %lld %s, %lld now", i ? "" : "limits",
                (long long)json_int(k, rows[i].limit, 0), rows[i].unit,
                (long long)json_int(k, rows[i].used, 0));
}

static void say_key(const struct cli *c, const struct json *k)
{
    char b[FORMAT_MAX], d[FORMAT_MAX], time[FORMAT_MAX];
    int64_t now = clock_wall_ms(), out = json_int(k, "runs_out_ms", -1);
    int64_t expires = json_int(k, "expires_ms", 0), old = json_int(k, "old_until_ms", 0);
    cli_say(c, "%-9s %s, %s", json_string(k, "name", ""), json_string(k, "shown", ""),
        json_string(k, "state", ""));
    say_text(c, "owner", json_string(k, "owner", ""));
    say_text(c, "team", json_string(k, "team", ""));
    say_text(c, "tags", json_string(k, "tags", ""));
    say_texts(c, "models", json_member(k, "models"));
    say_texts(c, "sources", json_member(k, "sources"));
    say_texts(c, "raw", json_member(k, "raw"));
    say_rates(c, k);
    say_text(c, "credit", json_string(k, "credit", ""));
    if (json_int(k, "debt_nano", 0))
        cli_say(c, "%-9s %s: refused until it is paid or the window ends", "debt",
            format_dollars(b, json_int(k, "debt_nano", 0)));
    if (expires) {
        clock_rfc3339(expires, time);
        cli_say(c, "%-9s %.16s", "expires", time);
    }
    if (old > now)
        cli_say(c, "%-9s works for %s more", "old key", format_duration(b, old - now));
    cli_say(c, "%-9s %s today, %s an hour%s%s", "spends",
        format_dollars(b, json_int(k, "today_nano", 0)),
        format_dollars(d, json_int(k, "nano_per_hour", 0)), out > now ? ", runs out in " : "",
        out > now ? format_duration(time, out - now) : "");
    say_windows(c, k, now);
}

static int show_one(struct cli *c, const char *name)
{
    struct buf path;
    struct reply r;
    buf_init(&path, 1024);
    buf_puts(&path, "keys");
    cli_query(&path, "name", name);
    int status = cli_get(c, &r, buf_c(&path));
    buf_fini(&path);
    if (status != CLI_DONE)
        return status;
    const struct json *k = json_first(json_member(r.json, "keys"));
    if (!k) {
        cli_no_such(c, "key", name);
        status = CLI_FAILED;
    } else if (!cli_json_lines(c, &r, "keys")) {
        say_key(c, k);
    }
    reply_free(&r);
    return status;
}

static void add_entries(struct table *t, const struct json *list)
{
    for (const struct json *x = json_first(list); x; x = json_following(x)) {
        char b[FORMAT_MAX], time[40];
        clock_rfc3339(json_int(x, "time_ms", 0), time);
        table_cell(t, str_first(str_c(time), 19), CELL_DIM);
        table_json(t, x, "kind");
        table_text(t, exact(b, json_int(x, "amount_nano", 0)));
        table_json(t, x, "request");
        table_json(t, x, "who");
        table_json(t, x, "note");
    }
}

static int get_entries(struct cli *c, const char *name, int64_t most, const char *cursor, struct reply *r)
{
    struct buf path;
    char limit[24];
    cli_key_path(&path, name, "ledger");
    snprintf(limit, sizeof limit, "%lld", (long long)MIN(most, (int64_t)LEDGER_PAGE));
    cli_query(&path, "limit", limit);
    cli_query(&path, "before", *cursor ? cursor : NULL);
    int status = cli_get(c, r, buf_c(&path));
    buf_fini(&path);
    return status;
}

static int show_ledger(struct cli *c, const char *name)
{
    struct table t;
    char cursor[80] = "";
    int64_t left = 100;
    int status = CLI_DONE;
    if (cli_option(c, "limit") && (!str_to_i64(str_c(cli_option(c, "limit")), &left) || left < 1)) {
        cli_complain("--limit takes a number of rows");
        return CLI_USAGE;
    }
    if (!c->json)
        table_init(&t, "Time Entry <USD Request Who Note");
    for (bool done = false; !done && left > 0;) {
        struct reply r;
        status = get_entries(c, name, left, cursor, &r);
        if (status != CLI_DONE)
            break;
        left -= (int64_t)json_size(json_member(r.json, "entries"));
        done = json_bool(r.json, "done", true);
        snprintf(cursor, sizeof cursor, "%s", json_string(r.json, "cursor", ""));
        if (!cli_json_lines(c, &r, "entries"))
            add_entries(&t, json_member(r.json, "entries"));
        reply_free(&r);
    }
    if (!c->json)
        table_print(&t, c, status == CLI_DONE ? "no entry" : "");
    return status;
}

int cli_key_show(struct cli *c)
{
    const char *name = c->word_count ? c->words[0] : NULL;
    if (!name && (!cli_option(c, "mine") || cli_option(c, "ledger"))) {
        cli_complain("key show needs a NAME, or --mine");
        return CLI_USAGE;
    }
    if (!name)
        return cli_list_keys(c, NULL, true);
    return cli_option(c, "ledger") ? show_ledger(c, name) : show_one(c, name);
}
