/* run.h: how `pointsman run` sets a client up: from its program's name to variables and arguments.
 *
 * Why: any client is tagged without a header and changed in no file: base URLs and a key of its own in
 * its environment, by recipes.def. Pure; the command itself is cli_run (run.c).
 *
 *     struct run_setup s;
 *     run_setup_make(&s, argv, url, key, session);
 *     … s.argv for exec, s.variables for setenv …
 *     run_setup_free(&s); */
#ifndef POINTSMAN_RUN_H
#define POINTSMAN_RUN_H

#include "store/base/buf.h"

enum { RUN_VARIABLES_MAX = 16, RUN_WORDS_MAX = 1024 };

struct run_setup {
    struct {
        const char *name; /* static */
        char *value;
    } variables[RUN_VARIABLES_MAX];
    size_t variable_count;
    char *argv[RUN_WORDS_MAX + 1]; /* ended by NULL; those of recipes are owned, others argv's */
    char *owned[RUN_VARIABLES_MAX];
    size_t argc, owned_count;
};

/* The recipe's name for a command: "claude" for "/usr/bin/claude", "*" where there is none. */
const char *run_recipe(const char *command);
/* 0, or -ERR_NOMEM, -ERR_LIMIT (too many arguments). */
int run_setup_make(struct run_setup *s, char *const *argv, const char *url, const char *key,
    const char *session);
void run_setup_free(struct run_setup *s);

#endif
