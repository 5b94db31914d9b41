/* err.h: error codes, and the text that a human will read.
 *
 * Why: a function says that it failed by its return value (0 or -ERR_X) and, where a person will
 * read the reason, says what, where and what to do in a `struct err` given as its last parameter.
 *
 *     struct err e = {0};
 *     if (config_load(path, &snapshot, &e) < 0)
 *         fprintf(stderr, "pointsman: %s\n", e.text);
 *
 * Ownership: struct err is a value; nothing to free. A NULL `struct err *` is allowed everywhere. */
#ifndef POINTSMAN_ERR_H
#define POINTSMAN_ERR_H

#include "store/base/compiler.h"

#include <stdarg.h>

enum err_code {
    ERR_NONE = 0,
#define X(name, text) ERR_##name,
#include "store/base/err.def"
#undef X
};

struct err {
    enum err_code code;
    char text[480]; /* one sentence, no newline, already safe to print */
};

/* Sets *e (when not NULL) and returns -code, so that `return err_set(e, ...)` reads well. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts "context: " in front of the text already in *e. Returns -e->code, or `rc` when e is NULL. */
int err_context(struct err *e, int rc, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* "limit", "not_found" ... and a readable default text. Take code or -code. */
const char *err_name(int code);
const char *err_text(int code);

#endif
