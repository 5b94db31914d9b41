/* store.c: opens the data folder and closes it: whose it is, that nobody else uses it, its files,
 * the pepper, the recovery of earlier lives, and the order in which threads begin and end.
 *
 * The process keeps umask 077 from store_open() on: the database makes its -wal and -shm with the
 * modes of the main file, and nothing that lies here is ever for others. */
#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/base/secret.h"
#include "store/migrate.h"
#include "store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const int64_t week_ms = 7LL * 86400000, two_gib = 2LL << 30;
enum { SLOTS = 16384, SLOTS_LEAST = 64, SPOOL_BYTES = 256 << 20, QUEUE_BYTES = 64 << 20 };

void store_notify(struct store *s, enum store_notice what, const char *fmt, ...)
{
    char text[480];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (s->config.notice)
        s->config.notice(s->config.notice_ctx, what, text);
    else if (what == STORE_NOTICE_RECOVERED || what == STORE_NOTICE_HEALED)
        log_info("store: %s", text);
    else
        log_warn("store: %s", text);
}

int store_thread(pthread_t *t, void *(*run)(void *), void *arg, const char *name, struct err *e)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(t, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return err_set(e, ERR_NOMEM, "thread %s can't be started: %s", name, strerror(failed));
    pthread_setname_np(*t, name);
    return 0;
}

/* ---- the folder ----------------------------------------------------------------------------- */

static int make_folders(const char *path, struct err *e)
{
    char part[512];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part - 64)
        return err_set(e, ERR_RANGE, "data: the folder's name is empty or too long");
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        char keep = part[i];
        part[i] = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return err_set(e, errno == ENOSPC ? ERR_FULL : ERR_DENIED, "data: %s can't be made: %s",
                part, strerror(errno));
        part[i] = keep;
    }
    return 0;
}

static int check_owner(const char *what, const struct stat *st, struct err *e)
{
    if (st->st_uid != geteuid())
        return err_set(e, ERR_DENIED, "%s belongs to uid %u, not to you (uid %u): use a folder of "
            "your own (--data)", what, (unsigned)st->st_uid, (unsigned)geteuid());
    if (st->st_mode & 077)
        return err_set(e, ERR_DENIED, "%s may be read or written by others (mode %03o): "
            "chmod go= %s", what, (unsigned)st->st_mode & 0777, what);
    return 0;
}

static int open_folder(struct store *s, const char *path, struct err *e)
{
    struct stat link, st;
    int rc = make_folders(path, e);
    if (rc < 0)
        return rc;
    /* a link that somebody else planted would lead our files away */
    if (lstat(path, &link) == 0 && S_ISLNK(link.st_mode) && link.st_uid != geteuid() &&
        link.st_uid != 0)
        return err_set(e, ERR_DENIED, "%s is a symbolic link of uid %u: refused", path,
            (unsigned)link.st_uid);
    s->dir = realpath(path, NULL);
    s->dir_fd = s->dir ? open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (s->dir_fd < 0 || fstat(s->dir_fd, &st) < 0)
        return err_set(e, ERR_IO, "data: %s can't be opened: %s", path, strerror(errno));
    return check_owner(s->dir, &st, e);
}

/* Opens or makes a file in the folder; refuses links, others' files and loose modes. */
static int open_file(struct store *s, const char *name, struct err *e)
{
    char what[600];
    struct stat st;
    snprintf(what, sizeof what, "%s/%s", s->dir, name);
    int fd = openat(s->dir_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    if (fd < 0)
        return err_set(e, errno == ELOOP ? ERR_DENIED : errno == ENOSPC ? ERR_FULL : ERR_IO,
            errno == ELOOP ? "%s is a symbolic link: refused" : "%s can't be opened: %s", what,
            strerror(errno));
    int rc = fstat(fd, &st) < 0 ? -ERR_IO : check_owner(what, &st, e);
    if (rc == 0 && (!S_ISREG(st.st_mode) || st.st_nlink != 1))
        rc = err_set(e, ERR_DENIED, "%s is not a plain file with one name: refused", what);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}

static int take_lock(struct store *s, struct err *e)
{
    char pid[24] = "";
    s->lock_fd = open_file(s, "lock", e);
    if (s->lock_fd < 0)
        return s->lock_fd;
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        ssize_t n = pread(s->lock_fd, pid, sizeof pid - 1, 0);
        uint64_t number = 0;
        if (n > 0)
            str_to_u64(str_trim(str_n(pid, (size_t)n)), &number);
        return err_set(e, ERR_BUSY, "another gateway (pid %llu) uses %s", (unsigned long long)number,
            s->dir);
    }
    int n = snprintf(pid, sizeof pid, "%d ", (int)getpid());
    if (ftruncate(s->lock_fd, 0) < 0 || pwrite(s->lock_fd, pid, (size_t)n, 0) != n)
        return err_set(e, ERR_IO, "%s/lock can't be written: %s", s->dir, strerror(errno));
    return 0;
}

static int open_spool_folder(struct store *s, struct err *e)
{
    char what[600];
    struct stat st;
    snprintf(what, sizeof what, "%s/spool", s->dir);
    if (mkdirat(s->dir_fd, "spool", 0700) < 0 && errno != EEXIST)
        return err_set(e, errno == ENOSPC ? ERR_FULL : ERR_IO, "%s can't be made: %s", what,
            strerror(errno));
    s->spool_fd = openat(s->dir_fd, "spool", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (s->spool_fd < 0 || fstat(s->spool_fd, &st) < 0)
        return err_set(e, ERR_DENIED, "%s can't be opened: %s", what, strerror(errno));
    return check_owner(what, &st, e);
}

/* The key of the hashes of virtual keys. Written under another name first: half a pepper would make
 * every key unknown. */
static int load_pepper(struct store *s, struct err *e)
{
    int rc = 0;
    int fd = openat(s->dir_fd, "pepper", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        if (db_one(s->main, "SELECT count(*) FROM state WHERE name >= 'live/secret/' AND"
                            " name < 'live/secret0'", 0, &rc) > 0)
            return err_set(e, ERR_MISSING, "%s/pepper is gone: without it no stored key can be "
                "recognised; bring it back from a backup, or remove the keys", s->dir);
        secret_random(s->pepper, sizeof s->pepper);
        fd = openat(s->dir_fd, "pepper.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
            0600);
        if (fd < 0 || write(fd, s->pepper, sizeof s->pepper) != sizeof s->pepper ||
            fsync(fd) < 0 || renameat(s->dir_fd, "pepper.new", s->dir_fd, "pepper") < 0)
            rc = err_set(e, ERR_IO, "%s/pepper can't be written: %s", s->dir, strerror(errno));
    } else {
        struct stat st;
        char what[600];
        snprintf(what, sizeof what, "%s/pepper", s->dir);
        if (fd < 0 || fstat(fd, &st) < 0)
            return err_set(e, ERR_DENIED, "%s can't be read: %s", what, strerror(errno));
        rc = check_owner(what, &st, e);
        if (rc == 0 && read(fd, s->pepper, sizeof s->pepper) != sizeof s->pepper)
            rc = err_set(e, ERR_CORRUPT, "%s is not 32 bytes long", what);
    }
    if (fd >= 0)
        close(fd);
    return rc;
}

/* ---- open and close ------------------------------------------------------------------------- */

int store_open_main(struct store *s, struct err *e)
{
    int rc = backend_sqlite.open(&s->main, s->main_path, DB_WRITER, e);
    s->commit.db = s->main;
    return rc;
}

int store_touch(struct store *s, const char *name, struct err *e)
{
    int fd = open_file(s, name, e);
    if (fd >= 0)
        close(fd);
    return MIN(fd, 0);
}

static int open_databases(struct store *s, struct err *e)
{
    snprintf(s->main_path, sizeof s->main_path, "%s/pointsman.db", s->dir);
    snprintf(s->bodies_path, sizeof s->bodies_path, "%s/bodies.db", s->dir);
    int rc = store_touch(s, "pointsman.db", e);
    rc = rc ? rc : store_touch(s, "bodies.db", e);
    rc = rc ? rc : store_open_main(s, e);
    rc = rc ? rc : migrate(s->main, MIGRATE_MAIN, e);
    rc = rc ? rc : bodies_open(&s->bodies, s->bodies_path, e);
    rc = rc ? rc : commit_open(&s->commit, s->main, e);
    s->main_file = file_id_of(s->main_path);
    s->bodies_file = file_id_of(s->bodies_path);
    return rc;
}

static int load_positions(struct store *s, struct err *e)
{
    struct db_stmt *q = db_ask(s->main, "SELECT worker, segment, offset FROM position", "");
    int rc;
    while ((rc = db_step(s->main, q)) == 1) {
        int64_t worker = db_int(s->main, q, 0);
        if (worker >= 0 && worker < STORE_WORKERS_MAX)
            s->positions[worker] = (struct spool_position){(uint64_t)db_int(s->main, q, 1),
                (uint32_t)db_int(s->main, q, 2)};
    }
    db_end(s->main, q);
    return rc < 0 ? err_set(e, (enum err_code)-rc, "%s: %s", s->main_path,
        s->main->backend->error(s->main)) : 0;
}

int store_open(struct store **out, const struct store_config *c, struct err *e)
{
    struct store *s = calloc(1, sizeof *s);
    struct err own = {0};
    *out = NULL;
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for the store");
    umask(077);
    s->config = *c;
    s->config.dir = NULL; /* `dir` is ours */
    s->config.slots = c->slots ? c->slots : SLOTS;
    s->config.spool_bytes = c->spool_bytes ? c->spool_bytes : SPOOL_BYTES;
    s->config.queue_bytes = c->queue_bytes ? c->queue_bytes : QUEUE_BYTES;
    s->dir_fd = s->spool_fd = s->lock_fd = -1;
    store_set_retention(s, c->body_keep_ms, c->body_keep_bytes, c->record_keep_ms);
    int rc = open_folder(s, c->dir, &own);
    rc = rc ? rc : take_lock(s, &own);
    rc = rc ? rc : open_spool_folder(s, &own);
    rc = rc ? rc : open_databases(s, &own);
    rc = rc ? rc : load_pepper(s, &own);
    rc = rc ? rc : load_positions(s, &own);
    if (rc == 0) {
        *out = s;
        return 0;
    }
    store_close(s);
    return err_set(e, own.code, "%s", own.text);
}

void store_close(struct store *s)
{
    if (!s)
        return;
    store_stop(s);
    for (unsigned i = 0; i < atomic_load(&s->spool_count); i++)
        spool_close(s->spools[i]);
    commit_close(&s->commit);
    bodies_close(s->bodies);
    reader_close(s->now);
    if (s->main)
        s->main->backend->close(s->main);
    if (s->spool_fd >= 0)
        close(s->spool_fd);
    if (s->lock_fd >= 0)
        close(s->lock_fd); /* the lock ends here */
    if (s->dir_fd >= 0)
        close(s->dir_fd);
    secret_wipe(s->pepper, sizeof s->pepper);
    free(s->dir);
    free(s);
}

void store_set_retention(struct store *s, int64_t body_keep_ms, int64_t body_keep_bytes,
    int64_t record_keep_ms)
{
    atomic_store(&s->body_keep_ms, body_keep_ms > 0 ? body_keep_ms : week_ms);
    atomic_store(&s->body_keep_bytes, body_keep_bytes > 0 ? body_keep_bytes : two_gib);
    atomic_store(&s->record_keep_ms, MAX(record_keep_ms, 0));
}

const unsigned char *store_pepper(const struct store *s)
{
    return s->pepper;
}

/* What is reserved from the start takes at most a quarter of the room that the disk has, and leaves
 * a worker four segments under the ceiling: on a small disk or with many workers all is smaller. */
static void size_spool(const struct store *s, struct spool_config *c)
{
    struct statvfs disk;
    size_t workers = MAX(s->config.workers, 1), share = SIZE_MAX;
    if (fstatvfs(s->spool_fd, &disk) == 0)
        share = (size_t)disk.f_bavail * disk.f_frsize / 4 / workers;
    c->bytes = s->config.spool_bytes / workers;
    c->segment_bytes = SPOOL_SEGMENT_BYTES;
    while (c->segment_bytes > SPOOL_SEGMENT_LEAST &&
           (c->segment_bytes > c->bytes / 4 || c->segment_bytes > share / 4))
        c->segment_bytes /= 2;
    size_t left = share > 2 * c->segment_bytes ? share - 2 * c->segment_bytes : 0;
    c->slots = (unsigned)MIN(MAX(left / sizeof(struct slot), (size_t)SLOTS_LEAST), s->config.slots);
}

struct spool *store_spool(struct store *s, unsigned worker, struct err *e)
{
    if (worker >= STORE_WORKERS_MAX || worker != atomic_load(&s->spool_count)) {
        err_set(e, ERR_RANGE, "worker %u: spools are opened in order, at most %d", worker,
            STORE_WORKERS_MAX);
        return NULL;
    }
    struct spool_config c = {.dir_fd = s->spool_fd,
        .first_segment = s->positions[worker].segment + 1, .wake = writer_wake, .wake_ctx = s};
    if (worker == 0)
        size_spool(s, &s->spool_size);
    c.bytes = s->spool_size.bytes;
    c.segment_bytes = s->spool_size.segment_bytes;
    c.slots = s->spool_size.slots;
    if (spool_open(&s->spools[worker], &c, worker, e) < 0)
        return NULL;
    atomic_store(&s->spool_count, worker + 1);
    return s->spools[worker];
}

int store_start(struct store *s, struct err *e)
{
    int rc = writer_start(s, e);
    rc = rc ? rc : queries_start(s, e);
    if (rc < 0)
        store_stop(s);
    return rc;
}

void store_stop(struct store *s)
{
    queries_stop(s);
    writer_stop(s);
    for (struct body_op *op = body_ops_take(s), *next; op; op = next) {
        next = op->next;
        body_op_free(s, op);
    }
    size_t lost = 0;
    ops_take(s);
    for (struct op *op; (op = s->taken);) {
        s->taken = op->next;
        lost += op->kind != OP_EVENT && op->kind != OP_SYNC && op->kind < OP_BACKUP;
        op_finish(s, op, -ERR_CANCELLED);
    }
    if (lost)
        store_notify(s, STORE_NOTICE_FAULT, "%zu changes that waited are lost: %s did not take them "
            "until the end", lost, s->main_path);
}

void store_stats(const struct store *s, struct store_stats *out)
{
    *out = (struct store_stats){.rows = atomic_load(&s->rows), .commits = atomic_load(&s->commits),
        .last_commit_ms = atomic_load(&s->last_commit_ms), .wal_bytes = atomic_load(&s->wal_bytes),
        .bodies_bytes = atomic_load(&s->bodies_bytes), .bodies_shed = atomic_load(&s->bodies_shed),
        .queue_bytes = (int64_t)atomic_load(&s->body_bytes),
        .failing = atomic_load(&s->failing)};
    for (unsigned i = 0; i < atomic_load(&s->spool_count); i++)
        out->behind += spool_behind(s->spools[i]);
}
