/* Units of proxy/dialect/embed.h. */
#include "proxy/dialect/embed.h"
#include "store/base/json_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct buf out;
static struct err e;

static int fresh(void **state)
{
    (void)state;
    buf_fini(&out);
    buf_init(&out, 1 << 20);
    e = (struct err){0};
    return 0;
}

static int gone(void **state)
{
    (void)state;
    buf_fini(&out);
    return 0;
}

#define assert_out(want) \
    do { \
        assert_int_equal(out.n, strlen(want)); \
        assert_memory_equal(out.p, want, out.n); \
    } while (0)

static void texts_become_requests_of_one_batch(void **state)
{
    (void)state;
    assert_int_equal(embed_write_request(WIRE_EMBEDDINGS,
        STR("{\"model\":\"x\",\"input\":[\"a\\u00e9\",\"b\"],\"dimensions\":256,\"encoding_format\":\"base64\"}"),
        STR("gemini-embedding-001"), &out, NULL, &e), 0);
    assert_out("{\"requests\":[{\"model\":\"models/gemini-embedding-001\",\"content\":{\"parts\":[{\"text\":\"a\\u00e9\"}]},"
        "\"outputDimensionality\":256},{\"model\":\"models/gemini-embedding-001\",\"content\":{\"parts\":"
        "[{\"text\":\"b\"}]},\"outputDimensionality\":256}]}");
}

static void tokens_are_refused_not_embedded_as_text(void **state)
{
    (void)state;
    assert_int_equal(embed_write_request(WIRE_EMBEDDINGS, STR("{\"input\":[[1,2]]}"), STR("m"), &out, NULL, &e),
        -ERR_UNSUPPORTED);
    assert_non_null(strstr(e.text, "tokens"));
    assert_int_equal(embed_write_request(WIRE_EMBEDDINGS, STR("{\"input\":[]}"), STR("m"), &out, NULL, &e), -ERR_TYPE);
}

static void what_gemini_has_no_word_for_is_named(void **state)
{
    struct ir_notes notes = {.count = 0};
    (void)state;
    assert_int_equal(embed_write_request(WIRE_EMBEDDINGS, STR("{\"input\":\"a\",\"user\":\"u\",\"truncate\":null}"), STR("m"),
        &out, &notes, &e), 0);
    assert_string_equal(notes.dropped, "user");
    assert_int_equal(notes.count, 0);
    assert_int_equal(fresh(NULL), 0);
    assert_int_equal(embed_write_request(WIRE_EMBEDDINGS, STR("{\"input\":\"a\",\"input_type\":\"query\"}"), STR("m"), &out,
        &notes, &e), 0);
    assert_string_equal(notes.dropped, "user, input_type");
    assert_int_equal(notes.count, 1);
}

static void an_answer_is_packed_where_that_was_asked(void **state)
{
    struct embed_client c = {.request = STR("{\"encoding_format\":\"base64\"}"), .model = STR("m"), .prompt_tokens = 7};
    struct str answer = STR("{\"embeddings\":[{\"values\":[1,0.5]},{\"values\":[-2.25e-1]}]}");
    (void)state;
    assert_int_equal(embed_write_answer(WIRE_EMBEDDINGS, answer, &c, &out, &e), 0);
    assert_out("{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":\"AACAPwAAAD8=\"},"
        "{\"object\":\"embedding\",\"index\":1,\"embedding\":\"ZmZmvg==\"}],\"model\":\"m\","
        "\"usage\":{\"prompt_tokens\":7,\"total_tokens\":7}}");
    buf_reset(&out);
    c.request = STR("{}");
    assert_int_equal(embed_write_answer(WIRE_EMBEDDINGS, answer, &c, &out, &e), 0);
    assert_true(str_find(buf_str(&out), STR("\"embedding\":[-2.25e-1]")) > 0);
}

static void gemini_asks_others_for_one_or_many(void **state)
{
    struct ir_notes notes = {0};
    struct embed_client c = {.request = STR("{}"), .model = STR("m")};
    struct str answer = STR("{\"data\":[{\"embedding\":[0.1,2]},{\"embedding\":[3]}]}");
    (void)state;
    assert_int_equal(embed_write_request(WIRE_GEMINI_EMBED,
        STR("{\"content\":{\"parts\":[{\"text\":\"a\"},{\"text\":\"b\"}]},\"taskType\":\"SEMANTIC_SIMILARITY\"}"),
        STR("text-embedding-3-small"), &out, &notes, &e), 0);
    assert_out("{\"model\":\"text-embedding-3-small\",\"input\":[\"ab\"],\"encoding_format\":\"float\"}");
    assert_string_equal(notes.dropped, "taskType");
    buf_reset(&out);
    assert_int_equal(embed_write_answer(WIRE_GEMINI_EMBED, answer, &c, &out, &e), 0);
    assert_out("{\"embedding\":{\"values\":[0.1,2]}}");
    buf_reset(&out);
    c.batch = true;
    assert_int_equal(embed_write_answer(WIRE_GEMINI_EMBED, answer, &c, &out, &e), 0);
    assert_out("{\"embeddings\":[{\"values\":[0.1,2]},{\"values\":[3]}]}");
    assert_int_equal(embed_write_answer(WIRE_GEMINI_EMBED, STR("{}"), &c, &out, &e), -ERR_TYPE);
}

static void who_has_no_embeddings_is_known(void **state)
{
    (void)state;
    assert_int_equal(embed_target_wire(DIALECT_GEMINI, WIRE_EMBEDDINGS), WIRE_GEMINI_EMBED);
    assert_int_equal(embed_target_wire(DIALECT_OPENAI, WIRE_GEMINI_EMBED), WIRE_EMBEDDINGS);
    assert_int_equal(embed_target_wire(DIALECT_ANTHROPIC, WIRE_EMBEDDINGS), WIRE_RAW);
    assert_int_equal(embed_target_wire(DIALECT_GEMINI, WIRE_CHAT), WIRE_RAW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(texts_become_requests_of_one_batch, fresh, gone),
        cmocka_unit_test_setup_teardown(tokens_are_refused_not_embedded_as_text, fresh, gone),
        cmocka_unit_test_setup_teardown(what_gemini_has_no_word_for_is_named, fresh, gone),
        cmocka_unit_test_setup_teardown(an_answer_is_packed_where_that_was_asked, fresh, gone),
        cmocka_unit_test_setup_teardown(gemini_asks_others_for_one_or_many, fresh, gone),
        cmocka_unit_test(who_has_no_embeddings_is_known),
    };
    return cmocka_run_group_tests_name("embed", tests, NULL, NULL);
}
