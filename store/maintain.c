/* maintain.c: what takes long and may wait: copies and removals, a slice at a time between batches.
 *
 * A prune removes rows older than a cut-off (whole UTC days, so that what is left can be compared
 * with the rollups to the nano). Rollups of hours and days stay. Ledger entries that go are added up
 * in one `carry` entry of their account, so that every balance is still the sum of its entries. */
#include "store/base/clock.h"
#include "store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { SLICE_ROWS = 500, SLICE_ENTRIES = 1000, DAY_MS = 86400000 };

enum phase { PHASE_ROWS, PHASE_LEDGER, PHASE_SESSIONS, PHASE_EVENTS, PHASE_MINUTES, PHASE_END };

struct maintenance {
    struct op *op;
    struct db_backup *backup;
    enum phase phase;
    int dimension; /* within PHASE_MINUTES */
    int64_t cutoff_ms, minutes_ms, removed;
};

static void finish(struct store *s, int rc)
{
    struct maintenance *m = s->maintenance;
    s->maintenance = NULL;
    if (m->backup)
        s->main->backend->backup_close(m->backup);
    if (rc < 0 && m->op->kind == OP_BACKUP)
        unlink(m->op->t[0].p);
    m->op->revision = m->removed;
    op_finish(s, m->op, rc);
    free(m);
}

static int backup_begin(struct store *s, struct maintenance *m)
{
    struct err e = {0};
    const char *path = m->op->t[0].p; /* its NUL is part of the text */
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? -ERR_CONFLICT : errno == EACCES ? -ERR_DENIED : -ERR_IO;
    close(fd);
    m->backup = s->main->backend->backup_open(s->main, path, &e);
    return m->backup ? 0 : -ERR_IO;
}

int maintain_begin(struct store *s, struct op *op)
{
    struct maintenance *m = calloc(1, sizeof *m);
    int rc = m ? 0 : -ERR_NOMEM;
    if (!m) {
        op_finish(s, op, rc);
        return rc;
    }
    m->op = op;
    s->maintenance = m;
    m->cutoff_ms = op->n[0] - op->n[0] % DAY_MS;
    m->minutes_ms = clock_wall_ms() - ROLLUP_MINUTES_KEPT_MS;
    m->minutes_ms = MAX(m->minutes_ms - m->minutes_ms % rollup_span_ms[ROLLUP_HOUR], m->cutoff_ms);
    if (op->kind == OP_BACKUP && (rc = backup_begin(s, m)) < 0) {
        bool not_ours = rc == -ERR_CONFLICT || rc == -ERR_DENIED;
        m->op->kind = not_ours ? OP_PRUNE : OP_BACKUP; /* never removes somebody else's file */
        finish(s, rc);
    }
    return rc;
}

static int set_mark(struct db *db, struct str name, int64_t value)
{
    return db_do(db, "INSERT INTO meta VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET"
                     " value = max(value, excluded.value)", "ti", name, value);
}

int64_t maintain_minutes_from(struct db *db)
{
    int rc;
    return db_one(db, "SELECT value FROM meta WHERE name = 'minutes_from'", 0, &rc);
}

/* The oldest entries of one account become part of its carry entry. 1: there were some. */
static int carry_slice(struct store *s, int64_t cutoff)
{
    struct db *db = s->main;
    struct db_stmt *q = db_ask(db,
        "SELECT account, count(*), sum(amount_nano), max(time_ms), max(exchange) FROM"
        " (SELECT account, amount_nano, time_ms, exchange FROM ledger WHERE account ="
        "   (SELECT account FROM balance b WHERE EXISTS (SELECT 1 FROM ledger l WHERE"
        "     l.account = b.account AND l.time_ms > 0 AND l.time_ms < ?1) LIMIT 1)"
        "  AND time_ms > 0 AND time_ms < ?1 ORDER BY time_ms LIMIT ?2)", "ii", cutoff,
        (int64_t)SLICE_ENTRIES);
    int rc = db_step(db, q);
    int64_t account = 0, n = 0, nano = 0, last_ms = 0;
    if (rc == 1) {
        account = db_int(db, q, 0);
        n = db_int(db, q, 1);
        nano = db_int(db, q, 2);
        last_ms = db_int(db, q, 3);
    }
    db_end(db, q);
    if (rc < 0 || n == 0)
        return rc < 0 ? rc : 0;
    /* whole milliseconds, so that no entry of the last one is carried and left behind */
    q = db_ask(db, "SELECT sum(amount_nano) FROM ledger WHERE account = ?1 AND time_ms > 0 AND"
                   " time_ms <= ?2", "ii", account, last_ms);
    rc = db_step(db, q);
    nano = rc == 1 ? db_int(db, q, 0) : 0;
    db_end(db, q);
    rc = rc < 0 ? rc : db_do(db, "DELETE FROM ledger WHERE account = ?1 AND time_ms > 0 AND"
                                 " time_ms <= ?2", "ii", account, last_ms);
    if (rc == 0)
        rc = db_do(db, "INSERT INTO ledger VALUES(?1, 0, 0, 1, ?2, ?3, 0, '', '')"
                       " ON CONFLICT(account, time_ms, exchange, seq) DO UPDATE SET"
                       " amount_nano = amount_nano + excluded.amount_nano", "iii", account,
            (int64_t)LEDGER_CARRY, nano);
    return rc < 0 ? rc : 1;
}

/* 1: go on with this phase, 0: it is at its end. */
static int prune_slice(struct store *s, struct maintenance *m)
{
    struct db *db = s->main;
    int rc = 0;
    switch (m->phase) {
    case PHASE_ROWS:
        rc = set_mark(db, STR("pruned_ms"), m->cutoff_ms);
        rc = rc ? rc : db_do(db, "DELETE FROM exchange WHERE row IN (SELECT row FROM exchange WHERE"
            " time_ms < ?1 ORDER BY time_ms LIMIT ?2)", "ii", m->cutoff_ms, (int64_t)SLICE_ROWS);
        m->removed += rc == 0 ? db->backend->changes(db) : 0;
        break;
    case PHASE_LEDGER:
        return carry_slice(s, m->cutoff_ms);
    case PHASE_SESSIONS: /* the newest number stays: it must not be given to another */
        rc = db_do(db, "DELETE FROM session WHERE id IN (SELECT id FROM session WHERE last_ms < ?1"
            " AND id <> (SELECT max(id) FROM session) ORDER BY last_ms LIMIT ?2)", "ii",
            m->cutoff_ms, (int64_t)SLICE_ROWS);
        names_forget(s->commit.sessions);
        break;
    case PHASE_EVENTS:
        rc = db_do(db, "DELETE FROM event WHERE sequence IN (SELECT sequence FROM event WHERE"
            " time_ms < ?1 LIMIT ?2)", "ii", m->cutoff_ms, (int64_t)SLICE_ROWS);
        break;
    case PHASE_MINUTES: /* one dimension after the other: each is one range of the key */
        rc = set_mark(db, STR("minutes_from"), m->minutes_ms);
        rc = rc ? rc : db_do(db, "DELETE FROM rollup WHERE (span, dimension, start_ms, name) IN"
            " (SELECT span, dimension, start_ms, name FROM rollup WHERE span = 0 AND"
            " dimension = ?1 AND start_ms < ?2 LIMIT ?3)", "iii", (int64_t)m->dimension,
            m->minutes_ms, (int64_t)SLICE_ROWS);
        if (rc == 0 && db->backend->changes(db) == 0)
            return ++m->dimension < STORE_DIMENSIONS;
        break;
    default:
        return 0;
    }
    return rc < 0 ? rc : db->backend->changes(db) > 0;
}

static int prune_step(struct store *s, struct maintenance *m)
{
    int rc = commit_begin(&s->commit);
    if (rc < 0)
        return rc;
    rc = prune_slice(s, m);
    if (rc < 0) {
        commit_abandon(&s->commit);
        return rc;
    }
    m->phase += rc == 0;
    rc = commit_end(&s->commit);
    return rc < 0 ? rc : m->phase < PHASE_END;
}

void maintain_abandon(struct store *s, int rc)
{
    if (s->maintenance)
        finish(s, rc);
}

int maintain_step(struct store *s)
{
    struct maintenance *m = s->maintenance;
    if (!m)
        return 0;
    if (atomic_load(&s->stopping)) { /* a prune goes on with the next one, a backup is made anew */
        maintain_abandon(s, -ERR_CANCELLED);
        return 0;
    }
    int rc = !s->main ? -ERR_IO
             : m->op->kind == OP_BACKUP ? s->main->backend->backup_step(m->backup)
                                        : prune_step(s, m);
    if (rc == 1 || rc == -ERR_BUSY)
        return 1;
    finish(s, rc);
    return 0;
}
