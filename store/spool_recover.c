/* spool_recover.c: reads the spool files of earlier lives, whoever's they were.
 *
 * The files say what workers there were; the configuration of this life does not matter. Segments
 * come in order of worker and number, from the position that the database knows; then the tables,
 * so that a slot whose end record was appended in the last moment finds it stored. */
#include "store/spool_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct spool_name {
    bool table;
    unsigned worker;
    uint64_t number;
    char name[SPOOL_NAME_MAX];
};

struct spool_names {
    struct spool_name *names;
    size_t n, cap;
};

static bool name_parse(const char *text, struct spool_name *out)
{
    struct str rest = str_c(text), worker, number = STR("0");
    uint64_t w;
    if (rest.n >= sizeof out->name)
        return false;
    out->table = str_starts(rest, STR("inflight-"));
    if (!out->table && !str_starts(rest, STR("spool-")))
        return false;
    rest = str_from(rest, out->table ? 9 : 6);
    if (out->table)
        worker = rest;
    else if (!str_cut(&rest, '-', &worker))
        return false;
    else
        number = rest;
    if (!str_to_u64(worker, &w) || w > 1 << 16 || !str_to_u64(number, &out->number))
        return false;
    out->worker = (unsigned)w;
    str_copy(out->name, sizeof out->name, str_c(text));
    return true;
}

static int name_order(const void *a, const void *b)
{
    const struct spool_name *x = a, *y = b;
    if (x->table != y->table)
        return x->table ? 1 : -1;
    if (x->worker != y->worker)
        return x->worker < y->worker ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int names_push(struct spool_names *l, const struct spool_name *n, struct err *e)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 32;
        void *more = realloc(l->names, cap * sizeof *l->names);
        if (!more)
            return err_set(e, ERR_NOMEM, "no memory to list the spool");
        l->names = more;
        l->cap = cap;
    }
    l->names[l->n++] = *n;
    return 0;
}

static int names_read(int dir_fd, struct spool_names *l, struct err *e)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        if (fd >= 0)
            close(fd);
        return err_set(e, ERR_IO, "spool: can't be listed: %s", strerror(errno));
    }
    struct dirent *entry;
    struct spool_name n;
    while (rc == 0 && (entry = readdir(d)))
        if (name_parse(entry->d_name, &n))
            rc = names_push(l, &n, e);
    closedir(d);
    if (rc == 0 && l->n)
        qsort(l->names, l->n, sizeof *l->names, name_order);
    return rc;
}

/* Mapped for reading; NULL with *bytes 0 when the file is shorter than `least` (never finished). */
static int map_file(int dir_fd, const char *name, size_t least, void **map, size_t *bytes,
    struct err *e)
{
    struct stat st;
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    *map = NULL;
    *bytes = 0;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        int failed = errno;
        if (fd >= 0)
            close(fd);
        return err_set(e, ERR_IO, "spool/%s: can't be read: %s", name, strerror(failed));
    }
    if ((size_t)st.st_size >= least) {
        *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        *bytes = (size_t)st.st_size;
    }
    close(fd);
    if (*map == MAP_FAILED)
        return err_set(e, ERR_IO, "spool/%s: can't be mapped: %s", name, strerror(errno));
    return 0;
}

static int recover_segment(int dir_fd, const struct spool_name *n, struct spool_recovery *r,
    struct err *e)
{
    struct spool_position from = r->position(r->ctx, n->worker);
    void *map;
    size_t bytes;
    if (n->number < from.segment)
        return 0;
    int rc = map_file(dir_fd, n->name, SPOOL_SEGMENT_LEAST, &map, &bytes, e);
    if (rc < 0 || !map)
        return rc;
    const struct spool_segment_head *h = map;
    uint32_t offset = n->number == from.segment ? from.offset : sizeof *h, kind;
    struct str packed;
    if (h->version > SPOOL_SEGMENT_VERSION)
        rc = err_set(e, ERR_UNSUPPORTED, "spool/%s was made by a newer pointsman; start that one",
            n->name);
    /* emptied, to serve again: kill -9 came between its two numbers, or a power loss took the new head */
    bool nothing = h->number != n->number;
    while (rc == 0 && !nothing &&
           (rc = spool_entry_read(map, bytes, &offset, &kind, &packed)) == 1)
        rc = r->record(r->ctx, n->worker, kind, packed);
    if (rc == -ERR_CORRUPT && r->damaged++ < UINT64_MAX)
        rc = 0;
    if (rc == 2 || rc == 0)
        rc = r->segment_end(r->ctx, n->worker, (struct spool_position){n->number, offset});
    munmap(map, bytes);
    return rc < 0 && e && !e->code ? err_set(e, (enum err_code)-rc, "spool/%s: %s", n->name,
        err_text(rc)) : rc;
}

/* A slot may have been half written: its texts are ended by force. */
static void slot_tidy(struct slot *s)
{
#define END(field) s->field[sizeof s->field - 1] = '\0'
    END(id), END(key), END(team), END(session), END(user_agent), END(peer), END(endpoint);
    END(dialect), END(model_asked), END(route), END(rule), END(provider), END(model), END(tags);
    END(price_key), END(override_by);
#undef END
}

static int recover_table(int dir_fd, const struct spool_name *n, struct spool_recovery *r,
    struct err *e)
{
    void *map;
    size_t bytes;
    int rc = map_file(dir_fd, n->name, SPOOL_TABLE_HEAD, &map, &bytes, e);
    if (rc < 0 || !map)
        return rc;
    const struct spool_table_head *h = map;
    if (h->version && (h->version != SPOOL_VERSION || h->slot_bytes != sizeof(struct slot)))
        rc = err_set(e, ERR_UNSUPPORTED, "spool/%s holds running exchanges of another version of "
            "pointsman; start and stop that version once, then this one", n->name);
    const struct slot *slots = (const void *)((const char *)map + SPOOL_TABLE_HEAD);
    size_t count = MIN(h->count, (bytes - SPOOL_TABLE_HEAD) / sizeof *slots);
    if (h->used_mark) /* a table has room for thousands, and reading all of it takes milliseconds */
        count = MIN(count, h->used_mark - 1);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (slots[i].state != SLOT_USED || !slots[i].id[0])
            continue;
        struct slot copy;
        memcpy(&copy, &slots[i], sizeof copy);
        slot_tidy(&copy);
        rc = r->slot(r->ctx, &copy);
    }
    munmap(map, bytes);
    return rc < 0 && e && !e->code ? err_set(e, (enum err_code)-rc, "spool/%s: %s", n->name,
        err_text(rc)) : rc;
}

int spool_recover(int dir_fd, struct spool_recovery *r, struct err *e)
{
    struct spool_names l = {0};
    struct err own = {0};
    int rc = names_read(dir_fd, &l, &own);
    for (size_t i = 0; rc >= 0 && i < l.n; i++)
        rc = l.names[i].table ? recover_table(dir_fd, &l.names[i], r, &own)
                              : recover_segment(dir_fd, &l.names[i], r, &own);
    free(l.names);
    if (rc < 0)
        return err_set(e, own.code, "%s", own.text);
    return 0;
}

int spool_remove_files(int dir_fd, struct err *e)
{
    struct spool_names l = {0};
    int rc = names_read(dir_fd, &l, e);
    for (size_t i = 0; rc == 0 && i < l.n; i++)
        if (unlinkat(dir_fd, l.names[i].name, 0) < 0 && errno != ENOENT)
            rc = err_set(e, ERR_IO, "spool/%s: can't be removed: %s", l.names[i].name,
                strerror(errno));
    free(l.names);
    return rc;
}
