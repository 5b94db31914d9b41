/* Units of store/base/secret: what the redactor cuts and what it must leave alone; sealing. */
#include "store/base/log.h"
#include "store/base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

/* What becomes of a text: "" means that it must stay as it is. */
static void check(const char *text, const char *expected)
{
    char copy[512];
    str_copy(copy, sizeof copy, str_c(text));
    size_t cut = secret_redact(copy, strlen(copy));
    assert_string_equal(copy, *expected ? expected : text);
    assert_int_equal(cut != 0, *expected != 0);
}

static void keys_of_the_usual_forms_are_cut(void **state)
{
    (void)state;
    check("key sk-abcdefghijklmnopqrst end", "key sk-a******************* end");
    check("sk-proj-Ab_9-Ab_9-Ab_9-Ab_9", "sk-p***********************");
    check("gsk_abcdefghijklmnopqrst", "gsk_********************");
    check("xai-abcdefghijklmnopqrst!", "xai-********************!");
    check("?key=AIzaSyA-bcdefghijklmnopqrstuvwxyz012345&",
        "?key=AIza***********************************&");
    check("AKIAIOSFODNN7EXAMPLE", "AKIA****************");
    check("\"Bearer sk-" "ant-abcdefghijklmnop_\"", "\"Bearer sk-a********************\"");
    check("a=sk-abcdefghijklmnopqrst,b=sk-zbcdefghijklmnopqrst",
        "a=sk-a*******************,b=sk-z*******************");
}

static void ordinary_text_stays(void **state)
{
    (void)state;
    check("keyboard_interrupt_handler", "");
    check("task-aaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "");
    check("risk-adjusted-return-on-capital-and-more", "");
    check("sk-short", "");
    check("sk-abcdefghijklmnopqrs", ""); /* 19 */
    check("desk_abcdefghijklmnopqrstuvw gsk_ xai- AIza AKIA", "");
    check("AKIAiosfodnn7example", "");
    check("XAKIAIOSFODNN7EXAMPLE", "");
    check("for (size_t at = 0; at + GRAM <= n; at += GRAMS) {", "");
    check("", "");
}

static void a_key_behind_a_json_escape_is_cut(void **state)
{
    (void)state;
    check("\"x\\nsk-abcdefghijklmnopqrst\"", "\"x\\nsk-a*******************\"");
    check("\\u003dsk-abcdefghijklmnopqrst", "\\u003dsk-a*******************");
}

static void known_values_are_cut_wherever_they_lie(void **state)
{
    (void)state;
    assert_true(secret_add(STR("hunter2hunter2")));
    assert_true(secret_add(STR("p4ss/w\"rd+and\\more")));
    assert_true(secret_add(STR("eightchr")));
    assert_false(secret_add(STR("seven77")));
    check("hunter2hunter2", "hunt**********");
    check("-hunter2hunter2", "-hunt**********");
    check("ahunter2hunter2hunter2hunter2z", "ahunt**********hunt**********z");
    check("hunter2hunterX eightchreightchr", "hunter2hunterX eigh****eigh****");
    check("{\"k\":\"p4ss\\/w\\\"rd+and\\\\more\"}", "{\"k\":\"p4ss*****************\"}");
    check("{\"k\":\"p4ss/w\\\"rd+and\\\\more\"}", "{\"k\":\"p4ss****************\"}");
    check("seven77 hunter", "");
    for (size_t lead = 0; lead < 64; lead++) { /* every phase of the scan's stride */
        char text[128];
        memset(text, '.', sizeof text);
        memcpy(text + lead, "hunter2hunter2", 14);
        assert_int_equal(secret_redact(text, lead + 14), 1);
        assert_memory_equal(text + lead, "hunt**********", 14);
    }
}

/* Against the plain definition: random texts, random positions, many values. */
static void many_random_values_are_all_found(void **state)
{
    (void)state;
    static char values[200][41];
    for (int i = 0; i < 200; i++) {
        size_t n = 8 + secret_random_u64() % 32;
        for (size_t k = 0; k < n; k++)
            values[i][k] = (char)('a' + secret_random_u64() % 26);
        assert_true(secret_add(str_n(values[i], n)));
    }
    for (int round = 0; round < 2000; round++) {
        char text[300];
        for (size_t k = 0; k < sizeof text; k++)
            text[k] = (char)('A' + secret_random_u64() % 26);
        const char *v = values[secret_random_u64() % 200];
        size_t n = strlen(v), at = secret_random_u64() % (sizeof text - n + 1);
        memcpy(text + at, v, n);
        assert_int_equal(secret_redact(text, sizeof text), 1);
        assert_memory_equal(text + at, v, 4);
        for (size_t k = at + 4; k < at + n; k++)
            assert_int_equal(text[k], '*');
    }
}

static void a_secret_on_a_chunk_boundary_needs_the_whole_body(void **state)
{
    (void)state;
    size_t n = 2 << 20, at = (1 << 20) - 10;
    char *body = malloc(n);
    assert_non_null(body);
    memset(body, 'x', n);
    memcpy(body + at, " sk-abcdefghijklmnopqrst ", 25);
    assert_int_equal(secret_redact(body, 1 << 20), 0); /* half of it: nothing to see */
    assert_int_equal(secret_redact(body, n), 1);
    assert_memory_equal(body + at, " sk-a******************* ", 25);
    free(body);
}

/* Of this thread alone: a busy machine changes nothing. */
static int64_t own_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void plain_text_passes_fast(void **state)
{
    (void)state;
    size_t n = 8 << 20;
    char *body = malloc(n);
    assert_non_null(body);
    static const char words[] = "The parser fails because the chunk boundary falls inside a \\n"
                                " well-known two-byte sequence; see read_chunk() and zlib. ";
    for (size_t i = 0; i < n; i++)
        body[i] = words[i % (sizeof words - 1)];
    int64_t best = INT64_MAX;
    for (int round = 0; round < 5; round++) {
        int64_t start = own_us();
        assert_int_equal(secret_redact(body, n), 0);
        best = MIN(best, own_us() - start);
    }
    print_message("# redaction: %.2f GB/s\n", (double)n / 1e3 / (double)best);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(best < 40000); /* over 200 MB/s also on a busy machine; quiet: over 1 GB/s */
#endif
    memset(body, '-', n); /* the worst text: every byte is a rare one */
    int64_t start = own_us();
    assert_int_equal(secret_redact(body, n), 0);
    assert_true(own_us() - start < 5000000);
    free(body);
}

static void log_lines_are_redacted(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    secret_add(STR("a-live-secret-value"));
    log_set_fd(ends[1]);
    log_warn("refused: %s", "a-live-secret-value");
    log_set_fd(STDERR_FILENO);
    char line[256] = "";
    assert_true(read(ends[0], line, sizeof line - 1) > 0);
    assert_null(strstr(line, "live-secret"));
    assert_non_null(strstr(line, "refused: a-li***"));
    close(ends[0]);
    close(ends[1]);
}

static void every_flipped_byte_and_every_moved_row_is_refused(void **state)
{
    (void)state;
    unsigned char key[SECRET_MASTER_BYTES], other[SECRET_MASTER_BYTES];
    struct secret_box *box, *wrong;
    struct err e = {0};
    secret_random(key, sizeof key);
    secret_random(other, sizeof other);
    assert_int_equal(secret_box_from(&box, key, &e), 0);
    assert_int_equal(secret_box_from(&wrong, other, &e), 0);
    struct buf sealed, plain;
    buf_init(&sealed, 1 << 20);
    buf_init(&plain, 1 << 20);
    assert_int_equal(secret_seal(box, STR("provider/openai/1"), STR("sk-live"), &sealed), 0);
    assert_int_equal(secret_open(box, STR("provider/openai/1"), buf_str(&sealed), &plain, &e), 0);
    assert_string_equal(buf_c(&plain), "sk-live");
    assert_int_equal(secret_open(box, STR("provider/openai/2"), buf_str(&sealed), &plain, &e),
        -ERR_CORRUPT);
    assert_int_equal(secret_open(wrong, STR("provider/openai/1"), buf_str(&sealed), &plain, &e),
        -ERR_DENIED);
    for (size_t i = 0; i < sealed.n; i++) {
        sealed.p[i] ^= 1;
        assert_true(secret_open(box, STR("provider/openai/1"), buf_str(&sealed), &plain, &e) < 0);
        sealed.p[i] ^= 1;
    }
    for (size_t n = 0; n < sealed.n; n++)
        assert_true(secret_open(box, STR("provider/openai/1"), str_n(sealed.p, n), &plain, &e) < 0);
    /* rotation: open with the old, seal with the new, and back */
    buf_reset(&plain);
    assert_int_equal(secret_open(box, STR("provider/openai/1"), buf_str(&sealed), &plain, &e), 0);
    buf_reset(&sealed);
    assert_int_equal(secret_seal(wrong, STR("provider/openai/1"), buf_str(&plain), &sealed), 0);
    buf_reset(&plain);
    assert_int_equal(secret_open(wrong, STR("provider/openai/1"), buf_str(&sealed), &plain, &e), 0);
    assert_string_equal(buf_c(&plain), "sk-live");
    buf_fini(&sealed);
    buf_fini(&plain);
    secret_box_free(box);
    secret_box_free(wrong);
}

static void the_master_key_is_found_or_made_and_its_file_must_be_private(void **state)
{
    (void)state;
    char folder[] = "/tmp/pm-secret-XXXXXX", file[64], credentials[64];
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/master.key", folder);
    snprintf(credentials, sizeof credentials, "%s/pointsman.key", folder);
    unsetenv("CREDENTIALS_DIRECTORY");
    unsetenv("POINTSMAN_MASTER_KEY");
    struct secret_box *box = NULL;
    struct err e = {0};
    const char *from = NULL;
    struct secret_sources q = {.key_file = file};
    assert_int_equal(secret_box_new(&box, &q, &from, &e), -ERR_MISSING);
    q.create = true;
    assert_int_equal(secret_box_new(&box, &q, &from, &e), 0);
    assert_string_equal(from, file);
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    struct buf sealed, plain;
    buf_init(&sealed, 4096);
    buf_init(&plain, 4096);
    assert_int_equal(secret_seal(box, STR("r"), STR("value"), &sealed), 0);
    secret_box_free(box);
    assert_int_equal(secret_box_new(&box, &q, &from, &e), 0); /* the same one again */
    assert_int_equal(secret_open(box, STR("r"), buf_str(&sealed), &plain, &e), 0);
    secret_box_free(box);
    chmod(file, 0644);
    assert_int_equal(secret_box_new(&box, &q, &from, &e), -ERR_DENIED);
    assert_non_null(strstr(e.text, "chmod 600"));
    chmod(file, 0600);
    rename(file, credentials);
    q.create = false;
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    assert_int_equal(secret_box_new(&box, &q, &from, &e), 0);
    assert_non_null(strstr(from, "CREDENTIALS_DIRECTORY"));
    assert_int_equal(secret_open(box, STR("r"), buf_str(&sealed), &plain, &e), 0);
    secret_box_free(box);
    unlink(credentials);
    q = (struct secret_sources){.variable = STR("zz")};
    assert_int_equal(secret_box_new(&box, &q, &from, &e), -ERR_SYNTAX);
    q.variable = STR(" \n");
    assert_int_equal(secret_box_new(&box, &q, &from, &e), -ERR_SYNTAX);
    unsetenv("CREDENTIALS_DIRECTORY");
    buf_fini(&sealed);
    buf_fini(&plain);
    rmdir(folder);
}

static void a_new_master_key_stands_in_front_of_the_old_and_both_open(void **state)
{
    (void)state;
    char folder[] = "/tmp/pm-secret-XXXXXX", file[64], beside[64];
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/master.key", folder);
    snprintf(beside, sizeof beside, "%s/master.key.new", folder);
    unsetenv("CREDENTIALS_DIRECTORY");
    struct secret_sources q = {.key_file = file, .create = true};
    struct secret_box *box;
    struct err e = {0};
    struct buf first, second, plain;
    buf_init(&first, 4096);
    buf_init(&second, 4096);
    buf_init(&plain, 4096);
    assert_int_equal(secret_box_new(&box, &q, NULL, &e), 0);
    assert_int_equal(secret_seal(box, STR("r"), STR("value"), &first), 0);
    assert_true(secret_is_current(box, buf_str(&first)));
    secret_box_free(box);
    /* what somebody left who was killed while he wrote is no hindrance */
    FILE *f = fopen(beside, "w");
    assert_non_null(f);
    fputs("half", f);
    fclose(f);
    for (int i = 0; i < SECRET_MASTERS_MAX + 5; i++)
        assert_int_equal(secret_renew_file(file, &e), 0);
    assert_int_equal(access(beside, F_OK), -1);
    assert_int_equal(secret_box_new(&box, &q, NULL, &e), 0);
    assert_false(secret_is_current(box, buf_str(&first)));
    /* so many later it has gone; one that is not so old opens */
    assert_int_equal(secret_open(box, STR("r"), buf_str(&first), &plain, &e), -ERR_DENIED);
    assert_int_equal(secret_seal(box, STR("r"), STR("value"), &second), 0);
    secret_box_free(box);
    assert_int_equal(secret_renew_file(file, &e), 0);
    assert_int_equal(secret_box_new(&box, &q, NULL, &e), 0);
    assert_int_equal(secret_open(box, STR("r"), buf_str(&second), &plain, &e), 0);
    assert_string_equal(buf_c(&plain), "value");
    secret_box_free(box);
    chmod(file, 0640);
    assert_int_equal(secret_renew_file(file, &e), -ERR_DENIED);
    unlink(file);
    rmdir(folder);
    buf_fini(&first);
    buf_fini(&second);
    buf_fini(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_the_usual_forms_are_cut),
        cmocka_unit_test(ordinary_text_stays),
        cmocka_unit_test(a_key_behind_a_json_escape_is_cut),
        cmocka_unit_test(known_values_are_cut_wherever_they_lie),
        cmocka_unit_test(many_random_values_are_all_found),
        cmocka_unit_test(a_secret_on_a_chunk_boundary_needs_the_whole_body),
        cmocka_unit_test(plain_text_passes_fast),
        cmocka_unit_test(log_lines_are_redacted),
        cmocka_unit_test(every_flipped_byte_and_every_moved_row_is_refused),
        cmocka_unit_test(the_master_key_is_found_or_made_and_its_file_must_be_private),
        cmocka_unit_test(a_new_master_key_stands_in_front_of_the_old_and_both_open),
    };
    return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
