/* The death of the process, at any moment: nothing that was acknowledged is lost, nothing is charged
 * twice, nothing that had gone upstream is free. KILL_ROUNDS=200 for the long run. */
#include "store/base/clock.h"
#include "tests/store/room.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <sys/wait.h>

enum { RUNNING = 5 };

static void fill_slot(struct slot *slot, unsigned n)
{
    slot_write_begin(slot);
    snprintf(slot->id, sizeof slot->id, "running-%d-%u", (int)getpid(), n); /* new in each round */
    snprintf(slot->key, sizeof slot->key, "alice");
    snprintf(slot->model, sizeof slot->model, "m");
    snprintf(slot->provider, sizeof slot->provider, "p");
    slot->time_ms = room_now;
    slot->body_sent = 1;
    slot->input_tokens = 100;
    slot->output_tokens = 7;
    slot->usage_source = USAGE_ESTIMATED;
    slot->rate_input = 2000000;   /* 2 nano-USD a token */
    slot->rate_output = 10000000; /* 10 */
    slot->reserve_nano = 100000;
    slot_write_end(slot);
}

static void child_serves(struct room *r, int out, unsigned first)
{
    struct store *s = room_open(r);
    struct spool *w = room_start(s);
    char id[32];
    for (unsigned i = 0; i < RUNNING; i++)
        fill_slot(slot_take(w), first + i);
    for (unsigned n = first;; n++) {
        struct slot *slot = slot_take(w);
        while (!slot) {
            usleep(200);
            slot = slot_take(w);
        }
        fill_slot(slot, 1000000 + n);
        struct record rec = room_record(n, id);
        slot_write_begin(slot);
        snprintf(slot->id, sizeof slot->id, "%s", id);
        slot_write_end(slot);
        rec.slot = slot->index;
        if (spool_append(w, SPOOL_END, &rec) < 0 || write(out, &n, sizeof n) < 0)
            _exit(1);
        if (n % 40 == 0)
            usleep(1000);
    }
}

static int64_t sum_of(struct store *s, struct store_query q, int64_t *requests)
{
    struct store_answer *a = store_ask_now(s, &q);
    int64_t nano = 0;
    *requests = 0;
    for (size_t i = 0; i < a->n; i++) {
        nano += a->sums[i].cost_nano;
        *requests += a->sums[i].requests;
    }
    store_answer_free(a);
    return nano;
}

static void kill_nine_at_any_moment_keeps_every_acknowledged_record_once(void **state)
{
    struct room *r = *state;
    int rounds = getenv("KILL_ROUNDS") ? (int)strtol(getenv("KILL_ROUNDS"), NULL, 10) : 20;
    unsigned next = 1, got;
    int64_t cost = 0, requests = 0, slowest_us = 0;
    int slow = 0;
    srandom(11);
    for (int round = 0; round < rounds; round++) {
        int p[2];
        unsigned acknowledged = next - 1;
        assert_int_equal(pipe(p), 0);
        pid_t child = fork();
        if (child == 0)
            child_serves(r, p[1], next);
        close(p[1]);
        usleep(5000 + (useconds_t)(random() % 250000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(p[0], &got, sizeof got) == sizeof got)
            acknowledged = got;
        close(p[0]);
        int64_t began = clock_mono_us();
        struct store *s = room_open(r);
        struct store_recovered rec = room_recover(s);
        int64_t took_us = clock_mono_us() - began;
        slowest_us = MAX(slowest_us, took_us);
        slow += took_us > 500000;
        int64_t n, nano = sum_of(s, (struct store_query){.kind = STORE_ASK_SUMS}, &n);
        /* all acknowledged, at most one more that died between append and write, RUNNING others
         * and at most one whose record was not appended */
        int64_t ended = n - requests - (int64_t)rec.interrupted;
        assert_in_range(ended, (int64_t)(acknowledged + 1 - next), (int64_t)(acknowledged + 2 - next));
        assert_true(rec.interrupted <= RUNNING + 1);
        /* 100 × 2 + 7 × 10: never zero, but for one that died half written, before it was sent */
        int64_t full = (int64_t)rec.interrupted * 270;
        assert_true(rec.charged_nano == full || rec.charged_nano == full - 270);
        for (unsigned i = next; i < next + (unsigned)ended; i++)
            cost += 1000 + i;
        cost += rec.charged_nano;
        assert_int_equal(nano, cost);
        requests = n;
        next += (unsigned)ended + 1; /* the next number may stand in the slot that was interrupted */
        if (round % 5 == 4 || round == rounds - 1)
            room_check(s);
        store_close(s);
    }
    print_message("%d rounds, %lld records, slowest start %lld ms\n", rounds, (long long)requests,
        (long long)slowest_us / 1000);
    assert_true(slow * 5 <= rounds); /* some may fall into a moment when the disk is busy */
}

static void copy_spool(struct room *r, const char *from, const char *to)
{
    char command[500];
    snprintf(command, sizeof command, "mkdir -p %s/%s && cp -a %s/%s/. %s/%s/", r->path, to, r->path,
        from, r->path, to);
    assert_int_equal(system(command), 0);
}

static void a_spool_that_is_played_again_changes_nothing(void **state)
{
    struct room *r = *state;
    struct store *s = room_open(r);
    struct err e = {0};
    room_recover(s);
    struct spool *w = store_spool(s, 0, &e);
    assert_non_null(w);
    room_fill(w, 0, 500);
    fill_slot(slot_take(w), 1);
    store_close(s); /* never started: all lies in the spool */
    copy_spool(r, "data/spool", "copy");
    for (int i = 0; i < 3; i++) {
        s = room_open(r);
        struct store_recovered rec = room_recover(s);
        int64_t n, nano = sum_of(s, (struct store_query){.kind = STORE_ASK_SUMS}, &n);
        assert_int_equal(n, 501);
        assert_int_equal(nano, 500 * 1000 + 499 * 500 / 2 + 270);
        assert_int_equal(rec.interrupted, i == 0);
        room_check(s);
        store_close(s);
        copy_spool(r, "copy", "data/spool");
    }
}

static void workers_that_no_longer_exist_are_drained_too(void **state)
{
    struct room *r = *state;
    struct store_config c = {.dir = r->data, .workers = 3, .spool_bytes = 64 << 20, .slots = 8,
        .notice = room_noticed, .notice_ctx = r};
    struct store *s;
    struct err e = {0};
    assert_int_equal(store_open(&s, &c, &e), 0);
    room_recover(s);
    for (unsigned i = 0; i < 3; i++) {
        struct spool *w = store_spool(s, i, &e);
        assert_non_null(w);
        char id[32];
        struct record x = room_record(i, id);
        x.worker = i;
        assert_int_equal(spool_append(w, SPOOL_END, &x), 0);
        fill_slot(slot_take(w), i);
    }
    store_close(s);
    s = room_open(r); /* one worker now */
    struct store_recovered rec = room_recover(s);
    assert_int_equal(rec.records, 3);
    assert_int_equal(rec.interrupted, 3);
    assert_int_equal(r->notices[STORE_NOTICE_RECOVERED], 1);
    struct store_query q = {.kind = STORE_ASK_EXCHANGES, .outcome = OUTCOME_INTERRUPTED};
    struct store_answer *a = store_ask_now(s, &q);
    assert_int_equal(a->n, 3);
    assert_int_equal(a->records->usage_source, USAGE_INTERRUPTED);
    assert_int_equal(a->records->cost_source, COST_ESTIMATED);
    assert_int_equal(a->records->cost_nano, 270);
    store_answer_free(a);
    store_close(s);
}

static void what_was_interrupted_is_charged_by_what_is_known(void **state)
{
    struct room *r = *state;
    struct store *s = room_open(r);
    struct err e = {0};
    room_recover(s);
    struct spool *w = store_spool(s, 0, &e);
    assert_non_null(w);
    struct slot *x = slot_take(w);
    fill_slot(x, 1); /* measured: its own figure */
    x->usage_source = USAGE_MEASURED;
    x->cost_nano = 77;
    fill_slot(x = slot_take(w), 2); /* never left: free */
    x->body_sent = 0;
    fill_slot(x = slot_take(w), 3); /* nothing counted yet: from the bytes */
    x->input_tokens = x->output_tokens = 0;
    x->request_bytes = 400;
    x->content_bytes = 40;
    fill_slot(x = slot_take(w), 4); /* no price is known */
    x->rate_input = x->rate_output = 0;
    store_close(s);
    s = room_open(r);
    struct store_recovered rec = room_recover(s);
    assert_int_equal(rec.interrupted, 4);
    assert_int_equal(rec.charged_nano, 77 + 0 + (100 * 2 + 10 * 10) + 0);
    room_check(s);
    store_close(s);
}

static int small_disk(struct room *r)
{
    if (geteuid() != 0 || mkdir(r->data, 0700) < 0 ||
        mount("tmpfs", r->data, "tmpfs", 0, "size=24m,mode=0700") < 0)
        return -1;
    return 0;
}

static void eat_disk(struct room *r, bool eat)
{
    char command[250];
    snprintf(command, sizeof command, eat ? "head -c 60000000 /dev/zero > %s/ballast 2>/dev/null"
                                          : "rm %s/ballast", r->data);
    int ignored UNUSED = system(command);
}

static void a_full_disk_stops_new_work_loses_nothing_and_heals(void **state)
{
    struct room *r = *state;
    if (small_disk(r) < 0)
        skip();
    struct store *s = room_open(r);
    struct spool *w = room_start(s);
    room_fill(w, 0, 100);
    room_settle(s);
    eat_disk(r, true);
    /* appended until the spool refuses new work */
    unsigned n = 100;
    char id[32], wide[3000];
    memset(wide, 'x', sizeof wide);
    for (; n < 4000 && spool_has_room(w); n++) {
        struct record x = room_record(n, id);
        x.why = str_n(wide, sizeof wide);
        assert_int_equal(spool_append(w, SPOOL_END, &x), 0);
    }
    assert_true(n < 4000);
    struct store_stats stats;
    for (int i = 0; i < 3000; i++) {
        store_stats(s, &stats);
        if (stats.failing)
            break;
        usleep(1000);
    }
    assert_true(stats.failing == ERR_FULL || stats.failing == ERR_IO);
    assert_true(r->notices[STORE_NOTICE_FULL] + r->notices[STORE_NOTICE_FAULT] >= 1);
    bool shed = false; /* bodies are shed first; a batch that just passes takes one all the same */
    for (int i = 0; i < 5000 && !shed; i++) {
        struct store_body body = {.request = str_n(calloc(1, 10), 10)};
        shed = store_put_body(s, STR("b"), &body) == -ERR_FULL;
        if (shed)
            free((char *)body.request.p);
        else
            usleep(1000);
    }
    assert_true(shed);
    struct store_query q = {.kind = STORE_ASK_EXCHANGES}; /* reads go on */
    struct store_answer *a = store_ask_now(s, &q);
    assert_int_equal(a->rc, 0);
    assert_true(a->n > 0);
    store_answer_free(a);
    eat_disk(r, false);
    room_settle(s);
    assert_true(r->notices[STORE_NOTICE_HEALED] >= 1); /* a small batch may pass on a full disk */
    for (int i = 0; i < 5000 && !spool_has_room(w); i++)
        usleep(1000);
    assert_true(spool_has_room(w));
    room_fill(w, n, n + 10);
    room_settle(s);
    int64_t requests;
    sum_of(s, (struct store_query){.kind = STORE_ASK_SUMS}, &requests);
    assert_int_equal(requests, n + 10);
    room_check(s);
    store_stop(s);
    store_close(s);
    assert_int_equal(umount(r->data), 0);
}

static void a_log_that_is_removed_under_us_costs_nothing(void **state)
{
    struct room *r = *state;
    struct store *s = room_open(r);
    struct spool *w = room_start(s);
    char path[250];
    room_fill(w, 0, 50);
    room_settle(s);
    snprintf(path, sizeof path, "%s/pointsman.db-wal", r->data);
    assert_int_equal(unlink(path), 0);
    room_fill(w, 50, 100);
    room_settle(s);
    assert_int_equal(r->notices[STORE_NOTICE_FAULT], 1);
    room_check(s);
    store_stop(s);
    store_close(s);
    s = room_open(r);
    int64_t requests;
    sum_of(s, (struct store_query){.kind = STORE_ASK_SUMS}, &requests);
    assert_int_equal(requests, 100);
    room_check(s);
    store_close(s);
}

static void a_database_that_is_removed_under_us_is_saved(void **state)
{
    struct room *r = *state;
    struct store *s = room_open(r);
    struct spool *w = room_start(s);
    char path[250];
    static const char *const names[] = {"pointsman.db", "pointsman.db-wal", "pointsman.db-shm",
        "bodies.db", "bodies.db-wal", "bodies.db-shm"};
    room_fill(w, 0, 50);
    room_settle(s);
    int64_t requests;
    sum_of(s, (struct store_query){.kind = STORE_ASK_SUMS}, &requests);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < (round == 1 ? 1 : ARRAY_LEN(names)); i++) {
            snprintf(path, sizeof path, "%s/%s", r->data, names[i]);
            unlink(path);
        }
        room_fill(w, 50 + round * 50, 100 + round * 50);
        room_settle(s);
        sum_of(s, (struct store_query){.kind = STORE_ASK_SUMS}, &requests);
        assert_int_equal(requests, 100 + round * 50);
        snprintf(path, sizeof path, "%s/pointsman.db", r->data);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        room_check(s);
    }
    assert_true(r->notices[STORE_NOTICE_FAULT] >= 3);
    store_stop(s);
    store_close(s);
    s = room_open(r);
    sum_of(s, (struct store_query){.kind = STORE_ASK_SUMS}, &requests);
    assert_int_equal(requests, 200);
    room_check(s);
    store_close(s);
}

static void backup_done(void *ctx, int rc, int64_t revision)
{
    (void)revision;
    atomic_store((_Atomic int *)ctx, rc);
}

static void a_backup_that_is_brought_back_is_taken(void **state)
{
    struct room *r = *state;
    struct store *s = room_open(r);
    struct spool *w = room_start(s);
    char path[250], copy[250];
    int64_t requests;
    room_fill(w, 0, 50);
    room_settle(s);
    snprintf(copy, sizeof copy, "%s/copy.db", r->path);
    snprintf(path, sizeof path, "%s/pointsman.db", r->data);
    _Atomic int done = 1;
    assert_int_equal(store_backup(s, copy, backup_done, &done), 0);
    for (int i = 0; i < 5000 && done == 1; i++)
        usleep(1000);
    assert_int_equal(done, 0);
    room_fill(w, 50, 100);
    room_settle(s);
    assert_int_equal(rename(copy, path), 0);
    room_fill(w, 100, 130);
    room_settle(s);
    sum_of(s, (struct store_query){.kind = STORE_ASK_SUMS}, &requests);
    assert_int_equal(requests, 80);
    room_check(s);
    store_stop(s);
    store_close(s);
}

static void errors_of_the_file_system_are_waited_out(void **state)
{
    struct room *r = *state;
    struct store *s = room_open(r);
    struct spool *w = room_start(s);
    struct rlimit before, tight;
    room_fill(w, 0, 50);
    room_settle(s);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    tight = before;
    tight.rlim_cur = 16384; /* every write beyond fails */
    setrlimit(RLIMIT_FSIZE, &tight);
    room_fill(w, 50, 100);
    struct store_stats stats = {0};
    for (int i = 0; i < 3000 && !stats.failing; i++, usleep(1000))
        store_stats(s, &stats);
    assert_true(stats.failing != 0);
    setrlimit(RLIMIT_FSIZE, &before);
    room_settle(s);
    int64_t requests;
    sum_of(s, (struct store_query){.kind = STORE_ASK_SUMS}, &requests);
    assert_int_equal(requests, 100);
    assert_true(r->notices[STORE_NOTICE_HEALED] >= 1);
    room_check(s);
    store_stop(s);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOM_TEST(kill_nine_at_any_moment_keeps_every_acknowledged_record_once),
        ROOM_TEST(a_spool_that_is_played_again_changes_nothing),
        ROOM_TEST(workers_that_no_longer_exist_are_drained_too),
        ROOM_TEST(what_was_interrupted_is_charged_by_what_is_known),
        ROOM_TEST(a_full_disk_stops_new_work_loses_nothing_and_heals),
        ROOM_TEST(a_log_that_is_removed_under_us_costs_nothing),
        ROOM_TEST(a_database_that_is_removed_under_us_is_saved),
        ROOM_TEST(a_backup_that_is_brought_back_is_taken),
        ROOM_TEST(errors_of_the_file_system_are_waited_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
