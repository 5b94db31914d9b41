/* test_theme.c: a theme is found by its name, in the folders of themes and nowhere else. */
#include "store/base/err.h"
#include "tui/theme.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void write_theme(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void a_name_leads_out_of_no_folder(void **state)
{
    static const char *const names[] = {"", ".", "..", "../planted", "../../etc/passwd", "/etc/passwd",
        "sub/planted", "planted.theme", "Planted", "pl\nanted", "%s%n", "planted\x7f",
        "a-name-of-more-than-thirty-two-bytes"};
    char dir[] = "/tmp/pointsman-theme-XXXXXX", path[400], folder[300], above[300];
    struct theme t;
    struct err e;
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/pointsman", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(above, sizeof above, "%s/pointsman/planted.theme", dir);
    write_theme(above, "no theme\n");
    snprintf(folder, sizeof folder, "%s/pointsman/themes", dir);
    assert_int_equal(mkdir(folder, 0700), 0);
    setenv("XDG_CONFIG_HOME", dir, 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(theme_load(&t, names[i], &e), -ERR_NOT_FOUND);
    snprintf(path, sizeof path, "%s/planted.theme", folder);
    write_theme(path, "no theme\n");
    assert_int_not_equal(theme_load(&t, "planted", &e), -ERR_NOT_FOUND); /* read, and its fault is said */
    unlink(path);
    unlink(above);
    rmdir(folder);
    snprintf(path, sizeof path, "%s/pointsman", dir);
    rmdir(path);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_name_leads_out_of_no_folder)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("theme", tests, NULL, NULL);
}
