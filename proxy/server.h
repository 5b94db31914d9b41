/* server.h: the gateway as a process: built, run until a signal, taken down.
 *
 *     struct serve_options o = {.config_path = …};
 *     return server_main(&o);                    // exit status
 */
#ifndef POINTSMAN_SERVER_H
#define POINTSMAN_SERVER_H

#include <stdbool.h>

struct serve_options {
    const char *config_path; /* NULL: the default places, else the environment */
    const char *listen;      /* HOST:PORT over the file's; NULL */
    const char *data, *socket;
    bool demo;               /* `pointsman demo`: simulated providers and load, nothing kept */
    bool demo_if_empty;      /* add the demo provider when no other is found */
    bool quiet;
    char **argv;             /* to start the new binary on `restart` */
};

/* Serves until SIGTERM; says on stdout `listening http://HOST:PORT` first. 0 after a drain, 1 with a
 * reason on stderr when it could not start. */
int server_main(const struct serve_options *options);

#endif
