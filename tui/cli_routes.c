/* cli_routes.c: routes and profiles: seen, switched, edited, undone. */
#include "store/base/clock.h"
#include "tui/clean.h"
#include "tui/cli_ask.h"
#include "tui/cli_verbs.h"
#include "tui/format.h"
#include "tui/link.h"

#include <stdio.h>
#include <stdlib.h>

enum { FILE_MAX_BYTES = 1 << 20 };

/* "routes/NAME/verb" */
static void route_path(struct buf *path, const char *name, const char *verb)
{
    buf_init(path, 2048);
    buf_puts(path, "routes/");
    link_path(path, str_c(name));
    buf_printf(path, "/%s", verb);
}

/* ---- seeing ---- */

static enum cell_color health_color(const char *health)
{
    if (strcmp(health, "ok") == 0)
        return CELL_GOOD;
    return strcmp(health, "probing") == 0 || strcmp(health, "errors") == 0 ? CELL_WARN : CELL_BAD;
}

static void override_cell(struct table *t, const struct json *route)
{
    const struct json *o = json_member(route, "override");
    char text[300], back[FORMAT_MAX];
    if (!json_is_object(o)) {
        table_text(t, "");
        return;
    }
    int64_t until = json_int(o, "until_ms", 0);
    snprintf(text, sizeof text, "→ %s (%s%s%s)", json_string(o, "to", ""),
        json_string(o, "who", ""), until ? ", back " : "", until ? format_minute(back, until) : "");
    table_cell(t, str_c(text), CELL_WARN);
}

static void route_rows(struct table *t, const struct json *route)
{
    const struct json *target = json_first(json_member(route, "targets"));
    bool first = true, live = json_bool(route, "live", false);
    do {
        char name[160];
        snprintf(name, sizeof name, "%s%s", json_string(route, "name", ""), live ? " (live)" : "");
        table_text(t, first ? name : "");
        table_text(t, first ? json_string(route, "policy", "") : "");
        table_json(t, target, "target");
        table_count(t, json_int(target, "weight", 0));
        const char *health = json_string(target, "health", "");
        table_cell(t, str_c(health), health_color(health));
        table_seconds(t, json_int(target, "ttft_p95_us", 0));
        table_share(t, json_int(target, "err_ppm", 0));
        if (first)
            override_cell(t, route);
        else
            table_text(t, "");
        first = false;
        target = target ? json_following(target) : NULL;
    } while (target);
}

int cli_route_list(struct cli *c)
{
    struct reply r;
    int status = cli_get(c, &r, "routes");
    if (status != CLI_DONE)
        return status;
    if (!cli_json_lines(c, &r, "routes")) {
        struct table t;
        table_init(&t, "Route Policy Target:40 <Weight Health <p95 <Err% Switched:70");
        for (const struct json *i = json_first(json_member(r.json, "routes")); i;
             i = json_following(i))
            route_rows(&t, i);
        table_print(&t, c, "no route is defined; any model name can be switched");
    }
    reply_free(&r);
    return CLI_DONE;
}

static void show_rules(const struct cli *c, const struct json *rules)
{
    for (const struct json *r = json_first(rules); r; r = json_following(r)) {
        char text[600];
        size_t at = 0;
        const struct json *conditions = json_member(r, "if");
        for (const struct json *k = json_first(conditions); k && at < sizeof text;
             k = json_following(k))
            at += (size_t)MAX(0, snprintf(text + at, sizeof text - at, "%s%s %s", at ? " and " : "",
                                     json_key(k), json_item_string(k, "")));
        at = MIN(at, sizeof text - 1);
        for (const struct json *u = json_first(json_member(r, "use")); u && at < sizeof text - 1;
             u = json_following(u))
            at += (size_t)MAX(
                0, snprintf(text + at, sizeof text - at, " → %s", json_item_string(u, "")));
        cli_say(c, "%s%s: %s", json_string(r, "name", ""),
            json_bool(r, "enabled", true) ? "" : " (off)", text);
    }
}

static void show_canary(struct cli *c, const struct json *canary)
{
    char share[FORMAT_MAX];
    const char *why = json_string(canary, "why", "");
    if (json_is_object(canary))
        cli_say(c, "canary: %s, %s%% of the requests%s%s", json_string(canary, "to", ""),
            format_share(share, json_int(canary, "share_ppm", 0)),
            json_bool(canary, "taken_back", false) ? "; " : "",
            !json_bool(canary, "taken_back", false) ? "" : why[0] ? why : "taken back");
}

int cli_route_show(struct cli *c)
{
    struct reply r;
    int status = cli_get(c, &r, "routes");
    if (status != CLI_DONE)
        return status;
    struct json_iter it = json_iter(json_get(buf_str(&r.text), STR("routes")).raw);
    struct json_span key, raw;
    const struct json *route = NULL;
    for (const struct json *i = json_first(json_member(r.json, "routes")); i;
         i = json_following(i)) {
        bool more = json_next(&it, &key, &raw);
        if (strcmp(json_string(i, "name", ""), c->words[0]) != 0)
            continue;
        route = i;
        if (c->json && more)
            cli_put_json(raw.raw);
        break;
    }
    if (!route) {
        cli_no_such(c, "route", c->words[0]);
        status = CLI_FAILED;
    } else if (!c->json) {
        struct table t;
        const char *expands = json_string(route, "expands_to", "");
        table_init(&t, "Route Policy Target:40 <Weight Health <p95 <Err% Switched:70");
        route_rows(&t, route);
        table_print(&t, c, "");
        if (expands[0])
            cli_say(c, "goal %s: %s", json_string(route, "goal", ""), expands);
        show_rules(c, json_member(route, "rules"));
        show_canary(c, json_member(route, "canary"));
        for (const struct json *f = json_first(json_member(route, "fallback")); f;
             f = json_following(f))
            cli_say(c, "fallback: %s", json_item_string(f, ""));
    }
    reply_free(&r);
    return status;
}

int cli_route_explain(struct cli *c)
{
    struct buf path, body;
    struct reply r;
    route_path(&path, c->words[0], "explain");
    buf_init(&body, 4096);
    struct json_writer w = json_writer(&body);
    json_object_begin(&w, NULL);
    if (cli_option(c, "key"))
        json_put_c(&w, "key", cli_option(c, "key"));
    if (cli_option(c, "session"))
        json_put_c(&w, "session", cli_option(c, "session"));
    json_object_end(&w);
    int status = cli_post(c, &r, buf_c(&path), buf_str(&body));
    buf_fini(&path);
    buf_fini(&body);
    if (status != CLI_DONE)
        return status;
    if (!cli_json(c, &r)) {
        const struct json *plan = json_member(r.json, "plan");
        if (json_string(r.json, "went_to", "")[0])
            cli_say(c, "went to   %s", json_string(r.json, "went_to", ""));
        cli_say(c, "now       route %s%s%s%s%s", json_string(plan, "route", "-"),
            json_string(plan, "rule", "")[0] ? ", " : "", json_string(plan, "rule", ""),
            json_string(plan, "override", "")[0] ? ", switched for " : "",
            json_string(plan, "override", ""));
        for (const struct json *k = json_first(json_member(plan, "candidates")); k;
             k = json_following(k))
            cli_say(c, "  ✓ %s  %s", json_string(k, "target", ""), json_string(k, "reason", ""));
        for (const struct json *k = json_first(json_member(plan, "rejected")); k;
             k = json_following(k))
            cli_say(c, "  ✗ %s  %s", json_string(k, "target", ""), json_string(k, "reason", ""));
        if (json_string(plan, "error", "")[0])
            cli_say(c, "refused   %s", json_string(plan, "error", ""));
    }
    reply_free(&r);
    return CLI_DONE;
}

/* ---- switching ---- */

/* Says what was done; `member` holds its sentence. */
static int post_and_say(struct cli *c, struct buf *path, struct buf *body, const char *member)
{
    struct reply r;
    int status = cli_post(c, &r, buf_c(path), body ? buf_str(body) : STR_NULL);
    buf_fini(path);
    if (body)
        buf_fini(body);
    if (status != CLI_DONE)
        return status;
    if (!cli_json(c, &r) && !c->quiet) {
        const char *preview = json_string(json_member(r.json, "preview"), "sentence", "");
        cli_say(c, "%s%s (revision %lld)", json_bool(r.json, "dry_run", false) ? "would: " : "",
            json_string(r.json, member, "done"), (long long)json_int(r.json, "revision", 0));
        if (preview[0])
            cli_say(c, "%s", preview);
    }
    reply_free(&r);
    return CLI_DONE;
}

static bool put_for(struct cli *c, struct json_writer *w)
{
    if (!cli_option(c, "for"))
        return true;
    int64_t ms = cli_duration("for", cli_option(c, "for"));
    json_put_int(w, "for_ms", ms);
    return ms > 0;
}

int cli_route_switch(struct cli *c)
{
    struct buf path, body;
    const char *key = cli_option(c, "key"), *session = cli_option(c, "session");
    if (key && session) {
        cli_complain("--key and --session exclude each other");
        return CLI_USAGE;
    }
    buf_init(&body, 8192);
    struct json_writer w = json_writer(&body);
    json_object_begin(&w, NULL);
    json_put_c(&w, "to", c->words[1]);
    if (key || session) {
        json_put_c(&w, "scope", key ? "key" : "session");
        json_put_c(&w, "scope_name", key ? key : session);
    }
    if (cli_option(c, "dry-run"))
        json_put_bool(&w, "dry_run", true);
    bool ok = put_for(c, &w);
    json_object_end(&w);
    if (!ok) {
        buf_fini(&body);
        return CLI_USAGE;
    }
    route_path(&path, c->words[0], "switch");
    return post_and_say(c, &path, &body, "marker");
}

int cli_route_undo(struct cli *c)
{
    struct buf path, body;
    int64_t rev = 0;
    const char *text = cli_option(c, "rev");
    if (text && (!str_to_i64(str_c(text), &rev) || rev <= 0)) {
        cli_complain("--rev: \"%s\" is no revision", text);
        return CLI_USAGE;
    }
    buf_init(&path, 64);
    buf_init(&body, 64);
    buf_puts(&path, "undo");
    if (rev)
        buf_printf(&body, "{\"revision\":%lld}", (long long)rev);
    else
        buf_puts(&body, "{}");
    return post_and_say(c, &path, &body, "text");
}

/* A file, or stdin for "-"; ended by NUL. */
int cli_read_file(const char *name, struct buf *out)
{
    FILE *f = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
    if (!f) {
        perror(name);
        return CLI_FAILED;
    }
    char *to;
    size_t n = 1;
    while (n > 0 && (to = buf_reserve(out, 65536)) != NULL)
        out->n += n = fread(to, 1, 65536, f);
    bool bad = ferror(f) || out->err;
    if (f != stdin)
        fclose(f);
    if (!bad)
        return CLI_DONE;
    cli_complain("%s: can't be read, or larger than %zu MiB", name, out->max >> 20);
    return CLI_FAILED;
}

int cli_route_set(struct cli *c)
{
    struct buf path, body, file;
    int64_t revision = -1;
    const char *seen = cli_option(c, "revision");
    if (seen && !str_to_i64(str_c(seen), &revision)) {
        cli_complain("--revision: \"%s\" is no number", seen);
        return CLI_USAGE;
    }
    buf_init(&file, FILE_MAX_BYTES);
    int status = cli_read_file(c->words[1], &file);
    size_t at = 0;
    if (status == CLI_DONE && json_check(buf_str(&file), &at) < 0) {
        cli_complain("%s: no valid JSON at byte %zu", c->words[1], at);
        status = CLI_FAILED;
    }
    if (status != CLI_DONE) {
        buf_fini(&file);
        return status;
    }
    buf_init(&body, 2 * FILE_MAX_BYTES);
    struct json_writer w = json_writer(&body);
    json_object_begin(&w, NULL);
    if (revision >= 0)
        json_put_int(&w, "revision", revision);
    if (cli_option(c, "dry-run"))
        json_put_bool(&w, "dry_run", true);
    json_put_raw(&w, "route", str_trim(buf_str(&file)));
    json_object_end(&w);
    buf_fini(&file);
    route_path(&path, c->words[0], "set");
    return post_and_say(c, &path, &body, "diff");
}

/* ---- profiles ---- */

int cli_profile_list(struct cli *c)
{
    struct reply r;
    int status = cli_get(c, &r, "profiles");
    if (status != CLI_DONE)
        return status;
    if (!cli_json_lines(c, &r, "profiles")) {
        struct table t;
        table_init(&t, "Profile <Switches");
        for (const struct json *p = json_first(json_member(r.json, "profiles")); p;
             p = json_following(p)) {
            table_json(&t, p, "name");
            table_count(&t, (int64_t)json_size(json_member(p, "states")));
        }
        table_print(&t, c, "no profile is saved yet: pointsman profile save NAME");
    }
    reply_free(&r);
    return CLI_DONE;
}

int cli_profile_save(struct cli *c)
{
    struct buf path, body;
    buf_init(&path, 64);
    buf_init(&body, 1024);
    buf_puts(&path, "profiles");
    struct json_writer w = json_writer(&body);
    json_object_begin(&w, NULL);
    json_put_c(&w, "name", c->words[0]);
    json_object_end(&w);
    return post_and_say(c, &path, &body, "marker");
}

static void profile_path(struct buf *path, const char *name, const char *verb)
{
    buf_init(path, 1024);
    buf_puts(path, "profiles/");
    link_path(path, str_c(name));
    buf_printf(path, "/%s", verb);
}

int cli_profile_delete(struct cli *c)
{
    struct buf path;
    profile_path(&path, c->words[0], "delete");
    return post_and_say(c, &path, NULL, "marker");
}

int cli_profile_apply(struct cli *c)
{
    struct buf path;
    struct reply r;
    profile_path(&path, c->words[0], "apply");
    int status = cli_post(
        c, &r, buf_c(&path), cli_option(c, "dry-run") ? STR("{\"dry_run\":true}") : STR("{}"));
    buf_fini(&path);
    if (status != CLI_DONE)
        return status;
    if (!cli_json(c, &r) && !c->quiet) {
        struct buf out;
        buf_init(&out, 1 << 20);
        clean_put_lines(&out, str_c(json_string(r.json, "diff", "")));
        printf("%s", buf_c(&out) ? buf_c(&out) : "");
        buf_fini(&out);
        cli_say(c, "%lld changes%s", (long long)json_int(r.json, "changes", 0),
            cli_option(c, "dry-run") ? " (nothing was changed)" : "");
    }
    reply_free(&r);
    return CLI_DONE;
}
