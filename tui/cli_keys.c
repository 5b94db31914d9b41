/* cli_keys.c: virtual keys: what they have used, made, limited, ended. */
#include "store/base/clock.h"
#include "tui/cli_ask.h"
#include "tui/cli_verbs.h"
#include "tui/format.h"
#include "tui/link.h"

#include <stdio.h>
#include <stdlib.h>

void cli_key_path(struct buf *path, const char *name, const char *verb)
{
    buf_init(path, 1024);
    buf_puts(path, "keys/");
    link_path(path, str_c(name));
    buf_printf(path, "/%s", verb);
}

/* ---- seeing ---- */

static const struct json *tightest(const struct json *windows)
{
    const struct json *best = NULL;
    double most = -1;
    for (const struct json *w = json_first(windows); w; w = json_following(w)) {
        int64_t limit = json_int(w, "limit_nano", 0);
        double used = limit > 0 ? (double)json_int(w, "used_nano", 0) / (double)limit : 0;
        if (used > most) {
            most = used;
            best = w;
        }
    }
    return best;
}

static void key_row(struct table *t, const struct json *k, int64_t now)
{
    char text[80], a[FORMAT_MAX], b[FORMAT_MAX];
    const char *state = json_string(k, "state", "");
    const struct json *w = tightest(json_member(k, "windows"));
    int64_t limit = json_int(w, "limit_nano", 0), used = json_int(w, "used_nano", 0);
    int64_t out = json_int(k, "runs_out_ms", -1), last = json_int(k, "last_ms", 0);
    table_json(t, k, "name");
    table_json(t, k, "owner");
    table_cell(t, str_c(state), strcmp(state, "active") == 0 ? CELL_GOOD : CELL_WARN);
    table_money(t, json_int(k, "nano_per_hour", 0));
    table_money(t, json_int(k, "today_nano", 0));
    if (w)
        snprintf(text, sizeof text, "%s/%s", format_money(a, limit), json_string(w, "window", ""));
    table_text(t, w ? text : "");
    if (w && limit > 0)
        snprintf(text, sizeof text, "%d%%%s", (int)((double)used * 100 / (double)limit),
            used * 10 > limit * 8 ? "!" : "");
    table_cell(t, str_c(w ? text : "-"), w && used * 10 > limit * 8 ? CELL_BAD : CELL_PLAIN);
    table_text(t, w ? format_money(b, MAX(limit - used, (int64_t)0)) : "");
    table_text(t, out > 0 ? format_duration(a, MAX(out - now, (int64_t)0)) : "");
    table_count(t, json_int(k, "rpm", 0));
    table_text(t, last ? format_age(a, now - last) : "");
}

int cli_list_keys(struct cli *c, const char *name, bool mine)
{
    struct buf path;
    struct reply r;
    buf_init(&path, 1024);
    buf_puts(&path, "keys");
    cli_query(&path, "name", name);
    cli_query(&path, "mine", mine ? "1" : NULL);
    int status = cli_get(c, &r, buf_c(&path));
    buf_fini(&path);
    if (status != CLI_DONE)
        return status;
    const struct json *list = json_member(r.json, "keys");
    if (name && json_size(list) == 0) {
        cli_no_such(c, "key", name);
        status = CLI_FAILED;
    } else if (!cli_json_lines(c, &r, "keys")) {
        struct table t;
        table_init(&t, "Name Owner State <$/h <Today Window <Used <Left <Runs-out <RPM Last");
        for (const struct json *k = json_first(list); k; k = json_following(k))
            key_row(&t, k, clock_wall_ms());
        table_print(&t, c, "no key yet: pointsman key add NAME 20/week");
    }
    reply_free(&r);
    return status;
}

int cli_key_list(struct cli *c)
{
    return cli_list_keys(c, NULL, cli_option(c, "mine") != NULL);
}

/* ---- changing ---- */

static void say_secret(const struct cli *c, const struct json *j)
{
    const char *secret = json_string(j, "secret", "");
    if (!secret[0])
        return;
    if (!c->quiet)
        cli_say(c, "the secret, shown only this once:");
    cli_say(c, "%s", secret);
    for (const struct json *l = json_first(json_member(j, "lines")); l && !c->quiet;
         l = json_following(l))
        cli_say(c, "%s", json_item_string(l, ""));
}

static int post_key_verb(struct cli *c, const char *path, struct str body, const char *done)
{
    struct reply r;
    int status = cli_post(c, &r, path, body);
    if (status != CLI_DONE)
        return status;
    if (!cli_json(c, &r)) {
        const char *meaning = json_string(r.json, "meaning", "");
        if (!c->quiet)
            cli_say(c, "key %s %s%s%s", json_string(r.json, "key", c->words[0]), done,
                meaning[0] ? ": " : "", meaning);
        say_secret(c, r.json);
    }
    reply_free(&r);
    return CLI_DONE;
}

/* An argument that a shell has made nothing of is no limit that was left out. */
static bool words_are_said(const struct cli *c)
{
    for (size_t i = 0; i < c->word_count; i++)
        if (str_trim(str_c(c->words[i])).n == 0) {
            cli_complain("an argument is empty: in a shell `$20` is a variable and becomes nothing; write 20, "
                "20usd or 20/week");
            return false;
        }
    return true;
}

/* {"line": all words from `from` on} */
static void put_words(const struct cli *c, size_t from, struct buf *body)
{
    struct buf line;
    buf_init(&line, 8192);
    for (size_t i = from; i < c->word_count; i++)
        buf_printf(&line, "%s%s", i > from ? " " : "", c->words[i]);
    struct json_writer w = json_writer(body);
    json_object_begin(&w, NULL);
    json_put_str(&w, "line", buf_str(&line));
    if (cli_option(c, "dry-run"))
        json_put_bool(&w, "dry_run", true);
    json_object_end(&w);
    buf_fini(&line);
}

int cli_key_add(struct cli *c)
{
    struct buf body;
    if (!words_are_said(c))
        return CLI_USAGE;
    buf_init(&body, 16384);
    put_words(c, 0, &body);
    int status = post_key_verb(
        c, "keys", buf_str(&body), cli_option(c, "dry-run") ? "could be made" : "made");
    buf_fini(&body);
    return status;
}

int cli_key_limit(struct cli *c)
{
    struct buf body, path;
    if (!words_are_said(c))
        return CLI_USAGE;
    buf_init(&body, 16384);
    put_words(c, 1, &body);
    cli_key_path(&path, c->words[0], "limit");
    int status = post_key_verb(c, buf_c(&path), buf_str(&body), "limited");
    buf_fini(&body);
    buf_fini(&path);
    return status;
}

static int simple(struct cli *c, const char *verb, struct str body, const char *done)
{
    struct buf path;
    cli_key_path(&path, c->words[0], verb);
    int status = post_key_verb(c, buf_c(&path), body, done);
    buf_fini(&path);
    return status;
}

int cli_key_pause(struct cli *c)
{
    return simple(c, "pause", STR_NULL, "paused");
}

int cli_key_resume(struct cli *c)
{
    return simple(c, "resume", STR_NULL, "resumed");
}

int cli_key_revoke(struct cli *c)
{
    return simple(c, "revoke", STR_NULL, "revoked");
}

int cli_key_rotate(struct cli *c)
{
    char body[64] = "{}";
    if (cli_option(c, "grace")) {
        int64_t ms = cli_duration("grace", cli_option(c, "grace"));
        if (ms < 0)
            return CLI_USAGE;
        snprintf(body, sizeof body, "{\"grace_ms\":%lld}", (long long)ms);
    }
    return simple(c, "rotate", str_c(body), "rotated");
}

/* "20", "20usd", "-5", "0.5" → nano-USD. */
bool cli_amount(const char *text, int64_t *nano)
{
    struct str s = str_c(text), whole;
    bool minus = s.n && s.p[0] == '-';
    if (minus || (s.n && s.p[0] == '$'))
        s = str_from(s, 1);
    if (str_ends(s, STR("usd")))
        s.n -= 3;
    int64_t dollars = 0, fraction = 0, scale = 1000000000;
    if (!str_cut(&s, '.', &whole) || (whole.n && !str_to_i64(whole, &dollars)) || dollars < 0 ||
        dollars > 1000000000)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || scale == 1)
            return false;
        fraction = fraction * 10 + (s.p[i] - '0');
        scale /= 10;
    }
    *nano = dollars * 1000000000 + fraction * scale;
    if (minus)
        *nano = -*nano;
    return *nano != 0;
}

int cli_key_grant(struct cli *c)
{
    struct buf body, path;
    struct reply r;
    buf_init(&body, 4096);
    struct json_writer w = json_writer(&body);
    json_object_begin(&w, NULL);
    json_put_c(&w, "amount", c->words[1]);
    static const char *const members[] = {"note", "from", "request"};
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (cli_option(c, members[i]))
            json_put_c(&w, members[i], cli_option(c, members[i]));
    json_object_end(&w);
    cli_key_path(&path, c->words[0], "grant");
    int status = cli_post(c, &r, buf_c(&path), buf_str(&body));
    buf_fini(&body);
    buf_fini(&path);
    if (status != CLI_DONE)
        return status;
    if (!cli_json(c, &r) && !c->quiet)
        cli_say(c, "key %s: credit %s", c->words[0], json_string(r.json, "credit", "none"));
    reply_free(&r);
    return CLI_DONE;
}
