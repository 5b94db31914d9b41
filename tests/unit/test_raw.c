/* Units of proxy/meter/raw.h: forms, read so strictly that no field hides from us in them. */
#include "proxy/meter/raw.h"
#include "store/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define TYPE "multipart/form-data; boundary=B"
#define PART "--B\r\nContent-Disposition: form-data; "
#define END "--B--\r\n"

static struct arena arena;
static const char *denied;

static int check_as(const char *type, const char *body)
{
    static const char *const names[] = {"api_base", "api_key"};
    arena_reset(&arena);
    return raw_multipart_check(str_c(body), str_c(type), names, ARRAY_LEN(names), &denied, &arena);
}

static int head_checked(const char *head)
{
    char body[1000];
    snprintf(body, sizeof body, PART "%s\r\n\r\nvalue\r\n" END, head);
    return check_as(TYPE, body);
}

static struct str model_of(const char *type, const char *body, bool *twice)
{
    return raw_multipart_field(str_c(body), str_c(type), STR("model"), twice, &arena);
}

static void what_clients_send_is_read(void **state)
{
    (void)state;
    static const char *const heads[] = {"name=\"model\"", "name=model", "NAME = \"model\" ; filename=x",
        "filename=\"a;name=x.mp3\"; name=\"model\"", "name=\"model\"; filename=\"a;b.mp3\"",
        "name=\"model\"; filename=\"naive.txt\"; filename*=UTF-8''na%C3%AFve.txt",
        "name=\"model\"; filename=\"C:\\\\new\\\\name.txt\"", "name=\"model\"; filename=\"a\\\"b.mp3\"",
        "name=\"model\"; filename=\"gr\xc3\xbc\xc3\x9f" "e%22.mp3\"\r\nContent-Type: audio/mpeg; name=\"x\"",
        "name=\"model\"; filename=\"\""};
    static const char *const types[] = {TYPE, "Multipart/Form-Data;charset=\"a;b\"; Boundary=\"B\""};
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        for (size_t j = 0; j < ARRAY_LEN(types); j++) {
            char body[1000];
            bool twice;
            snprintf(body, sizeof body, PART "name=\"file[]\"\r\n\r\nx\r\n" PART "%s\r\n\r\nm-1\r\n" END, heads[i]);
            int rc = check_as(types[j], body);
            struct str model = model_of(types[j], body, &twice);
            if (rc != 0 || twice || !str_eq(model, STR("m-1")))
                fail_msg("%s: %d, \"%.*s\"", heads[i], rc, STR_ARG(model));
        }
    assert_int_equal(check_as(TYPE, "preamble\r\n" PART "name=a\r\n\r\n\r\n" END "epilogue"), 0);
    assert_int_equal(check_as(TYPE, END), 0);
}

static void a_name_that_is_not_plain_is_refused(void **state)
{
    (void)state;
    static const char *const heads[] = {"name", "name; name=\"model\"", "name=\"file\"; name=\"model\"",
        "name*=utf-8''model", "name=\"file\"; name*=utf-8''model", "name*0=mod; name*1=el", "name=\"mod\\el\"",
        "name=\"%6dodel\"", "name=%6dodel", "name=\"model", "name=\"file\"model\"\"", "name=file model",
        "name=\"file\"; filename=\"a; name=model", "name=\"file\"; filename=\"a\\\"; name=\"model\"; x=\"",
        "filename=\"a\\\"; name=\"model\"; x=\"; name=\"file\"", "x=y;\r\n name=\"model\"", "x=y\nX: name=\"model\"",
        "name=\"file\"\r\nContent-Disposition : form-data; name=\"model\""};
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        if (head_checked(heads[i]) != -ERR_SYNTAX)
            fail_msg("taken: %s", heads[i]);
}

static void a_form_with_odd_ends_is_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {"", "no mark", PART "name=\"model\"\r\n\r\ndear\r\n",
        PART "name=\"model\"\n\ndear\r\n" END, "--B\nContent-Disposition: form-data; name=model\r\n\r\ndear\r\n" END,
        PART "name=\"model\"\r\ndear\r\n" END, PART "name=\"model\"\r\n\r\na-m--B\r\nX: y\r\n\r\n\r\n" END,
        PART "name=\"model\"\r\n\r\na-m\r\n--Bx\r\n" END, END PART "name=\"model\"\r\n\r\ndear\r\n" END};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        if (check_as(TYPE, bodies[i]) != -ERR_SYNTAX)
            fail_msg("taken: %s", bodies[i]);
    static const char *const types[] = {"multipart/form-data", "multipart/form-data; xboundary=B",
        "multipart/form-data; boundary=A; boundary=B", "multipart/form-data; boundary*=B",
        "multipart/form-data; boundary=\"B"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (check_as(types[i], PART "name=a\r\n\r\nb\r\n" END) != -ERR_SYNTAX)
            fail_msg("taken: %s", types[i]);
}

static void a_quoted_semicolon_hides_no_field(void **state)
{
    (void)state;
    static const char body[] = PART "name=\"model\"\r\n\r\na-m\r\n" PART "x=\"a;name=foo\"; name=\"model\"\r\n\r\ndear\r\n" END;
    bool twice;
    assert_true(model_of(TYPE, body, &twice).n == 0 && twice);
    assert_int_equal(head_checked("x=\"a;name=foo\"; name=\"api_key\""), -ERR_DENIED);
    assert_string_equal(denied, "api_key");
}

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, 4096, 1 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_clients_send_is_read),
        cmocka_unit_test(a_name_that_is_not_plain_is_refused),
        cmocka_unit_test(a_form_with_odd_ends_is_refused),
        cmocka_unit_test(a_quoted_semicolon_hides_no_field),
    };
    return cmocka_run_group_tests_name("raw", tests, begin, end);
}
