/* shared.h: the data that tests are checked against lies in two places of one layout: tests/fixtures,
 * small and made here, and the larger collection in $POINTSMAN_SHARED (else ../shared), where it is.
 * Each test reads both:
 *
 *     for (int i = 0; (dir = data_dir(i, "torture/sse")) != NULL; i++)
 *         ...
 *     struct exchanges x = {.turn = 0};
 *     while (exchange_next(&x))
 *         body = shared_read(x.dir, "request.json");
 *     assert_true(seen >= (x.places > 1 ? 300 : 8));
 */
#ifndef POINTSMAN_TEST_SHARED_H
#define POINTSMAN_TEST_SHARED_H

#include "store/base/str.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Where the part lies in the place number `turn`; NULL past the last place that has it. The
 * repository's own is given unasked: a test that finds nothing there must fail. */
static inline const char *data_dir(int turn, const char *part)
{
    static char path[4][512];
    static unsigned next;
    const char *root = getenv("POINTSMAN_SHARED");
    char *out = path[next++ % 4];
    if (turn > 1)
        return NULL;
    if (turn == 0)
        root = "tests/fixtures";
    snprintf(out, sizeof path[0], "%s/%s", root && *root ? root : "../shared", part);
    return turn == 0 || access(out, R_OK) == 0 ? out : NULL;
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

/* The file whose name begins so: those of price lists end with their dates. */
static inline struct str shared_read_like(const char *dir, const char *begin)
{
    struct str text = STR_NULL;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && !text.p && (e = readdir(d));)
        if (strncmp(e->d_name, begin, strlen(begin)) == 0)
            text = shared_read(dir, e->d_name);
    if (d)
        closedir(d);
    return text;
}

/* The column number `n` of a line with tabs; p is NULL where there is none. */
static inline struct str column(struct str line, int n)
{
    struct str piece = STR_NULL;
    for (int i = 0; i <= n; i++)
        if (!str_cut(&line, '\t', &piece))
            return STR_NULL;
    return piece;
}

/* A walk over the exchanges with providers of both places, by their manifest.tsv. */
struct exchanges {
    int turn, places;           /* places: how many were there, known at the end */
    struct str manifest, rest;
    struct str provider, name;  /* of this one */
    struct str line;            /* its row */
    char where[400], dir[960];  /* "provider/name", and its folder */
};

/* False when all were seen; what it holds is free then. */
static inline bool exchange_next(struct exchanges *x)
{
    const char *root;
    while ((root = data_dir(x->turn, x->turn ? "fixtures" : "exchanges")) != NULL) {
        if (!x->manifest.p) {
            x->manifest = x->rest = shared_read(root, "manifest.tsv");
            (void)str_cut(&x->rest, '\n', &x->line); /* the columns' names */
            x->places++;
        }
        while (str_cut(&x->rest, '\n', &x->line)) {
            x->provider = column(x->line, 0);
            x->name = column(x->line, 1);
            if (!x->name.n)
                continue;
            snprintf(x->where, sizeof x->where, "%.*s/%.*s", STR_ARG(x->provider), STR_ARG(x->name));
            snprintf(x->dir, sizeof x->dir, "%s/%s", root, x->where);
            return true;
        }
        free((char *)x->manifest.p);
        x->manifest = STR_NULL;
        x->turn++;
    }
    return false;
}

#endif
