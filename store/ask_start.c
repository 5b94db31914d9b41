/* ask_start.c: what is read once when the gateway starts: documents, keys, balances. On the thread
 * that opened the store, with the writer's connection, before there is a writer. */
#include "store/store_internal.h"

int store_each_state(struct store *s,
    void (*fn)(void *ctx, struct str name, struct str json, int64_t revision), void *ctx)
{
    struct db *db = s->main;
    struct db_stmt *q = db_ask(db, "SELECT name, json, revision FROM state", "");
    int rc;
    while ((rc = db_step(db, q)) == 1)
        fn(ctx, db_text(db, q, 0), db_text(db, q, 1), db_int(db, q, 2));
    db_end(db, q);
    return rc;
}

int store_each_sealed(struct store *s, void (*fn)(void *ctx, const struct store_sealed *k), void *ctx)
{
    struct db *db = s->main;
    struct db_stmt *q = db_ask(db, "SELECT name, sealed, who, time_ms FROM sealed_key", "");
    int rc;
    while ((rc = db_step(db, q)) == 1) {
        struct store_sealed k = {db_text(db, q, 0), db_text(db, q, 1), db_text(db, q, 2),
            db_int(db, q, 3)};
        fn(ctx, &k);
    }
    db_end(db, q);
    return rc;
}

int store_each_balance(struct store *s, void (*fn)(void *ctx, struct str account, int64_t nano,
    bool granted), void *ctx)
{
    struct db *db = s->main;
    struct db_stmt *q = db_ask(db, "SELECT name.text, nano, granted FROM balance JOIN name ON"
                                   " name.id = account", "");
    int rc;
    while ((rc = db_step(db, q)) == 1)
        fn(ctx, db_text(db, q, 0), db_int(db, q, 1), db_int(db, q, 2) != 0);
    db_end(db, q);
    return rc;
}

int64_t store_last_revision(struct store *s)
{
    int rc;
    return db_one(s->main, "SELECT max(revision) FROM audit", 0, &rc);
}
