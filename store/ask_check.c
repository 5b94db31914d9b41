/* ask_check.c: `db check`: is the file whole, and does the money agree with itself?
 *
 * Every balance is the sum of its entries; what was settled is what the requests cost; the requests
 * equal the rollups, of every span, of every dimension that can be recomputed: to the nano. All in
 * one read snapshot, so that a running writer does not look like a fault. Rows before the last
 * prune are gone; what is compared begins there. */
#include "store/query_internal.h"

#include <stdio.h>

enum { LINES_MAX = 200 };

static int line(struct asking *k, bool problem, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int line(struct asking *k, bool problem, const char *fmt, ...)
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
        if (!str_eq(text, STR("ok")) && (rc = line(k, true, "%s: " STR_FMT, what, STR_ARG(text))) < 0)
            break;
    }
    db_end(db, s);
    if (rc == 0 && k->a->problems == before)
        rc = line(k, false, "%s: whole", what);
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
        rc = line(k, true, "%s: " STR_FMT ": differs by %lld requests, %lld nano-USD", what,
            STR_ARG(db_text(db, s, 0)), (long long)db_int(db, s, 1), (long long)db_int(db, s, 2));
        if (rc < 0)
            break;
    }
    db_end(db, s);
    if (rc == 0 && k->a->problems == before)
        rc = line(k, false, "%s: agree", what);
    return rc;
}

_Static_assert(LEDGER_SETTLE == 4 && LEDGER_TRANSFER == 8, "they stand as numbers in the statements below");

/* Requests minus rollups, of the names of one column. */
#define AGAINST(column, span, dimension)                                                            \
    "SELECT coalesce((SELECT text FROM name WHERE id = x), x), sum(n), sum(c) FROM ("              \
    "SELECT " column " AS x, count(*) AS n, sum(cost_nano) AS c FROM exchange WHERE"               \
    " time_ms >= ?1 AND " column " <> 0 GROUP BY x UNION ALL "                                     \
    "SELECT name, -sum(requests), -sum(cost_nano) FROM rollup WHERE span = " span                  \
    " AND dimension = " dimension " AND start_ms >= ?1 GROUP BY name)"                             \
    " GROUP BY x HAVING sum(n) <> 0 OR sum(c) <> 0"
#define AGAINST_ALL(span)                                                                           \
    "SELECT 'all', sum(n), sum(c) FROM (SELECT count(*) AS n, coalesce(sum(cost_nano), 0) AS c"    \
    " FROM exchange WHERE time_ms >= ?1 UNION ALL SELECT -coalesce(sum(requests), 0),"             \
    " -coalesce(sum(cost_nano), 0) FROM rollup WHERE span = " span                                 \
    " AND dimension = 0 AND start_ms >= ?1) HAVING sum(n) <> 0 OR sum(c) <> 0"

static const struct {
    const char *what, *sql;
    bool minutes; /* only as far back as minutes are kept */
} checks[] = {
    {"requests and days", AGAINST_ALL("2"), false},
    {"requests and hours", AGAINST_ALL("1"), false},
    {"requests and minutes", AGAINST_ALL("0"), true},
    {"keys and days", AGAINST("key", "2", "1"), false},
    {"keys and hours", AGAINST("key", "1", "1"), false},
    {"keys and minutes", AGAINST("key", "0", "1"), true},
    {"teams and days", AGAINST("team", "2", "2"), false},
    {"providers and days", AGAINST("provider", "2", "4"), false},
    {"routes and days", AGAINST("route", "2", "5"), false},
    {"sessions and days", AGAINST("session", "2", "7"), false},
    {"balances and ledger",
        "SELECT coalesce((SELECT text FROM name WHERE id = x), x), 0, sum(c) FROM ("
        "SELECT account AS x, nano AS c FROM balance UNION ALL"
        " SELECT account, -sum(amount_nano) FROM ledger GROUP BY account)"
        " WHERE ?1 >= 0 GROUP BY x HAVING sum(c) <> 0", false},
    {"transfers",
        "SELECT 'all', 0, sum(amount_nano) FROM ledger WHERE ?1 >= 0 AND kind = 8 AND time_ms >= ?1"
        " HAVING coalesce(sum(amount_nano), 0) <> 0", false},
    {"requests and ledger",
        "SELECT coalesce((SELECT text FROM name WHERE id = x), x), 0, sum(c) FROM ("
        "SELECT key AS x, sum(cost_nano) AS c FROM exchange WHERE key <> 0 AND time_ms >= ?1"
        " GROUP BY key UNION ALL SELECT account, sum(amount_nano) FROM ledger WHERE time_ms >= ?1"
        " AND exchange <> 0 AND kind = 4 GROUP BY account) GROUP BY x HAVING sum(c) <> 0", false},
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
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(checks); i++)
        rc = check_sums(k, checks[i].what, checks[i].sql, checks[i].minutes ? minutes : pruned);
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
