/* cli_config.c: the configuration, the store's upkeep, and doctor. What works without a gateway is done
 * by main.c's hook, in this process. */
#include "store/base/clock.h"
#include "tui/clean.h"
#include "tui/cli_ask.h"
#include "tui/cli_verbs.h"
#include "tui/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CONFIG_MAX_BYTES = 1 << 20 };

int cli_config_check(struct cli *c)
{
    return c->hooks->alone(c);
}

int cli_config_options(struct cli *c)
{
    return c->hooks->alone(c);
}

int cli_config_import(struct cli *c)
{
    return c->hooks->alone(c);
}

/* One line of the doctor's, in the form of those that the hook prints. */
static void say_finding(const struct cli *c, bool good, const char *text)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    struct json_writer w = json_writer(&out);
    json_object_begin(&w, NULL);
    json_put_c(&w, "verdict", good ? "ok" : "wrong");
    json_put_c(&w, "what", "key");
    json_put_c(&w, "text", text);
    json_object_end(&w);
    if (c->json)
        printf("%s\n", buf_c(&out));
    else if (!good || !c->quiet)
        cli_say(c, "%s  %-10s %s", good ? "✓ ok   " : "✗ wrong", "key", text);
    buf_fini(&out);
}

/* Does the provider take the gateway's key? False when not; what can't be asked is no fault here. */
static bool look_at_provider(struct cli *c, const char *name)
{
    struct buf path, answer;
    struct err e = {0};
    char text[300];
    int code = 0;
    bool good = true;
    buf_init(&path, 512);
    buf_init(&answer, 8 << 20);
    buf_printf(&path, "providers/%.200s/test", name);
    bool asked = !path.err && link_call(c->link, "POST", buf_c(&path), STR("{}"), &code, &answer,
        &e) == 0 && code == 200;
    struct json *j = asked ? json_parse(buf_str(&answer), NULL) : NULL;
    long long status = j ? (long long)json_int(j, "status", 0) : -1;
    if (status == 401 || status == 403)
        snprintf(text, sizeof text, "%s refuses the key (%lld): put a valid one where the "
            "configuration or the environment has it, then restart", name, status);
    else if (status == 0)
        snprintf(text, sizeof text, "%s does not answer: %s; look at its base_url and the network",
            name, json_string(j, "error", ""));
    else
        snprintf(text, sizeof text, "%s takes the key", name);
    good = status != 0 && status != 401 && status != 403;
    if (j)
        say_finding(c, good, text);
    json_free(j);
    buf_fini(&path);
    buf_fini(&answer);
    return good;
}

/* Do the sealed keys open? */
static bool look_at_sealed(struct cli *c)
{
    struct reply r;
    char text[600];
    bool good = true;
    if (cli_get(c, &r, "sealed") != CLI_DONE)
        return true;
    for (const struct json *k = json_first(json_member(r.json, "keys")); k; k = json_following(k)) {
        bool opens = json_bool(k, "opens", false), current = json_bool(k, "current", false);
        if (opens)
            snprintf(text, sizeof text, "sealed:%s opens%s", json_string(k, "name", ""),
                current ? "" : " with an older master key; finish with: pointsman provider reseal");
        else
            snprintf(text, sizeof text, "sealed:%s does not open: %s; bring that back and reload, or "
                "seal it anew", json_string(k, "name", ""), json_string(k, "fault", ""));
        say_finding(c, opens, text);
        good = good && opens;
    }
    reply_free(&r);
    return good;
}

/* A running gateway's own files are looked at, unless others are named. */
static void take_places(struct cli *c, const struct reply *r)
{
    const char *config = json_string(r->json, "config_file", ""), *data = json_string(r->json, "data", "");
    if (!c->config && config[0] && access(config, R_OK) == 0)
        c->config = config;
    if (!c->data && data[0] && access(data, X_OK) == 0)
        c->data = data;
}

int cli_doctor(struct cli *c)
{
    struct reply r;
    if (!cli_connect_quietly(c) || cli_get(c, &r, "status") != CLI_DONE)
        return c->hooks->alone(c);
    c->socket = c->socket_path;
    take_places(c, &r);
    int status = c->hooks->alone(c);
    for (const struct json *i = json_first(json_member(r.json, "providers")); i;
         i = json_following(i))
        if (!look_at_provider(c, json_item_string(i, "")))
            status = CLI_FAILED;
    reply_free(&r);
    return look_at_sealed(c) ? status : CLI_FAILED;
}

static void print_text(const char *text)
{
    struct buf out;
    buf_init(&out, (size_t)64 << 20);
    clean_put_lines(&out, str_c(text));
    fputs(buf_c(&out) ? buf_c(&out) : "", stdout);
    buf_fini(&out);
}

int cli_config_export(struct cli *c)
{
    struct reply r;
    int status = cli_get(c, &r, "config");
    if (status != CLI_DONE)
        return status;
    if (!cli_json(c, &r))
        print_text(json_string(r.json, "yaml", ""));
    reply_free(&r);
    return CLI_DONE;
}

int cli_config_diff(struct cli *c)
{
    struct reply r;
    int status = cli_get(c, &r, "config/diff");
    if (status != CLI_DONE)
        return status;
    if (!cli_json(c, &r)) {
        struct json_iter it = json_iter(json_get(buf_str(&r.text), STR("drift")).raw);
        struct json_span key, item;
        const char *file = json_string(r.json, "file", "");
        size_t n = 0;
        for (const struct json *d = json_first(json_member(r.json, "drift")); d;
             d = json_following(d), n++) {
            struct str value = json_next(&it, &key, &item)
                ? json_get(item.raw, STR("value")).raw : STR_NULL;
            cli_say(c, "live  %s: " STR_FMT, json_string(d, "object", ""),
                STR_ARG(str_first(value, 300)));
        }
        if (file[0]) {
            puts("the file was changed since it was applied:");
            print_text(file);
        }
        if (json_string(r.json, "file_error", "")[0])
            cli_say(c, "the file can't be read: %s", json_string(r.json, "file_error", ""));
        if (n == 0 && !file[0] && !c->quiet)
            puts("nothing was changed live, and the file is as applied");
    }
    reply_free(&r);
    return CLI_DONE;
}

int cli_config_apply(struct cli *c)
{
    struct buf file, body;
    struct reply r;
    buf_init(&file, CONFIG_MAX_BYTES);
    buf_init(&body, 8 * CONFIG_MAX_BYTES);
    int status = c->word_count ? cli_read_file(c->words[0], &file) : CLI_DONE;
    if (status == CLI_DONE) {
        struct json_writer w = json_writer(&body);
        json_object_begin(&w, NULL);
        if (c->word_count)
            json_put_str(&w, "text", buf_str(&file));
        if (cli_option(c, "reset"))
            json_put_bool(&w, "reset", true);
        json_object_end(&w);
        status = cli_post(c, &r, "config/apply", buf_str(&body));
    }
    buf_fini(&file);
    buf_fini(&body);
    if (status != CLI_DONE)
        return status;
    if (!cli_json(c, &r) && !c->quiet) {
        cli_say(c, "in force (revision %lld)", (long long)json_int(r.json, "revision", 0));
        print_text(json_string(r.json, "kept", ""));
        if (json_string(r.json, "kept", "")[0])
            putchar('\n');
    }
    reply_free(&r);
    return CLI_DONE;
}

/* ---- the store ---- */

int cli_db_check(struct cli *c)
{
    struct reply r;
    int status = cli_post(c, &r, "db/check", STR_NULL);
    if (status != CLI_DONE)
        return status;
    bool ok = json_bool(r.json, "ok", false);
    if (!cli_json(c, &r)) {
        for (const struct json *l = json_first(json_member(r.json, "report")); l;
             l = json_following(l))
            cli_say(c, "%s", json_item_string(l, ""));
        cli_say(c, ok ? "all agree" : "%lld problems", (long long)json_int(r.json, "problems", 0));
    }
    reply_free(&r);
    return ok ? CLI_DONE : CLI_FAILED;
}

int cli_db_backup(struct cli *c)
{
    struct buf body;
    struct reply r;
    char here[1024] = "";
    if (c->words[0][0] != '/' && !getcwd(here, sizeof here)) {
        perror("pointsman: getcwd");
        return CLI_FAILED;
    }
    buf_init(&body, 8192);
    struct buf path;
    buf_init(&path, 4096);
    buf_printf(&path, "%s%s%s", here, here[0] ? "/" : "", c->words[0]);
    struct json_writer w = json_writer(&body);
    json_object_begin(&w, NULL);
    json_put_str(&w, "path", buf_str(&path));
    json_object_end(&w);
    int status = cli_post(c, &r, "db/backup", buf_str(&body));
    if (status == CLI_DONE && !cli_json(c, &r) && !c->quiet) {
        cli_say(c, "copied to %s", buf_c(&path));
        if (json_int(r.json, "sealed", 0))
            cli_say(c, "the %lld sealed provider keys in it open with the master key alone, which is "
                "not in it: %s", (long long)json_int(r.json, "sealed", 0),
                json_string(r.json, "master", ""));
    }
    if (status == CLI_DONE)
        reply_free(&r);
    buf_fini(&path);
    buf_fini(&body);
    return status;
}

int cli_db_prune(struct cli *c)
{
    char body[64];
    struct reply r;
    const char *older = cli_option(c, "older");
    if (!older) {
        cli_complain("--older is missing, such as --older 90d");
        return CLI_USAGE;
    }
    int64_t ms = cli_duration("older", older);
    if (ms < 0)
        return CLI_USAGE;
    char day[32];
    clock_rfc3339(clock_wall_ms() - ms, day);
    snprintf(body, sizeof body, "{\"older_than_ms\":%lld}", (long long)(clock_wall_ms() - ms));
    int status = cli_post(c, &r, "db/prune", str_c(body));
    if (status != CLI_DONE)
        return status;
    if (!cli_json(c, &r) && !c->quiet)
        cli_say(c, "%lld records removed, of the days (UTC) before %.10s",
            (long long)json_int(r.json, "removed", 0), day);
    reply_free(&r);
    return CLI_DONE;
}
