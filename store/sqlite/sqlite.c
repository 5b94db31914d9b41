/* sqlite.c: the SQLite backend; the only file that includes <sqlite3.h>.
 *
 * What SQLite asks for: 3.40.1 can damage a file when one connection checkpoints while another
 * commits and resets the write-ahead log, so only the writer's connection writes and checkpoints;
 * readers are query-only and leave the log alone, also when they close. Transactions begin
 * IMMEDIATE: a read that turns into a write would be refused at once under another snapshot.
 * FULL synchronous for records (one sync a batch), NORMAL for bodies. The files are made by us
 * beforehand with 0600; the -wal and -shm take that mode over. Not for network file systems. */
#include "store/backend.h"
#include "store/base/clock.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { STATEMENTS = 256, PROGRESS_OPS = 2000, PAGE_BYTES = 4096, BACKUP_PAGES = 1000 };

struct db_stmt {
    struct sqlite_db *db;
    sqlite3_stmt *s;
    const char *sql;
};

struct sqlite_db {
    struct db base;
    sqlite3 *c;
    int log_pages;
    int64_t deadline_us;
    const _Atomic int *cancelled;
    struct db_stmt statements[STATEMENTS]; /* open addressing by address of the text */
};

static int map_error(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE: return 0;
    case SQLITE_FULL: return -ERR_FULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return -ERR_BUSY;
    case SQLITE_INTERRUPT: return -ERR_CANCELLED;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return -ERR_CORRUPT;
    case SQLITE_CONSTRAINT: return -ERR_CONFLICT;
    case SQLITE_NOMEM: return -ERR_NOMEM;
    default: return -ERR_IO;
    }
}

static const char *lite_error(struct db *db)
{
    return sqlite3_errmsg(((struct sqlite_db *)db)->c);
}

static int lite_script(struct db *db, const char *sql, struct err *e)
{
    int rc = sqlite3_exec(((struct sqlite_db *)db)->c, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : err_set(e, (enum err_code)-map_error(rc), "%s", lite_error(db));
}

static int count_log(void *ctx, sqlite3 *c, const char *name, int pages)
{
    (void)c, (void)name;
    ((struct sqlite_db *)ctx)->log_pages = pages;
    return SQLITE_OK;
}

static int progress(void *ctx)
{
    struct sqlite_db *db = ctx;
    return (db->cancelled && atomic_load(db->cancelled)) ||
           (db->deadline_us && clock_mono_us() > db->deadline_us);
}

static void lite_close(struct db *db)
{
    struct sqlite_db *l = (struct sqlite_db *)db;
    if (!l)
        return;
    for (unsigned i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(l->statements[i].s);
    sqlite3_close(l->c);
    free(l);
}

static const char *const settings[] = {
    [DB_WRITER] = ("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
                   "PRAGMA journal_size_limit=67108864; PRAGMA cache_size=-8000;"
                   "PRAGMA trusted_schema=0; PRAGMA temp_store=MEMORY;"),
    [DB_BODIES] = ("PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL;"
                   "PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0; PRAGMA secure_delete=1;"
                   "PRAGMA journal_size_limit=67108864; PRAGMA cache_size=-2000;"
                   "PRAGMA trusted_schema=0; PRAGMA temp_store=MEMORY;"),
    [DB_READER] = ("PRAGMA query_only=1; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-4000;"
                   "PRAGMA trusted_schema=0; PRAGMA temp_store=MEMORY;"),
};

/* Counting every allocation behind one lock is of no use to us. */
static void configure(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static int lite_open(struct db **out, const char *path, enum db_mode mode, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct sqlite_db *db = calloc(1, sizeof *db);
    *out = NULL;
    pthread_once(&once, configure);
    if (!db)
        return err_set(e, ERR_NOMEM, "no memory to open %s", path);
    db->base.backend = &backend_sqlite;
    /* no CREATE: the file was made by us, and one that was taken away must not come back empty */
    int rc = sqlite3_open_v2(path, &db->c,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_extended_result_codes(db->c, 1);
        sqlite3_db_config(db->c, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        sqlite3_db_config(db->c, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, mode == DB_READER, NULL);
        sqlite3_limit(db->c, SQLITE_LIMIT_ATTACHED, 0);
        rc = sqlite3_exec(db->c, settings[mode], NULL, NULL, NULL);
    }
    if (rc != SQLITE_OK) {
        err_set(e, (enum err_code)-map_error(rc), "%s: %s", path,
            db->c ? sqlite3_errmsg(db->c) : sqlite3_errstr(rc));
        lite_close(&db->base);
        return map_error(rc);
    }
    if (mode != DB_READER)
        sqlite3_wal_hook(db->c, count_log, db);
    *out = &db->base;
    return 0;
}

static struct db_stmt *lite_prepare(struct db *base, const char *sql)
{
    struct sqlite_db *db = (struct sqlite_db *)base;
    size_t at = ((uintptr_t)sql >> 3) % STATEMENTS;
    for (unsigned i = 0; i < STATEMENTS; i++, at = (at + 1) % STATEMENTS) {
        struct db_stmt *s = &db->statements[at];
        if (s->sql == sql)
            return s;
        if (s->sql)
            continue;
        int rc = sqlite3_prepare_v3(db->c, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->s, NULL);
        base->failed = map_error(rc);
        if (rc != SQLITE_OK)
            return NULL;
        s->sql = sql;
        s->db = db;
        return s;
    }
    base->failed = -ERR_LIMIT;
    return NULL;
}

static int lite_bind_int(struct db_stmt *s, int at, int64_t v)
{
    return map_error(sqlite3_bind_int64(s->s, at, v));
}

static int lite_bind_text(struct db_stmt *s, int at, struct str v)
{
    return map_error(sqlite3_bind_text64(s->s, at, v.p ? v.p : "", v.n, SQLITE_STATIC, SQLITE_UTF8));
}

static int lite_bind_blob(struct db_stmt *s, int at, struct str v)
{
    return map_error(sqlite3_bind_blob64(s->s, at, v.p ? v.p : "", v.n, SQLITE_STATIC));
}

static int lite_step(struct db_stmt *s)
{
    int rc = sqlite3_step(s->s);
    return rc == SQLITE_ROW ? 1 : map_error(rc);
}

static int64_t lite_insert(struct db_stmt *s)
{
    sqlite3 *c = s->db->c;
    int rc = sqlite3_step(s->s);
    if (rc != SQLITE_DONE)
        return map_error(rc);
    return sqlite3_changes(c) ? sqlite3_last_insert_rowid(c) : 0;
}

static void lite_end(struct db_stmt *s)
{
    sqlite3_reset(s->s);
    sqlite3_clear_bindings(s->s);
}

static int64_t lite_int(struct db_stmt *s, int column)
{
    return sqlite3_column_int64(s->s, column);
}

static struct str lite_text(struct db_stmt *s, int column)
{
    const void *p = sqlite3_column_blob(s->s, column);
    return str_n(p, (size_t)sqlite3_column_bytes(s->s, column));
}

static int lite_run(struct db *db, const char *sql)
{
    return db_do(db, sql, "");
}

static int lite_begin(struct db *db)
{
    return lite_run(db, "BEGIN IMMEDIATE");
}

static int lite_commit(struct db *db)
{
    return lite_run(db, "COMMIT");
}

static void lite_rollback(struct db *db)
{
    if (!sqlite3_get_autocommit(((struct sqlite_db *)db)->c))
        lite_run(db, "ROLLBACK");
}

static int64_t lite_changes(struct db *db)
{
    return sqlite3_changes64(((struct sqlite_db *)db)->c);
}

static int64_t lite_log_bytes(struct db *db)
{
    return (int64_t)((struct sqlite_db *)db)->log_pages * PAGE_BYTES;
}

static int lite_checkpoint(struct db *base, bool all)
{
    struct sqlite_db *db = (struct sqlite_db *)base;
    int pages = 0, moved = 0;
    int rc = sqlite3_wal_checkpoint_v2(db->c, NULL,
        all ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, &pages, &moved);
    if (rc == SQLITE_OK && pages == moved)
        db->log_pages = 0; /* the next commit begins the log anew */
    return map_error(rc);
}

static int64_t lite_used_bytes(struct db *db)
{
    int rc;
    int64_t pages = db_one(db, "PRAGMA page_count", 0, &rc);
    return (pages - db_one(db, "PRAGMA freelist_count", 0, &rc)) * PAGE_BYTES;
}

static int lite_give_back(struct db *db, int64_t most_bytes)
{
    int rc = 0;
    int64_t free_pages = db_one(db, "PRAGMA freelist_count", 0, &rc);
    if (rc < 0 || free_pages * PAGE_BYTES < most_bytes)
        return rc;
    struct db_stmt *s = db_ask(db, "PRAGMA incremental_vacuum(1024)", "");
    while ((rc = db_step(db, s)) == 1)
        ;
    db_end(db, s);
    return rc;
}

struct db_backup {
    sqlite3 *to;
    sqlite3_backup *b;
};

static void lite_backup_close(struct db_backup *b)
{
    sqlite3_backup_finish(b->b);
    sqlite3_close(b->to);
    free(b);
}

static struct db_backup *lite_backup_open(struct db *db, const char *path, struct err *e)
{
    struct db_backup *b = calloc(1, sizeof *b);
    if (!b) {
        err_set(e, ERR_NOMEM, "no memory for a backup");
        return NULL;
    }
    int rc = sqlite3_open_v2(path, &b->to,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);
    if (rc == SQLITE_OK)
        b->b = sqlite3_backup_init(b->to, "main", ((struct sqlite_db *)db)->c, "main");
    if (b->b)
        return b;
    err_set(e, ERR_IO, "%s: %s", path, b->to ? sqlite3_errmsg(b->to) : sqlite3_errstr(rc));
    lite_backup_close(b);
    return NULL;
}

static int lite_backup_step(struct db_backup *b)
{
    int rc = sqlite3_backup_step(b->b, BACKUP_PAGES);
    return rc == SQLITE_OK ? 1 : map_error(rc);
}

static void lite_set_deadline(struct db *base, int64_t mono_us, const _Atomic int *cancelled)
{
    struct sqlite_db *db = (struct sqlite_db *)base;
    db->deadline_us = mono_us;
    db->cancelled = cancelled;
    sqlite3_progress_handler(db->c, PROGRESS_OPS, mono_us || cancelled ? progress : NULL, db);
}

const struct store_backend backend_sqlite = {
    .name = "sqlite", .open = lite_open, .close = lite_close, .script = lite_script,
    .begin = lite_begin, .commit = lite_commit, .rollback = lite_rollback,
    .prepare = lite_prepare, .bind_int = lite_bind_int, .bind_text = lite_bind_text,
    .bind_blob = lite_bind_blob, .step = lite_step, .insert = lite_insert, .end = lite_end, .get_int = lite_int,
    .get_text = lite_text, .changes = lite_changes, .error = lite_error,
    .log_bytes = lite_log_bytes, .checkpoint = lite_checkpoint, .used_bytes = lite_used_bytes,
    .give_back = lite_give_back, .backup_open = lite_backup_open,
    .backup_step = lite_backup_step, .backup_close = lite_backup_close, .set_deadline = lite_set_deadline,
};
