/* Units of what an answer rests on: citations in the words of each dialect, at the same places of the
 * text, whole and streamed; and of several answers to one question, which may come in between. */
#include "proxy/dialect/places.h"
#include "tests/unit/ir_check.h"

static const struct spoke_client client = {.model = {"m", 1}, .fallback_id = {"id", 2}, .now_s = 1,
    .include_usage = true};

struct said {
    struct arena a;
    struct ir_notes notes;
    struct buf out;
};

static void said_init(struct said *s)
{
    *s = (struct said){.notes = {.count = 0}};
    arena_init(&s->a, 1 << 16, 64 << 20);
    buf_init(&s->out, 16 << 20);
}

static void said_fini(struct said *s)
{
    buf_fini(&s->out);
    arena_fini(&s->a);
}

static void whole(enum wire from, const char *body, enum wire to, struct said *s)
{
    struct ir_answer answer;
    struct err e = {0};
    said_init(s);
    assert_int_equal(spoke_of(from)->read_answer(str_c(body), &quirks_none, &s->a, &answer, &e), 0);
    assert_int_equal(spoke_of(to)->write_answer(&answer, &client, &s->a, &s->out, &s->notes, &e), 0);
    assert_int_equal(json_check(buf_str(&s->out), NULL), 0);
}

static enum wire streamed(enum wire w)
{
    return w == WIRE_GENERATE ? WIRE_STREAM_GENERATE : w;
}

/* The events, each a line of JSON, as the wire has them. */
static void stream(enum wire from, const char *events, enum wire to, struct said *s)
{
    struct retold r;
    struct stream_reader *reader;
    struct str rest = str_c(events), line;
    said_init(s);
    retold_init(&r, streamed(to), &client, &s->notes, &s->a);
    reader = stream_reader_new(streamed(from), &quirks_none, &s->a, retold_event, &r);
    while (str_cut(&rest, '\n', &line))
        stream_read(reader, STR_NULL, line);
    stream_read_end(reader);
    assert_true(reader->done);
    stream_reader_fini(reader);
    buf_put_str(&s->out, buf_str(&r.out));
    retold_fini(&r);
}

static void assert_says(const struct said *s, const char *what)
{
    if (str_find(buf_str(&s->out), str_c(what)) < 0)
        fail_msg("%s\nis not in\n" STR_FMT, what, STR_ARG(buf_str(&s->out)));
}

/* --- places --------------------------------------------------------------------------------- */

static void places_count_characters_and_bytes(void **state)
{
    static const char *const pieces[] = {"plain ", "caf\xc3\xa9 \\u00e9\\n", "\\ud83d", "\\ude00!", "\xe2\x82\xac", ""};
    static const int widths[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 2, 1, 4, 1, 3};
    struct places p = {0};
    int64_t bytes = 0;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
        places_add(&p, str_c(pieces[i]));
    assert_int_equal(p.chars, ARRAY_LEN(widths));
    for (size_t i = 0; i < ARRAY_LEN(widths); i++) {
        assert_int_equal(places_bytes(&p, (int64_t)i), bytes);
        assert_int_equal(places_chars(&p, bytes), i);
        bytes += widths[i];
    }
    assert_int_equal(places_bytes(&p, p.chars), bytes);
    assert_int_equal(places_bytes(&p, p.chars + 1), -1);
    assert_int_equal(places_chars(&p, bytes + 1), -1);
    assert_int_equal(places_count(STR("caf\xc3\xa9 \\ud83d\\ude00")), 6);
    places_fini(&p);
}

/* --- citations ------------------------------------------------------------------------------ */

#define MESSAGES_HEAD "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":["
#define MESSAGES_TAIL "],\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}"
#define WEB "{\"type\":\"web_search_result_location\",\"url\":\"https://a.example/x\",\"title\":\"A\"," \
            "\"encrypted_index\":\"e\",\"cited_text\":\"source words\"}"
#define PAGE "{\"type\":\"page_location\",\"document_index\":2,\"document_title\":\"report.pdf\"," \
             "\"file_id\":\"file_9\",\"start_page_number\":3,\"end_page_number\":4,\"cited_text\":\"p\"}"

/* "caf\u00e9: " is six characters and seven bytes; the cited text has five. */
static const char *const blocks = MESSAGES_HEAD
    "{\"type\":\"text\",\"text\":\"caf\\u00e9: \"},"
    "{\"type\":\"text\",\"text\":\"it is\",\"citations\":[" WEB "," PAGE "]}" MESSAGES_TAIL;
static const char *const block_events =
    "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"usage\":{\"input_tokens\":1}}}\n"
    "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n"
    "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"caf\\u00e9: \"}}\n"
    "{\"type\":\"content_block_stop\",\"index\":0}\n"
    "{\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n"
    "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"citations_delta\",\"citation\":" WEB "}}\n"
    "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"citations_delta\",\"citation\":" PAGE "}}\n"
    "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"it \"}}\n"
    "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"is\"}}\n"
    "{\"type\":\"content_block_stop\",\"index\":1}\n"
    "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":1}}\n"
    "{\"type\":\"message_stop\"}\n";

static void a_cited_block_has_its_place_elsewhere(void **state)
{
    static const struct {
        enum wire to;
        const char *page, *file, *dropped;
    } cases[] = {
        {WIRE_CHAT, "{\"type\":\"url_citation\",\"url_citation\":{\"url\":\"https://a.example/x\",\"title\":\"A\","
            "\"start_index\":6,\"end_index\":11,\"content\":\"source words\"}}", NULL, "citations.page_location"},
        {WIRE_RESPONSES, "{\"type\":\"url_citation\",\"url\":\"https://a.example/x\",\"title\":\"A\",\"start_index\":0,"
            "\"end_index\":5}", "{\"type\":\"file_citation\",\"file_id\":\"file_9\",\"filename\":\"report.pdf\",\"index\":2}",
            ""},
        {WIRE_GENERATE, "\"segment\":{\"startIndex\":7,\"endIndex\":12},\"groundingChunkIndices\":[0]",
            "{\"retrievedContext\":{\"uri\":\"file_9\",\"title\":\"report.pdf\",\"text\":\"p\"}}", ""},
    };
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
        struct said s;
        if (i % 2)
            stream(WIRE_MESSAGES, block_events, cases[i / 2].to, &s);
        else
            whole(WIRE_MESSAGES, blocks, cases[i / 2].to, &s);
        assert_says(&s, cases[i / 2].page);
        if (cases[i / 2].file)
            assert_says(&s, cases[i / 2].file);
        assert_string_equal(s.notes.dropped, cases[i / 2].dropped);
        said_fini(&s);
    }
}

/* "\u00e9t\u00e9. " is five characters and seven bytes. */
#define GROUNDING "\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":\"https://a.example/x\",\"title\":\"A\"}}," \
    "{\"retrievedContext\":{\"title\":\"notes.txt\",\"text\":\"words\"}},{\"web\":{\"uri\":\"https://b.example/\"}}]," \
    "\"groundingSupports\":[{\"segment\":{\"startIndex\":7,\"endIndex\":9,\"text\":\"it\"}," \
    "\"groundingChunkIndices\":[0,1]}]},\"citationMetadata\":{\"citationSources\":[{\"endIndex\":5," \
    "\"uri\":\"https://c.example/\"}]}"
#define CANDIDATE(text, more) "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"" text "\"}],\"role\":\"model\"}" \
    more "}],\"responseId\":\"r\",\"modelVersion\":\"m\"}"

static void a_grounded_answer_has_its_places_elsewhere(void **state)
{
    static const struct {
        enum wire to;
        const char *says[4];
    } cases[] = {
        {WIRE_CHAT, {"\"url\":\"https://a.example/x\",\"title\":\"A\",\"start_index\":5,\"end_index\":7",
            "\"url\":\"https://b.example/\",\"title\":\"\",\"start_index\":0,\"end_index\":0",
            "\"url\":\"https://c.example/\",\"title\":\"\",\"start_index\":0,\"end_index\":3"}},
        {WIRE_RESPONSES, {"\"url\":\"https://a.example/x\",\"title\":\"A\",\"start_index\":5,\"end_index\":7",
            "\"type\":\"file_citation\",\"file_id\":\"\",\"filename\":\"notes.txt\""}},
        {WIRE_MESSAGES, {"{\"type\":\"web_search_result_location\",\"url\":\"https://a.example/x\",\"title\":\"A\"",
            "\"document_title\":\"notes.txt\",\"file_id\":null,\"start_char_index\":0,\"end_char_index\":0,"
            "\"cited_text\":\"words\""}},
    };
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
        struct said s;
        if (i % 2)
            stream(WIRE_GENERATE, CANDIDATE("\\u00e9t", "") "\n" CANDIDATE("\\u00e9. it", "") "\n"
                CANDIDATE("", ",\"finishReason\":\"STOP\"," GROUNDING), cases[i / 2].to, &s);
        else
            whole(WIRE_GENERATE, CANDIDATE("\\u00e9t\\u00e9. it", ",\"finishReason\":\"STOP\"," GROUNDING),
                cases[i / 2].to, &s);
        for (size_t k = 0; k < 4 && cases[i / 2].says[k]; k++)
            assert_says(&s, cases[i / 2].says[k]);
        assert_string_equal(s.notes.dropped, cases[i / 2].to == WIRE_CHAT ? "citations.retrievedContext" : "");
        said_fini(&s);
    }
}

static void annotations_have_their_places_elsewhere(void **state)
{
    static const char *const chat = "{\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
        "\"assistant\",\"content\":\"\xc3\xa9 it\",\"annotations\":[{\"type\":\"url_citation\",\"url_citation\":{\"url\":"
        "\"https://a.example/x\",\"title\":\"A\",\"start_index\":2,\"end_index\":4}}]},\"finish_reason\":\"stop\"}]}";
    static const char *const responses = "{\"id\":\"r\",\"model\":\"m\",\"status\":\"completed\",\"output\":[{\"type\":"
        "\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"\xc3\xa9\",\"annotations\":"
        "[]},{\"type\":\"output_text\",\"text\":\" it\",\"annotations\":[{\"type\":\"url_citation\",\"url\":"
        "\"https://a.example/x\",\"title\":\"A\",\"start_index\":1,\"end_index\":3},{\"type\":\"file_citation\","
        "\"file_id\":\"file-1\",\"filename\":\"n.txt\",\"index\":1}]}]}]}";
    struct said s;
    (void)state;
    whole(WIRE_CHAT, chat, WIRE_GENERATE, &s);
    assert_says(&s, "\"segment\":{\"startIndex\":3,\"endIndex\":5}");
    said_fini(&s);
    whole(WIRE_RESPONSES, responses, WIRE_GENERATE, &s);
    assert_says(&s, "\"segment\":{\"startIndex\":3,\"endIndex\":5}");
    assert_says(&s, "{\"retrievedContext\":{\"uri\":\"file-1\",\"title\":\"n.txt\"}}");
    said_fini(&s);
    whole(WIRE_RESPONSES, responses, WIRE_CHAT, &s);
    assert_says(&s, "\"start_index\":2,\"end_index\":4");
    assert_string_equal(s.notes.dropped, "citations.file_citation");
    said_fini(&s);
    whole(WIRE_RESPONSES, responses, WIRE_MESSAGES, &s);
    assert_says(&s, "{\"type\":\"char_location\",\"document_index\":1,\"document_title\":\"n.txt\",\"file_id\":\"file-1\"");
    said_fini(&s);
}

/* Sources beside the choices (Perplexity, xAI), in each chunk of a stream again. */
static void sources_of_the_whole_answer_are_kept(void **state)
{
    static const char *const list = "\"citations\":[\"https://a.example/x\"],\"search_results\":"
        "[{\"title\":\"A\",\"url\":\"https://a.example/x\"}]";
    char body[600], events[1200];
    struct said s;
    (void)state;
    snprintf(body, sizeof body, "{\"id\":\"p\",\"model\":\"sonar\",%s,\"choices\":[{\"index\":0,\"message\":{\"role\":"
        "\"assistant\",\"content\":\"it is\"},\"finish_reason\":\"stop\"}]}", list);
    snprintf(events, sizeof events, "{\"id\":\"p\",\"model\":\"sonar\",%s,\"choices\":[{\"index\":0,\"delta\":"
        "{\"content\":\"it \"}}]}\n{\"id\":\"p\",\"model\":\"sonar\",%s,\"choices\":[{\"index\":0,\"delta\":"
        "{\"content\":\"is\"},\"finish_reason\":\"stop\"}]}\n", list, list);
    for (int i = 0; i < 2; i++) {
        if (i)
            stream(WIRE_CHAT, events, WIRE_MESSAGES, &s);
        else
            whole(WIRE_CHAT, body, WIRE_MESSAGES, &s);
        assert_says(&s, "\"url\":\"https://a.example/x\",\"title\":\"A\"");
        struct str once = str_from(buf_str(&s.out), (size_t)str_find(buf_str(&s.out), STR("a.example")) + 9);
        assert_true(str_find(once, STR("a.example")) < 0);
        said_fini(&s);
    }
}

/* Some servers of Responses name the annotations at the end of a text only. */
static void annotations_named_at_the_end_are_told_once(void **state)
{
    static const char *const annotation = "{\"type\":\"url_citation\",\"url\":\"https://a.example/x\",\"title\":\"A\","
        "\"start_index\":0,\"end_index\":2}";
    char events[2000];
    struct said s;
    (void)state;
    for (int told = 0; told < 2; told++) {
        snprintf(events, sizeof events,
            "{\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"m\"}}\n"
            "{\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"message\",\"id\":\"i\"}}\n"
            "{\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"it\"}\n"
            "%s%s%s"
            "{\"type\":\"response.content_part.done\",\"output_index\":0,\"content_index\":0,\"part\":{\"type\":"
            "\"output_text\",\"text\":\"it\",\"annotations\":[%s]}}\n"
            "{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"message\",\"id\":\"i\"}}\n"
            "{\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"status\":\"completed\",\"output\":[]}}\n",
            told ? "{\"type\":\"response.output_text.annotation.added\",\"output_index\":0,\"annotation\":" : "",
            told ? annotation : "", told ? "}\n" : "", annotation);
        stream(WIRE_RESPONSES, events, WIRE_CHAT, &s);
        assert_says(&s, "\"annotations\":[{\"type\":\"url_citation\"");
        struct str once = str_from(buf_str(&s.out), (size_t)str_find(buf_str(&s.out), STR("a.example")) + 9);
        assert_true(str_find(once, STR("a.example")) < 0);
        said_fini(&s);
    }
}

static void what_documents_shall_be_cited_is_not_lost_in_silence(void **state)
{
    static const char *const body = "{\"model\":\"m\",\"max_tokens\":20,\"messages\":[{\"role\":\"user\",\"content\":[{"
        "\"type\":\"document\",\"context\":\"c\",\"citations\":{\"enabled\":true},\"source\":{\"type\":\"text\","
        "\"media_type\":\"text/plain\",\"data\":\"words\"}},{\"type\":\"text\",\"text\":\"hi\"}]}]}";
    static const enum wire wires[] = {WIRE_CHAT, WIRE_RESPONSES, WIRE_GENERATE, WIRE_MESSAGES};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wires); i++) {
        struct spoke_target t = {.model = STR("m"), .quirks = &quirks_none, .max_output = 10};
        struct ir_request r;
        struct err e = {0};
        struct said s;
        said_init(&s);
        assert_int_equal(spoke_of(WIRE_MESSAGES)->read_request(str_c(body), &s.a, &r, &e), 0);
        assert_int_equal(spoke_of(wires[i])->write_request(&r, &t, &s.out, &s.notes, &e), 0);
        if (wires[i] == WIRE_MESSAGES)
            assert_says(&s, "\"context\":\"c\",\"citations\":{\"enabled\":true}");
        else
            assert_string_equal(s.notes.dropped, "document.citations, document.context");
        assert_true((s.notes.count > 0) == (wires[i] != WIRE_MESSAGES));
        said_fini(&s);
    }
}

/* --- several answers ------------------------------------------------------------------------ */

static void several_answers_may_come_in_between(void **state)
{
    static const char *const events =
        "{\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"a\"}},"
        "{\"index\":1,\"delta\":{\"role\":\"assistant\",\"tool_calls\":[{\"index\":0,\"id\":\"k1\",\"type\":\"function\","
        "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":\"}}]}}]}\n"
        "{\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"k0\","
        "\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{\\\"y\\\":2\"}}]}}]}\n"
        "{\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":1,\"delta\":{\"tool_calls\":[{\"index\":0,"
        "\"function\":{\"arguments\":\"1}\"}}]}}]}\n"
        "{\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,"
        "\"function\":{\"arguments\":\"}\"}}]}}]}\n"
        "{\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"tool_calls\"},"
        "{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n[DONE]\n";
    struct said s;
    (void)state;
    stream(WIRE_CHAT, events, WIRE_GENERATE, &s);
    assert_says(&s, "{\"functionCall\":{\"id\":\"k1\",\"name\":\"f\",\"args\":{\"x\":1}}}],\"role\":\"model\"},\"index\":1");
    assert_says(&s, "{\"functionCall\":{\"id\":\"k0\",\"name\":\"g\",\"args\":{\"y\":2}}}],\"role\":\"model\"},\"index\":0");
    assert_says(&s, "\"finishReason\":\"MAX_TOKENS\",\"index\":0");
    assert_says(&s, "\"finishReason\":\"STOP\",\"index\":1");
    said_fini(&s);
    stream(WIRE_GENERATE,
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}},{\"content\":{\"parts\":[{\"text\":\"b\"}]},"
        "\"index\":1}]}\n{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"c\"}]},\"finishReason\":\"STOP\",\"index\":1},"
        "{\"finishReason\":\"MAX_TOKENS\",\"index\":0}]}\n", WIRE_CHAT, &s);
    assert_says(&s, "{\"index\":1,\"delta\":{\"content\":\"b\"}");
    assert_says(&s, "{\"index\":1,\"delta\":{\"content\":\"c\"}");
    assert_says(&s, "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"length\"}");
    said_fini(&s);
}

static void several_answers_are_asked_for_where_there_can_be(void **state)
{
    static const struct {
        enum wire from;
        const char *body;
        enum wire to;
        const char *says, *dropped;
    } cases[] = {
        {WIRE_CHAT, "{\"n\":3,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", WIRE_GENERATE,
            "\"candidateCount\":3", ""},
        {WIRE_GENERATE, "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}],\"generationConfig\":{\"candidateCount\":2}}",
            WIRE_CHAT, "\"n\":2", ""},
        {WIRE_CHAT, "{\"n\":3,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", WIRE_MESSAGES, "", "n"},
        {WIRE_CHAT, "{\"n\":3,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", WIRE_RESPONSES, "", "n"},
        {WIRE_CHAT, "{\"n\":1,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", WIRE_MESSAGES, "", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct spoke_target t = {.model = STR("m"), .quirks = &quirks_none, .max_output = 10};
        struct ir_request r;
        struct err e = {0};
        struct said s;
        said_init(&s);
        assert_int_equal(spoke_of(cases[i].from)->read_request(str_c(cases[i].body), &s.a, &r, &e), 0);
        assert_int_equal(spoke_of(cases[i].to)->write_request(&r, &t, &s.out, &s.notes, &e), 0);
        assert_says(&s, cases[i].says);
        assert_string_equal(s.notes.dropped, cases[i].dropped);
        assert_int_equal(s.notes.count, cases[i].dropped[0] != 0);
        said_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_count_characters_and_bytes),
        cmocka_unit_test(a_cited_block_has_its_place_elsewhere),
        cmocka_unit_test(a_grounded_answer_has_its_places_elsewhere),
        cmocka_unit_test(annotations_have_their_places_elsewhere),
        cmocka_unit_test(sources_of_the_whole_answer_are_kept),
        cmocka_unit_test(annotations_named_at_the_end_are_told_once),
        cmocka_unit_test(what_documents_shall_be_cited_is_not_lost_in_silence),
        cmocka_unit_test(several_answers_may_come_in_between),
        cmocka_unit_test(several_answers_are_asked_for_where_there_can_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
