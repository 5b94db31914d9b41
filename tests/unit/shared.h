/* shared.h: reads the data that tests are checked against: small files of the repository and, when
 * $POINTSMAN_SHARED (else ../shared) has them, recorded exchanges and torture data. */
#ifndef POINTSMAN_TEST_SHARED_H
#define POINTSMAN_TEST_SHARED_H

#include "store/base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The folder, or NULL when it is not there. */
static inline const char *shared_dir(const char *part)
{
    static char path[4][512];
    static unsigned turn;
    const char *root = getenv("POINTSMAN_SHARED");
    char *out = path[turn++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", root && *root ? root : "../shared", part);
    return access(out, R_OK) == 0 ? out : NULL;
}

/* A whole file, ended by NUL, freed by the caller; p is NULL when it can't be read. */
static inline struct str shared_read(const char *dir, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        return STR_NULL;
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    char *p = n >= 0 ? malloc((size_t)n + 1) : NULL;
    size_t got = p ? fread(p, 1, (size_t)n, f) : 0;
    fclose(f);
    if (!p)
        return STR_NULL;
    p[got] = 0;
    return (struct str){p, got};
}

#endif
