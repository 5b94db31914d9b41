/* Units of media.h through the dialects: images and sound that answers carry, whole and streamed;
 * what models made going back in the history; files that only their maker has. */
#include "proxy/dialect/media.h"
#include "proxy/dialect/retell.h"
#include "tests/unit/ir_check.h"

static const enum wire wires[] = {WIRE_CHAT, WIRE_RESPONSES, WIRE_MESSAGES, WIRE_GENERATE};
#define PNG "iVBORw0KGgo="
#define PCM "AAEAAg=="
#define PCM2 "AwAE"

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no %s in %s", part, text);
}

/* --- answers ---------------------------------------------------------------------------------- */

static const struct {
    enum wire wire;
    const char *body, *stream;
} images[] = {
    {WIRE_CHAT, "{\"id\":\"a\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Here.\","
        "\"images\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64," PNG "\"}}]},"
        "\"finish_reason\":\"stop\"}]}",
        "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Here.\"}}]}\n\n"
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\",\"images\":[{\"type\":\"image_url\",\"index\":0,"
        "\"image_url\":{\"url\":\"data:image/png;base64," PNG "\"}}]}}]}\n\n"
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"},
    {WIRE_RESPONSES, "{\"id\":\"a\",\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"role\":\"assistant\","
        "\"content\":[{\"type\":\"output_text\",\"text\":\"Here.\"}]},{\"type\":\"image_generation_call\",\"id\":\"ig_1\","
        "\"status\":\"completed\",\"output_format\":\"png\",\"result\":\"" PNG "\",\"revised_prompt\":\"r\"}]}",
        "data: {\"type\":\"response.created\",\"response\":{\"id\":\"a\"}}\n\n"
        "data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"message\",\"role\":"
        "\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"Here.\"}]}}\n\n"
        "data: {\"type\":\"response.output_item.added\",\"output_index\":1,\"item\":{\"type\":\"image_generation_call\","
        "\"id\":\"ig_1\",\"status\":\"in_progress\",\"result\":null}}\n\n"
        "data: {\"type\":\"response.image_generation_call.in_progress\",\"output_index\":1,\"item_id\":\"ig_1\"}\n\n"
        "data: {\"type\":\"response.image_generation_call.partial_image\",\"output_index\":1,\"partial_image_b64\":\"QQ==\"}\n\n"
        "data: {\"type\":\"response.output_item.done\",\"output_index\":1,\"item\":{\"type\":\"image_generation_call\","
        "\"id\":\"ig_1\",\"status\":\"completed\",\"result\":\"" PNG "\"}}\n\n"
        "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[]}}\n\n"},
    {WIRE_GENERATE, "{\"responseId\":\"a\",\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Here.\"},{\"inlineData\":{"
        "\"mimeType\":\"image/png\",\"data\":\"" PNG "\"}}]},\"finishReason\":\"STOP\"}]}",
        "data: {\"responseId\":\"a\",\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Here.\"}]}}]}\r\n\r\n"
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"" PNG
        "\"}}]},\"finishReason\":\"STOP\"}]}\r\n\r\n"},
};

static const struct spoke_client client = {.model = {"m", 1}, .fallback_id = {"id1", 3},
    .now_s = 1700000000};

static void check_image(const struct ir_answer *back, enum wire to, const struct ir_notes *notes)
{
    unsigned seen = 0;
    assert_non_null(back->choices);
    for (const struct ir_part *p = back->choices->parts; p; p = p->next) {
        if (p->kind == IR_TEXT)
            assert_true(str_eq(p->text, STR("Here.")));
        if (p->kind != IR_MEDIA)
            continue;
        seen++;
        assert_int_equal(p->media.kind, IR_IMAGE);
        assert_true(str_eq(p->media.data, STR(PNG)));
        assert_true(str_eq(p->media.mime, STR("image/png")));
    }
    assert_int_equal(seen, to == WIRE_MESSAGES ? 0 : 1);
    assert_string_equal(notes->dropped, to == WIRE_MESSAGES ? "content.image" : "");
}

static void an_image_of_an_answer_arrives_where_there_is_a_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(images); i++)
        for (size_t k = 0; k < ARRAY_LEN(wires); k++) {
            struct ir_answer answer, back;
            struct ir_notes notes = {.count = 0};
            struct err e = {0};
            struct arena a;
            struct buf out;
            arena_init(&a, 4096, 8 << 20);
            buf_init(&out, 1 << 20);
            const struct spoke *from = spoke_of(images[i].wire), *to = spoke_of(wires[k]);
            assert_int_equal(from->read_answer(str_c(images[i].body), &quirks_none, &a, &answer, &e), 0);
            assert_int_equal(to->write_answer(&answer, &client, &a, &out, &notes, &e), 0);
            assert_int_equal(json_check(buf_str(&out), NULL), 0);
            assert_int_equal(to->read_answer(buf_str(&out), &quirks_none, &a, &back, &e), 0);
            check_image(&back, wires[k], &notes);
            buf_fini(&out);
            arena_fini(&a);
        }
}

static void feed(struct stream_reader *r, struct str bytes)
{
    struct sse s;
    struct sse_event ev;
    sse_init(&s, 16 << 20);
    assert_int_equal(sse_feed(&s, bytes), 0);
    while (sse_next(&s, &ev))
        if (ev.has_data)
            stream_read(r, ev.name, ev.data);
    stream_read_end(r);
    stream_reader_fini(r);
    sse_fini(&s);
}

/* A stream of one dialect as the stream of another, read back as an answer. */
static void over_stream(enum wire from, const char *stream, enum wire to, struct arena *a,
    struct ir_notes *notes, struct gather *g)
{
    struct retold w;
    retold_init(&w, to, &client, notes, a);
    feed(stream_reader_new(from, &quirks_none, a, retold_event, &w), str_c(stream));
    gather_init(g, a);
    feed(stream_reader_new(to, &quirks_none, a, gather_event, g), buf_str(&w.out));
    gather_end(g);
    if (g->failed || !g->done)
        fail_msg("not whole: " STR_FMT, STR_ARG(buf_str(&w.out)));
    gather_fini(g);
    retold_fini(&w);
}

static void it_arrives_streamed_too(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(images); i++)
        for (size_t k = 0; k < ARRAY_LEN(wires); k++) {
            struct arena a;
            struct gather g;
            struct ir_notes notes = {.count = 0};
            arena_init(&a, 4096, 8 << 20);
            over_stream(images[i].wire, images[i].stream, wires[k], &a, &notes, &g);
            check_image(&g.answer, wires[k], &notes);
            arena_fini(&a);
        }
}

static const char spoken_gemini[] =
    "data: {\"responseId\":\"a\",\"candidates\":[{\"content\":{\"parts\":[{\"inlineData\":{\"mimeType\":"
    "\"audio/L16;codec=pcm;rate=16000\",\"data\":\"" PCM "\"}}]}}]}\r\n\r\n"
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"inlineData\":{\"mimeType\":\"audio/L16;codec=pcm;rate=16000\","
    "\"data\":\"" PCM2 "\"}}]},\"finishReason\":\"STOP\"}]}\r\n\r\n";
static const char spoken_chat[] =
    "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"audio\":{\"id\":\"audio_1\","
    "\"transcript\":\"Good \"}}}]}\n\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"audio\":{\"data\":\"" PCM "\"}}}]}\n\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"audio\":{\"transcript\":\"day\"}}}]}\n\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"audio\":{\"data\":\"" PCM2 "\"}}}]}\n\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"audio\":{\"expires_at\":9}},\"finish_reason\":\"stop\"}]}\n\n"
    "data: [DONE]\n\n";

/* Samples in pieces, the words they say as one text. */
static void sound_comes_in_pieces_beside_its_words(void **state)
{
    (void)state;
    for (int chat = 0; chat < 2; chat++)
        for (size_t k = 0; k < ARRAY_LEN(wires); k++) {
            bool can = wires[k] == WIRE_CHAT || wires[k] == WIRE_GENERATE;
            struct arena a;
            struct gather g;
            struct buf all;
            struct ir_notes notes = {.count = 0};
            unsigned texts = 0, pieces = 0;
            arena_init(&a, 4096, 8 << 20);
            buf_init(&all, 4096);
            over_stream(chat ? WIRE_CHAT : WIRE_GENERATE, chat ? spoken_chat : spoken_gemini, wires[k], &a, &notes,
                &g);
            for (const struct ir_part *p = g.answer.choices ? g.answer.choices->parts : NULL; p; p = p->next) {
                pieces += p->kind == IR_MEDIA;
                texts += p->kind == IR_TEXT;
                if (p->kind == IR_TEXT && wires[k] != WIRE_GENERATE)
                    assert_true(str_eq(p->text, STR("Good day")));
            }
            assert_int_equal(pieces, can ? 2 : 0);
            assert_true(chat ? texts > 0 : texts == 0);
            assert_string_equal(notes.dropped, can ? "" : "content.audio");
            if (can)
                media_put_sound(&all, g.answer.choices->parts, false);
            if (can)
                assert_string_equal(buf_c(&all), "AAEAAgMABA==");
            buf_fini(&all);
            arena_fini(&a);
        }
}

/* What can't be said leaves the open item alone: all that is said of it names the id it began with. */
static void what_is_dropped_between_two_texts_changes_no_id(void **state)
{
    static const struct ir_media lost[] = {{.kind = IR_AUDIO, .mime = STR("audio/wav"), .data = STR(PCM)},
        {.kind = IR_IMAGE, .url = STR("https://example.com/x.png")}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lost); i++) {
        struct ir_notes notes = {.count = 0};
        struct retold w;
        struct arena a;
        unsigned ids = 0;
        arena_init(&a, 4096, 1 << 20);
        retold_init(&w, WIRE_RESPONSES, &client, &notes, &a);
        retold_event(&w, &(struct ir_event){.kind = IR_EV_START, .id = STR("a")});
        retold_event(&w, &(struct ir_event){.kind = IR_EV_TEXT, .text = STR("Hi")});
        retold_event(&w, &(struct ir_event){.kind = IR_EV_MEDIA, .origin = WIRE_CHAT, .media = &lost[i]});
        retold_event(&w, &(struct ir_event){.kind = IR_EV_TEXT, .text = STR(" there")});
        retold_event(&w, &(struct ir_event){.kind = IR_EV_DONE});
        for (const char *at = buf_c(&w.out); (at = strstr(at, "\"item_id\":\"")); at++, ids++)
            assert_memory_equal(at + 11, "msg_", 4);
        assert_true(ids >= 4);
        assert_null(strstr(buf_c(&w.out), "ig_"));
        assert_string_equal(notes.dropped, i ? "content.image" : "content.audio");
        retold_fini(&w);
        arena_fini(&a);
    }
}

/* What Gemini says in samples an OpenAI client can play: a header before them, unless it asked for none. */
static void samples_get_a_header_where_a_file_was_asked_for(void **state)
{
    static const char body[] = "{\"responseId\":\"a\",\"candidates\":[{\"content\":{\"parts\":[{\"inlineData\":{\"mimeType\":"
        "\"audio/L16;codec=pcm;rate=24000\",\"data\":\"" PCM "\"}}]},\"finishReason\":\"STOP\"}]}";
    static const struct {
        const char *format, *data, *note;
    } cases[] = {{"wav", "\"data\":\"UklGRigAAABXQVZFZm10IBAAAAABAAEAwF0AAIC7AAACABAAZGF0YQQAAAAAAQAC\"", ""},
        {"pcm16", "\"data\":\"" PCM "\"", ""}, {"mp3", "\"data\":\"UklGR", "audio.format"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ir_answer answer;
        struct ir_request request;
        struct ir_notes notes = {.count = 0};
        struct err e = {0};
        struct arena a;
        struct buf out;
        struct spoke_client to = client;
        arena_init(&a, 4096, 1 << 20);
        buf_init(&out, 1 << 20);
        struct str asked = arena_printf(&a, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"modalities\":"
            "[\"text\",\"audio\"],\"audio\":{\"voice\":\"v\",\"format\":\"%s\"}}", cases[i].format);
        assert_int_equal(spoke_chat.read_request(asked, &a, &request, &e), 0);
        to.request = &request;
        assert_int_equal(spoke_generate.read_answer(str_c(body), &quirks_none, &a, &answer, &e), 0);
        assert_int_equal(spoke_chat.write_answer(&answer, &to, &a, &out, &notes, &e), 0);
        has(buf_c(&out), cases[i].data);
        has(buf_c(&out), "\"transcript\":\"\"");
        assert_string_equal(notes.dropped, cases[i].note);
        buf_fini(&out);
        arena_fini(&a);
    }
}

/* --- requests --------------------------------------------------------------------------------- */

struct row {
    enum wire from;
    const char *body;
    enum wire to;
    const char *base_url, *has, *note; /* NULL: the same as none */
};

static void check_row(const struct row *row)
{
    struct ir_request r;
    struct ir_notes notes = {.count = 0};
    struct err e = {0};
    struct arena a;
    struct buf out;
    struct spoke_target t = {.model = STR("m"), .max_output = 4096,
        .quirks = row->base_url ? quirks_of(str_c(row->base_url)) : &quirks_none};
    arena_init(&a, 4096, 1 << 20);
    buf_init(&out, 1 << 20);
    if (spoke_of(row->from)->read_request(str_c(row->body), &a, &r, &e) < 0 ||
        spoke_of(row->to)->write_request(&r, &t, &out, &notes, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(json_check(buf_str(&out), NULL), 0);
    if (row->has)
        has(buf_c(&out), row->has);
    if (strcmp(notes.dropped, row->note ? row->note : ""))
        fail_msg("dropped: %s, want %s in %s", notes.dropped, row->note ? row->note : "", buf_c(&out));
    buf_fini(&out);
    arena_fini(&a);
}

#define MADE_GEMINI "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"draw\"}]},{\"role\":\"model\",\"parts\":[{" \
    "\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"" PNG "\"}}]},{\"role\":\"user\",\"parts\":[{\"text\":\"blue\"}]}]}"
#define MADE_RESPONSES "{\"input\":[{\"role\":\"user\",\"content\":\"draw\"},{\"type\":\"image_generation_call\",\"id\":" \
    "\"ig_1\",\"status\":\"completed\",\"result\":\"" PNG "\"},{\"role\":\"user\",\"content\":\"blue\"}]}"
#define MADE_CHAT "{\"messages\":[{\"role\":\"user\",\"content\":\"draw\"},{\"role\":\"assistant\",\"content\":\"Here.\"," \
    "\"images\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64," PNG "\"}}]},{\"role\":\"user\"," \
    "\"content\":\"blue\"}]}"
#define IMAGES "\"images\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64," PNG "\"}"
#define INLINE "{\"role\":\"model\",\"parts\":[{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"" PNG "\"}}]}"
#define OPENROUTER "https://openrouter.ai/api/v1"

static void what_a_model_drew_goes_back_to_those_who_take_it(void **state)
{
    static const struct row rows[] = {
        {WIRE_GENERATE, MADE_GEMINI, WIRE_CHAT, OPENROUTER, IMAGES, NULL},
        {WIRE_GENERATE, MADE_GEMINI, WIRE_CHAT, NULL, NULL, "content.image"},
        {WIRE_GENERATE, MADE_GEMINI, WIRE_RESPONSES, NULL, "\"status\":\"completed\",\"output_format\":\"png\",\"result\":\""
            PNG "\"}", NULL},
        {WIRE_GENERATE, MADE_GEMINI, WIRE_MESSAGES, NULL, NULL, "content.image"},
        {WIRE_RESPONSES, MADE_RESPONSES, WIRE_RESPONSES, NULL, "\"id\":\"ig_1\"", NULL},
        {WIRE_RESPONSES, MADE_RESPONSES, WIRE_GENERATE, NULL, INLINE, NULL},
        {WIRE_RESPONSES, MADE_RESPONSES, WIRE_MESSAGES, NULL, NULL, "content.image"},
        {WIRE_CHAT, MADE_CHAT, WIRE_CHAT, OPENROUTER, IMAGES, NULL},
        {WIRE_CHAT, MADE_CHAT, WIRE_GENERATE, NULL, "{\"inlineData\":{\"mimeType\":\"image/png\"", NULL},
        {WIRE_CHAT, MADE_CHAT, WIRE_RESPONSES, NULL, "{\"type\":\"image_generation_call\",\"id\":\"ig_", NULL},
        {WIRE_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":null,"
            "\"audio\":{\"id\":\"audio_1\"}},{\"role\":\"user\",\"content\":\"b\"}]}", WIRE_CHAT, NULL,
            "\"audio\":{\"id\":\"audio_1\"}", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_row(&rows[i]);
}

static void kinds_of_answer_are_asked_for(void **state)
{
    static const struct row rows[] = {
        {WIRE_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"modalities\":[\"image\",\"text\"]}",
            WIRE_GENERATE, NULL, "\"responseModalities\":[\"TEXT\",\"IMAGE\"]", NULL},
        {WIRE_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"modalities\":[\"text\",\"audio\"]}",
            WIRE_GENERATE, NULL, "\"responseModalities\":[\"AUDIO\"]", NULL},
        {WIRE_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"modalities\":[\"image\",\"text\"]}",
            WIRE_MESSAGES, NULL, NULL, "modalities"},
        {WIRE_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"modalities\":[\"text\"]}", WIRE_RESPONSES,
            NULL, NULL, NULL},
        {WIRE_GENERATE, "{\"contents\":\"a\",\"generationConfig\":{\"responseModalities\":[\"TEXT\",\"IMAGE\"]}}",
            WIRE_CHAT, OPENROUTER, "\"modalities\":[\"image\",\"text\"]", NULL},
        {WIRE_GENERATE, "{\"contents\":\"a\",\"generationConfig\":{\"responseModalities\":[\"AUDIO\"]}}", WIRE_CHAT,
            NULL, NULL, "responseModalities"},
        {WIRE_GENERATE, "{\"contents\":\"a\",\"generationConfig\":{\"responseModalities\":[\"IMAGE\"]}}", WIRE_GENERATE,
            NULL, "\"responseModalities\":[\"IMAGE\"]", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_row(&rows[i]);
}

#define CHAT_FILE "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"file\"," \
    "\"file\":{\"file_id\":\"file-1\"}}]}]}"
#define RESPONSES_FILE "{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"a\"},{\"type\":" \
    "\"input_file\",\"file_id\":\"file-1\"}]}]}"
#define RESPONSES_IMAGE "{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"a\"},{\"type\":" \
    "\"input_image\",\"file_id\":\"file-1\"}]}]}"
#define MESSAGES_FILE "{\"max_tokens\":99,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{" \
    "\"type\":\"document\",\"source\":{\"type\":\"file\",\"file_id\":\"file_1\"}}]}]}"
#define GEMINI_FILE "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"},{\"fileData\":{\"mimeType\":\"image/png\"," \
    "\"fileUri\":\"https://generativelanguage.googleapis.com/v1beta/files/x\"}}]}]}"
#define GEMINI_BUCKET "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"},{\"fileData\":{\"mimeType\":" \
    "\"image/png\",\"fileUri\":\"gs://bucket/x.png\"}}]}]}"
#define GEMINI_PAGE "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"},{\"fileData\":{\"mimeType\":" \
    "\"image/png\",\"fileUri\":\"https://example.com/x.png\"}}]}]}"

/* A file id means something to the house that gave it alone. */
static void a_file_of_one_provider_does_not_go_to_another(void **state)
{
    static const struct row rows[] = {
        {WIRE_CHAT, CHAT_FILE, WIRE_RESPONSES, NULL, "\"file_id\":\"file-1\"", NULL},
        {WIRE_CHAT, CHAT_FILE, WIRE_MESSAGES, NULL, NULL, "file_id"},
        {WIRE_CHAT, CHAT_FILE, WIRE_GENERATE, NULL, NULL, "file_id"},
        {WIRE_RESPONSES, RESPONSES_FILE, WIRE_CHAT, NULL, "\"file_id\":\"file-1\"", NULL},
        {WIRE_RESPONSES, RESPONSES_FILE, WIRE_MESSAGES, NULL, NULL, "file_id"},
        {WIRE_RESPONSES, RESPONSES_IMAGE, WIRE_MESSAGES, NULL, NULL, "file_id"},
        {WIRE_RESPONSES, RESPONSES_IMAGE, WIRE_GENERATE, NULL, NULL, "file_id"},
        {WIRE_RESPONSES, RESPONSES_IMAGE, WIRE_CHAT, NULL, NULL, "content.image"}, /* chat takes no such image */
        {WIRE_MESSAGES, MESSAGES_FILE, WIRE_MESSAGES, NULL, "\"file_id\":\"file_1\"", NULL},
        {WIRE_MESSAGES, MESSAGES_FILE, WIRE_CHAT, NULL, NULL, "file_id"},
        {WIRE_MESSAGES, MESSAGES_FILE, WIRE_RESPONSES, NULL, NULL, "file_id"},
        {WIRE_MESSAGES, MESSAGES_FILE, WIRE_GENERATE, NULL, NULL, "file_id"},
        {WIRE_GENERATE, GEMINI_FILE, WIRE_GENERATE, NULL, "files/x", NULL},
        {WIRE_GENERATE, GEMINI_FILE, WIRE_CHAT, NULL, NULL, "fileUri"},
        {WIRE_GENERATE, GEMINI_FILE, WIRE_RESPONSES, NULL, NULL, "fileUri"},
        {WIRE_GENERATE, GEMINI_FILE, WIRE_MESSAGES, NULL, NULL, "fileUri"},
        {WIRE_GENERATE, GEMINI_BUCKET, WIRE_MESSAGES, NULL, NULL, "fileUri"},
        {WIRE_GENERATE, GEMINI_PAGE, WIRE_MESSAGES, NULL, "https://example.com/x.png", NULL},
        {WIRE_GENERATE, GEMINI_PAGE, WIRE_CHAT, NULL, "https://example.com/x.png", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_row(&rows[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_of_an_answer_arrives_where_there_is_a_form),
        cmocka_unit_test(it_arrives_streamed_too),
        cmocka_unit_test(sound_comes_in_pieces_beside_its_words),
        cmocka_unit_test(what_is_dropped_between_two_texts_changes_no_id),
        cmocka_unit_test(samples_get_a_header_where_a_file_was_asked_for),
        cmocka_unit_test(what_a_model_drew_goes_back_to_those_who_take_it),
        cmocka_unit_test(kinds_of_answer_are_asked_for),
        cmocka_unit_test(a_file_of_one_provider_does_not_go_to_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
