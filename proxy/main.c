/* main.c: the front door: argv → the table of verbs (tui/commands.def) → done. It alone names both the
 * console and the gateway's own rooms. */
#include "proxy/admin/api.h"
#include "proxy/config/config.h"
#include "proxy/offline.h"
#include "proxy/server.h"
#include "store/base/secret.h"
#include "tui/cli.h"
#include "tui/cli_ask.h"
#include "tui/cli_sealed.h"
#include "tui/console.h"
#include "tui/format.h"
#include "tui/launch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static char **arguments;

static int serve(const struct cli *c, bool demo)
{
    struct serve_options o = {
        .config_path = c->config,
        .listen = cli_option(c, "listen"),
        .data = c->data,
        .socket = c->socket,
        .demo = demo,
        .demo_if_empty = getenv("POINTSMAN_STARTED") != NULL, /* by `pointsman`, for its console */
        .quiet = c->quiet,
        .argv = arguments,
    };
    return server_main(&o);
}

/* Where the configuration puts data folder and socket. A faulty file is not complained of here: the
 * gateway that is started from it will say what is wrong. */
static void where(const struct cli *c, char data[256], char socket[256])
{
    char path[4096];
    struct config_request q = {.path = c->config, .data = str_c(c->data), .socket = str_c(c->socket)};
    if (!q.path && config_default_path(path, sizeof path))
        q.path = path;
    if (!config_where(&q, data, 256, socket, 256))
        fputs("pointsman: the data folder's path is too long\n", stderr);
}

/* A socket that is not where a plain `pointsman` looks is named in what the console offers to copy. */
static int console(const struct cli *c, const char *socket_path, bool readonly)
{
    struct cli plain = {.hooks = c->hooks};
    char data[256] = "", usual[256] = "";
    where(&plain, data, usual);
    struct console_options o = {.socket = socket_path, .socket_named = strcmp(usual, socket_path) != 0,
        .readonly = readonly, .quiet = c->quiet, .mono = c->no_color,
        .slow = cli_option(c, "slow") != NULL};
    return console_main(&o);
}

/* "90d" → ms; 0 when it is none. */
static int64_t read_age(const char *text)
{
    int64_t ms = 0;
    return text && format_read_duration(text, &ms) ? ms : 0;
}

/* Sealed provider keys, with no gateway to ask. */
static int sealed_alone(const struct cli *c, const struct offline *o)
{
    struct err e = {0};
    struct buf json, value = {0};
    struct str name = str_c(c->word_count ? c->words[0] : "");
    const char *verb = c->command->verb;
    int rc, status = CLI_DONE;
    buf_init(&json, 4 << 20);
    if (strcmp(verb, "provider seal") == 0) {
        status = cli_read_provider_key(c, &value);
        rc = status == CLI_DONE ? offline_seal(o, name, buf_str(&value), &json, &e) : 0;
        if (rc == 0 && status == CLI_DONE)
            cli_print_sealed_change(c, buf_str(&json));
    } else if (strcmp(verb, "provider sealed") == 0) {
        if ((rc = offline_sealed(o, &json, &e)) == 0)
            cli_print_sealed(c, buf_str(&json));
    } else if (strcmp(verb, "provider forget") == 0) {
        if ((rc = offline_forget(o, name, &json, &e)) == 0 && (c->json || !c->quiet))
            printf(c->json ? "%s\n" : "forgot the sealed key %s\n", c->json ? buf_c(&json) : name.p);
    } else if ((rc = offline_reseal(o, &json, &e)) == 0) {
        cli_print_resealed(c, buf_str(&json));
    }
    secret_wipe(value.p, value.n);
    buf_fini(&value);
    buf_fini(&json);
    return rc < 0 ? cli_fail(&e) : status;
}

/* Verbs that need no gateway. */
static int alone(const struct cli *c)
{
    char path[256];
    struct err none = {0};
    struct offline o = {.config = c->config, .data = c->data, .socket = c->socket, .json = c->json,
        .quiet = c->quiet};
    const char *verb = c->command->verb, *word = c->word_count ? c->words[0] : NULL;
    if (strcmp(verb, "config check") == 0)
        return offline_config_check(&o, word);
    if (strcmp(verb, "config options") == 0)
        return offline_config_options(&o, cli_option(c, "sample") != NULL);
    if (strcmp(verb, "config import") == 0)
        return offline_config_import(&o, word, c->words[1]);
    if (strcmp(verb, "db check") == 0)
        return offline_db_check(&o);
    if (strcmp(verb, "db backup") == 0)
        return offline_db_backup(&o, word);
    if (strcmp(verb, "db prune") == 0 && read_age(cli_option(c, "older")) > 0)
        return offline_db_prune(&o, read_age(cli_option(c, "older")));
    if (strcmp(verb, "db prune") == 0) {
        cli_complain("--older is missing or no time, such as --older 90d");
        return CLI_USAGE;
    }
    if (str_starts(str_c(verb), STR("provider ")))
        return sealed_alone(c, &o);
    o.socket_in_use = launch_find(c, path, &none) == 0 ? path : NULL;
    return offline_doctor(&o);
}

int main(int argc, char **argv)
{
    static const struct cli_hooks hooks = {
        .serve = serve,
        .console = console,
        .where = where,
        .alone = alone,
    };
    arguments = argv;
    prctl(PR_SET_NAME, "pointsman"); /* one that was started as /proc/self/exe is called "exe" by ps */
    return cli_main(argc, argv, &hooks);
}
