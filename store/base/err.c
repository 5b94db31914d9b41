/* err.c: see err.h. Control bytes that reach an error text are replaced, because error texts go to
 * terminals, logs and HTTP bodies. */
#include "store/base/err.h"

#include "store/base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
    "none",
#define X(name, text) #name,
#include "store/base/err.def"
#undef X
};

static const char *const texts[] = {
    "no error",
#define X(name, text) text,
#include "store/base/err.def"
#undef X
};

static void make_printable(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    if (!e)
        return -(int)code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    make_printable(e->text);
    e->code = code;
    return -(int)code;
}

int err_context(struct err *e, int rc, const char *fmt, ...)
{
    if (!e)
        return rc;
    char old[sizeof e->text];
    memcpy(old, e->text, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    /* the context stands in front; of what it is put before, the end may be cut */
    size_t at = n < 0 ? sizeof e->text : (size_t)n + 2;
    if (at < sizeof e->text) {
        memcpy(e->text + n, ": ", 2);
        str_copy(e->text + at, sizeof e->text - at, str_c(old));
    }
    make_printable(e->text);
    return e->code ? -(int)e->code : rc;
}

static size_t code_index(int code)
{
    size_t i = (size_t)abs(code);
    return i < ARRAY_LEN(names) ? i : 0;
}

const char *err_name(int code)
{
    return names[code_index(code)];
}

const char *err_text(int code)
{
    return texts[code_index(code)];
}
