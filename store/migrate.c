/* migrate.c: see migrate.h and migrations.def. The number reached stands in meta under "schema". */
#include "store/migrate.h"

static const struct {
    int number;
    enum migrate_file file;
    const char *sqlite;
} steps[] = {
#define MIGRATION(number, file, sqlite) {number, MIGRATE_##file, sqlite},
#include "store/migrations.def"
#undef MIGRATION
};

static int64_t reached(struct db *db, int *rc)
{
    if (db_one(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'meta'", 0, rc) == 0)
        return 0;
    return db_one(db, "SELECT value FROM meta WHERE name = 'schema'", 0, rc);
}

static int step_apply(struct db *db, size_t i, struct err *e)
{
    int rc = db->backend->begin(db);
    if (rc == 0)
        rc = db->backend->script(db, steps[i].sqlite, e);
    if (rc == 0)
        rc = db_do(db, "INSERT INTO meta VALUES('schema', ?1)"
                       " ON CONFLICT(name) DO UPDATE SET value = excluded.value",
            "i", (int64_t)steps[i].number);
    if (rc == 0)
        rc = db->backend->commit(db);
    if (rc == 0)
        return 0;
    err_set(e, (enum err_code)-rc, "step %d of the store: %s", steps[i].number,
        db->backend->error(db));
    db->backend->rollback(db);
    return rc;
}

int migrate(struct db *db, enum migrate_file file, struct err *e)
{
    int rc = 0, newest = 0;
    int64_t at = reached(db, &rc);
    if (rc < 0)
        return err_set(e, (enum err_code)-rc, "%s", db->backend->error(db));
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        if (steps[i].file != file)
            continue;
        newest = steps[i].number;
        if (steps[i].number > at && (rc = step_apply(db, i, e)) < 0)
            return rc;
    }
    if (at > newest)
        return err_set(e, ERR_UNSUPPORTED, "the store is of a newer pointsman (step %lld, this one "
            "knows %d): use that version, or another data folder", (long long)at, newest);
    return 0;
}
