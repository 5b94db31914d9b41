/* Bodies: kept, compressed, redacted, capped while serving, shed when there is too much. */
#include "store/base/secret.h"
#include "tests/store/room.h"

#include <dirent.h>

static struct str heap(struct str s)
{
    char *p = str_dup(s);
    assert_non_null(p);
    return str_n(p, s.n);
}

static struct store_body body_of(struct str request, struct str response)
{
    return (struct store_body){.request = heap(request), .response = heap(response),
        .request_headers = heap(STR("[[\"a\",\"b\"]]")), .events = heap(STR("[[0,12]]")),
        .response_cut = true, .time_ms = room_now};
}

static struct store_answer *wait_body(struct store *s, struct str id)
{
    struct store_query q = {.kind = STORE_ASK_BODY, .id = id};
    for (int i = 0; i < 3000; i++, usleep(1000)) {
        struct store_answer *a = store_ask_now(s, &q);
        if (a->rc == 0)
            return a;
        store_answer_free(a);
    }
    fail_msg("the body never came");
    return NULL;
}

static void a_body_comes_back_byte_for_byte(void **state)
{
    struct store *s = room_open(*state);
    room_start(s);
    char odd[256];
    for (int i = 0; i < 256; i++)
        odd[i] = (char)i;
    struct store_body b = body_of(str_n(odd, sizeof odd), STR("data: {\"x\":1}\n\n"));
    assert_int_equal(store_put_body(s, STR("one"), &b), 0);
    struct store_answer *a = wait_body(s, STR("one"));
    assert_true(str_eq(a->body.request, str_n(odd, sizeof odd)));
    assert_true(str_eq(a->body.response, STR("data: {\"x\":1}\n\n")));
    assert_true(str_eq(a->body.request_headers, STR("[[\"a\",\"b\"]]")));
    assert_int_equal(a->body.response_headers.n, 0);
    assert_true(str_eq(a->body.events, STR("[[0,12]]")));
    assert_true(a->body.response_cut && !a->body.request_cut);
    store_answer_free(a);
    struct store_query q = {.kind = STORE_ASK_BODY, .id = STR("two")};
    a = store_ask_now(s, &q);
    assert_int_equal(a->rc, -ERR_NOT_FOUND);
    store_answer_free(a);
    store_stop(s);
    store_close(s);
}

static void no_planted_secret_is_found_in_any_file_and_the_record_is_marked(void **state)
{
    struct room *r = *state;
    struct store *s = room_open(r);
    struct spool *w = room_start(s);
    char id[32], text[400], command[600];
    for (unsigned n = 0; n < 30; n++) {
        char secret[64];
        snprintf(secret, sizeof secret, "planted-secret-%02u-Zk8sQ0vB", n);
        secret_add(str_c(secret));
        snprintf(text, sizeof text, "{\"note\":\"my key is %s and sk-abcdefghijklmnopqrstuv%02u"
            "\",\"code\":\"keyboard_interrupt_handler\"}", secret, n);
        struct record x = room_record(n, id);
        assert_int_equal(spool_append(w, SPOOL_END, &x), 0);
        struct store_body b = body_of(str_c(text), str_c(text));
        assert_int_equal(store_put_body(s, x.id, &b), 0);
    }
    room_settle(s);
    struct store_answer *a = wait_body(s, str_c(id));
    assert_int_equal(str_find(a->body.request, STR("Zk8sQ0vB")), -1);
    assert_true(str_find(a->body.request, STR("plan*")) >= 0);
    assert_true(str_find(a->body.request, STR("keyboard_interrupt_handler")) >= 0);
    store_answer_free(a);
    struct store_query q = {.kind = STORE_ASK_RECORD, .id = str_c(id)};
    for (int i = 0;; i++, usleep(1000)) {
        a = store_ask_now(s, &q);
        int64_t redacted = a->records->redacted;
        store_answer_free(a);
        if (redacted)
            break;
        assert_true(i < 3000);
    }
    snprintf(command, sizeof command, "for f in %s/*; do [ -f $f ] && strings -a $f; done |"
        " grep -q -e Zk8sQ0vB -e sk-abcdefghij", r->data);
    store_stop(s);
    assert_int_not_equal(system(command), 0); /* grep finds none: exit 1 */
    store_close(s);
}

/* Incompressible, so that the cap is met by what is stored. */
static struct store_body noise(size_t n, int64_t time_ms)
{
    char *p = malloc(n);
    secret_random(p, n);
    return (struct store_body){.request = str_n(p, n), .time_ms = time_ms};
}

static void the_cap_by_size_holds_while_serving_and_the_oldest_go_first(void **state)
{
    struct room *r = *state;
    struct store *s = room_open(r);
    struct store_stats stats;
    char id[32], path[200];
    room_start(s);
    const int64_t cap = 4 << 20;
    store_set_retention(s, ROOM_DAY_MS * 10000LL, cap, 0);
    for (unsigned n = 0; n < 300; n++) {
        struct store_body b = noise(100000, room_now + n);
        snprintf(id, sizeof id, "body-%u", n);
        while (store_put_body(s, str_c(id), &b) < 0)
            usleep(1000);
        if (n % 100 == 99)
            usleep(300000);
    }
    store_answer_free(wait_body(s, str_c(id)));
    for (int i = 0; i < 3000; i++, usleep(1000)) {
        store_stats(s, &stats);
        if (stats.queue_bytes == 0 && stats.bodies_bytes > 0 && stats.bodies_bytes <= cap)
            break;
    }
    assert_in_range(stats.bodies_bytes, cap / 2, cap);
    struct store_query q = {.kind = STORE_ASK_BODY, .id = STR("body-0")};
    struct store_answer *a = store_ask_now(s, &q);
    assert_int_equal(a->rc, -ERR_NOT_FOUND);
    store_answer_free(a);
    store_stop(s);
    struct stat st;
    snprintf(path, sizeof path, "%s/bodies.db", r->data);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size < cap + (24 << 20)); /* what was freed is given back above 16 MiB */
    store_close(s);
}

static void too_much_at_once_is_shed_and_counted_not_held(void **state)
{
    struct room *r = *state;
    struct store_config c = {.dir = r->data, .workers = 1, .slots = 8, .queue_bytes = 1 << 20,
        .notice = room_noticed, .notice_ctx = r};
    struct store *s;
    struct err e = {0};
    struct store_stats stats;
    assert_int_equal(store_open(&s, &c, &e), 0);
    struct store_body b = noise(2 << 20, room_now); /* larger than the queue */
    assert_int_equal(store_put_body(s, STR("big"), &b), -ERR_FULL);
    free((char *)b.request.p);
    unsigned taken = 0, shed = 0;
    for (unsigned n = 0; n < 50; n++) { /* nobody writes yet */
        char id[32];
        b = noise(100000, room_now);
        snprintf(id, sizeof id, "b%u", n);
        if (store_put_body(s, str_c(id), &b) == 0)
            taken++;
        else
            shed++, free((char *)b.request.p);
    }
    assert_int_equal(taken, 10);
    store_stats(s, &stats);
    assert_int_equal(stats.bodies_shed, shed + 1);
    room_start(s);
    store_answer_free(wait_body(s, STR("b9")));
    store_stop(s);
    assert_int_equal(r->notices[STORE_NOTICE_BODIES_SHED], 1);
    store_close(s);
}

static void prune_and_age_remove_what_is_old_and_the_money_still_adds_up(void **state)
{
    struct store *s = room_open(*state);
    struct spool *w = room_start(s);
    char id[32];
    for (unsigned n = 0; n < 1500; n++) {
        struct record x = room_record(n, id);
        x.time_ms = room_now + (int64_t)(n / 500) * ROOM_DAY_MS;
        if (n < 500)
            x.session = STR("old one");
        assert_int_equal(spool_append(w, SPOOL_END, &x), 0);
    }
    room_settle(s);
    store_stop(s);
    assert_int_equal(store_prune(s, room_now + ROOM_DAY_MS + 5000, NULL, NULL), 0);
    struct store_query q = {.kind = STORE_ASK_EXCHANGES, .limit = 1000,
        .budget_ms = 20000};
    struct store_answer *a = store_ask_now(s, &q);
    assert_int_equal(a->n, 1000);
    store_answer_free(a);
    q = (struct store_query){.kind = STORE_ASK_SESSIONS};
    a = store_ask_now(s, &q);
    assert_int_equal(a->n, 2); /* s-1 and s-2 */
    store_answer_free(a);
    q = (struct store_query){.kind = STORE_ASK_LEDGER, .key = STR("bob"), .limit = 1000};
    a = store_ask_now(s, &q);
    assert_int_equal(a->entries[a->n - 1].kind, LEDGER_CARRY);
    store_answer_free(a);
    q = (struct store_query){.kind = STORE_ASK_SUMS}; /* the days stay */
    a = store_ask_now(s, &q);
    assert_int_equal(a->sums->requests, 1500);
    store_answer_free(a);
    room_check(s);
    assert_int_equal(store_prune(s, room_now + 2 * ROOM_DAY_MS, NULL, NULL), 0);
    room_check(s);
    store_close(s);
}

struct told {
    _Atomic int calls;
    int rc;
};

static void tell(void *ctx, int rc, int64_t revision)
{
    struct told *t = ctx;
    (void)revision;
    t->rc = rc;
    t->calls++;
}

static void stopping_does_not_wait_for_a_long_backup(void **state)
{
    struct room *r = *state;
    struct store *s = room_open(r);
    struct spool *w = room_start(s);
    struct told t = {0};
    char path[200];
    room_fill(w, 0, 20000);
    room_settle(s);
    snprintf(path, sizeof path, "%s/backup.db", r->path);
    assert_int_equal(store_backup(s, path, tell, &t), 0);
    store_stop(s);
    assert_int_equal(t.calls, 1);
    struct stat st;
    assert_int_equal(stat(path, &st), t.rc == 0 ? 0 : -1); /* whole or not at all */
    store_close(s);
}

static void a_backup_taken_while_serving_is_a_whole_store(void **state)
{
    struct room *r = *state;
    struct store *s = room_open(r);
    struct spool *w = room_start(s);
    struct told t = {0};
    char path[200], command[600];
    room_fill(w, 0, 5000);
    room_settle(s);
    snprintf(path, sizeof path, "%s/backup.db", r->path);
    assert_int_equal(store_backup(s, path, tell, &t), 0);
    room_fill(w, 5000, 6000);
    for (int i = 0; i < 5000 && !t.calls; i++)
        usleep(1000);
    assert_int_equal(t.calls, 1);
    assert_int_equal(t.rc, 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(store_backup(s, path, tell, &t), 0);
    for (int i = 0; i < 5000 && t.calls < 2; i++)
        usleep(1000);
    assert_int_equal(t.rc, -ERR_CONFLICT); /* never over an existing file */
    assert_int_equal(stat(path, &st), 0);
    store_stop(s);
    store_close(s);
    snprintf(command, sizeof command, "rm %s/data/pointsman.db*; mv %s %s/data/pointsman.db", r->path,
        path, r->path);
    assert_int_equal(system(command), 0);
    s = room_open(r);
    room_check(s);
    struct store_query q = {.kind = STORE_ASK_SUMS};
    struct store_answer *a = store_ask_now(s, &q);
    assert_in_range(a->sums->requests, 5000, 6000);
    store_answer_free(a);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOM_TEST(a_body_comes_back_byte_for_byte),
        ROOM_TEST(no_planted_secret_is_found_in_any_file_and_the_record_is_marked),
        ROOM_TEST(the_cap_by_size_holds_while_serving_and_the_oldest_go_first),
        ROOM_TEST(too_much_at_once_is_shed_and_counted_not_held),
        ROOM_TEST(prune_and_age_remove_what_is_old_and_the_money_still_adds_up),
        ROOM_TEST(stopping_does_not_wait_for_a_long_backup),
        ROOM_TEST(a_backup_taken_while_serving_is_a_whole_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
