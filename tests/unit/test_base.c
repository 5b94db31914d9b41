/* Units of store/base: str, buf, arena, err, clock. */
#include "store/base/arena.h"
#include "store/base/array.h"
#include "store/base/buf.h"
#include "store/base/clock.h"
#include "store/base/err.h"
#include "store/base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

static void globs(void **state)
{
    (void)state;
    assert_true(str_glob(STR("claude-*"), STR("claude-haiku-4-5")));
    assert_true(str_glob(STR("*"), STR("")));
    assert_true(str_glob(STR("a*b*c"), STR("aXbYbZc")));
    assert_true(str_glob(STR("gpt-?"), STR("gpt-5")));
    assert_false(str_glob(STR("claude-*"), STR("claude")));
    assert_false(str_glob(STR(""), STR("x")));
    /* a hostile pattern stays linear-ish: this would take years in a naive matcher */
    assert_false(str_glob(STR("a*a*a*a*a*a*a*a*a*a*b"),
        STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")));
}

static void numbers(void **state)
{
    (void)state;
    uint64_t u;
    int64_t i;
    assert_true(str_to_u64(STR("18446744073709551615"), &u) && u == UINT64_MAX);
    assert_false(str_to_u64(STR("18446744073709551616"), &u));
    assert_false(str_to_u64(STR(""), &u));
    assert_false(str_to_u64(STR("+3"), &u));
    assert_false(str_to_u64(STR(" 3"), &u));
    assert_true(str_to_i64(STR("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_false(str_to_i64(STR("9223372036854775808"), &i));
    assert_false(str_to_i64(STR("-"), &i));
}

static void pieces(void **state)
{
    (void)state;
    assert_true(str_eq(str_after_bom(STR("\xef\xbb\xbf{}")), STR("{}")));
    assert_true(str_eq(str_after_bom(STR("{}")), STR("{}")));
    assert_int_equal(str_after_bom(STR("\xef\xbb")).n, 2);
    struct str rest = STR("a,,b"), piece;
    assert_true(str_cut(&rest, ',', &piece) && str_eq(piece, STR("a")));
    assert_true(str_cut(&rest, ',', &piece) && piece.n == 0);
    assert_true(str_cut(&rest, ',', &piece) && str_eq(piece, STR("b")));
    assert_false(str_cut(&rest, ',', &piece));
    char cut[4];
    str_copy(cut, sizeof cut, STR("aé\xe2\x82\xac"));
    assert_string_equal(cut, "aé"); /* never half a character */
    assert_int_equal(str_distance(STR("gpt-5-mini"), STR("gpt-5-mimi"), 3), 1);
    assert_int_equal(str_distance(STR("abc"), STR("xyz12345"), 2), 3);
}

static void buf_has_a_ceiling_and_a_sticky_error(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 8);
    buf_puts(&b, "12345");
    buf_puts(&b, "6789");
    assert_int_equal(b.err, -ERR_LIMIT);
    buf_putc(&b, 'x');
    assert_int_equal(b.n, 5);
    assert_null(buf_c(&b));
    buf_reset(&b);
    buf_printf(&b, "%d-%s", 7, "ab");
    assert_string_equal(buf_c(&b), "7-ab");
    buf_drop(&b, 2);
    assert_string_equal(buf_c(&b), "ab");
    buf_fini(&b);
}

static void arena_gives_aligned_memory_up_to_its_ceiling(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 64, 1024);
    for (int i = 0; i < 20; i++) {
        char *p = arena_zalloc(&a, 17);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
    }
    assert_null(arena_alloc(&a, 4096));
    assert_string_equal(arena_printf(&a, "%s %d", "x", 3).p, "x 3");
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 900));
    arena_fini(&a);
}

static void errors_carry_a_printable_text(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(err_set(&e, ERR_SYNTAX, "bad \x1b[31m thing"), -ERR_SYNTAX);
    assert_string_equal(e.text, "bad ?[31m thing");
    assert_int_equal(err_context(&e, -1, "line %d", 3), -ERR_SYNTAX);
    assert_string_equal(e.text, "line 3: bad ?[31m thing");
    /* where both don't fit, the cause is cut, between characters */
    err_context(&e, -1, "%*s", (int)sizeof e.text - 8, "x");
    assert_true(str_ends(str_c(e.text), STR("x: line ")));
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    err_set(&e, ERR_IO, "ab\xc3\xa9");
    err_context(&e, -1, "%*s", (int)sizeof e.text - 6, "x");
    assert_true(str_ends(str_c(e.text), STR("x: ab")));
    err_context(&e, -1, "%*s", (int)sizeof e.text - 1, "y");
    assert_true(str_ends(str_c(e.text), STR(" y")));
    assert_string_equal(err_name(-ERR_NOT_FOUND), "NOT_FOUND");
    assert_int_equal(err_set(NULL, ERR_IO, "x"), -ERR_IO);
}

static void times_are_rfc3339(void **state)
{
    (void)state;
    char out[32];
    clock_rfc3339(1795442529123, out);
    assert_string_equal(out, "2026-11-23T14:02:09.123Z");
    clock_rfc3339(-1, out);
    assert_string_equal(out, "1969-12-31T23:59:59.999Z");
}

static void an_array_grows_and_keeps_what_it_holds(void **state)
{
    int64_t *items = NULL;
    size_t count = 0, room = 0;
    (void)state;
    while (count < 1000) {
        assert_true(array_room(&items, &room, count, sizeof *items));
        assert_true(room > count);
        items[count] = (int64_t)count * 3;
        count++;
    }
    for (size_t i = 0; i < count; i++)
        assert_int_equal(items[i], (int64_t)i * 3);
    room = SIZE_MAX / 4; /* more than there can be: refused, and nothing lost */
    assert_false(array_room(&items, &room, room, sizeof *items));
    assert_int_equal(room, SIZE_MAX / 4);
    assert_int_equal(items[999], 2997);
    free(items);
}

/* Where the kernel knows the wish it is kept, and what was set before stays. */
static void a_short_slice_changes_nothing_else(void **state)
{
    (void)state;
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime_ns, deadline_ns, period_ns;
    } a = {0};
    int before = getpriority(PRIO_PROCESS, 0);
    assert_int_equal(setpriority(PRIO_PROCESS, 0, before + 3), 0);
    slice_ask(100);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), before + 3);
    assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
    if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) == 0 && a.runtime_ns)
        assert_int_equal(a.runtime_ns, 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_array_grows_and_keeps_what_it_holds),
        cmocka_unit_test(globs),
        cmocka_unit_test(numbers),
        cmocka_unit_test(pieces),
        cmocka_unit_test(buf_has_a_ceiling_and_a_sticky_error),
        cmocka_unit_test(arena_gives_aligned_memory_up_to_its_ceiling),
        cmocka_unit_test(errors_carry_a_printable_text),
        cmocka_unit_test(times_are_rfc3339),
        cmocka_unit_test(a_short_slice_changes_nothing_else),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
