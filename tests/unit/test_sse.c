/* Units of proxy/sse: the files of the torture set at every cut, and the rules that the same-dialect
 * path relies on: the raws in a row are the input, and a large event can be given up. */
#include "proxy/sse.h"

#include "store/base/err.h"
#include "tests/unit/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

/* What a run of the parser said, as one text: name, data, id of each event that has data. */
struct heard {
    struct buf events; /* "name\x1edata\x1eid\x1f" */
    struct buf raw;
    size_t count;
};

static void heard_init(struct heard *h)
{
    buf_init(&h->events, BUF_NO_LIMIT);
    buf_init(&h->raw, BUF_NO_LIMIT);
    h->count = 0;
}

static void heard_fini(struct heard *h)
{
    buf_fini(&h->events);
    buf_fini(&h->raw);
}

static void heard_add(struct heard *h, const struct sse_event *ev, bool whole)
{
    buf_put_str(&h->raw, ev->raw);
    if (!whole || !ev->has_data)
        return;
    h->count++;
    buf_put_str(&h->events, ev->name.n ? ev->name : STR("message"));
    buf_putc(&h->events, '\x1e');
    buf_put_str(&h->events, ev->data);
    buf_putc(&h->events, '\x1f');
}

static void drain(struct sse *s, struct heard *h)
{
    struct sse_event ev;
    while (sse_next(s, &ev))
        heard_add(h, &ev, true);
}

/* Feeds `in` cut at the given places (ascending), each piece from its own heap block. */
static void run(struct str in, const size_t *cuts, size_t n, struct heard *h)
{
    struct sse s;
    sse_init(&s, 1 << 20);
    size_t from = 0;
    for (size_t i = 0; i <= n; i++) {
        size_t to = i < n ? cuts[i] : in.n;
        char *piece = malloc(to - from + 1);
        if (to > from)
            memcpy(piece, in.p + from, to - from);
        assert_int_equal(sse_feed(&s, str_n(piece, to - from)), 0);
        free(piece);
        drain(&s, h);
        from = to;
    }
    struct sse_event ev;
    if (sse_finish(&s, &ev))
        heard_add(h, &ev, false);
    assert_false(sse_finish(&s, &ev));
    sse_fini(&s);
}

static void check_cuts(struct str in, struct str wanted, const size_t *cuts, size_t n)
{
    struct heard h;
    heard_init(&h);
    run(in, cuts, n, &h);
    assert_true(str_eq(buf_str(&h.events), wanted));
    assert_true(str_eq(buf_str(&h.raw), in));
    heard_fini(&h);
}

static void check_all_cuts(struct str in, struct str wanted)
{
    check_cuts(in, wanted, NULL, 0);
    for (size_t i = 0; i <= in.n; i++)
        check_cuts(in, wanted, &i, 1);
    size_t *each = malloc((in.n + 1) * sizeof *each);
    for (size_t i = 0; i < in.n; i++)
        each[i] = i;
    check_cuts(in, wanted, each, in.n);
    srand(7);
    for (int round = 0; round < 50; round++) {
        size_t n = 0;
        for (size_t at = 0; at < in.n; at += 1 + (size_t)rand() % 40)
            each[n++] = at;
        check_cuts(in, wanted, each, n);
    }
    free(each);
}

/* The expectations were written through JSON, where a byte that is not UTF-8 became U+FFFD and NUL
 * is \u0000; cJSON can't hold a NUL, so both sides are compared with NUL as U+FFFD too. */
static void put_as_text(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == 0 || c >= 0x80)
            buf_puts(b, "\xef\xbf\xbd");
        else
            buf_putc(b, (char)c);
    }
}

static void replace_escaped_nul(char *json)
{
    for (char *at = json; (at = strstr(at, "\\u0000")) != NULL;)
        memcpy(at, "\\ufffd", 6);
}

static void check_file(const char *name, struct str in, const cJSON *events)
{
    struct heard h;
    heard_init(&h);
    run(in, NULL, 0, &h);
    struct buf got, want;
    buf_init(&got, BUF_NO_LIMIT);
    buf_init(&want, BUF_NO_LIMIT);
    put_as_text(&got, buf_str(&h.events));
    const cJSON *ev;
    cJSON_ArrayForEach(ev, events) {
        buf_puts(&want, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(ev, "type")));
        buf_putc(&want, '\x1e');
        buf_puts(&want, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(ev, "data")));
        buf_putc(&want, '\x1f');
    }
    if (!str_eq(buf_str(&got), buf_str(&want)))
        fail_msg("%s: got %s wanted %s", name, buf_c(&got), buf_c(&want));
    check_all_cuts(in, buf_str(&h.events));
    buf_fini(&got);
    buf_fini(&want);
    heard_fini(&h);
}

static void the_torture_set_reads_the_same_at_every_cut(void **state)
{
    (void)state;
    const char *folder;
    for (int i = 0; (folder = data_dir(i, "torture/sse")) != NULL; i++) {
        char *json = (char *)shared_read(folder, "expect.json").p;
        assert_non_null(json);
        replace_escaped_nul(json);
        cJSON *all = cJSON_Parse(json);
        assert_non_null(all);
        size_t files = 0;
        const cJSON *one;
        cJSON_ArrayForEach(one, all) {
            struct str bytes = shared_read(folder, one->string);
            if (!bytes.p)
                continue;
            files++;
            check_file(one->string, bytes, cJSON_GetObjectItemCaseSensitive(one, "events"));
            free((char *)bytes.p);
        }
        assert_true(files >= (i ? 20 : 8));
        cJSON_Delete(all);
        free(json);
    }
}

static void line_ends_may_mix_and_be_cut(void **state)
{
    (void)state;
    check_all_cuts(STR("data: a\r\n\r\ndata: b\r\rdata: c\n\n:x\r\n\r\n"),
        STR("message\x1e" "a\x1f" "message\x1e" "b\x1f" "message\x1e" "c\x1f"));
    check_all_cuts(STR("event:\xc3\xa9\rdata\rdata:  x\r\n\ndata:tail"),
        STR("\xc3\xa9\x1e\n x\x1f"));
    check_all_cuts(STR("\xef\xbb\xbf" "data: bom\n\n\xef\xbb\xbf" "data: not\n\n"),
        STR("message\x1e" "bom\x1f"));
    check_all_cuts(STR("\n\r\n\r\r"), STR(""));
    check_all_cuts(STR("\xef\xbb"), STR(""));
}

static void fields_are_told_apart(void **state)
{
    (void)state;
    struct sse s;
    struct sse_event ev;
    sse_init(&s, 1000);
    assert_int_equal(sse_feed(&s, STR(": hi\n\nretry: 3\n\nid: 7\nevent: done\ndata:\n\n")), 0);
    assert_true(sse_next(&s, &ev) && ev.only_comment && !ev.has_data);
    assert_true(str_eq(ev.raw, STR(": hi\n\n")));
    assert_true(sse_next(&s, &ev) && !ev.only_comment && !ev.has_data);
    assert_true(sse_next(&s, &ev) && ev.has_data && ev.data.n == 0);
    assert_true(str_eq(ev.id, STR("7")) && str_eq(ev.name, STR("done")));
    assert_false(sse_next(&s, &ev));
    assert_int_equal(sse_feed(&s, STR("data: left")), 0);
    assert_false(sse_next(&s, &ev));
    assert_true(str_eq(sse_pending(&s), STR("data: left")));
    assert_true(sse_finish(&s, &ev) && str_eq(ev.data, STR("left")));
    sse_fini(&s);
}

static void an_event_above_the_limit_is_refused(void **state)
{
    (void)state;
    struct sse s;
    struct sse_event ev;
    sse_init(&s, 16);
    assert_int_equal(sse_feed(&s, STR("data: 1\n\ndata: 2\n\ndata: 3\n\nda")), 0);
    for (int i = 0; i < 3; i++)
        assert_true(sse_next(&s, &ev) && ev.raw.n == 9);
    assert_false(sse_next(&s, &ev));
    assert_int_equal(sse_feed(&s, STR("ta: 0123456789abcdef")), -ERR_LIMIT);
    assert_true(s.overflow);
    assert_int_equal(sse_pending(&s).n, 22);
    sse_fini(&s);
}

static void a_released_event_passes_in_pieces(void **state)
{
    (void)state;
    struct str in = STR("data: big\rdata: more\r\n\r\ndata: next\n\n");
    for (size_t cut = 1; cut < 20; cut++)
        for (size_t second = cut; second < 22; second++) {
            struct sse s;
            struct sse_event ev;
            struct buf all;
            sse_init(&s, 1000);
            buf_init(&all, 1000);
            size_t at[] = {0, cut, second, in.n};
            bool next = false;
            for (int i = 0; i < 3; i++) {
                assert_int_equal(sse_feed(&s, str_n(in.p + at[i], at[i + 1] - at[i])), 0);
                while (sse_next(&s, &ev)) {
                    buf_put_str(&all, ev.raw);
                    assert_int_equal(ev.has_data, next);
                    if (next)
                        assert_true(str_eq(ev.data, STR("next")));
                    next = true;
                }
                if (i < 2) {
                    buf_put_str(&all, sse_pending(&s));
                    sse_release(&s);
                    assert_int_equal(sse_pending(&s).n, 0);
                }
            }
            assert_true(next && str_eq(buf_str(&all), in));
            buf_fini(&all);
            sse_fini(&s);
        }
}

static void a_release_between_events_swallows_nothing(void **state)
{
    (void)state;
    struct sse s;
    struct sse_event ev;
    sse_init(&s, 1000);
    assert_int_equal(sse_feed(&s, STR("data: a\r\n\r")), 0);
    assert_true(sse_next(&s, &ev));
    sse_release(&s);
    assert_int_equal(sse_feed(&s, STR("\n")), 0);
    assert_false(sse_next(&s, &ev));
    sse_release(&s); /* gives up the LF of the cut CRLF, not an event */
    assert_int_equal(sse_feed(&s, STR("data: b\n\n")), 0);
    assert_true(sse_next(&s, &ev) && str_eq(ev.data, STR("b")));
    sse_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_torture_set_reads_the_same_at_every_cut),
        cmocka_unit_test(line_ends_may_mix_and_be_cut),
        cmocka_unit_test(fields_are_told_apart),
        cmocka_unit_test(an_event_above_the_limit_is_refused),
        cmocka_unit_test(a_released_event_passes_in_pieces),
        cmocka_unit_test(a_release_between_events_swallows_nothing),
    };
    return cmocka_run_group_tests_name("sse", tests, NULL, NULL);
}
