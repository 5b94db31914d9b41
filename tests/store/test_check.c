/* `db check` sees every kind of falsified figure: a row, a rollup of each dimension and span, the share
 * of a source, an entry of the ledger, a balance. Each is changed behind the store's back, found by
 * name, and put back. */
#include "store/backend.h"
#include "tests/store/room.h"

enum { ROWS = 240 };

static void write_sql(struct room *r, const char *sql)
{
    struct db *db;
    struct err e = {0};
    char path[200];
    snprintf(path, sizeof path, "%s/pointsman.db", r->data);
    assert_int_equal(backend_sqlite.open(&db, path, DB_WRITER, &e), 0);
    if (db->backend->script(db, sql, &e) < 0)
        fail_msg("%s: %s", sql, e.text);
    backend_sqlite.close(db);
}

/* How many problems; fails unless a line of the report begins with `wanted` (NULL: none may). */
static unsigned problems(struct room *r, const char *wanted)
{
    struct store *s = room_open(r);
    room_recover(s);
    struct store_query q = {.kind = STORE_ASK_CHECK};
    struct store_answer *a = store_ask_now(s, &q);
    assert_int_equal(a->rc, 0);
    bool found = false;
    for (size_t i = 0; wanted && i < a->n; i++)
        found |= str_starts(a->report[i], str_c(wanted));
    for (size_t i = 0; i < a->n && wanted && !found; i++)
        print_message("%.*s\n", STR_ARG(a->report[i]));
    if (wanted && !found)
        fail_msg("nothing says \"%s\"", wanted);
    unsigned n = a->problems;
    store_answer_free(a);
    store_close(s);
    return n;
}

static void filled(struct room *r)
{
    struct store *s = room_open(r);
    room_fill(room_start(s), 0, ROWS);
    room_settle(s);
    room_check(s);
    store_stop(s);
    store_close(s);
}

static void every_falsified_rollup_is_found(void **state)
{
    static const char *const kinds[] = {"requests", "keys", "teams", "models", "providers", "routes",
        "tags", "sessions"};
    static const char *const spans[] = {"minutes", "hours", "days"};
    char sql[300], undo[300], wanted[64];
    filled(*state);
    for (int kind = 0; kind < 8; kind++) {
        for (int span = kind == 7; span < 3; span++) {
            const char *at = "WHERE (span, dimension, start_ms, name) = (SELECT span, dimension, start_ms,"
                             " name FROM rollup WHERE span = %d AND dimension = %d LIMIT 1);";
            char where[250];
            snprintf(where, sizeof where, at, span, kind);
            snprintf(sql, sizeof sql, "UPDATE rollup SET cost_nano = cost_nano + 1 %s", where);
            snprintf(undo, sizeof undo, "UPDATE rollup SET cost_nano = cost_nano - 1 %s", where);
            snprintf(wanted, sizeof wanted, "%s and %s: ", kinds[kind], spans[span]);
            write_sql(*state, sql);
            assert_int_equal(problems(*state, wanted), 1);
            write_sql(*state, undo);
        }
    }
    assert_int_equal(problems(*state, "tags and minutes, hours, days: agree"), 0);
}

/* The sum of all hours stays right: only each hour by itself tells. */
static void money_moved_from_one_hour_to_another_is_found(void **state)
{
    filled(*state);
    write_sql(*state, "UPDATE rollup SET start_ms = start_ms + 3600000 WHERE span = 1 AND dimension = 3"
                      " AND name = (SELECT min(name) FROM rollup WHERE dimension = 3);");
    assert_int_equal(problems(*state, "models and hours: "), 2);
}

static void other_falsified_figures_are_found(void **state)
{
    static const struct {
        const char *sql, *wanted;
    } t[] = {
        {"UPDATE rollup SET measured_nano = measured_nano - 1, estimated_nano = estimated_nano + 1 WHERE"
         " span = 2 AND dimension = 0;", "sources of cost and days: measured"},
        {"UPDATE exchange SET cost_nano = cost_nano + 5 WHERE row = 7;", "requests and their entries: 01j"},
        {"UPDATE exchange SET tags = 0 WHERE row = 9;", "tags and days: env:prod"},
        {"UPDATE exchange SET model = (SELECT id FROM name WHERE text = 'bob') WHERE row = 9;",
         "models and minutes: "},
        {"UPDATE exchange SET key = (SELECT id FROM name WHERE text = 'bob') WHERE key ="
         " (SELECT id FROM name WHERE text = 'ci');", "entries and their requests: ci"},
        {"DELETE FROM exchange WHERE row = 11;", "requests and days: all"},
        {"DELETE FROM ledger WHERE exchange = 12;", "balances and ledger: "},
        {"UPDATE ledger SET amount_nano = amount_nano - 1 WHERE exchange = 13;", "requests and their entries: 01j"},
        {"UPDATE balance SET nano = nano + 1;", "balances and ledger: "},
        {"DELETE FROM rollup WHERE dimension = 6;", "tags and hours: project:x"},
        {"DELETE FROM rollup;", "sources of cost and minutes: measured"},
    };
    struct room *r = *state;
    char keep[500], put_back[500];
    filled(r);
    snprintf(keep, sizeof keep, "cp -a %s %s/whole", r->data, r->path);
    snprintf(put_back, sizeof put_back, "rm -rf %s && cp -a %s/whole %s", r->data, r->path, r->data);
    assert_int_equal(system(keep), 0);
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        write_sql(r, t[i].sql);
        assert_true(problems(r, t[i].wanted) > 0);
        assert_int_equal(system(put_back), 0);
    }
    assert_int_equal(problems(r, "requests and their entries: agree"), 0);
}

/* Rows of pruned days are gone, their sums stay: nothing of that is a fault. */
static void what_was_pruned_is_not_missed(void **state)
{
    char id[32];
    struct store *s = room_open(*state);
    struct spool *w = room_start(s);
    for (unsigned n = 0; n < 100; n++) {
        struct record r = room_record(n, id);
        r.time_ms = room_now - (int64_t)(n % 20) * 86400000 - n * 60000;
        assert_int_equal(spool_append(w, SPOOL_END, &r), 0);
    }
    room_settle(s);
    room_check(s);
    assert_int_equal(store_prune(s, room_now - (int64_t)5 * 86400000, NULL, NULL), 0);
    size_t left = 100;
    for (int i = 0; i < 3000 && left == 100; i++) {
        struct store_answer *a = store_ask_now(s, &(struct store_query){.kind = STORE_ASK_EXCHANGES});
        left = a->n;
        store_answer_free(a);
        usleep(1000);
    }
    assert_in_range(left, 20, 40);
    room_check(s);
    store_stop(s);
    store_close(s);
    write_sql(*state, "UPDATE rollup SET cost_nano = cost_nano + 1 WHERE dimension = 3 AND span = 2 AND"
                      " start_ms = (SELECT max(start_ms) FROM rollup WHERE span = 2);");
    assert_true(problems(*state, "models and days: ") > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOM_TEST(every_falsified_rollup_is_found),
        ROOM_TEST(money_moved_from_one_hour_to_another_is_found),
        ROOM_TEST(other_falsified_figures_are_found),
        ROOM_TEST(what_was_pruned_is_not_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
