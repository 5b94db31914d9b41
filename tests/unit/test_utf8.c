/* Units of store/base/utf8: strict decoding and the width table. */
#include "store/base/utf8.h"
#include "tests/unit/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <dirent.h>

static void every_scalar_value_survives_a_round_trip(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
        char out[4];
        uint32_t back = 0;
        unsigned n = utf8_encode(cp, out);
        assert_int_equal(utf8_decode(out, n, &back), n);
        assert_int_equal(back, cp >= 0xD800 && cp <= 0xDFFF ? 0xFFFD : cp);
        assert_int_equal(utf8_decode(out, n - 1, &back), 0); /* cut: invalid */
    }
}

static void malformed_sequences_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80",
                                      "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
                                      "\xff", "\xe2\x82", "\xe2\x28\xa1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint32_t cp;
        assert_int_equal(utf8_decode(bad[i], strlen(bad[i]), &cp), 0);
        assert_false(utf8_valid(str_c(bad[i])));
    }
    assert_true(utf8_valid(STR("é€𝄞")));
}

static void widths_are_those_of_terminals(void **state)
{
    (void)state;
    assert_int_equal(utf8_columns(STR("hello")), 5);
    assert_int_equal(utf8_columns(STR("你好")), 4);
    assert_int_equal(utf8_columns(STR("Ａ")), 2);
    assert_int_equal(utf8_columns(STR("ｶ")), 1);
    assert_int_equal(utf8_columns(STR("e\xcc\x81")), 1);
    assert_int_equal(utf8_columns(STR("\u1112\u1161\u11ab")), 2);
    assert_int_equal(utf8_columns(STR("§☕")), 3);
    assert_int_equal(utf8_columns(STR("▸✓●…→│█▁")), 8); /* our own marks: one each */
}

static void what_misleads_is_classed_so(void **state)
{
    (void)state;
    assert_int_equal(utf8_class(0x1B), UTF8_CONTROL);
    assert_int_equal(utf8_class(0x9B), UTF8_CONTROL);
    assert_int_equal(utf8_class(0x7F), UTF8_CONTROL);
    assert_int_equal(utf8_class(0x202E), UTF8_FORMAT);
    assert_int_equal(utf8_class(0x2066), UTF8_FORMAT);
    assert_int_equal(utf8_class(0x200B), UTF8_FORMAT);
    assert_int_equal(utf8_class(0xFEFF), UTF8_FORMAT);
    assert_int_equal(utf8_class(0x00AD), UTF8_FORMAT);
    assert_int_equal(utf8_class(0xE0041), UTF8_FORMAT);
    assert_int_equal(utf8_class(0x200D), UTF8_UNSURE);
    assert_int_equal(utf8_class(0xFE0F), UTF8_UNSURE);
    assert_int_equal(utf8_class(0x1F1E6), UTF8_UNSURE);
    assert_int_equal(utf8_class(0xE000), UTF8_PRIVATE);
    assert_int_equal(utf8_class(0xFFFF), UTF8_PRIVATE);
    assert_int_equal(utf8_class(0x0301), UTF8_COMBINING);
    assert_int_equal(utf8_class('a'), UTF8_PRINT);
    assert_int_equal(utf8_class(0x4F60), UTF8_PRINT);
}

static void the_malformed_corpus_never_passes_as_valid(void **state)
{
    (void)state;
    const char *dir;
    for (int i = 0; (dir = data_dir(i, "torture/unicode/bad_utf8")) != NULL; i++) {
        DIR *d = opendir(dir);
        size_t seen = 0;
        assert_non_null(d);
        for (struct dirent *entry; (entry = readdir(d));) {
            struct str bytes = entry->d_name[0] == '.' ? STR_NULL : shared_read(dir, entry->d_name);
            if (!bytes.p)
                continue;
            if (utf8_valid(bytes))
                fail_msg("%s passes as valid", entry->d_name);
            free((char *)bytes.p);
            seen++;
        }
        closedir(d);
        assert_true(seen >= 8);
    }
}

static void ambiguous_characters_are_as_wide_as_the_terminal_has_them(void **state)
{
    (void)state;
    assert_int_equal(utf8_width(0x0416), 1); /* Ж */
    assert_int_equal(utf8_width(0x2026), 1);
    utf8_ambiguous_wide(true);
    assert_int_equal(utf8_width(0x0416), 2);
    assert_int_equal(utf8_width(0x2026), 2);
    assert_int_equal(utf8_width('a'), 1);
    assert_int_equal(utf8_width(0xE9 - 2), 1); /* ç is not ambiguous, é is */
    assert_int_equal(utf8_width(0xE9), 2);
    assert_int_equal(utf8_width(0x4F60), 2);
    assert_int_equal(utf8_width(0x0301), 0);
    utf8_ambiguous_wide(false);
    assert_int_equal(utf8_width(0x0416), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ambiguous_characters_are_as_wide_as_the_terminal_has_them),
        cmocka_unit_test(every_scalar_value_survives_a_round_trip),
        cmocka_unit_test(malformed_sequences_are_refused),
        cmocka_unit_test(widths_are_those_of_terminals),
        cmocka_unit_test(what_misleads_is_classed_so),
        cmocka_unit_test(the_malformed_corpus_never_passes_as_valid),
    };
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
