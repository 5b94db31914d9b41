/* db.c: the few lines that are the same for every database. See backend.h. */
#include "store/backend.h"

static int bind_all(const struct store_backend *b, struct db_stmt *s, const char *types, va_list ap)
{
    int rc = 0;
    for (int at = 1; *types && rc == 0; types++, at++) {
        if (*types == 'i')
            rc = b->bind_int(s, at, va_arg(ap, int64_t));
        else if (*types == 't')
            rc = b->bind_text(s, at, va_arg(ap, struct str));
        else
            rc = b->bind_blob(s, at, va_arg(ap, struct str));
    }
    return rc;
}

static struct db_stmt *ask(struct db *db, const char *sql, const char *types, va_list ap)
{
    struct db_stmt *s = db->backend->prepare(db, sql);
    if (!s)
        return NULL;
    db->failed = bind_all(db->backend, s, types, ap);
    if (db->failed == 0)
        return s;
    db->backend->end(s);
    return NULL;
}

struct db_stmt *db_ask(struct db *db, const char *sql, const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    struct db_stmt *s = ask(db, sql, types, ap);
    va_end(ap);
    return s;
}

int db_do(struct db *db, const char *sql, const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    struct db_stmt *s = ask(db, sql, types, ap);
    va_end(ap);
    int rc = db_step(db, s);
    db_end(db, s);
    return rc < 0 ? rc : 0;
}

int64_t db_one(struct db *db, const char *sql, int64_t otherwise, int *rc)
{
    struct db_stmt *s = db_ask(db, sql, "");
    *rc = db_step(db, s);
    int64_t v = *rc == 1 ? db_int(db, s, 0) : otherwise;
    db_end(db, s);
    *rc = MIN(*rc, 0);
    return v;
}
