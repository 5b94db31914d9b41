/* main.c: the front door: argv → the table of verbs (tui/commands.def) → done. It alone names both the
 * console and the gateway's own rooms. */
#include "proxy/admin/api.h"
#include "proxy/config/config.h"
#include "proxy/server.h"
#include "tui/cli.h"
#include "tui/console.h"

#include <stdio.h>
#include <stdlib.h>
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

static int console(const struct cli *c, const char *socket_path, bool readonly)
{
    struct console_options o = {.socket = socket_path, .readonly = readonly, .quiet = c->quiet,
        .mono = c->no_color};
    return console_main(&o);
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

int main(int argc, char **argv)
{
    static const struct cli_hooks hooks = {
        .serve = serve,
        .console = console,
        .where = where,
    };
    arguments = argv;
    return cli_main(argc, argv, &hooks);
}
