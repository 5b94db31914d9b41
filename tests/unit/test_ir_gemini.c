/* Units of the Gemini spoke: recorded exchanges through the neutral form and back, streams at any
 * cuts, and what the other dialects can't say. */
#include "proxy/dialect/gemini.h"
#include "tests/unit/ir_check.h"

static const struct spoke_client client = {.model = {"gemini-2.5-flash", 16},
    .fallback_id = {"01hzy", 5}, .now_s = 1700000000};

static struct spoke_target target_of(struct str model)
{
    return (struct spoke_target){.model = model, .quirks = &quirks_none, .max_output = 4096};
}

static void read_or_fail(enum wire w, struct str body, struct arena *a, struct ir_request *r,
    const char *name)
{
    struct err e = {0};
    if (spoke_of(w)->read_request(body, a, r, &e) < 0)
        fail_msg("%s: %s", name, e.text);
}

static void write_or_fail(enum wire w, const struct ir_request *r, const char *model,
    struct buf *out, struct ir_notes *notes, const char *name)
{
    struct err e = {0};
    struct spoke_target t = target_of(str_c(model));
    struct ir_notes none = {0};
    if (spoke_of(w)->write_request(r, &t, out, notes ? notes : &none, &e) < 0)
        fail_msg("%s: %s", name, e.text);
    if (json_check(buf_str(out), NULL) < 0)
        fail_msg("%s: not JSON: " STR_FMT, name, STR_ARG(buf_str(out)));
}

/* --- requests ------------------------------------------------------------------------------- */

static void a_request_comes_back_as_it_was(void **state)
{
    struct request_check c = {.wire = WIRE_GENERATE, .model = "gemini-2.5-flash", .all = true};
    (void)state;
    each_fixture("gemini-generate", NULL, check_request_comes_back, &c);
}

static void a_request_survives_the_way_over_other_dialects(void **state)
{
    struct request_check c = {.wire = WIRE_GENERATE, .model = "gemini-3-flash-preview"};
    static const enum wire others[] = {WIRE_CHAT, WIRE_MESSAGES, WIRE_RESPONSES};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        c.over = others[i];
        c.over_model = others[i] == WIRE_MESSAGES ? "claude-sonnet-4-5" : "some-model";
        each_fixture("gemini-generate", NULL, check_request_over, &c);
    }
}

/* --- answers -------------------------------------------------------------------------------- */

static void assert_expected(const struct fixture *f, struct str text, struct str reasoning,
    const struct usage *u)
{
    struct str expected = shared_read(f->dir, "expected.json");
    struct arena a;
    int64_t n;
    assert_non_null(expected.p);
    arena_init(&a, 1 << 16, 64 << 20);
    struct str said = json_text(json_path(expected, "text"), &a);
    if (said.p)
        assert_same_lines(said, text, f->name);
    said = json_text(json_path(expected, "reasoning"), &a);
    if (said.p)
        assert_same_lines(said, reasoning, f->name);
    if (json_i64(json_path(expected, "usage_openai.prompt_tokens"), &n) == 0)
        assert_int_equal(u->input, n);
    if (json_i64(json_path(expected, "usage_openai.completion_tokens"), &n) == 0)
        assert_int_equal(u->output, n);
    arena_fini(&a);
    free((char *)expected.p);
}

static void texts_of(const struct ir_answer *r, struct buf *text, struct buf *reasoning,
    struct arena *a)
{
    for (const struct ir_part *p = r->choices ? r->choices->parts : NULL; p; p = p->next) {
        if (p->kind == IR_TEXT)
            buf_put_str(text, ir_plain(p->text, a));
        if (p->kind == IR_REASONING)
            buf_put_str(reasoning, ir_plain(p->text, a));
    }
}

/* Only Gemini tells what its own tools fed it from the prompt. */
static int64_t all_tokens(const struct usage *u)
{
    return u->input + u->output + u->extra_input;
}

static void same_answer(const struct fixture *f, void *ctx)
{
    struct str body = shared_read(f->dir, f->file);
    struct ir_answer one, two;
    struct arena a;
    struct err e = {0};
    struct buf out, x, y;
    (void)ctx;
    if (f->status != 200) {
        free((char *)body.p);
        return;
    }
    arena_init(&a, 1 << 16, 64 << 20);
    buf_init(&out, 64 << 20);
    buf_init(&x, 64 << 20);
    buf_init(&y, 64 << 20);
    assert_int_equal(gemini_read_answer(body, &quirks_none, &a, &one, &e), 0);
    texts_of(&one, &x, &y, &a);
    assert_expected(f, buf_str(&x), buf_str(&y), &one.usage);
    buf_reset(&x);
    buf_reset(&y);
    assert_int_equal(gemini_write_answer(&one, &client, &a, &out, NULL, &e), 0);
    assert_int_equal(json_check(buf_str(&out), NULL), 0);
    assert_int_equal(gemini_read_answer(buf_str(&out), &quirks_none, &a, &two, &e), 0);
    say_answer(&x, &one, SAY_ALL);
    say_answer(&y, &two, SAY_ALL);
    assert_same_lines(buf_str(&x), buf_str(&y), f->name);
    buf_fini(&x);
    buf_fini(&y);
    buf_fini(&out);
    arena_fini(&a);
    free((char *)body.p);
}

static void an_answer_comes_back_as_it_was(void **state)
{
    (void)state;
    each_fixture("gemini-generate", "json", same_answer, NULL);
}

static void answer_over(const struct fixture *f, void *ctx)
{
    enum wire other = *(enum wire *)ctx;
    struct str body = shared_read(f->dir, f->file);
    struct ir_answer one, two, three;
    struct ir_notes notes = {0};
    struct arena a;
    struct err e = {0};
    struct buf there, back, x, y;
    if (f->status != 200) {
        free((char *)body.p);
        return;
    }
    arena_init(&a, 1 << 16, 64 << 20);
    buf_init(&there, 64 << 20);
    buf_init(&back, 64 << 20);
    buf_init(&x, 64 << 20);
    buf_init(&y, 64 << 20);
    assert_int_equal(gemini_read_answer(body, &quirks_none, &a, &one, &e), 0);
    if (one.choices->next)
        one.choices->next = NULL; /* the others give one answer */
    assert_int_equal(spoke_of(other)->write_answer(&one, &client, &a, &there, &notes, &e), 0);
    if (json_check(buf_str(&there), NULL) < 0)
        fail_msg("%s: " STR_FMT, f->name, STR_ARG(buf_str(&there)));
    assert_int_equal(spoke_of(other)->read_answer(buf_str(&there), &quirks_none, &a, &two, &e), 0);
    assert_int_equal(gemini_write_answer(&two, &client, &a, &back, &notes, &e), 0);
    assert_int_equal(gemini_read_answer(buf_str(&back), &quirks_none, &a, &three, &e), 0);
    say_answer(&x, &one, SAY_COMMON);
    say_answer(&y, &two, SAY_COMMON);
    if (one.choices->finish != IR_FINISH_ERROR) /* not everybody has a word for it */
        assert_same_lines(buf_str(&x), buf_str(&y), f->name);
    assert_int_equal(all_tokens(&one.usage), all_tokens(&two.usage));
    buf_fini(&x);
    buf_fini(&y);
    buf_fini(&there);
    buf_fini(&back);
    arena_fini(&a);
    free((char *)body.p);
}

static void an_answer_reads_the_same_in_other_dialects(void **state)
{
    enum wire others[] = {WIRE_CHAT, WIRE_MESSAGES, WIRE_RESPONSES};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (spoke_of(others[i]))
            each_fixture("gemini-generate", "json", answer_over, &others[i]);
}

/* --- streams -------------------------------------------------------------------------------- */

/* The official client: chunks end with a blank line, each is "data: " and JSON, nothing is left. */
static void assert_client_takes(struct str bytes, const char *name)
{
    struct str rest = bytes;
    while (rest.n) {
        ptrdiff_t end = str_find(rest, STR("\r\n\r\n"));
        if (end < 0)
            fail_msg("%s: Incomplete JSON segment at the end: " STR_FMT, name, STR_ARG(rest));
        struct str chunk = str_first(rest, (size_t)end);
        if (!str_starts(chunk, STR("data: ")) || json_check(str_from(chunk, 6), NULL) < 0)
            fail_msg("%s: not a chunk: " STR_FMT, name, STR_ARG(chunk));
        rest = str_from(rest, (size_t)end + 4);
    }
}

/* stream.json: the array that comes without alt=sse, as the events that it would be. */
static struct str as_events(struct str bytes)
{
    struct buf b;
    struct json_iter it = json_iter(bytes);
    struct json_span k, v;
    buf_init(&b, 64 << 20);
    while (json_next(&it, &k, &v)) {
        buf_puts(&b, "data: ");
        for (size_t i = 0; i < v.raw.n; i++)
            if (v.raw.p[i] != '\n' && v.raw.p[i] != '\r')
                buf_putc(&b, v.raw.p[i]);
        buf_puts(&b, "\n\n");
    }
    size_t n;
    char *p = buf_take(&b, &n);
    return str_n(p, n);
}

static struct str stream_of(const struct fixture *f)
{
    struct str bytes = shared_read(f->dir, f->file);
    if (strcmp(f->file, "stream.json"))
        return bytes;
    struct str events = as_events(bytes);
    free((char *)bytes.p);
    return events;
}

static void assert_heard_expected(const struct fixture *f, const struct heard *h)
{
    struct str expected = shared_read(f->dir, "expected.json");
    struct arena a;
    int64_t n;
    arena_init(&a, 1 << 16, 64 << 20);
    if (json_i64(json_path(expected, "usage_openai.completion_tokens"), &n) == 0)
        assert_int_equal(h->usage.output, n);
    struct str text = json_text(json_path(expected, "text"), &a);
    struct str all = buf_str(&h->lines), line, rest = all;
    struct buf said;
    buf_init(&said, 64 << 20);
    while ((line = rest).n) { /* a text may hold line ends */
        ptrdiff_t at = str_find(rest, STR("0 text text=<"));
        if (at < 0)
            break;
        rest = str_from(rest, (size_t)at + 13);
        ptrdiff_t end = str_find(rest, STR(">\n0 ")), other = str_find(rest, STR(">\ncites"));
        if (end < 0 || (other >= 0 && other < end))
            end = other;
        buf_put_str(&said, str_first(rest, (size_t)end));
    }
    if (text.p && !str_find(all, STR("sig=")))
        assert_same_lines(text, buf_str(&said), f->name);
    buf_fini(&said);
    arena_fini(&a);
    free((char *)expected.p);
}

static void same_stream(const struct fixture *f, void *ctx)
{
    struct str bytes = stream_of(f);
    struct heard one, two;
    struct buf whole, cut;
    (void)ctx;
    buf_init(&whole, 64 << 20);
    heard_init(&one);
    run_stream(WIRE_STREAM_GENERATE, &quirks_none, bytes, 0, &one);
    assert_true(one.done);
    assert_heard_expected(f, &one);
    translate_stream(WIRE_STREAM_GENERATE, &quirks_none, bytes, 0, WIRE_STREAM_GENERATE, &client,
        &whole);
    assert_client_takes(buf_str(&whole), f->name);
    heard_init(&two);
    run_stream(WIRE_STREAM_GENERATE, &quirks_none, buf_str(&whole), 0, &two);
    assert_same_lines(buf_str(&one.lines), buf_str(&two.lines), f->name);
    assert_int_equal(one.usage.output, two.usage.output);
    assert_int_equal(one.usage.input, two.usage.input);
    for (long size = -3; size <= 1; size++) {
        buf_init(&cut, 64 << 20);
        translate_stream(WIRE_STREAM_GENERATE, &quirks_none, bytes, size < 0 ? -1 : size,
            WIRE_STREAM_GENERATE, &client, &cut);
        assert_same_lines(buf_str(&whole), buf_str(&cut), f->name);
        buf_fini(&cut);
    }
    heard_fini(&one);
    heard_fini(&two);
    buf_fini(&whole);
    free((char *)bytes.p);
}

static void a_stream_comes_back_as_it_was_at_any_cuts(void **state)
{
    (void)state;
    srand(7);
    each_fixture("gemini-generate", "stream", same_stream, NULL);
}

static void stream_over(const struct fixture *f, void *ctx)
{
    enum wire other = *(enum wire *)ctx;
    struct str bytes = stream_of(f);
    struct heard one, two;
    struct buf there, cut;
    struct spoke_client c = client;
    c.include_usage = true;
    heard_init(&one);
    heard_init(&two);
    one.how = two.how = SAY_COMMON;
    buf_init(&there, 64 << 20);
    buf_init(&cut, 64 << 20);
    run_stream(WIRE_STREAM_GENERATE, &quirks_none, bytes, 0, &one);
    translate_stream(WIRE_STREAM_GENERATE, &quirks_none, bytes, 0, other, &c, &there);
    translate_stream(WIRE_STREAM_GENERATE, &quirks_none, bytes, 1, other, &c, &cut);
    assert_same_lines(buf_str(&there), buf_str(&cut), f->name);
    run_stream(other, &quirks_none, buf_str(&there), 0, &two);
    assert_true(two.done);
    assert_same_lines(buf_str(&one.lines), buf_str(&two.lines), f->name);
    assert_int_equal(all_tokens(&one.usage), all_tokens(&two.usage));
    heard_fini(&one);
    heard_fini(&two);
    buf_fini(&there);
    buf_fini(&cut);
    free((char *)bytes.p);
}

static void a_stream_reads_the_same_in_other_dialects(void **state)
{
    enum wire others[] = {WIRE_CHAT, WIRE_MESSAGES, WIRE_RESPONSES};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (spoke_of(others[i]))
            each_fixture("gemini-generate", "stream", stream_over, &others[i]);
}

static void without_alt_sse_a_stream_is_one_array(void **state)
{
    static const char *const chunk = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}%s}],"
                                     "\"responseId\":\"r\",\"modelVersion\":\"m\"}\r\n\r\n";
    struct spoke_client c = client;
    struct buf in, out;
    (void)state;
    buf_init(&in, 4096);
    buf_init(&out, 4096);
    c.json_array = true;
    buf_printf(&in, chunk, "");
    buf_printf(&in, chunk, ",\"finishReason\":\"STOP\"");
    translate_stream(WIRE_STREAM_GENERATE, &quirks_none, buf_str(&in), 0, WIRE_STREAM_GENERATE, &c,
        &out);
    assert_int_equal(json_check(buf_str(&out), NULL), 0);
    assert_int_equal(json_count(json_value(buf_str(&out))), 3);
    assert_true(json_text_eq(json_path(buf_str(&out), "2.candidates.0.finishReason"), STR("STOP")));
    buf_fini(&in);
    buf_fini(&out);
}

static void an_error_in_mid_stream_is_said_and_a_cut_one_is_not_whole(void **state)
{
    struct heard h;
    (void)state;
    heard_init(&h);
    run_stream(WIRE_STREAM_GENERATE, &quirks_none,
        STR("data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n\n"
            "data: {\"error\":{\"code\":503,\"message\":\"overloaded\",\"status\":\"UNAVAILABLE\"}}\n\n"),
        0, &h);
    assert_true(h.failed);
    assert_int_equal(h.error_status, 503);
    assert_string_equal(h.error, "overloaded");
    heard_fini(&h);
    heard_init(&h);
    run_stream(WIRE_STREAM_GENERATE, &quirks_none,
        STR("data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n\n"), 0, &h);
    assert_false(h.done || h.failed);
    heard_fini(&h);
}

/* --- made here ------------------------------------------------------------------------------ */

static struct str through(const char *body, const char *model, struct arena *a, struct buf *out,
    struct ir_notes *notes)
{
    struct ir_request r;
    read_or_fail(WIRE_GENERATE, str_c(body), a, &r, "made here");
    r.origin = WIRE_CHAT; /* as if another client had said it */
    for (struct ir_tool *t = r.tools; t; t = t->next)
        t->origin = WIRE_CHAT;
    write_or_fail(WIRE_GENERATE, &r, model, out, notes, "made here");
    return buf_str(out);
}

static void a_schema_goes_where_gemini_takes_it(void **state)
{
    (void)state;
    assert_true(gemini_schema_fits(STR("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}")));
    assert_false(gemini_schema_fits(STR("{\"type\":\"object\",\"properties\":{}}")));
    assert_false(gemini_schema_fits(STR("{\"$schema\":\"x\",\"type\":\"string\"}")));
    assert_false(gemini_schema_fits(STR("{\"type\":[\"string\",\"null\"]}")));
    assert_false(gemini_schema_fits(STR("{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/x\"}}}")));
    assert_false(gemini_schema_fits(
        STR("{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"a\":{\"type\":\"string\"}}}")));
    struct arena a;
    arena_init(&a, 4096, 1 << 20);
    struct str plain = gemini_schema_read(STR("{\"type\":\"OBJECT\",\"properties\":{\"type\":{\"type\":\"STRING\","
                                              "\"nullable\":true,\"enum\":[\"A\"]}}}"), &a);
    assert_same_lines(plain, STR("{\"type\":\"object\",\"properties\":{\"type\":{\"type\":[\"string\",\"null\"],"
                                 "\"enum\":[\"A\"]}}}"), "schema");
    arena_fini(&a);
}

static void calls_without_ids_are_paired_by_name_and_order(void **state)
{
    struct arena a;
    struct ir_request r;
    (void)state;
    arena_init(&a, 4096, 1 << 20);
    read_or_fail(WIRE_GENERATE, STR("{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"q\"}]},"
        "{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"w\",\"args\":{\"c\":1}}},"
        "{\"functionCall\":{\"name\":\"v\"}},{\"functionCall\":{\"name\":\"w\",\"args\":{\"c\":2}}}]},"
        "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"name\":\"w\",\"response\":{\"output\":\"one\"}}},"
        "{\"functionResponse\":{\"name\":\"w\",\"response\":{\"output\":\"two\"}}},"
        "{\"functionResponse\":{\"name\":\"v\",\"response\":{\"error\":\"no\"}}},{\"text\":\"go\"}]}]}"), &a, &r, "ids");
    const struct ir_message *calls = r.messages->next, *results = calls->next;
    assert_int_equal(results->role, IR_TOOL);
    assert_int_equal(results->next->role, IR_USER);
    const struct ir_part *one = results->parts, *two = one->next, *three = two->next;
    assert_true(str_eq(one->id, calls->parts->id));
    assert_true(str_eq(two->id, calls->parts->next->next->id));
    assert_true(str_eq(three->id, calls->parts->next->id));
    assert_true(three->is_error && !one->is_error);
    assert_true(ir_is(two->content->text, "two"));
    arena_fini(&a);
}

static void results_go_out_in_the_order_of_their_calls(void **state)
{
    struct arena a;
    struct buf out;
    struct ir_notes notes = {0};
    (void)state;
    arena_init(&a, 4096, 1 << 20);
    buf_init(&out, 1 << 20);
    struct str said = through("{\"contents\":[{\"parts\":[{\"text\":\"q\"}]},{\"role\":\"model\",\"parts\":["
        "{\"functionCall\":{\"id\":\"a\",\"name\":\"w\"}},{\"functionCall\":{\"id\":\"b\",\"name\":\"w\"}}]},"
        "{\"parts\":[{\"functionResponse\":{\"id\":\"b\",\"name\":\"w\",\"response\":{\"k\":12345678901234567890}}}]},"
        "{\"parts\":[{\"functionResponse\":{\"id\":\"a\",\"name\":\"w\",\"response\":{\"output\":\"x\"}}}]}]}",
        "gemini-3-pro-preview", &a, &out, &notes);
    assert_int_equal(json_count(json_path(said, "contents")), 3);
    assert_true(json_text_eq(json_path(said, "contents.2.parts.0.functionResponse.id"), STR("a")));
    assert_true(json_text_eq(json_path(said, "contents.2.parts.0.functionResponse.response.result"), STR("x")));
    assert_same_lines(json_path(said, "contents.2.parts.1.functionResponse.response").raw,
        STR("{\"k\":12345678901234567890}"), "big number");
    /* a model of the third family wants a signature on the first call of a turn, and only there */
    assert_true(json_path(said, "contents.1.parts.0.thoughtSignature").type == JSON_STRING);
    assert_true(json_path(said, "contents.1.parts.1.thoughtSignature").type == JSON_NONE);
    buf_fini(&out);
    arena_fini(&a);
}

static void thinking_is_asked_for_as_the_model_takes_it(void **state)
{
    static const char *const body = "{\"contents\":[{\"parts\":[{\"text\":\"q\"}]}],\"generationConfig\":"
                                    "{\"thinkingConfig\":{\"thinkingLevel\":\"HIGH\"}}}";
    static const struct {
        const char *model, *level;
        int64_t budget;
    } rows[] = {{"gemini-3-flash", "HIGH", -1}, {"gemini-2.5-flash", NULL, 16384},
        {"gemini-2.0-flash", NULL, -1}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a;
        struct buf out;
        struct ir_notes notes = {0};
        int64_t budget = -1;
        arena_init(&a, 4096, 1 << 20);
        buf_init(&out, 1 << 20);
        struct str said = through(body, rows[i].model, &a, &out, &notes);
        struct json_span level = json_path(said, "generationConfig.thinkingConfig.thinkingLevel");
        if (json_i64(json_path(said, "generationConfig.thinkingConfig.thinkingBudget"), &budget) < 0)
            budget = -1;
        assert_int_equal(budget, rows[i].budget);
        assert_true(rows[i].level ? json_text_eq(level, str_c(rows[i].level)) : level.type == JSON_NONE);
        assert_int_equal(notes.count, i == 2); /* and it is said where it can't be */
        buf_fini(&out);
        arena_fini(&a);
    }
}

static void another_makers_proof_comes_back_to_its_maker(void **state)
{
    struct arena a;
    struct buf out, body;
    struct ir_request r;
    (void)state;
    arena_init(&a, 4096, 1 << 20);
    buf_init(&out, 1 << 20);
    buf_init(&body, 1 << 20);
    struct json_writer w = json_writer(&out);
    struct ir_part redacted = {.kind = IR_REDACTED, .origin = WIRE_MESSAGES, .signature = STR("hidden==")};
    struct ir_part thought = {.kind = IR_REASONING, .origin = WIRE_MESSAGES, .text = STR("hm"),
        .signature = STR("sig==")};
    json_array_begin(&w, NULL);
    gemini_put_part(&w, &thought, NULL);
    gemini_put_part(&w, &redacted, NULL);
    json_array_end(&w);
    buf_printf(&body, "{\"contents\":[{\"role\":\"model\",\"parts\":" STR_FMT "}]}", STR_ARG(buf_str(&out)));
    read_or_fail(WIRE_GENERATE, buf_str(&body), &a, &r, "proof");
    const struct ir_part *p = r.messages->parts;
    assert_int_equal(p->kind, IR_REASONING);
    assert_int_equal(p->origin, WIRE_MESSAGES);
    assert_true(ir_is(p->signature, "sig==") && ir_is(p->text, "hm"));
    assert_int_equal(p->next->kind, IR_REDACTED);
    assert_true(ir_is(p->next->signature, "hidden=="));
    buf_reset(&out);
    write_or_fail(WIRE_GENERATE, &r, "gemini-2.5-pro", &out, NULL, "proof"); /* nothing of it to Google */
    assert_int_equal(str_find(buf_str(&out), STR("thought")), -1);
    buf_fini(&out);
    buf_fini(&body);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_comes_back_as_it_was),
        cmocka_unit_test(a_request_survives_the_way_over_other_dialects),
        cmocka_unit_test(an_answer_comes_back_as_it_was),
        cmocka_unit_test(an_answer_reads_the_same_in_other_dialects),
        cmocka_unit_test(a_stream_comes_back_as_it_was_at_any_cuts),
        cmocka_unit_test(a_stream_reads_the_same_in_other_dialects),
        cmocka_unit_test(without_alt_sse_a_stream_is_one_array),
        cmocka_unit_test(an_error_in_mid_stream_is_said_and_a_cut_one_is_not_whole),
        cmocka_unit_test(a_schema_goes_where_gemini_takes_it),
        cmocka_unit_test(calls_without_ids_are_paired_by_name_and_order),
        cmocka_unit_test(results_go_out_in_the_order_of_their_calls),
        cmocka_unit_test(thinking_is_asked_for_as_the_model_takes_it),
        cmocka_unit_test(another_makers_proof_comes_back_to_its_maker),
    };
    return cmocka_run_group_tests_name("ir_gemini", tests, NULL, NULL);
}
