/* backend.h: what a database must be able to do for the store; one const struct per database.
 *
 * Why: rows, rollups and the ledger are the store's; the database only runs statements in
 * transactions. Statement texts are literals (never put together at run time, never with values in
 * them) and are prepared once per connection: the address of the text is its name.
 *
 *     int rc = db_do(db, "INSERT INTO state VALUES(?1, ?2)", "ti", name, revision);
 *     struct db_stmt *q = db_ask(db, "SELECT text FROM name WHERE id = ?1", "i", id);
 *     while ((rc = db_step(db, q)) == 1)
 *         use(db_text(db, q, 0));
 *     db_end(db, q);                            // always; texts are gone after it
 *
 * Types: i int64_t, t struct str as text, b struct str as blob. Errors: -ERR_FULL (disk), -ERR_IO,
 * -ERR_BUSY, -ERR_CANCELLED (interrupted), -ERR_CORRUPT, -ERR_CONFLICT (constraint), -ERR_NOMEM. */
#ifndef POINTSMAN_STORE_BACKEND_H
#define POINTSMAN_STORE_BACKEND_H

#include "store/base/err.h"
#include "store/base/str.h"

struct db;
struct db_stmt;
struct db_backup;

enum db_mode {
    DB_WRITER, /* the one that writes and checkpoints */
    DB_BODIES, /* the same for the bodies' file: freed pages are given back, erased */
    DB_READER  /* query-only; never checkpoints */
};

struct store_backend {
    const char *name;
    int (*open)(struct db **out, const char *path, enum db_mode mode, struct err *e);
    void (*close)(struct db *db);
    int (*script)(struct db *db, const char *sql, struct err *e); /* fixed text, no rows */
    int (*begin)(struct db *db);
    int (*commit)(struct db *db);
    void (*rollback)(struct db *db);
    struct db_stmt *(*prepare)(struct db *db, const char *sql); /* cached; NULL: db_error() */
    int (*bind_int)(struct db_stmt *s, int at, int64_t v);
    int (*bind_text)(struct db_stmt *s, int at, struct str v); /* v must live until db_end() */
    int (*bind_blob)(struct db_stmt *s, int at, struct str v);
    int (*step)(struct db_stmt *s); /* 1: a row, 0: no more, < 0: error */
    /* Runs an INSERT: the number of the new row; 0 when ON CONFLICT DO NOTHING held; < 0: error. */
    int64_t (*insert)(struct db_stmt *s);
    void (*end)(struct db_stmt *s);
    int64_t (*get_int)(struct db_stmt *s, int column);
    struct str (*get_text)(struct db_stmt *s, int column); /* also of a blob */
    int64_t (*changes)(struct db *db); /* of the last statement */
    const char *(*error)(struct db *db);
    /* housekeeping */
    int64_t (*log_bytes)(struct db *db);         /* of the write-ahead log */
    int (*checkpoint)(struct db *db, bool all);  /* all: wait for nobody, but empty the log */
    int64_t (*used_bytes)(struct db *db);
    int (*give_back)(struct db *db, int64_t most_bytes);
    /* A copy into an empty file, some pages at a time; writes in between are taken along. */
    struct db_backup *(*backup_open)(struct db *db, const char *path, struct err *e);
    int (*backup_step)(struct db_backup *b); /* 1: go on, 0: done, < 0: error */
    void (*backup_close)(struct db_backup *b);
    void (*set_deadline)(struct db *db, int64_t mono_us, const _Atomic int *cancelled);
};

extern const struct store_backend backend_sqlite;

struct db {
    const struct store_backend *backend;
    int failed; /* why the last db_ask() gave NULL */
};

int db_do(struct db *db, const char *sql, const char *types, ...) MUST_CHECK;
struct db_stmt *db_ask(struct db *db, const char *sql, const char *types, ...);
/* A NULL statement (it couldn't be prepared or bound) answers that error at its first step. */
static inline int db_step(struct db *db, struct db_stmt *s)
{
    return s ? db->backend->step(s) : db->failed;
}

static inline void db_end(struct db *db, struct db_stmt *s)
{
    if (s)
        db->backend->end(s);
}

static inline int64_t db_int(struct db *db, struct db_stmt *s, int column)
{
    return db->backend->get_int(s, column);
}

static inline struct str db_text(struct db *db, struct db_stmt *s, int column)
{
    return db->backend->get_text(s, column);
}

/* The first column of the first row; `otherwise` when there is none. < 0 in *rc on an error. */
int64_t db_one(struct db *db, const char *sql, int64_t otherwise, int *rc);

#endif
