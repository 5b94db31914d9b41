/* room.h: a data folder of its own for each test of the store, and records to put in it. */
#ifndef POINTSMAN_TESTS_STORE_ROOM_H
#define POINTSMAN_TESTS_STORE_ROOM_H

#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct room {
    char path[128], data[160];
    _Atomic unsigned notices[8]; /* the writer's thread counts, the test looks */
};

enum { ROOM_DAY_MS = 86400000 };
static const int64_t room_now = 1764000000000; /* 2025-11-24 */

static void room_noticed(void *ctx, enum store_notice what, const char *text)
{
    struct room *r = ctx;
    (void)text;
    r->notices[what]++;
}

static int room_make(void **state)
{
    struct room *r = calloc(1, sizeof *r);
    snprintf(r->path, sizeof r->path, "/tmp/pm-store-XXXXXX");
    assert_non_null(mkdtemp(r->path));
    snprintf(r->data, sizeof r->data, "%s/data", r->path);
    *state = r;
    return 0;
}

static int room_remove(void **state)
{
    struct room *r = *state;
    char command[200];
    snprintf(command, sizeof command, "rm -rf %s", r->path);
    int rc = system(command);
    free(r);
    return rc;
}

static struct store *room_open(struct room *r)
{
    struct store_config c = {.dir = r->data, .workers = 1, .slots = 64, .spool_bytes = 64 << 20,
        .notice = room_noticed, .notice_ctx = r};
    struct store *s;
    struct err e = {0};
    if (store_open(&s, &c, &e) < 0)
        fail_msg("%s", e.text);
    return s;
}

static struct store_recovered room_recover(struct store *s)
{
    struct store_recovered r;
    struct err e = {0};
    if (store_recover(s, room_now, &r, &e) < 0)
        fail_msg("%s", e.text);
    return r;
}

static struct spool *room_start(struct store *s)
{
    struct err e = {0};
    room_recover(s);
    struct spool *w = store_spool(s, 0, &e);
    if (!w || store_start(s, &e) < 0)
        fail_msg("%s", e.text);
    return w;
}

/* The n-th record: all its numbers follow from n. `id` holds the text of its id. */
static struct record room_record(unsigned n, char id[32])
{
    static const char *const keys[] = {"alice", "bob", "ci"};
    static const char *const models[] = {"gpt-5-mini", "claude-haiku-4-5"};
    static const char *const providers[] = {"openai", "anthropic"};
    snprintf(id, 32, "01j00000000000000000%06u", n);
    return (struct record){.id = str_c(id), .key = str_c(keys[n % 3]), .team = STR("search"),
        .session = n % 4 ? STR("s-1") : STR("s-2"), .tags = STR("env:prod,project:x"),
        .user_agent = STR("test/1"), .peer = STR("127.0.0.1:9"), .dialect = STR("openai"),
        .endpoint = STR("/v1/chat/completions"), .model_asked = STR("fast"), .route = STR("fast"),
        .provider = str_c(providers[n % 2]), .model = str_c(models[n % 2]),
        .finish_reason = STR("stop"), .attempts = STR("[]"), .time_ms = room_now + n * 1000,
        .stream = 1, .state = STATE_DONE, .status = n % 10 ? 200 : 429,
        .outcome = n % 10 ? OUTCOME_OK : OUTCOME_UPSTREAM_ERROR, .input_tokens = n,
        .output_tokens = 10, .usage_source = USAGE_MEASURED, .cost_nano = 1000 + n,
        .cost_source = COST_MEASURED, .reserve_nano = 5000, .ttft_us = 1000 * (1 + n % 100),
        .total_us = 100000 + n, .slot = -1};
}

UNUSED static void room_fill(struct spool *w, unsigned from, unsigned to)
{
    char id[32];
    for (unsigned n = from; n < to; n++) {
        struct record r = room_record(n, id);
        while (spool_append(w, SPOOL_END, &r) < 0)
            usleep(1000);
    }
}

UNUSED static void room_settle(struct store *s)
{
    struct store_stats stats;
    for (int i = 0; i < 40000; i++) { /* sanitizers on a busy machine are slow */
        store_stats(s, &stats);
        if (stats.behind == 0)
            return;
        usleep(1000);
    }
    fail_msg("the writer does not keep up");
}

UNUSED static void room_check(struct store *s)
{
    struct store_query q = {.kind = STORE_ASK_CHECK};
    struct store_answer *a = store_ask_now(s, &q);
    assert_int_equal(a->rc, 0);
    for (size_t i = 0; a->problems && i < a->n; i++)
        print_message("%.*s\n", STR_ARG(a->report[i]));
    assert_int_equal(a->problems, 0);
    store_answer_free(a);
}

#define ROOM_TEST(name) cmocka_unit_test_setup_teardown(name, room_make, room_remove)

#endif
