/* Units of store/spool: slots, segments, recent records, and the recovery of their files. */
#include "store/base/clock.h"
#include "store/spool_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

struct room {
    char path[64];
    int fd;
};

static int room_make(void **state)
{
    struct room *r = calloc(1, sizeof *r);
    snprintf(r->path, sizeof r->path, "/tmp/pm-spool-XXXXXX");
    assert_non_null(mkdtemp(r->path));
    r->fd = open(r->path, O_RDONLY | O_DIRECTORY);
    *state = r;
    return r->fd < 0;
}

static int room_remove(void **state)
{
    struct room *r = *state;
    struct err e = {0};
    assert_int_equal(spool_remove_files(r->fd, &e), 0);
    close(r->fd);
    assert_int_equal(rmdir(r->path), 0);
    free(r);
    return 0;
}

static unsigned files(const struct room *r)
{
    unsigned n = 0;
    DIR *d = opendir(r->path);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static struct spool *spool_make(const struct room *r, size_t bytes, unsigned slots)
{
    struct spool *s;
    struct err e = {0};
    struct spool_config c = {.dir_fd = r->fd, .bytes = bytes, .slots = slots, .first_segment = 1};
    if (spool_open(&s, &c, 3, &e) < 0)
        fail_msg("%s", e.text);
    return s;
}

static char long_text[4000];

static struct record record_number(unsigned n, char id[32], bool wide)
{
    snprintf(id, 32, "id-%08u", n);
    struct record r = {.id = str_c(id), .key = STR("alice"), .cost_nano = n, .slot = -1,
        .worker = 3};
    if (wide) {
        memset(long_text, 'w', sizeof long_text);
        r.why = str_n(long_text, sizeof long_text);
    }
    return r;
}

struct seen {
    uint64_t n, sum, amends;
    char last[32];
    uint64_t stop_after;
};

static int see(void *ctx, uint32_t kind, struct str packed)
{
    struct seen *s = ctx;
    struct record r;
    if (s->stop_after && s->n == s->stop_after)
        return -ERR_IO;
    assert_int_equal(record_unpack(packed, &r), 0);
    s->n++;
    s->sum += (uint64_t)r.cost_nano;
    s->amends += kind == SPOOL_AMEND;
    str_copy(s->last, sizeof s->last, r.id);
    return 0;
}

static void what_is_appended_is_drained_in_order_and_once(void **state)
{
    struct spool *s = spool_make(*state, 8 << 20, 8);
    struct seen seen = {0};
    char id[32];
    for (unsigned i = 1; i <= 1000; i++) {
        struct record r = record_number(i, id, false);
        assert_int_equal(spool_append(s, i == 1000 ? SPOOL_AMEND : SPOOL_END, &r), 0);
    }
    assert_int_equal(spool_behind(s), 1000);
    assert_int_equal(spool_drain(s, SIZE_MAX, see, &seen), 0);
    assert_int_equal(seen.n, 1000);
    assert_int_equal(seen.sum, 500500);
    assert_int_equal(seen.amends, 1);
    assert_string_equal(seen.last, "id-00001000");
    /* not committed: the same again */
    assert_int_equal(spool_drain(s, SIZE_MAX, see, &seen), 0);
    assert_int_equal(seen.n, 2000);
    spool_drain_commit(s);
    assert_int_equal(spool_drain(s, SIZE_MAX, see, &seen), 0);
    assert_int_equal(seen.n, 2000);
    assert_int_equal(spool_behind(s), 0);
    spool_close(s);
    assert_int_equal(files(*state), 0);
}

static void a_failed_transaction_loses_nothing(void **state)
{
    struct spool *s = spool_make(*state, 8 << 20, 8);
    struct seen seen = {.stop_after = 7};
    char id[32];
    for (unsigned i = 1; i <= 20; i++) {
        struct record r = record_number(i, id, false);
        assert_int_equal(spool_append(s, SPOOL_END, &r), 0);
    }
    assert_int_equal(spool_drain(s, SIZE_MAX, see, &seen), -ERR_IO);
    seen = (struct seen){0};
    assert_int_equal(spool_drain(s, SIZE_MAX, see, &seen), 0);
    assert_int_equal(seen.n, 20);
    spool_drain_commit(s);
    spool_close(s);
}

static void a_full_spool_says_so_before_records_are_lost_and_heals_when_drained(void **state)
{
    struct spool *s = spool_make(*state, 12 << 20, 8);
    struct seen seen = {0};
    char id[32];
    unsigned n = 0, after = 0;
    while (spool_has_room(s)) {
        struct record r = record_number(++n, id, true);
        assert_int_equal(spool_append(s, SPOOL_END, &r), 0);
    }
    for (struct record r = record_number(n + 1, id, true); spool_append(s, SPOOL_END, &r) == 0;
         r = record_number(++n + 1, id, true))
        after++;
    /* once there is no room for new work, a whole segment is left for what still runs */
    assert_true(after >= 900);
    assert_int_equal(spool_drain(s, SIZE_MAX, see, &seen), 0);
    assert_int_equal(seen.n, n);
    spool_drain_commit(s);
    usleep(150000);
    assert_true(spool_has_room(s));
    struct record r = record_number(n + 1, id, true);
    assert_int_equal(spool_append(s, SPOOL_END, &r), 0);
    assert_int_equal(spool_drain(s, SIZE_MAX, see, &seen), 0);
    spool_drain_commit(s);
    spool_close(s);
    assert_int_equal(files(*state), 0);
}

static void slots_are_taken_filled_read_ended_and_freed(void **state)
{
    struct spool *s = spool_make(*state, 8 << 20, 3);
    struct slot *a = slot_take(s), copy;
    assert_non_null(slot_take(s));
    struct slot *c = slot_take(s);
    struct record r;
    char id[32];
    assert_non_null(c);
    assert_null(slot_take(s));
    assert_false(slot_read(s, 0, &copy)); /* nobody has said yet what runs there */
    slot_write_begin(a);
    snprintf(a->id, sizeof a->id, "id-00000007");
    snprintf(a->key, sizeof a->key, "alice");
    a->phase = STATE_STREAMING;
    a->started_us = 1000;
    a->first_token_us = 3000;
    a->output_tokens = 5;
    assert_false(slot_read(s, 0, &copy));
    slot_write_end(a);
    assert_true(slot_read(s, 0, &copy));
    slot_record(&copy, 11000, &r);
    assert_true(str_eq(r.id, STR("id-00000007")));
    assert_int_equal(r.state, STATE_STREAMING);
    assert_int_equal(r.ttft_us, 2000);
    assert_int_equal(r.total_us, 10000);
    assert_int_equal(r.client_uid, -1);
    r = record_number(7, id, false);
    r.slot = a->index;
    assert_int_equal(spool_append(s, SPOOL_END, &r), 0);
    assert_int_equal(slot_running(s), 2); /* one has ended */
    assert_false(slot_read(s, 0, &copy));
    assert_null(slot_take(s));
    slot_free(s, a->index);
    slot_free(s, a->index); /* twice is once */
    uint64_t generation = a->generation;
    assert_ptr_equal(slot_take(s), a);
    assert_int_equal(a->generation, generation + 1);
    assert_null(slot_take(s));
    assert_int_equal(slot_count(s), 3);
    assert_int_equal(slot_running(s), 3);
    spool_close(s);
    assert_int_equal(files(*state), 2); /* used slots and an undrained segment stay for recovery */
}

struct recent_seen {
    unsigned n, most;
    int64_t last;
};

static bool see_recent(void *ctx, struct str packed)
{
    struct recent_seen *s = ctx;
    struct record r;
    assert_int_equal(record_unpack(packed, &r), 0);
    if (s->n)
        assert_true(r.cost_nano < s->last);
    s->last = r.cost_nano;
    return ++s->n < s->most;
}

static void recent_records_come_newest_first_also_after_many_rounds_of_the_ring(void **state)
{
    struct spool *s = spool_make(*state, 64 << 20, 3);
    struct recent_seen seen = {.most = 10000};
    char id[32];
    spool_recent(s, see_recent, &seen);
    assert_int_equal(seen.n, 0);
    for (unsigned i = 1; i <= 20000; i++) {
        struct record r = record_number(i, id, i % 50 == 0);
        assert_int_equal(spool_append(s, SPOOL_END, &r), 0);
    }
    spool_recent(s, see_recent, &seen);
    assert_true(seen.n > 200);
    assert_int_equal(seen.last, 20000 - seen.n + 1);
    seen = (struct recent_seen){.most = 3};
    spool_recent(s, see_recent, &seen);
    assert_int_equal(seen.n, 3);
    assert_int_equal(spool_sequence(s), 20000);
    spool_close(s);
}

static _Atomic bool reading;

static void *read_all_the_time(void *arg)
{
    struct spool *s = arg;
    struct slot copy;
    while (reading) {
        struct recent_seen seen = {.most = 10000};
        spool_recent(s, see_recent, &seen);
        if (slot_read(s, 0, &copy))
            assert_int_equal(copy.input_tokens, copy.output_tokens);
    }
    return NULL;
}

static void readers_never_see_a_torn_record_or_slot(void **state)
{
    struct spool *s = spool_make(*state, 64 << 20, 3);
    pthread_t thread;
    char id[32];
    struct slot *slot = slot_take(s);
    slot_write_begin(slot);
    snprintf(slot->id, sizeof slot->id, "id");
    slot_write_end(slot);
    reading = true;
    assert_int_equal(pthread_create(&thread, NULL, read_all_the_time, s), 0);
    for (unsigned i = 1; i <= 30000; i++) {
        struct record r = record_number(i, id, i % 50 == 0);
        assert_int_equal(spool_append(s, SPOOL_END, &r), 0);
        slot_write_begin(slot);
        slot->input_tokens = i;
        slot->output_tokens = i;
        slot_write_end(slot);
    }
    reading = false;
    pthread_join(thread, NULL);
    spool_close(s);
}

struct found {
    struct seen seen;
    uint64_t slots;
    struct spool_position from;
    char slot_id[40];
};

static struct spool_position found_position(void *ctx, unsigned worker)
{
    assert_int_equal(worker, 3);
    return ((struct found *)ctx)->from;
}

static int found_record(void *ctx, unsigned worker, uint32_t kind, struct str packed)
{
    (void)worker;
    return see(&((struct found *)ctx)->seen, kind, packed);
}

static int found_end(void *ctx, unsigned worker, struct spool_position at)
{
    (void)worker;
    ((struct found *)ctx)->from = at;
    return 0;
}

static int found_slot(void *ctx, const struct slot *slot)
{
    struct found *f = ctx;
    f->slots++;
    snprintf(f->slot_id, sizeof f->slot_id, "%s", slot->id);
    return 0;
}

static void recover(const struct room *room, struct found *f, uint64_t damaged)
{
    struct spool_recovery r = {.position = found_position, .record = found_record,
        .segment_end = found_end, .slot = found_slot, .ctx = f};
    struct err e = {0};
    if (spool_recover(room->fd, &r, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(r.damaged, damaged);
}

/* A child appends, acknowledges each record by a pipe, and is killed at a random moment. */
static void kill_nine_loses_no_acknowledged_record(void **state)
{
    struct room *room = *state;
    int rounds = getenv("KILL_ROUNDS") ? (int)strtol(getenv("KILL_ROUNDS"), NULL, 10) : 20;
    srandom(7);
    for (int round = 0; round < rounds; round++) {
        int p[2];
        uint32_t acknowledged = 0, n;
        assert_int_equal(pipe(p), 0);
        pid_t child = fork();
        if (child == 0) {
            struct spool *s = spool_make(room, 64 << 20, 8);
            char id[32];
            for (uint32_t i = 1;; i++) {
                struct slot *slot = slot_take(s);
                slot_write_begin(slot);
                snprintf(slot->id, sizeof slot->id, "id-%08u", i);
                slot_write_end(slot);
                struct record r = record_number(i, id, i % 7 == 0);
                r.slot = slot->index;
                if (spool_append(s, SPOOL_END, &r) < 0 || write(p[1], &i, sizeof i) < 0)
                    _exit(1);
                slot_free(s, slot->index);
            }
        }
        close(p[1]);
        usleep(1000 + (useconds_t)(random() % 20000));
        assert_int_equal(kill(child, SIGKILL), 0);
        waitpid(child, NULL, 0);
        while (read(p[0], &n, sizeof n) == sizeof n)
            acknowledged = n;
        close(p[0]);
        struct found f = {0};
        recover(room, &f, 0);
        assert_true(f.seen.n >= acknowledged && f.seen.n <= acknowledged + 1);
        assert_int_equal(f.seen.sum, f.seen.n * (f.seen.n + 1) / 2);
        assert_true(f.slots <= 1);
        struct err e = {0};
        assert_int_equal(spool_remove_files(room->fd, &e), 0);
    }
}

static void recovery_begins_where_the_database_is(void **state)
{
    struct spool *s = spool_make(*state, 64 << 20, 3);
    struct found f = {0};
    char id[32];
    for (unsigned i = 1; i <= 3000; i++) {
        struct record r = record_number(i, id, true);
        assert_int_equal(spool_append(s, SPOOL_END, &r), 0);
    }
    struct slot *slot = slot_take(s);
    snprintf(slot->id, sizeof slot->id, "running");
    assert_int_equal(spool_drain(s, 6 << 20, see, &f.seen), 0);
    f.from = spool_drained_to(s);
    assert_true(f.seen.n > 1000 && f.seen.n < 2000);
    assert_true(f.from.segment == 2);
    recover(*state, &f, 0);
    assert_int_equal(f.seen.n, 3000);
    assert_int_equal(f.seen.sum, 3000ull * 3001 / 2);
    assert_int_equal(f.slots, 1);
    assert_string_equal(f.slot_id, "running");
    recover(*state, &f, 0); /* again: nothing twice */
    assert_int_equal(f.seen.n, 3000);
    spool_close(s);
}

static void a_damaged_entry_ends_its_segment_and_is_counted(void **state)
{
    struct room *room = *state;
    struct spool *s = spool_make(room, 8 << 20, 3);
    struct found f = {0};
    char id[32], path[128];
    for (unsigned i = 1; i <= 10; i++) {
        struct record r = record_number(i, id, true);
        assert_int_equal(spool_append(s, SPOOL_END, &r), 0);
    }
    spool_close(s);
    snprintf(path, sizeof path, "%s/spool-3-00000001", room->path);
    int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, "X", 1, 64 + 5 * 4200), 1);
    close(fd);
    recover(room, &f, 1);
    assert_true(f.seen.n >= 4 && f.seen.n < 10);
}

static void files_of_an_earlier_life_and_planted_links_are_refused(void **state)
{
    struct room *room = *state;
    struct spool *s = spool_make(room, 8 << 20, 3), *second;
    struct spool_config c = {.dir_fd = room->fd, .bytes = 8 << 20, .slots = 3, .first_segment = 1};
    struct err e = {0};
    assert_int_equal(spool_open(&second, &c, 3, &e), -ERR_CONFLICT);
    assert_null(second);
    assert_int_equal(symlinkat("/etc/passwd", room->fd, "inflight-4"), 0);
    assert_true(spool_open(&second, &c, 4, &e) < 0);
    spool_close(s);
    struct stat st;
    assert_int_equal(stat("/etc/passwd", &st), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, room_make, room_remove)
    const struct CMUnitTest tests[] = {
        T(what_is_appended_is_drained_in_order_and_once),
        T(a_failed_transaction_loses_nothing),
        T(a_full_spool_says_so_before_records_are_lost_and_heals_when_drained),
        T(slots_are_taken_filled_read_ended_and_freed),
        T(recent_records_come_newest_first_also_after_many_rounds_of_the_ring),
        T(readers_never_see_a_torn_record_or_slot),
        T(kill_nine_loses_no_acknowledged_record),
        T(recovery_begins_where_the_database_is),
        T(a_damaged_entry_ends_its_segment_and_is_counted),
        T(files_of_an_earlier_life_and_planted_links_are_refused),
    };
    umask(077);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
