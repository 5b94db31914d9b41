/* cli_sealed.c: provider keys sealed in the store: sealed, listed, forgotten, under another master key.
 * Each works with a gateway (over its socket) and without (main.c opens the store): what is printed is
 * the same, so the printing takes JSON from either. */
#include "tui/cli_sealed.h"

#include "store/base/secret.h"
#include "tui/cli_ask.h"
#include "tui/cli_verbs.h"
#include "tui/format.h"
#include "tui/link.h"
#include "tui/secret_input.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEY_MAX = 16 << 10 };

/* ---- printing ---- */

static void users_of(const struct json *k, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (const struct json *u = json_first(json_member(k, "used_by")); u && n < size;
         u = json_following(u))
        n += (size_t)snprintf(out + n, size - n, "%s%s", n ? ", " : "", json_item_string(u, ""));
}

static void sealed_row(struct table *t, const struct json *k)
{
    char users[200], when[FORMAT_MAX];
    bool opens = json_bool(k, "opens", false), current = json_bool(k, "current", false);
    users_of(k, users, sizeof users);
    table_json(t, k, "name");
    table_json(t, k, "shown");
    table_cell(t, str_c(!opens ? "does not open" : current ? "ok" : "old master key"),
        opens ? (current ? CELL_GOOD : CELL_WARN) : CELL_BAD);
    table_text(t, *users ? users : "-");
    table_json(t, k, "who");
    format_iso(when, json_int(k, "time_ms", 0));
    when[16] = '\0'; /* the minute */
    table_text(t, when);
    table_json(t, k, "fault");
}

void cli_print_sealed(const struct cli *c, struct str text)
{
    struct json *j = json_parse(text, NULL);
    struct json_span list = json_get(text, STR("keys")), key, value;
    struct json_iter it = json_iter(list.raw);
    while (c->json && list.type == JSON_ARRAY && json_next(&it, &key, &value))
        cli_put_json(value.raw);
    if (!c->json) {
        struct table t;
        table_init(&t, "Name Key State Used-by:40 By When Why:60");
        for (const struct json *k = json_first(json_member(j, "keys")); k; k = json_following(k))
            sealed_row(&t, k);
        table_print(&t, c, "no sealed key; seal one: pointsman provider seal openai");
        const char *master = json_string(j, "master", ""), *fault = json_string(j, "master_fault", "");
        if (*master && !c->quiet)
            cli_say(c, "master key: %s", master);
        if (*fault)
            cli_say(c, "%s", fault);
    }
    json_free(j);
}

void cli_print_sealed_change(const struct cli *c, struct str text)
{
    char users[200];
    struct json *j = json_parse(text, NULL);
    if (c->json)
        cli_put_json(text);
    else if (!c->quiet) {
        const char *name = json_string(j, "name", "");
        users_of(j, users, sizeof users);
        cli_say(c, "sealed %s %s%s%s", name, json_string(j, "shown", ""), *users ? ", used by " : "",
            users);
        if (!*users && json_member(j, "used_by"))
            cli_say(c, "no provider uses it yet: write api_key: sealed:%s", name);
        if (json_string(j, "master", "")[0])
            cli_say(c, "master key: %s (no backup of the store holds it: keep a copy elsewhere)",
                json_string(j, "master", ""));
    }
    json_free(j);
}

void cli_print_resealed(const struct cli *c, struct str text)
{
    struct json *j = json_parse(text, NULL);
    const char *left = json_string(j, "left", "");
    if (c->json)
        cli_put_json(text);
    else if (!c->quiet)
        cli_say(c, "sealed %lld keys anew; master key: %s", (long long)json_int(j, "resealed", 0),
            json_string(j, "master", ""));
    if (!c->json && *left)
        cli_say(c, "left as they are, for they don't open: %s", left);
    json_free(j);
}

/* ---- asking a gateway ---- */

int cli_read_provider_key(const struct cli *c, struct buf *value)
{
    struct err e = {0};
    char prompt[120];
    buf_init(value, KEY_MAX);
    snprintf(prompt, sizeof prompt, "key of the provider, to be sealed as %.64s (not shown): ",
        c->words[0]);
    return secret_input(prompt, value, &e) < 0 ? cli_fail(&e) : CLI_DONE;
}

static void sealed_path(struct buf *path, const char *name, const char *verb)
{
    buf_init(path, 1024);
    buf_puts(path, "sealed/");
    link_path(path, str_c(name));
    buf_puts(path, verb);
}

int cli_provider_seal(struct cli *c)
{
    struct buf value, body, path;
    struct reply r;
    int status = cli_read_provider_key(c, &value);
    buf_init(&body, 8 * KEY_MAX);
    (void)buf_reserve(&body, 6 * value.n + 64); /* no growth, and so no copy left behind */
    struct json_writer w = json_writer(&body);
    json_object_begin(&w, NULL);
    json_put_str(&w, "value", buf_str(&value));
    json_object_end(&w);
    sealed_path(&path, c->words[0], "");
    if (status == CLI_DONE && (status = cli_post(c, &r, buf_c(&path), buf_str(&body))) == CLI_DONE) {
        cli_print_sealed_change(c, buf_str(&r.text));
        reply_free(&r);
    }
    secret_wipe(value.p, value.n);
    secret_wipe(body.p, body.n);
    buf_fini(&value);
    buf_fini(&body);
    buf_fini(&path);
    return status;
}

int cli_provider_sealed(struct cli *c)
{
    struct reply r;
    int status = cli_get(c, &r, "sealed");
    if (status != CLI_DONE)
        return status;
    cli_print_sealed(c, buf_str(&r.text));
    reply_free(&r);
    return CLI_DONE;
}

int cli_provider_forget(struct cli *c)
{
    struct buf path;
    struct reply r;
    sealed_path(&path, c->words[0], "/forget");
    int status = cli_post(c, &r, buf_c(&path), STR_NULL);
    buf_fini(&path);
    if (status != CLI_DONE)
        return status;
    if (!cli_json(c, &r) && !c->quiet)
        cli_say(c, "forgot the sealed key %s", c->words[0]);
    reply_free(&r);
    return CLI_DONE;
}

int cli_provider_reseal(struct cli *c)
{
    struct reply r;
    int status = cli_post(c, &r, "reseal", STR_NULL);
    if (status != CLI_DONE)
        return status;
    cli_print_resealed(c, buf_str(&r.text));
    reply_free(&r);
    return CLI_DONE;
}
