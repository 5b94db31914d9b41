/* Units of admin/news: one sequence for what happened, and what a flood of records leaves of it. */
#include "proxy/admin/news.h"
#include "store/spool_file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

enum { A_LOOK = 500 }; /* records between two looks: fewer than one look takes */

struct room {
    char path[64];
    int fd;
    struct spool *spool;
    struct news *news;
};

static int room_make(void **state)
{
    struct room *r = calloc(1, sizeof *r);
    struct err e = {0};
    snprintf(r->path, sizeof r->path, "/tmp/pm-news-XXXXXX");
    assert_non_null(mkdtemp(r->path));
    r->fd = open(r->path, O_RDONLY | O_DIRECTORY);
    struct spool_config c = {.dir_fd = r->fd, .bytes = 16 << 20, .slots = 8, .first_segment = 1};
    if (spool_open(&r->spool, &c, 0, &e) < 0)
        fail_msg("%s", e.text);
    r->news = news_new(&r->spool, 1);
    assert_non_null(r->news);
    *state = r;
    return 0;
}

static int room_remove(void **state)
{
    struct room *r = *state;
    struct err e = {0};
    news_free(r->news);
    spool_close(r->spool);
    assert_int_equal(spool_remove_files(r->fd, &e), 0);
    close(r->fd);
    assert_int_equal(rmdir(r->path), 0);
    free(r);
    return 0;
}

static void happen(struct room *r, unsigned records)
{
    for (unsigned i = 0; i < records; i++) {
        char id[32];
        snprintf(id, sizeof id, "id-%08u", i);
        struct record record = {.id = str_c(id), .slot = -1};
        assert_int_equal(spool_append(r->spool, SPOOL_END, &record), 0);
        if (i % A_LOOK == A_LOOK - 1)
            assert_true(news_look(r->news));
    }
    (void)news_look(r->news);
}

struct told {
    unsigned records, markers, most;
    char newest[32];
};

static bool tell(void *ctx, const struct news_entry *e)
{
    struct told *t = ctx;
    struct record record;
    t->markers += e->kind == NEWS_MARKER;
    if (e->kind != NEWS_RECORD)
        return true;
    assert_int_equal(record_unpack(e->bytes, &record), 0);
    if (t->records++ == 0)
        str_copy(t->newest, sizeof t->newest, record.id);
    return t->records < t->most;
}

static void what_is_new_is_told_newest_first(void **state)
{
    struct room *r = *state;
    uint64_t since = news_sequence(r->news);
    happen(r, 10);
    struct told all = {.most = 100}, three = {.most = 3};
    news_each(r->news, since, tell, &all);
    news_each(r->news, since, tell, &three);
    assert_int_equal(all.records, 10);
    assert_int_equal(three.records, 3);
    assert_string_equal(all.newest, "id-00000009");
    assert_true(news_covers(r->news, since));
    assert_false(news_look(r->news));
}

static void a_flood_of_records_alone_is_no_reason_to_take_everything_again(void **state)
{
    struct room *r = *state;
    struct news_marker m = {.time_ms = 1, .text = "switched", .who = "alice"};
    news_mark(r->news, &m);
    uint64_t before = news_sequence(r->news) - 1, since = news_sequence(r->news);
    happen(r, NEWS_ENTRIES + A_LOOK);
    assert_false(news_covers(r->news, since));
    assert_true(news_covers_facts(r->news, since));
    struct told t = {.most = 64};
    news_each(r->news, since, tell, &t);
    assert_int_equal(t.records, 64);
    /* who has not seen the marker yet has missed it */
    assert_false(news_covers_facts(r->news, before));
}

static void numbers_of_another_life_are_never_covered(void **state)
{
    struct room *r = *state;
    uint64_t born = news_sequence(r->news);
    happen(r, 5);
    assert_true(news_covers_facts(r->news, born));
    assert_false(news_covers_facts(r->news, born - 1));
    assert_false(news_covers_facts(r->news, news_sequence(r->news) + 1));
}

static void a_text_is_kept_until_its_record_goes(void **state)
{
    struct room *r = *state;
    uint64_t since = news_sequence(r->news);
    happen(r, 1);
    struct news_entry e = {.sequence = since + 1};
    news_keep_json(r->news, &e, STR("{\"id\":1}"));
    happen(r, NEWS_ENTRIES + A_LOOK); /* freed with it: the sanitizer's build looks */
    assert_false(news_covers(r->news, since));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, room_make, room_remove)
        T(what_is_new_is_told_newest_first),
        T(a_flood_of_records_alone_is_no_reason_to_take_everything_again),
        T(numbers_of_another_life_are_never_covered),
        T(a_text_is_kept_until_its_record_goes),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
