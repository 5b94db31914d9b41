/* The contract of the store: what goes in comes out, once, and adds up. */
#include "tests/store/room.h"
#include "store/backend.h"

/* Without the deadline of a page, unless a test is about it: sanitizers are slow. */
static struct store_answer *ask(struct store *s, struct store_query q)
{
    q.budget_ms = q.budget_ms ? q.budget_ms : 20000;
    struct store_answer *a = store_ask_now(s, &q);
    if (a->rc < 0)
        fail_msg("%s", a->err.text);
    return a;
}

/* Every field differs, so that none can be mistaken for another or be forgotten. */
static void every_field_of_a_record_comes_back(void **state)
{
    struct store *s = room_open(*state);
    struct spool *w = room_start(s);
    char texts[64][40];
    unsigned n = 0;
    int64_t i = 100;
    struct record r;
#define TEXT(name, most)                                                                            \
    snprintf(texts[n], sizeof texts[n], "%s value", #name);                                        \
    r.name = str_c(texts[n++]);
#define INT(name) r.name = ++i;
#include "store/record.def"
    r.slot = -1;
    r.status = 200;
    r.outcome = OUTCOME_OK;
    assert_int_equal(spool_append(w, SPOOL_END, &r), 0);
    room_settle(s);
    struct store_answer *a = ask(s, (struct store_query){.kind = STORE_ASK_RECORD, .id = r.id});
    assert_int_equal(a->n, 1);
    r.worker = 0;
    r.slot = -1;
#define TEXT(name, most)                                                                            \
    if (!str_eq(a->records->name, r.name))                                                         \
        fail_msg("%s: %.*s", #name, STR_ARG(a->records->name));
#define INT(name)                                                                                   \
    if (a->records->name != r.name)                                                                \
        fail_msg("%s: %lld", #name, (long long)a->records->name);
#include "store/record.def"
    store_answer_free(a);
    store_stop(s);
    store_close(s);
}

static void a_record_is_in_the_database_within_a_second_and_its_slot_is_free(void **state)
{
    struct store *s = room_open(*state);
    struct spool *w = room_start(s);
    char id[32];
    struct slot *slot = slot_take(w);
    struct record r = room_record(1, id);
    r.slot = slot->index;
    assert_int_equal(spool_append(w, SPOOL_END, &r), 0);
    struct store_query q = {.kind = STORE_ASK_RECORD, .id = r.id};
    int waited = 0;
    for (struct store_answer *a; waited < 100; waited++, usleep(10000)) {
        a = store_ask_now(s, &q);
        int rc = a->rc;
        store_answer_free(a);
        if (rc == 0)
            break;
    }
    assert_true(waited < 100);
    room_settle(s);
    usleep(10000);
    assert_int_equal(slot->state, SLOT_FREE);
    store_stop(s);
    store_close(s);
}

static void pages_go_newest_first_by_every_filter_without_gap_or_double(void **state)
{
    struct store *s = room_open(*state);
    struct spool *w = room_start(s);
    room_fill(w, 0, 1200);
    room_settle(s);
    const struct {
        struct store_query q;
        unsigned want;
    } pages[] = {
        {{.limit = 100}, 1200},
        {{.limit = 100, .oldest_first = true}, 1200},
        {{.key = STR("bob"), .limit = 33}, 400},
        {{.key = STR("bob"), .limit = 33, .oldest_first = true}, 400},
        {{.team = STR("search"), .limit = 1000}, 1200},
        {{.model = STR("gpt-5-mini"), .limit = 77}, 600},
        {{.provider = STR("anthropic"), .limit = 77}, 600},
        {{.route = STR("fast"), .limit = 500}, 1200},
        {{.status_class = 4, .limit = 7}, 120},
        {{.status_class = 2, .limit = 300}, 1080},
        {{.session = STR("s-2"), .limit = 50}, 300},
        {{.session = STR("s-2"), .key = STR("alice"), .limit = 50}, 100},
        {{.outcome = OUTCOME_UPSTREAM_ERROR, .limit = 50}, 120},
        {{.key = STR("nobody"), .limit = 50}, 0},
        {{.from_ms = room_now + 100000, .to_ms = room_now + 200000, .limit = 30}, 100},
        {{.from_ms = room_now + 100000, .to_ms = room_now + 200000, .limit = 30,
             .oldest_first = true}, 100},
    };
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        struct store_query q = pages[i].q;
        unsigned got = 0;
        int64_t last = q.oldest_first ? 0 : INT64_MAX;
        for (bool done = false; !done && got < 2000;) {
            struct store_answer *a = ask(s, q);
            for (size_t k = 0; k < a->n; k++) {
                int64_t t = a->records[k].time_ms;
                assert_true(q.oldest_first ? t > last : t < last);
                last = t;
                if (q.key.n)
                    assert_true(str_eq(a->records[k].key, q.key));
            }
            got += (unsigned)a->n;
            done = a->done;
            q.cursor = a->cursor;
            store_answer_free(a);
        }
        assert_int_equal(got, pages[i].want);
    }
    store_stop(s);
    store_close(s);
}

static bool keep_dear(void *ctx, const struct record *r)
{
    ++*(_Atomic unsigned *)ctx;
    return r->cost_nano == 1000 + 5;
}

static bool keep_slowly(void *ctx, const struct record *r)
{
    usleep(2000);
    return keep_dear(ctx, r);
}

static void any_other_filter_answers_in_time_with_a_cursor_and_goes_on(void **state)
{
    struct store *s = room_open(*state);
    struct spool *w = room_start(s);
    room_fill(w, 0, 200);
    room_settle(s);
    _Atomic unsigned looked = 0;
    unsigned found = 0, answers = 0;
    struct store_query q = {.kind = STORE_ASK_EXCHANGES, .keep = keep_slowly, .keep_ctx = &looked,
        .budget_ms = 40};
    int64_t before = INT64_MAX;
    for (bool done = false; !done; answers++) {
        struct store_answer *a = ask(s, q);
        found += (unsigned)a->n;
        assert_true(a->searched_back_ms < before);
        before = a->searched_back_ms;
        done = a->done;
        q.cursor = a->cursor;
        store_answer_free(a);
    }
    assert_int_equal(looked, 200);
    assert_int_equal(found, 1);
    assert_true(answers > 3);
    store_stop(s);
    store_close(s);
}

struct walked {
    unsigned rows, answers;
    int64_t newest_ms, nano;
    bool ordered;
    char id[64], route[64];
};

static void walk_row(void *ctx, const struct store_step *s)
{
    struct walked *x = ctx;
    x->ordered = x->ordered && (!x->rows || s->time_ms <= x->newest_ms);
    x->newest_ms = s->time_ms;
    x->nano += s->cost_nano;
    x->rows++;
    str_copy(x->id, sizeof x->id, store_step_id(s));
    str_copy(x->route, sizeof x->route, store_step_name(s, s->route));
}

static struct walked walk(struct store *s, struct store_query q)
{
    struct walked x = {.ordered = true};
    q.kind = STORE_ASK_WALK;
    q.walk = walk_row;
    q.walk_ctx = &x;
    for (bool done = false; !done; x.answers++) {
        q.budget_ms = 1; /* every slice an answer of its own */
        struct store_answer *a = ask(s, q);
        done = a->done;
        q.cursor = a->cursor;
        store_answer_free(a);
    }
    return x;
}

static void a_walk_gives_every_row_of_its_span_once_in_slices_newest_first(void **state)
{
    enum { ROWS = 7000, EACH_NANO = 1000 };
    struct store *s = room_open(*state);
    struct spool *w = room_start(s);
    char id[32];
    for (int i = 0; i < ROWS; i++) {
        struct record r = room_record(i, id);
        r.route = i % 2 ? STR("odd") : STR("even");
        r.model_asked = i % 7 ? STR("m") : STR("odd");
        r.cost_nano = EACH_NANO;
        r.time_ms = room_now + i / 3; /* many share a time */
        while (spool_append(w, SPOOL_END, &r) < 0)
            usleep(1000);
    }
    room_settle(s);
    struct walked all = walk(s, (struct store_query){0});
    assert_int_equal(all.rows, ROWS);
    assert_int_equal(all.nano, ROWS * EACH_NANO);
    assert_true(all.ordered && all.answers >= 3);
    struct walked part = walk(s, (struct store_query){.from_ms = room_now + 10, .to_ms = room_now + 20});
    assert_int_equal(part.rows, 30);
    struct walked odd = walk(s, (struct store_query){.name = STR("odd")});
    assert_int_equal(odd.rows, ROWS / 2 + ROWS / 14); /* by its route, or asked for by that name */
    assert_true(odd.id[0] && odd.route[0]);
    assert_int_equal(walk(s, (struct store_query){.name = STR("nobody")}).rows, 0);
    store_stop(s);
    store_close(s);
}

/* Rows of a version that kept no steps are read from their columns, and say the same. */
static void a_walk_reads_rows_from_before_steps_were_kept(void **state)
{
    struct room *r = *state;
    struct store *s = room_open(r);
    room_fill(room_start(s), 0, 300);
    room_settle(s);
    struct walked with = walk(s, (struct store_query){0});
    store_stop(s);
    store_close(s);
    struct db *db;
    char path[200];
    snprintf(path, sizeof path, "%s/pointsman.db", r->data);
    assert_int_equal(backend_sqlite.open(&db, path, DB_WRITER, NULL), 0);
    assert_int_equal(db_do(db, "UPDATE exchange SET step = NULL WHERE row % 3 = 0", ""), 0);
    assert_int_equal(db_do(db, "UPDATE exchange SET step = x'09aa' WHERE row % 3 = 1", ""), 0);
    assert_int_equal(db_do(db, "UPDATE exchange SET step = x'01ff' WHERE row % 9 = 2", ""), 0);
    backend_sqlite.close(db);
    s = room_open(r);
    room_start(s);
    struct walked without = walk(s, (struct store_query){0});
    assert_int_equal(with.rows, 300);
    assert_int_equal(without.rows, with.rows);
    assert_int_equal(without.nano, with.nano);
    assert_string_equal(without.id, with.id);
    assert_string_equal(without.route, with.route);
    store_stop(s);
    store_close(s);
}

static void one_id_is_one_row_one_charge_and_one_count(void **state)
{
    struct store *s = room_open(*state);
    struct spool *w = room_start(s);
    for (int i = 0; i < 5; i++)
        room_fill(w, 1, 2);
    room_settle(s);
    struct store_answer *a = ask(s, (struct store_query){.kind = STORE_ASK_SUMS});
    assert_int_equal(a->n, 1);
    assert_int_equal(a->sums->requests, 1);
    assert_int_equal(a->sums->cost_nano, 1001);
    store_answer_free(a);
    room_check(s);
    store_stop(s);
    store_close(s);
}

static void sums_and_percentiles_come_from_rollups_for_any_span(void **state)
{
    struct store *s = room_open(*state);
    struct spool *w = room_start(s);
    const unsigned n = 9000; /* two and a half hours */
    room_fill(w, 0, n);
    room_settle(s);
    const struct {
        int64_t from, to;
        unsigned first, last;
    } spans[] = {{0, 0, 0, n}, {60, 120, 60, 120}, {60, 7260, 60, 7260}, {1200, 5400, 1200, 5400}};
    for (size_t i = 0; i < ARRAY_LEN(spans); i++) {
        int64_t base = room_now - room_now % 60000;
        struct store_answer *a = ask(s, (struct store_query){.kind = STORE_ASK_SUMS,
            .dimension = STORE_BY_KEY, .from_ms = spans[i].to ? base + spans[i].from * 1000 : 0,
            .to_ms = spans[i].to ? base + spans[i].to * 1000 : 0});
        assert_int_equal(a->n, 3);
        int64_t requests = 0, cost = 0, want = 0;
        for (size_t k = 0; k < 3; k++) {
            requests += a->sums[k].requests;
            cost += a->sums[k].cost_nano;
            int64_t p50 = histogram_percentile(a->sums[k].ttft, 500000);
            assert_in_range(p50, 29000, 71000);
        }
        for (unsigned x = spans[i].first; x < spans[i].last; x++)
            want += 1000 + x;
        assert_int_equal(requests, spans[i].last - spans[i].first);
        assert_int_equal(cost, want);
        store_answer_free(a);
    }
    struct store_query q = {.kind = STORE_ASK_SUMS, .dimension = STORE_BY_MODEL, .buckets = 3,
        .to_ms = room_now + n * 1000};
    for (int i = 0; i < 3; i++)
        q.bucket_starts[i] = room_now - room_now % 60000 + i * 600000;
    struct store_answer *a = ask(s, q);
    assert_int_equal(a->n, 2);
    assert_int_equal(a->sums[0].points[0].requests, 300);
    assert_int_equal(a->sums[0].points[0].requests + a->sums[0].points[1].requests +
        a->sums[0].points[2].requests, a->sums[0].requests);
    assert_in_range(a->sums[0].points[1].ttft_p95_us, 91000, 98000);
    assert_true(str_starts(a->sums[0].name, STR("anthropic/")) ||
                str_starts(a->sums[0].name, STR("openai/")));
    store_answer_free(a);
    a = ask(s, (struct store_query){.kind = STORE_ASK_FACETS, .dimension = STORE_BY_TAG});
    assert_int_equal(a->n, 2);
    assert_int_equal(a->sums[0].requests, n);
    store_answer_free(a);
    a = ask(s, (struct store_query){.kind = STORE_ASK_SUMS, .dimension = STORE_BY_SESSION,
        .name = STR("s-2")});
    assert_int_equal(a->n, 1);
    assert_int_equal(a->sums[0].requests, n / 4);
    store_answer_free(a);
    a = ask(s, (struct store_query){.kind = STORE_ASK_SESSIONS});
    assert_int_equal(a->n, 2);
    assert_int_equal(a->sessions[0].turns + a->sessions[1].turns, n);
    assert_true(str_eq(a->sessions[0].session, STR("s-1")));
    assert_true(str_eq(a->sessions[0].client, STR("test/1")));
    store_answer_free(a);
    room_check(s);
    store_stop(s);
    store_close(s);
}

static void an_amended_record_moves_row_rollups_ledger_and_session_by_the_difference(void **state)
{
    struct store *s = room_open(*state);
    struct spool *w = room_start(s);
    char id[32];
    room_fill(w, 0, 30);
    struct record r = room_record(7, id);
    r.cost_nano = 1;
    r.output_tokens = 12345;
    r.ttft_us = 9000000;
    assert_int_equal(spool_append(w, SPOOL_AMEND, &r), 0);
    r = room_record(100, id); /* amends what was never there: stored as it is */
    assert_int_equal(spool_append(w, SPOOL_AMEND, &r), 0);
    room_settle(s);
    struct store_answer *a = ask(s, (struct store_query){.kind = STORE_ASK_SUMS});
    assert_int_equal(a->sums->requests, 31);
    assert_int_equal(a->sums->output_tokens, 30 * 10 + 12345);
    assert_int_equal(histogram_total(a->sums->ttft), 31);
    assert_in_range(histogram_percentile(a->sums->ttft, 1000000), 8800000, 9200000);
    store_answer_free(a);
    a = ask(s, (struct store_query){.kind = STORE_ASK_RECORD, .id = STR("01j00000000000000000000007")});
    assert_int_equal(a->records->cost_nano, 1);
    store_answer_free(a);
    a = ask(s, (struct store_query){.kind = STORE_ASK_EXCHANGES});
    assert_int_equal(a->n, 31);
    store_answer_free(a);
    room_check(s);
    store_stop(s);
    store_close(s);
}

struct told {
    _Atomic int calls;
    int rc;
    int64_t revision;
};

static void tell(void *ctx, int rc, int64_t revision)
{
    struct told *t = ctx;
    t->rc = rc;
    t->revision = revision;
    t->calls++;
}

static void wait_told(struct told *t, int calls)
{
    for (int i = 0; i < 5000 && t->calls < calls; i++)
        usleep(1000);
    assert_int_equal(t->calls, calls);
}

static int64_t balance_of_bob;
static bool bob_granted;

static void see_balance(void *ctx, struct str account, int64_t nano, bool granted)
{
    (void)ctx;
    if (str_eq(account, STR("bob"))) {
        balance_of_bob = nano;
        bob_granted = granted;
    }
}

/* Buckets share out what there is, wherever they begin: nothing is counted twice or left out. */
static void buckets_of_any_width_add_up_to_the_whole(void **state)
{
    struct store *s = room_open(*state);
    struct spool *w = room_start(s);
    room_fill(w, 0, 600);
    room_settle(s);
    static const int64_t widths[] = {600000, 3600000, 1143 * 60000LL, 86400000, 7 * 86400000LL};
    static const enum store_dimension by[] = {STORE_BY_ALL, STORE_BY_KEY, STORE_BY_SESSION, STORE_BY_TAG};
    for (size_t i = 0; i < ARRAY_LEN(widths) * ARRAY_LEN(by); i++) {
        struct store_query q = {.kind = STORE_ASK_SUMS, .dimension = by[i % ARRAY_LEN(by)],
            .from_ms = room_now - widths[i / ARRAY_LEN(by)] / 2 + 12345,
            .to_ms = room_now + widths[i / ARRAY_LEN(by)] / 2};
        struct store_answer *whole = ask(s, q);
        q.buckets = 30;
        for (unsigned b = 0; b < q.buckets; b++)
            q.bucket_starts[b] = q.from_ms + (q.to_ms - q.from_ms) * b / q.buckets;
        struct store_answer *parts = ask(s, q);
        assert_int_equal(parts->n, whole->n);
        for (size_t k = 0; k < whole->n; k++) {
            int64_t requests = 0, nano = 0;
            for (unsigned b = 0; b < q.buckets; b++) {
                requests += parts->sums[k].points[b].requests;
                nano += parts->sums[k].points[b].cost_nano;
            }
            assert_int_equal(parts->sums[k].requests, whole->sums[k].requests);
            assert_int_equal(parts->sums[k].cost_nano, whole->sums[k].cost_nano);
            assert_int_equal(requests, whole->sums[k].requests);
            assert_int_equal(nano, whole->sums[k].cost_nano);
        }
        store_answer_free(parts);
        store_answer_free(whole);
    }
    store_stop(s);
    store_close(s);
}

static void credit_begins_at_the_first_grant_and_balances_are_sums_of_entries(void **state)
{
    struct store *s = room_open(*state);
    struct spool *w = room_start(s);
    struct told t = {0};
    room_fill(w, 0, 30);
    room_settle(s);
    struct store_grant grant = {.account = STR("bob"), .nano = 2000000,
        .time_ms = room_now + 90000, .who = STR("alice"), .note = STR("for the demo")};
    assert_int_equal(store_put_grant(s, &grant, tell, &t), 0);
    wait_told(&t, 1);
    assert_int_equal(t.rc, 0);
    room_fill(w, 100, 103);
    room_settle(s);
    struct store_answer *a = ask(s, (struct store_query){.kind = STORE_ASK_LEDGER,
        .key = STR("bob"), .limit = 7});
    assert_int_equal(a->n, 3 + 2 + 3);
    assert_int_equal(a->entries[0].kind, LEDGER_SETTLE);
    assert_int_equal(a->entries[0].amount_nano, -1100);
    assert_true(str_eq(a->entries[0].exchange_id, STR("01j00000000000000000000100")));
    assert_int_equal(a->entries[2].kind, LEDGER_RESERVE);
    assert_int_equal(a->entries[3].kind, LEDGER_GRANT);
    assert_int_equal(a->entries[4].kind, LEDGER_OPENING);
    assert_true(a->entries[4].amount_nano > 0);
    struct store_query next = {.kind = STORE_ASK_LEDGER, .key = STR("bob"), .cursor = a->cursor};
    store_answer_free(a);
    a = ask(s, next);
    assert_int_equal(a->n, 9 * 3);
    assert_true(a->done);
    store_answer_free(a);
    static const struct { const char *request; int64_t nano; int rc; } refunds[] = {
        {"01j00000000000000000000100", 1101, -ERR_LIMIT}, {"01j00000000000000000000100", 1000, 0},
        {"01j00000000000000000000100", 101, -ERR_LIMIT}, {"01j00000000000000000000101", 1, -ERR_NOT_FOUND},
        {"01j00000000000000000009999", 1, -ERR_NOT_FOUND}, {"01j00000000000000000000100", 100, 0}};
    for (int i = 0; i < (int)ARRAY_LEN(refunds); i++) {
        struct store_grant refund = {.account = STR("bob"), .nano = refunds[i].nano,
            .request = str_c(refunds[i].request), .time_ms = room_now + 91000, .who = STR("alice")};
        assert_int_equal(store_put_grant(s, &refund, tell, &t), 0);
        wait_told(&t, i + 2);
        assert_int_equal(t.rc, refunds[i].rc);
    }
    struct store_grant transfer = {.account = STR("carol"), .from = STR("bob"), .nano = 400,
        .time_ms = room_now + 92000, .who = STR("alice")};
    assert_int_equal(store_put_grant(s, &transfer, tell, &t), 0);
    wait_told(&t, (int)ARRAY_LEN(refunds) + 2);
    assert_int_equal(t.rc, 0);
    a = ask(s, (struct store_query){.kind = STORE_ASK_LEDGER, .key = STR("bob"), .id = STR("01j00000000000000000000100")});
    assert_int_equal(a->n, 2 + 3); /* and they lead to no other request */
    assert_int_equal(a->entries[4].kind, LEDGER_REFUND);
    store_answer_free(a);
    room_check(s);
    store_stop(s);
    assert_int_equal(store_each_balance(s, see_balance, NULL), 0);
    assert_int_equal(balance_of_bob, 2000000 - 400);
    assert_true(bob_granted);
    store_close(s);
}

static int64_t spent_by_bob;

static void see_spent(void *ctx, struct str name, int64_t nano)
{
    (void)ctx;
    if (str_eq(name, STR("bob")))
        spent_by_bob = nano;
}

static void what_was_spent_in_a_window_is_exact(void **state)
{
    struct store *s = room_open(*state);
    struct spool *w = room_start(s);
    room_fill(w, 0, 7000);
    store_stop(s);
    int64_t base = room_now - room_now % 60000, want = 0;
    for (unsigned n = 600; n < 6000; n++)
        want += n % 3 == 1 ? 1000 + n : 0;
    assert_int_equal(store_each_spent(s, STORE_BY_KEY, base + 600000, base + 6000000, see_spent,
        NULL), 0);
    assert_int_equal(spent_by_bob, want);
    /* after the minutes are gone (they are old by the real clock) it is still exact */
    struct told t = {0};
    assert_int_equal(store_prune(s, 0, tell, &t), 0);
    assert_int_equal(t.calls, 1);
    assert_int_equal(store_each_spent(s, STORE_BY_KEY, base + 600000, base + 6000000, see_spent,
        NULL), 0);
    assert_int_equal(spent_by_bob, want);
    room_check(s);
    store_close(s);
}

static unsigned states_seen;

static void see_state(void *ctx, struct str name, struct str json, int64_t revision)
{
    (void)ctx;
    states_seen++;
    assert_true(str_eq(name, STR("overrides")));
    assert_true(str_eq(json, STR("{\"b\":2}")));
    assert_int_equal(revision, 2);
}

static void documents_audit_and_events_are_kept_and_revisions_checked(void **state)
{
    struct room *room = *state;
    struct store *s = room_open(room);
    struct told t = {0};
    unsigned char pepper[32];
    room_start(s);
    memcpy(pepper, store_pepper(s), 32);
    struct str name = STR("overrides");
    assert_int_equal(store_put_state(s, name, STR("{\"a\":1}"), 0, tell, &t), 0);
    wait_told(&t, 1);
    assert_int_equal(t.revision, 1);
    assert_int_equal(store_put_state(s, name, STR("{\"x\":1}"), 0, tell, &t), 0);
    wait_told(&t, 2);
    assert_int_equal(t.rc, -ERR_CONFLICT);
    assert_int_equal(t.revision, 1);
    assert_int_equal(store_put_state(s, name, STR("{\"b\":2}"), 1, tell, &t), 0);
    assert_int_equal(store_put_state(s, STR("gone"), STR("1"), -1, tell, &t), 0);
    assert_int_equal(store_put_state(s, STR("gone"), STR(""), -1, tell, &t), 0);
    wait_told(&t, 5);
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(store_put_audit(s, &(struct store_audit){.time_ms = room_now + i,
            .uid = 1000, .who = STR("alice"), .what = STR("'; DROP TABLE exchange;--")}, tell, &t), 0);
        assert_int_equal(store_put_event(s, &(struct store_event){.time_ms = room_now + i,
            .level = i % 3, .kind = STR("switched"), .text = STR("\"%n%s")}), 0);
    }
    wait_told(&t, 10);
    assert_int_equal(t.revision, 5);
    struct store_answer *a = ask(s, (struct store_query){.kind = STORE_ASK_AUDIT, .limit = 3});
    assert_int_equal(a->n, 3);
    assert_int_equal(a->audits[0].revision, 5);
    assert_true(str_eq(a->audits[2].what, STR("'; DROP TABLE exchange;--")));
    struct store_query next = {.kind = STORE_ASK_AUDIT, .cursor = a->cursor};
    store_answer_free(a);
    a = ask(s, next);
    assert_int_equal(a->n, 2);
    assert_true(a->done);
    store_answer_free(a);
    a = ask(s, (struct store_query){.kind = STORE_ASK_EVENTS, .level = 2});
    assert_int_equal(a->n, 2);
    assert_true(str_eq(a->events[0].text, STR("\"%n%s")));
    store_answer_free(a);
    store_stop(s);
    store_close(s);
    s = room_open(room);
    assert_int_equal(store_each_state(s, see_state, NULL), 0);
    assert_int_equal(states_seen, 1);
    assert_int_equal(store_last_revision(s), 5);
    assert_memory_equal(pepper, store_pepper(s), 32);
    store_close(s);
}

struct sealed_seen {
    int n;
    char name[20], sealed[20], who[20];
    int64_t time_ms;
};

static void see_sealed(void *ctx, const struct store_sealed *k)
{
    struct sealed_seen *x = ctx;
    x->n++;
    str_copy(x->name, sizeof x->name, k->name);
    str_copy(x->sealed, sizeof x->sealed, k->sealed);
    str_copy(x->who, sizeof x->who, k->who);
    x->time_ms = k->time_ms;
}

static void sealed_keys_are_kept_replaced_and_removed(void **state)
{
    struct store *s = room_open(*state);
    struct sealed_seen seen = {0};
    struct told r = {0};
    struct err e = {0};
    assert_int_equal(store_start(s, &e), 0);
    struct store_sealed k = {STR("a"), STR("blob-1"), STR("alice"), 7};
    assert_int_equal(store_put_sealed(s, &k, NULL, NULL), 0);
    k = (struct store_sealed){STR("b"), STR("blob-2"), STR("bob"), 8};
    assert_int_equal(store_put_sealed(s, &k, NULL, NULL), 0);
    k.sealed = STR("blob-3");
    assert_int_equal(store_put_sealed(s, &k, NULL, NULL), 0);
    k = (struct store_sealed){.name = STR("a")};
    assert_int_equal(store_put_sealed(s, &k, NULL, NULL), 0);
    k.name = STR("nobody");
    assert_int_equal(store_put_sealed(s, &k, tell, &r), 0);
    wait_told(&r, 1);
    assert_int_equal(r.rc, -ERR_NOT_FOUND);
    /* what comes after all of them is done when they are stored */
    assert_int_equal(store_sync(s, tell, &r), 0);
    wait_told(&r, 2);
    assert_int_equal(r.rc, 0);
    store_stop(s);
    store_close(s);
    s = room_open(*state);
    assert_int_equal(store_each_sealed(s, see_sealed, &seen), 0);
    assert_int_equal(seen.n, 1);
    assert_string_equal(seen.name, "b");
    assert_string_equal(seen.sealed, "blob-3");
    assert_string_equal(seen.who, "bob");
    assert_int_equal(seen.time_ms, 8);
    store_close(s);
}

static void hostile_texts_are_only_texts(void **state)
{
    struct store *s = room_open(*state);
    struct spool *w = room_start(s);
    static const char *const texts[] = {"' OR 1=1 --", "\"; DROP TABLE name; --", "%", "_",
        "sk-' UNION SELECT * FROM sealed_key --", "\xff\xfe", "a\nb", "{{7*7}}"};
    char id[32];
    for (unsigned i = 0; i < ARRAY_LEN(texts); i++) {
        struct record r = room_record(i, id);
        r.key = r.model_asked = r.session = r.route = r.error_message = str_c(texts[i]);
        assert_int_equal(spool_append(w, SPOOL_END, &r), 0);
    }
    room_settle(s);
    for (unsigned i = 0; i < ARRAY_LEN(texts); i++) {
        struct store_answer *a = ask(s, (struct store_query){.kind = STORE_ASK_EXCHANGES,
            .key = str_c(texts[i])});
        assert_int_equal(a->n, 1);
        assert_true(str_eq(a->records->session, str_c(texts[i])));
        store_answer_free(a);
    }
    room_check(s);
    store_stop(s);
    store_close(s);
}

static _Atomic int answered, cancelled;

static void on_answer(void *ctx, struct store_answer *a)
{
    (void)ctx;
    cancelled += a->rc == -ERR_CANCELLED;
    answered++;
    store_answer_free(a);
}

static void a_question_can_be_cancelled_and_is_answered_exactly_once(void **state)
{
    struct store *s = room_open(*state);
    struct spool *w = room_start(s);
    room_fill(w, 0, 300);
    room_settle(s);
    _Atomic unsigned looked = 0;
    uint64_t tickets[40];
    for (unsigned i = 0; i < ARRAY_LEN(tickets); i++) {
        struct store_query q = {.kind = STORE_ASK_EXCHANGES, .budget_ms = 400};
        if (i < 2) {
            q.keep = keep_slowly;
            q.keep_ctx = &looked;
        }
        tickets[i] = store_ask(s, &q, on_answer, NULL);
        assert_true(tickets[i] > 0);
    }
    for (unsigned i = 2; i < ARRAY_LEN(tickets); i++)
        store_cancel(s, tickets[i]);
    for (int i = 0; i < 3000 && answered < (int)ARRAY_LEN(tickets); i++)
        usleep(1000);
    assert_int_equal(answered, ARRAY_LEN(tickets));
    assert_true(cancelled >= 30);
    store_stop(s);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOM_TEST(every_field_of_a_record_comes_back),
        ROOM_TEST(a_record_is_in_the_database_within_a_second_and_its_slot_is_free),
        ROOM_TEST(pages_go_newest_first_by_every_filter_without_gap_or_double),
        ROOM_TEST(any_other_filter_answers_in_time_with_a_cursor_and_goes_on),
        ROOM_TEST(a_walk_gives_every_row_of_its_span_once_in_slices_newest_first),
        ROOM_TEST(a_walk_reads_rows_from_before_steps_were_kept),
        ROOM_TEST(one_id_is_one_row_one_charge_and_one_count),
        ROOM_TEST(sums_and_percentiles_come_from_rollups_for_any_span),
        ROOM_TEST(an_amended_record_moves_row_rollups_ledger_and_session_by_the_difference),
        ROOM_TEST(buckets_of_any_width_add_up_to_the_whole),
        ROOM_TEST(credit_begins_at_the_first_grant_and_balances_are_sums_of_entries),
        ROOM_TEST(what_was_spent_in_a_window_is_exact),
        ROOM_TEST(documents_audit_and_events_are_kept_and_revisions_checked),
        ROOM_TEST(sealed_keys_are_kept_replaced_and_removed),
        ROOM_TEST(hostile_texts_are_only_texts),
        ROOM_TEST(a_question_can_be_cancelled_and_is_answered_exactly_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
