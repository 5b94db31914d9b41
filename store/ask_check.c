/* ask_check.c: `db check`: is the file whole, and does the money agree with itself?
 *
 * Every balance is the sum of its entries; each request was settled by its own entries, and each
 * entry leads to its request; the requests equal the rollups (ask_rollups.c): to the nano. All in one
 * read snapshot, so that a running writer does not look like a fault. Rows before the last prune are
 * gone; what is compared begins there. */
#include "store/query_internal.h"

#include <stdio.h>

enum { LINES_MAX = 200 };

int check_line(struct asking *k, bool problem, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    k->a->problems += problem;
    if (k->a->n == LINES_MAX)
        return 0;
    struct str copy = arena_str(&k->a->arena, str_n(text, MIN((size_t)n, sizeof text - 1)));
    if (!copy.p)
        return -ERR_NOMEM;
    k->a->report[k->a->n++] = copy;
    return 0;
}

static int check_file(struct asking *k, struct db *db, const char *sql, const char *what)
{
    struct db_stmt *s = db_ask(db, sql, "");
    int rc;
    unsigned before = k->a->problems;
    while ((rc = db_step(db, s)) == 1) {
        struct str text = db_text(db, s, 0);
        if (!str_eq(text, STR("ok")) && (rc = check_line(k, true, "%s: " STR_FMT, what, STR_ARG(text))) < 0)
            break;
    }
    db_end(db, s);
    if (rc == 0 && k->a->problems == before)
        rc = check_line(k, false, "%s: whole", what);
    return rc;
}

/* Each row of sql is one disagreement: name (or number), difference of counts, of nano. */
static int check_sums(struct asking *k, const char *what, const char *sql, int64_t from)
{
    struct db *db = k->r->main;
    struct db_stmt *s = db_ask(db, sql, "i", from);
    unsigned before = k->a->problems;
    int rc;
    while ((rc = db_step(db, s)) == 1) {
        rc = check_line(k, true, "%s: " STR_FMT ": differs by %lld requests, %lld nano-USD", what,
            STR_ARG(db_text(db, s, 0)), (long long)db_int(db, s, 1), (long long)db_int(db, s, 2));
        if (rc < 0)
            break;
    }
    db_end(db, s);
    if (rc == 0 && k->a->problems == before)
        rc = check_line(k, false, "%s: agree", what);
    return rc;
}

_Static_assert(LEDGER_SETTLE == 4 && LEDGER_TRANSFER == 8, "they stand as numbers in the statements below");

static const struct {
    const char *what, *sql;
} checks[] = {
    {"balances and ledger",
        "SELECT coalesce((SELECT text FROM name WHERE id = x), x), 0, sum(c) FROM ("
        "SELECT account AS x, nano AS c FROM balance UNION ALL"
        " SELECT account, -sum(amount_nano) FROM ledger GROUP BY account)"
        " WHERE ?1 >= 0 GROUP BY x HAVING sum(c) <> 0"},
    {"transfers",
        "SELECT 'all', 0, sum(amount_nano) FROM ledger WHERE ?1 >= 0 AND kind = 8 AND time_ms >= ?1"
        " HAVING coalesce(sum(amount_nano), 0) <> 0"},
    {"requests and their entries",
        "SELECT id, 0, cost_nano + coalesce((SELECT sum(amount_nano) FROM ledger WHERE account = key"
        " AND ledger.time_ms = exchange.time_ms AND exchange = row AND kind = 4), 0) AS d"
        " FROM exchange WHERE key <> 0 AND time_ms >= ?1 AND d <> 0"},
    {"entries and their requests",
        "SELECT coalesce((SELECT text FROM name WHERE id = account), account), 0, sum(amount_nano)"
        " FROM ledger AS x WHERE kind = 4 AND exchange <> 0 AND time_ms >= ?1 AND NOT EXISTS (SELECT 1"
        " FROM exchange AS e WHERE e.row = x.exchange AND e.key = account AND e.time_ms = x.time_ms)"
        " GROUP BY account"},
};

int ask_check(struct asking *k)
{
    struct db *db = k->r->main;
    k->a->report = answer_array(k->a, LINES_MAX, sizeof *k->a->report);
    if (!k->a->report)
        return -ERR_NOMEM;
    int rc = db->backend->script(db, "BEGIN", &k->a->err);
    rc = rc ? rc : check_file(k, db, "PRAGMA integrity_check(20)", "pointsman.db");
    int pruned_rc = 0;
    int64_t pruned = db_one(db, "SELECT value FROM meta WHERE name = 'pruned_ms'", 0, &pruned_rc);
    int64_t minutes = MAX(pruned, maintain_minutes_from(db));
    rc = rc ? rc : check_rollups(k, pruned, minutes);
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(checks); i++)
        rc = check_sums(k, checks[i].what, checks[i].sql, pruned);
    db->backend->rollback(db);
    rc = rc ? rc : reader_bodies(k->r);
    if (rc < 0)
        return rc;
    db = k->r->bodies;
    db->backend->set_deadline(db, k->deadline_us, k->cancelled);
    rc = check_file(k, db, "PRAGMA quick_check(20)", "bodies.db"); /* gigabytes: without contents */
    db->backend->set_deadline(db, 0, NULL);
    k->a->done = rc == 0;
    return rc;
}
