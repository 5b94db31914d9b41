/* Units of proxy/meter/request.h: what is known of a request before it is sent. */
#include "proxy/meter/request.h"
#include "proxy/meter/usage.h"
#include "store/base/err.h"
#include "store/base/json_span.h"
#include "tests/unit/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <cmocka.h>

static struct arena arena;
static const char *field;
static size_t at;

static int arena_new(void **state)
{
    (void)state;
    arena_init(&arena, 4096, 1 << 20);
    return 0;
}

static int arena_end(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static int result(const char *body, enum wire wire)
{
    struct request_facts f;
    field = NULL;
    return request_read(str_c(body), wire, &arena, &f, &at, &field);
}

static struct request_facts facts(const char *body, enum wire wire)
{
    struct request_facts f;
    int rc = request_read(str_c(body), wire, &arena, &f, &at, &field);
    if (rc < 0)
        fail_msg("%d at %zu (%s): %s", rc, at, field, body);
    return f;
}

#define assert_str(a, lit) \
    do { \
        struct str got_ = (a); \
        if (!str_eq(got_, STR(lit))) \
            fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got_), lit); \
    } while (0)

static void a_chat_request_gives_its_facts(void **state)
{
    (void)state;
    struct request_facts f = facts("{\"model\" : \"gpt\\u002d5\",\"stream\":true,\"stream_options\": {\"include_usage\" : true},"
        "\"max_tokens\":100,\"max_completion_tokens\":2e2,\"n\":3,\"service_tier\":\"flex\",\"user\":\"u1\","
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}],"
        "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{}},"
        "\"messages\":[{\"role\":\"user\",\"content\":\"Hello there\"}]}", WIRE_CHAT);
    assert_str(f.model, "gpt-5");
    assert_str(f.model_span, "\"gpt\\u002d5\"");
    assert_str(f.stream_options, "{\"include_usage\" : true}");
    assert_true(f.stream && f.stream_given && f.include_usage && f.tools && f.json_schema);
    assert_false(f.images || f.audio || f.unbounded_input || f.background);
    assert_int_equal(f.max_output, 200);
    assert_int_equal(f.n, 3);
    assert_str(f.service_tier, "flex");
    assert_str(f.user, "u1");
}

static void nothing_asked_is_nothing_assumed(void **state)
{
    (void)state;
    struct request_facts f = facts("{\"model\":\"m\",\"stream\":null,\"stream_options\":null,\"max_tokens\":null,"
        "\"n\":null,\"messages\":[]}", WIRE_CHAT);
    assert_false(f.stream || f.stream_given || f.tools || f.json_schema);
    assert_int_equal(f.n, 1);
    assert_int_equal(f.max_output, 0);
    assert_str(f.stream_options, "null");
    assert_int_equal(facts("{\"max_tokens\":-1}", WIRE_CHAT).max_output, 0);
    assert_int_equal(facts("{\"max_tokens\":99999999999999999999}", WIRE_CHAT).max_output, (int64_t)1 << 40);
    assert_int_equal(facts("{}", WIRE_CHAT).model.n, 0);
    assert_int_equal(facts("{\"stream_options\":{}}", WIRE_CHAT).stream_options.n, 2);
}

static void policy_fields_are_refused_twice_or_of_the_wrong_type(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int rc;
        const char *field;
    } t[] = {
        {"{\"model\":\"cheap\",\"model\":\"dear\"}", -ERR_DUPLICATE, "model"},
        {"{\"model\":\"cheap\",\"mod\\u0065l\":\"dear\"}", -ERR_DUPLICATE, "model"},
        {"{\"stream\":true,\"stream\":false}", -ERR_DUPLICATE, "stream"},
        {"{\"stream_options\":{},\"stream_options\":null}", -ERR_DUPLICATE, "stream_options"},
        {"{\"stream_options\":{\"include_usage\":true,\"include_usage\":false}}", -ERR_DUPLICATE, "include_usage"},
        {"{\"max_tokens\":1,\"max_tokens\":100000}", -ERR_DUPLICATE, "max_tokens"},
        {"{\"n\":1,\"n\":100}", -ERR_DUPLICATE, "n"},
        {"{\"model\":\"m\",\"api_base\":\"http://x\"}", -ERR_DENIED, "api_base"},
        {"{\"model\":\"m\",\"base_url\":\"http://x\"}", -ERR_DENIED, "base_url"},
        {"{\"model\":\"m\",\"api_key\":7}", -ERR_DENIED, "api_key"},
        {"{\"model\":\"m\",\"api\\u005fkey\":\"x\"}", -ERR_DENIED, "api_key"},
        {"{\"model\":\"m\",\"\\u0062ase_url\":{}}", -ERR_DENIED, "base_url"},
        {"{\"stream\":\"x\",\"n\":\"1\",\"api_key\":\"k\"}", -ERR_DENIED, "api_key"}, /* behind a wrong type */
        {"{\"stream_options\":[{\"a\":[1]}],\"model\":\"a\",\"model\":\"b\"}", -ERR_DUPLICATE, "model"},
        {"{\"n\":\"1\",\"stream\":\"x\"}", -ERR_TYPE, "n"},
        {"{\"model\":4}", -ERR_TYPE, "model"},
        {"{\"model\":null}", -ERR_TYPE, "model"},
        {"{\"stream\":\"true\"}", -ERR_TYPE, "stream"},
        {"{\"stream_options\":[]}", -ERR_TYPE, "stream_options"},
        {"{\"max_tokens\":\"5\"}", -ERR_TYPE, "max_tokens"},
        {"{\"max_tokens\":1.5}", -ERR_TYPE, "max_tokens"},
        {"[]", -ERR_TYPE, "body"},
        {"\"x\"", -ERR_TYPE, "body"},
    };
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        int rc = result(t[i].body, WIRE_CHAT);
        if (rc != t[i].rc || strcmp(field, t[i].field) != 0)
            fail_msg("%s: %d (%s)", t[i].body, rc, field);
    }
    assert_int_equal(result("{\"generationConfig\":{\"maxOutputTokens\":1,\"max_output_tokens\":9}}", WIRE_GENERATE), -ERR_DUPLICATE);
    assert_int_equal(result("{\"generationConfig\":{},\"generation_config\":{}}", WIRE_GENERATE), -ERR_DUPLICATE);
    /* nested ones (a tool's server) are the provider's to understand; null asks for nothing */
    assert_int_equal(result("{\"model\":\"m\",\"api_key\":null,\"API_KEY\":1,"
        "\"tools\":[{\"api_key\":1,\"server_url\":\"x\"}],\"metadata\":{\"base_url\":\"x\"}}", WIRE_CHAT), 0);
    /* other members may come twice, and names are compared exactly */
    assert_str(facts("{\"Model\":\"cheap\",\"model\":\"dear\",\"x\":1,\"x\":2}", WIRE_CHAT).model, "dear");
    assert_int_equal(result("{\"metadata\":{\"model\":1,\"model\":2}}", WIRE_CHAT), 0);
}

static void broken_json_is_refused_where_it_breaks(void **state)
{
    (void)state;
    assert_int_equal(result("{\"model\":\"m\",}", WIRE_CHAT), -ERR_SYNTAX);
    assert_int_equal(at, 13);
    assert_int_equal(result("", WIRE_CHAT), -ERR_SYNTAX);
    assert_int_equal(result("{\"model\":\"m\"}x", WIRE_CHAT), -ERR_SYNTAX);
    assert_int_equal(result("{\"a\":NaN}", WIRE_CHAT), -ERR_SYNTAX);
}

static void anthropic_requests_give_their_facts(void **state)
{
    (void)state;
    struct request_facts f = facts("{\"model\":\"claude-x\",\"max_tokens\":32000,\"stream\":true,"
        "\"system\":[{\"type\":\"text\",\"text\":\"You help.\"}],\"metadata\":{\"user_id\":"
        "\"user_ab12_account_77_session_5f3c-11\"},\"tools\":[{\"name\":\"f\",\"input_schema\":{}}],"
        "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"base64\","
        "\"media_type\":\"image/png\",\"data\":\"iVBORw0KGgo=\"}}]}]}", WIRE_MESSAGES);
    assert_int_equal(f.max_output, 32000);
    assert_str(f.session_hint, "5f3c-11");
    assert_true(f.tools && f.images && f.stream);
    assert_false(f.unbounded_input);
    f = facts("{\"metadata\":{\"user_id\":\"{\\\"device_id\\\":\\\"d\\\",\\\"session_id\\\":\\\"s9\\\"}\"}}", WIRE_MESSAGES);
    assert_str(f.session_hint, "s9");
    f = facts("{\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}]}", WIRE_MESSAGES);
    assert_true(f.unbounded_input);
}

static void a_prompts_beginning_has_a_hash_of_its_own(void **state)
{
    (void)state;
    static char body[2][6000];
    for (int i = 0; i < 2; i++)
        snprintf(body[i], sizeof body[i], "{\"messages\":[{\"role\":\"system\",\"content\":\"%02000d\"},"
            "{\"role\":\"user\",\"content\":\"question %d\"}]}", 7, i);
    uint64_t same = facts(body[0], WIRE_CHAT).prefix_hash;
    assert_true(same != 0 && same == facts(body[1], WIRE_CHAT).prefix_hash);
    assert_true(same != facts("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", WIRE_CHAT).prefix_hash);
    assert_true(facts("{\"model\":\"x\"}", WIRE_CHAT).prefix_hash == 0);
}

static void gemini_requests_give_their_facts(void **state)
{
    (void)state;
    struct request_facts f = facts("{\"model\":\"ignored\",\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"},"
        "{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"iVBORw0KGgo=\"}}]}],\"generationConfig\":"
        "{\"maxOutputTokens\":77,\"candidateCount\":2,\"responseSchema\":{}},\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"}]}]}",
        WIRE_STREAM_GENERATE);
    assert_int_equal(f.model.n, 0);
    assert_true(f.stream && f.json_schema && f.images && f.tools);
    assert_false(f.unbounded_input);
    assert_int_equal(f.max_output, 77);
    assert_int_equal(f.n, 2);
    assert_int_equal(facts("{\"generation_config\":{\"max_output_tokens\":5}}", WIRE_GENERATE).max_output, 5);
    assert_true(facts("{\"cachedContent\":\"cachedContents/1\"}", WIRE_GENERATE).unbounded_input);
    assert_true(facts("{\"contents\":[{\"parts\":[{\"fileData\":{\"fileUri\":\"gs://x\"}}]}]}", WIRE_GENERATE).unbounded_input);
    assert_true(facts("{\"tools\":[{\"google_search\":{}}]}", WIRE_GENERATE).unbounded_input);
}

static void what_a_provider_fetches_itself_has_no_bound(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"messages\":[{\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x/y.png\"}}]}]}",
        "{\"input\":[{\"content\":[{\"type\":\"input_image\",\"image_url\":\"https://x/y.png\"}]}]}",
        "{\"input\":[{\"content\":[{\"type\":\"input_file\",\"file_id\":\"file-1\"}]}]}",
        "{\"previous_response_id\":\"resp_1\"}", "{\"conversation\":{\"id\":\"c\"}}", "{\"prompt\":{\"id\":\"pmpt_1\"}}",
        "{\"tools\":[{\"type\":\"file_search\",\"vector_store_ids\":[\"v\"]}]}"};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        if (!facts(bodies[i], WIRE_RESPONSES).unbounded_input)
            fail_msg("bounded: %s", bodies[i]);
    struct request_facts f = facts("{\"messages\":[{\"content\":[{\"type\":\"image_url\",\"image_url\":"
        "{\"url\":\"data:image/png;base64,iVBORw0KGgo=\"}}]}],\"previous_response_id\":null}", WIRE_CHAT);
    assert_true(f.images);
    assert_false(f.unbounded_input);
    assert_true(facts("{\"background\":true}", WIRE_RESPONSES).background);
}

static void the_bound_is_never_below_the_text(void **state)
{
    (void)state;
    struct request_facts f = facts("{\"messages\":[{\"role\":\"user\",\"content\":\"\\u4f60\\u597d\\n\"}]}", WIRE_CHAT);
    assert_true(f.prompt_bytes >= 7);
    /* text in places where media would stand is text all the same */
    char body[3000] = "{\"messages\":[{\"content\":[{\"type\":\"tool_use\",\"input\":{\"source\":{\"data\":\"";
    size_t n = strlen(body);
    memset(body + n, 'a', 2000);
    for (size_t i = n; i < n + 2000; i += 7)
        body[i] = ' ';
    memcpy(body + n + 2000, "\"}}}]}]}", 9);
    assert_true(facts(body, WIRE_MESSAGES).prompt_bytes >= 2000);
    /* an unknown member carries text as well */
    f = facts("{\"documents\":[\"0123456789012345678901234567890123456789\"]}", WIRE_CHAT);
    assert_true(f.prompt_bytes >= 40);
}

/* Verdicts on hostile bodies: these two are the only refusals beside broken JSON. */
static void hostile_bodies_are_judged(void **state)
{
    (void)state;
    const char *dir;
    static const struct {
        const char *name;
        int rc;
    } t[] = {{"bad_utf8.json", -ERR_SYNTAX}, {"bigint_seed.json", 0}, {"case_model.json", 0},
        {"comments.json", -ERR_SYNTAX}, {"deep_array.json", -ERR_LIMIT}, {"deep_obj.json", -ERR_LIMIT},
        {"empty.json", -ERR_SYNTAX}, {"key_in_body.json", -ERR_DENIED}, {"lone_surrogate.json", 0},
        {"model_crlf.json", 0}, {"model_missing.json", 0}, {"model_num.json", -ERR_TYPE},
        {"n_1000.json", 0}, {"nan.json", -ERR_SYNTAX}, {"neg_max.json", 0}, {"ok.json", 0},
        {"proto.json", 0}, {"stream_str.json", -ERR_TYPE}, {"string.json", -ERR_TYPE},
        {"trailing.json", -ERR_SYNTAX}, {"two_docs.json", -ERR_SYNTAX}, {"unknown_fields.json", 0},
        {"utf16.json", -ERR_SYNTAX}, {"wide.json", 0}};
    for (int turn = 0; (dir = data_dir(turn, "torture/requests")) != NULL; turn++) {
        size_t seen = 0;
        for (size_t i = 0; i < ARRAY_LEN(t); i++) {
            struct str body = shared_read(dir, t[i].name);
            if (!body.p)
                continue;
            struct request_facts f;
            int rc = request_read(body, WIRE_CHAT, &arena, &f, &at, &field);
            if (rc != t[i].rc)
                fail_msg("%s/%s: %d at %zu, want %d", dir, t[i].name, rc, at, t[i].rc);
            free((char *)body.p);
            seen++;
        }
        assert_true(seen >= 20);
    }
}

static double best_ms(struct str body)
{
    double best = 1e9;
    for (int i = 0; i < 5; i++) {
        struct timespec a, b;
        struct request_facts f;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
        assert_int_equal(request_read(body, WIRE_CHAT, &arena, &f, &at, &field), 0);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
        best =
            MIN(best, (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6);
    }
    return best;
}

/* Aim: 2 ms for 1 MB. A megabyte inside a hundred arrays must cost the same as a plain one. */
static void a_megabyte_is_read_at_once_however_deep(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4 << 20);
    buf_puts(&b, "{\"model\":\"m\",\"messages\":[");
    for (int i = 0; i < 200; i++) {
        buf_puts(&b, i ? ",{\"role\":\"user\",\"content\":\"" : "{\"role\":\"user\",\"content\":\"");
        for (int j = 0; j < 120; j++)
            buf_puts(&b, "The quick brown fox jumps over the lazy dog.\\n");
        buf_puts(&b, "\"}");
    }
    buf_puts(&b, "]}");
    double plain = best_ms(buf_str(&b));
    size_t n = b.n;
    buf_reset(&b);
    buf_puts(&b, "{\"x\":");
    for (int i = 0; i < 120; i++)
        buf_putc(&b, '[');
    buf_putc(&b, '"');
    while (b.n < n)
        buf_puts(&b, "The quick brown fox jumps over the lazy dog. ");
    buf_putc(&b, '"');
    for (int i = 0; i < 120; i++)
        buf_putc(&b, ']');
    buf_putc(&b, '}');
    double deep = best_ms(buf_str(&b));
    printf("# %zu bytes: %.2f ms, nested %.2f ms\n", n, plain, deep);
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(plain < 20 && deep < 20);
#endif
    buf_fini(&b);
}

/* Every recorded request is taken, and its bound holds what the provider counted. */
static void the_bound_holds_for_recorded_requests(void **state)
{
    (void)state;
    struct exchanges x = {.turn = 0};
    size_t seen = 0;
    while (exchange_next(&x)) {
        struct str body = shared_read(x.dir, "request.json"), want = shared_read(x.dir, "expected.json");
        struct json_span d = json_get(want, STR("dialect"));
        enum wire wire = json_text_eq(d, STR("gemini-generate")) ? WIRE_GENERATE
                       : json_text_eq(d, STR("anthropic-messages")) ? WIRE_MESSAGES
                       : json_text_eq(d, STR("openai-responses")) ? WIRE_RESPONSES : WIRE_CHAT;
        bool ours = wire != WIRE_CHAT || json_text_eq(d, STR("openai-chat"));
        if (ours && body.p && json_check(body, NULL) == 0 && *body.p == '{') {
            struct request_facts f;
            int rc = request_read(body, wire, &arena, &f, &at, &field);
            if (rc < 0)
                fail_msg("%s: %d at %zu (%s)", x.where, rc, at, field);
            int64_t input = 0;
            if (json_i64(json_path(want, "usage.input"), &input) == 0 && !f.unbounded_input && !f.audio &&
                input > f.prompt_bytes)
                fail_msg("%s: %lld tokens counted, bound %lld", x.where, (long long)input, (long long)f.prompt_bytes);
            seen++;
        }
        free((char *)body.p);
        free((char *)want.p);
        arena_reset(&arena);
    }
    printf("# %zu recorded requests\n", seen);
    assert_true(seen >= (x.places > 1 ? 300 : 12));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, arena_new, arena_end)
    const struct CMUnitTest tests[] = {
        T(a_chat_request_gives_its_facts),
        T(nothing_asked_is_nothing_assumed),
        T(policy_fields_are_refused_twice_or_of_the_wrong_type),
        T(broken_json_is_refused_where_it_breaks),
        T(anthropic_requests_give_their_facts),
        T(a_prompts_beginning_has_a_hash_of_its_own),
        T(gemini_requests_give_their_facts),
        T(what_a_provider_fetches_itself_has_no_bound),
        T(the_bound_is_never_below_the_text),
        T(hostile_bodies_are_judged),
        T(a_megabyte_is_read_at_once_however_deep),
        T(the_bound_holds_for_recorded_requests),
    };
    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
