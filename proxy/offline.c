/* offline.c: see offline.h. */
#include "proxy/offline.h"

#include "proxy/access/key.h"
#include "proxy/admin/source.h"
#include "proxy/config/config.h"
#include "proxy/config/sealed.h"
#include "store/base/clock.h"
#include "store/base/json.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES_MAX = 4 << 20, FILE_MAX_BYTES = 4 << 20 };

/* On stderr for people; with --json on stdout for scripts, as a gateway says it. */
static int fail(const struct offline *o, const struct err *e)
{
    struct buf out;
    fprintf(stderr, "pointsman: %s\n", e->text);
    if (!o->json)
        return 1;
    buf_init(&out, 1 << 14);
    json_write_error(&out, err_name(e->code), e->text);
    printf("%s\n", buf_c(&out));
    buf_fini(&out);
    return 1;
}

static int open_source(const struct offline *o, const char *path, struct source **s, struct err *e)
{
    struct source_options q = {.path = path, .data = str_c(o->data), .socket = str_c(o->socket)};
    return source_new(s, &q, e);
}

/* ---- configuration ---- */

static void print_complaints(const struct offline *o, const char *file, bool ok, struct str lines)
{
    struct buf out;
    struct str line;
    buf_init(&out, LINES_MAX);
    struct json_writer w = json_writer(&out);
    json_object_begin(&w, NULL);
    json_put_c(&w, "file", file);
    json_put_bool(&w, "ok", ok);
    json_array_begin(&w, "complaints");
    while (lines.n && str_cut(&lines, '\n', &line)) {
        if (line.n == 0)
            continue;
        json_put_str(&w, NULL, line);
        if (!o->json)
            printf(STR_FMT "\n", STR_ARG(line));
    }
    json_array_end(&w);
    json_object_end(&w);
    if (o->json)
        printf("%s\n", buf_c(&out));
    else if (ok && !o->quiet)
        printf("%s: no fault\n", file[0] ? file : "the environment");
    buf_fini(&out);
}

int offline_config_check(const struct offline *o, const char *file)
{
    struct source *s = NULL;
    struct err e = {0};
    struct buf lines;
    if (open_source(o, file ? file : o->config, &s, &e) < 0)
        return fail(o, &e);
    buf_init(&lines, LINES_MAX);
    struct config *c = source_load(s, STR_NULL, &lines, &e);
    if (!c && lines.n == 0)
        buf_printf(&lines, "%s\n", e.text);
    print_complaints(o, source_path(s), c != NULL, buf_str(&lines));
    if (c)
        config_put(c);
    buf_fini(&lines);
    source_free(s);
    return c ? 0 : 1;
}

int offline_config_options(const struct offline *o, bool sample)
{
    struct buf out;
    buf_init(&out, LINES_MAX);
    if (o->json)
        config_options_json(&out);
    else if (sample)
        config_sample(&out);
    else
        config_reference(&out);
    printf("%s%s", buf_c(&out), o->json ? "\n" : "");
    buf_fini(&out);
    return 0;
}

static int read_file(const char *path, struct buf *out, struct err *e)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *to;
    size_t n = 1;
    if (!f)
        return err_set(e, ERR_IO, "%s: can't be opened", path);
    while (n > 0 && (to = buf_reserve(out, 65536)) != NULL)
        out->n += n = fread(to, 1, 65536, f);
    bool bad = ferror(f) || out->err;
    if (f != stdin)
        fclose(f);
    return bad ? err_set(e, ERR_IO, "%s: can't be read, or too large", path) : 0;
}

/* An included file lies beside the one that names it. */
static int read_beside(void *ctx, struct str name, struct buf *text, struct err *e)
{
    const char *file = ctx, *slash = strrchr(file, '/');
    char path[4096];
    bool beside = slash && !str_starts(name, STR("/"));
    snprintf(path, sizeof path, "%.*s" STR_FMT, beside ? (int)(slash - file + 1) : 0, file, STR_ARG(name));
    return read_file(path, text, e);
}

int offline_config_import(const struct offline *o, const char *format, const char *file)
{
    struct err e = {0};
    struct buf text, out, left;
    if (strcmp(format, "litellm") != 0) {
        err_set(&e, ERR_UNKNOWN, "\"%s\" is no known format; there is litellm", format);
        fail(o, &e);
        return 2;
    }
    buf_init(&text, FILE_MAX_BYTES);
    buf_init(&out, LINES_MAX);
    buf_init(&left, LINES_MAX);
    int rc = read_file(file, &text, &e);
    if (rc == 0)
        rc = config_import_litellm(&(struct config_foreign){.text = buf_str(&text), .read = read_beside,
            .ctx = (void *)file}, &out, &left, &e);
    if (rc == 0 && o->json) {
        struct buf json;
        buf_init(&json, 4 * LINES_MAX);
        struct json_writer w = json_writer(&json);
        json_object_begin(&w, NULL);
        json_put_str(&w, "yaml", buf_str(&out));
        json_put_str(&w, "left_out", buf_str(&left));
        json_object_end(&w);
        printf("%s\n", buf_c(&json));
        buf_fini(&json);
    } else if (rc == 0) {
        fputs(buf_c(&out), stdout);
        fputs(buf_c(&left), stderr);
    }
    buf_fini(&text);
    buf_fini(&out);
    buf_fini(&left);
    return rc < 0 ? fail(o, &e) : 0;
}

/* ---- the store ---- */

int offline_open_store(const struct offline *o, struct store **store, char *key_file, size_t size,
    struct err *e)
{
    struct source *s = NULL;
    char dir[4096];
    int rc = open_source(o, o->config, &s, e);
    struct config *c = rc == 0 ? source_load(s, STR_NULL, NULL, e) : NULL;
    if (!c) {
        source_free(s);
        return rc < 0 ? rc : -(int)e->code;
    }
    str_copy(dir, sizeof dir, c->data);
    if (key_file)
        sealed_key_file(c, key_file, size);
    struct store_config q = {.dir = dir, .workers = 1, .body_keep_ms = c->capture.keep_ms,
        .body_keep_bytes = c->capture.keep_bytes};
    rc = store_open(store, &q, e);
    config_put(c);
    source_free(s);
    struct store_recovered r;
    if (rc == 0)
        rc = store_recover(*store, clock_wall_ms(), &r, e);
    return rc;
}

static int open_store(const struct offline *o, struct store **store, struct err *e)
{
    return offline_open_store(o, store, NULL, 0, e);
}

struct done {
    int rc;
    int64_t rows;
};

static void on_done(void *ctx, int rc, int64_t rows)
{
    *(struct done *)ctx = (struct done){rc, rows};
}

/* What a gateway would answer, word by word. copy: the file of a backup; NULL: a prune. */
static int print_done(const struct offline *o, const struct done *d, const char *copy)
{
    struct err e = {0};
    if (d->rc == -ERR_CONFLICT && copy)
        return fail(o, (err_set(&e, ERR_CONFLICT, "%s is there already: name a new file", copy), &e));
    if (d->rc < 0)
        return fail(o, (err_set(&e, (enum err_code)-d->rc, "%s: %s", copy ? copy : "db prune",
            err_text(d->rc)), &e));
    if (o->json)
        printf("{\"ok\":true,\"removed\":%lld}\n", (long long)d->rows);
    else if (!o->quiet && copy)
        printf("copied to %s\n", copy);
    return 0;
}

static void print_report(const struct offline *o, const struct store_answer *a)
{
    struct buf out;
    buf_init(&out, LINES_MAX);
    struct json_writer w = json_writer(&out);
    json_object_begin(&w, NULL);
    json_put_bool(&w, "ok", a->problems == 0);
    json_put_int(&w, "problems", a->problems);
    json_array_begin(&w, "report");
    for (size_t i = 0; i < a->n; i++)
        json_put_str(&w, NULL, a->report[i]);
    json_array_end(&w);
    json_object_end(&w);
    for (size_t i = 0; !o->json && i < a->n; i++)
        printf(STR_FMT "\n", STR_ARG(a->report[i]));
    if (o->json)
        printf("%s\n", buf_c(&out));
    else if (a->problems)
        printf("%u problems\n", a->problems);
    else
        printf("all agree\n");
    buf_fini(&out);
}

int offline_db_check(const struct offline *o)
{
    struct store *s = NULL;
    struct err e = {0};
    if (open_store(o, &s, &e) < 0)
        return fail(o, &e);
    struct store_query q = {.kind = STORE_ASK_CHECK};
    struct store_answer *a = store_ask_now(s, &q);
    int status = 1;
    if (a && a->rc == 0) {
        print_report(o, a);
        status = a->problems ? 1 : 0;
    } else {
        err_set(&e, a ? ERR_IO : ERR_NOMEM, "db check: %s", a ? a->err.text : "out of memory");
        fail(o, &e);
    }
    if (a)
        store_answer_free(a);
    store_close(s);
    return status;
}

static void count_sealed(void *ctx, const struct store_sealed *k)
{
    (void)k;
    ++*(unsigned *)ctx;
}

int offline_db_backup(const struct offline *o, const char *path)
{
    struct store *s = NULL;
    struct err e = {0};
    struct done d = {0};
    char key_file[4096];
    unsigned sealed = 0;
    if (offline_open_store(o, &s, key_file, sizeof key_file, &e) < 0)
        return fail(o, &e);
    int rc = store_each_sealed(s, count_sealed, &sealed);
    rc = rc ? rc : store_backup(s, path, on_done, &d);
    if (rc < 0)
        d.rc = rc;
    store_close(s);
    int status = print_done(o, &d, path);
    if (status == 0 && sealed && !o->json && !o->quiet)
        printf("the %u sealed provider keys in it open with the master key alone, which is not in it: "
            "%s\n", sealed, key_file);
    return status;
}

int offline_db_prune(const struct offline *o, int64_t older_ms)
{
    struct store *s = NULL;
    struct err e = {0};
    struct done d = {0};
    if (open_store(o, &s, &e) < 0)
        return fail(o, &e);
    int rc = store_prune(s, clock_wall_ms() - older_ms, on_done, &d);
    if (rc < 0)
        d.rc = rc;
    store_close(s);
    if (d.rc == 0 && !o->json && !o->quiet) {
        char day[32];
        clock_rfc3339(clock_wall_ms() - older_ms, day);
        printf("%lld records removed, of the days (UTC) before %.10s\n", (long long)d.rows, day);
        return 0;
    }
    return print_done(o, &d, NULL);
}
