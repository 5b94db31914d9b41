/* Units of proxy/dialect/spoke.h by property: conversations and answers made up at random in the neutral
 * form mean the same after they were said in each dialect and read again; an answer also when it was
 * told as a stream, cut anywhere, and gathered. What only some dialects can say (errors of tools, audio)
 * is made up for those alone. Seeds are fixed and named where something differs. */
#include "proxy/dialect/retell.h"
#include "tests/unit/ir_check.h"

enum { ROUNDS = 400 };

static const struct {
    const char *name;
    enum wire wire, stream;
    const char *model;
    bool errors, audio;
} spokes[] = {
    {"chat", WIRE_CHAT, WIRE_CHAT, "gpt-4o", false, true},
    {"responses", WIRE_RESPONSES, WIRE_RESPONSES, "gpt-4o", false, true},
    {"messages", WIRE_MESSAGES, WIRE_MESSAGES, "claude-sonnet-4-5", true, false},
    {"generate", WIRE_GENERATE, WIRE_STREAM_GENERATE, "gemini-2.5-pro", true, true},
};

/* --- making up ------------------------------------------------------------------------------ */

struct maker {
    struct arena a;
    uint64_t state;
    unsigned calls;
    bool errors, audio;
};

static unsigned below(struct maker *m, unsigned n)
{
    m->state ^= m->state << 13;
    m->state ^= m->state >> 7;
    m->state ^= m->state << 17;
    return (unsigned)(m->state >> 33) % n;
}

static struct str pick(struct maker *m, const char *const *from, size_t n)
{
    return str_c(from[below(m, (unsigned)n)]);
}

/* A text as it stands inside of a JSON string; never blank, and without blanks at its ends. */
static struct str some_text(struct maker *m)
{
    static const char *const words[] = {"look", "“quoted”", "a\\b", "tab\there", "line\nbreak", "{\"a\": 1}",
        "\"", "naïve ✓", "😀", "</script>", "data: x", "\x01", "%s%n", "[DONE]", "0"};
    struct buf b;
    buf_init(&b, 1 << 16);
    buf_puts(&b, "<");
    for (unsigned n = 1 + below(m, 12); n--;) {
        buf_put_str(&b, pick(m, words, ARRAY_LEN(words)));
        buf_puts(&b, below(m, 3) ? " " : "");
    }
    buf_puts(&b, ">");
    struct str text = ir_text_of(&m->a, buf_str(&b));
    buf_fini(&b);
    return text;
}

static struct str some_object(struct maker *m, unsigned depth)
{
    static const char *const values[] = {"1", "-0.5e-3", "18446744073709551616", "true", "null", "\"x\\u00e9\"",
        "[1,[2,{}]]", "\"\\\"\"", "1e400", "\"\\ud83d\\ude00\""};
    struct str object = STR("{");
    for (unsigned n = below(m, 4), i = 0; i < n; i++) {
        struct str v = depth && !below(m, 4) ? some_object(m, depth - 1) : pick(m, values, ARRAY_LEN(values));
        object = arena_printf(&m->a, STR_FMT "%s\"k%u\":" STR_FMT, STR_ARG(object), i ? "," : "", 9 - i, STR_ARG(v));
    }
    return arena_printf(&m->a, STR_FMT "}", STR_ARG(object));
}

static struct ir_part *some_media(struct maker *m)
{
    static const char *const images[] = {"image/png", "image/jpeg", "image/webp"};
    struct ir_part *p = ir_new_part(&m->a, IR_MEDIA, WIRE_RAW);
    unsigned what = below(m, m->audio ? 4 : 3);
    p->media.kind = what < 2 ? IR_IMAGE : what == 2 ? IR_DOCUMENT : IR_AUDIO;
    p->media.mime = what < 2 ? pick(m, images, ARRAY_LEN(images))
        : what == 2 ? STR("application/pdf") : STR("audio/wav");
    if (what == 0) {
        p->media.mime = STR("image/png");
        p->media.url = STR("https://example.org/a.png");
    } else {
        p->media.data = below(m, 2) ? STR("AAECAwQFBgc=") : STR("Zm9v");
    }
    return p;
}

static struct ir_part *some_words(struct maker *m)
{
    struct ir_part *p = ir_new_part(&m->a, IR_TEXT, WIRE_RAW);
    p->text = some_text(m);
    return p;
}

static struct ir_part *some_call(struct maker *m)
{
    struct ir_part *p = ir_new_part(&m->a, IR_CALL, WIRE_RAW);
    p->id = arena_printf(&m->a, "call_%u-%x", m->calls++, below(m, 1 << 16));
    p->name = arena_printf(&m->a, "tool_%u", below(m, 3));
    p->arguments = some_object(m, 2);
    return p;
}

static void some_turn(struct maker *m, struct ir_request *r)
{
    struct ir_message *user = ir_add_message(r, &m->a, IR_USER);
    ir_message_add(user, some_words(m));
    while (!below(m, 3))
        ir_message_add(user, below(m, 2) ? some_media(m) : some_words(m));
    struct ir_message *said = ir_add_message(r, &m->a, IR_ASSISTANT);
    if (below(m, 2))
        ir_message_add(said, some_words(m));
    for (unsigned n = said->parts ? below(m, 3) : 1; n--;)
        ir_message_add(said, some_call(m));
    struct ir_message *tool = NULL;
    for (struct ir_part *p = said->parts; p; p = p->next) {
        if (p->kind != IR_CALL)
            continue;
        if (!tool)
            tool = ir_add_message(r, &m->a, IR_TOOL);
        struct ir_part *result = ir_new_part(&m->a, IR_RESULT, WIRE_RAW);
        result->id = p->id;
        result->content = some_words(m);
        result->is_error = m->errors && !below(m, 3);
        ir_message_add(tool, result);
    }
}

static void some_tools(struct maker *m, struct ir_request *r)
{
    static const enum ir_choice_mode modes[] = {IR_CHOICE_UNSAID, IR_CHOICE_AUTO, IR_CHOICE_NONE,
        IR_CHOICE_REQUIRED, IR_CHOICE_NAMED};
    for (unsigned i = 0; i < 3; i++) {
        struct ir_tool *t = ir_add_tool(r, &m->a);
        t->name = arena_printf(&m->a, "tool_%u", i);
        t->description = some_text(m);
        t->schema = arena_printf(&m->a, "{\"type\":\"object\",\"properties\":{\"k%u\":{\"type\":\"string\"}}}", i);
    }
    r->tool_choice.mode = modes[below(m, ARRAY_LEN(modes))];
    if (r->tool_choice.mode == IR_CHOICE_NAMED) {
        r->tool_choice.only = arena_zalloc(&m->a, sizeof *r->tool_choice.only);
        r->tool_choice.only->name = STR("tool_1");
    }
}

static void some_request(struct maker *m, struct ir_request *r)
{
    *r = (struct ir_request){.origin = WIRE_RAW, .reasoning.budget = IR_BUDGET_UNSAID};
    if (below(m, 2))
        ir_message_add(ir_add_message(r, &m->a, IR_SYSTEM), some_words(m));
    for (unsigned n = 1 + below(m, 5); n--;)
        some_turn(m, r);
    ir_message_add(ir_add_message(r, &m->a, IR_USER), some_words(m));
    some_tools(m, r);
    r->max_output = 16 + below(m, 4000);
    if (below(m, 2))
        r->temperature = STR("0.25");
    else
        r->top_p = STR("0.5");
    if (!below(m, 3)) {
        r->format.kind = IR_FORMAT_SCHEMA;
        r->format.name = STR("answer");
        r->format.schema = STR("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},"
                               "\"required\":[\"a\"],\"additionalProperties\":false}");
    }
}

static void some_answer(struct maker *m, struct ir_answer *answer)
{
    static const enum ir_finish ends[] = {IR_FINISH_STOP, IR_FINISH_LENGTH, IR_FINISH_FILTER};
    *answer = (struct ir_answer){.origin = WIRE_RAW, .id = STR("id-1"), .model = STR("m"), .created = STR("1")};
    struct ir_choice *c = ir_add_choice(answer, &m->a);
    bool calls = below(m, 2);
    if (!calls || below(m, 2))
        ir_choice_add(c, some_words(m));
    for (unsigned n = calls ? 1 + below(m, 3) : 0; n--;)
        ir_choice_add(c, some_call(m));
    c->finish = calls ? IR_FINISH_TOOLS : ends[below(m, ARRAY_LEN(ends))];
    answer->usage = (struct usage){.have_usage = true, .input = 50 + below(m, 100), .cached = below(m, 50),
        .output = 20 + below(m, 100)};
}

/* --- round ---------------------------------------------------------------------------------- */

static const struct spoke_client client = {.model = {"m", 1}, .fallback_id = {"f", 1}, .now_s = 1,
    .include_usage = true};

static struct maker maker_of(unsigned seed, size_t spoke)
{
    struct maker m = {.state = 0x9e3779b97f4a7c15u * (seed + 1), .errors = spokes[spoke].errors,
        .audio = spokes[spoke].audio};
    arena_init(&m.a, 1 << 16, BUF_NO_LIMIT);
    return m;
}

static void request_round(unsigned seed, size_t i)
{
    struct maker m = maker_of(seed, i);
    struct spoke_target target = {.model = str_c(spokes[i].model), .quirks = &quirks_none, .max_output = 4096};
    const struct spoke *s = spoke_of(spokes[i].wire);
    struct ir_notes notes = {0};
    struct ir_request made, read;
    struct err e = {0};
    struct buf body, before, after;
    char name[64];
    snprintf(name, sizeof name, "seed %u through %s", seed, spokes[i].name);
    buf_init(&body, BUF_NO_LIMIT);
    buf_init(&before, BUF_NO_LIMIT);
    buf_init(&after, BUF_NO_LIMIT);
    some_request(&m, &made);
    if (s->write_request(&made, &target, &body, &notes, &e) < 0 || json_check(buf_str(&body), NULL) < 0 ||
        s->read_request(buf_str(&body), &m.a, &read, &e) < 0)
        fail_msg("%s: %s: " STR_FMT, name, e.text, STR_ARG(str_first(buf_str(&body), 2000)));
    if (notes.count)
        fail_msg("%s: left out: %s", name, notes.dropped);
    assert_same_lines(say_request(&before, &made, SAY_COMMON), say_request(&after, &read, SAY_COMMON), name);
    buf_fini(&body);
    buf_fini(&before);
    buf_fini(&after);
    arena_fini(&m.a);
}

static void a_conversation_survives_each_dialect(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(spokes); i++)
        for (unsigned seed = 0; seed < ROUNDS; seed++)
            request_round(seed, i);
}

static void same_answer(const struct ir_answer *made, const struct ir_answer *read, const char *name)
{
    struct buf before, after;
    buf_init(&before, BUF_NO_LIMIT);
    buf_init(&after, BUF_NO_LIMIT);
    assert_same_lines(say_answer(&before, made, SAY_COMMON), say_answer(&after, read, SAY_COMMON), name);
    assert_int_equal(read->usage.input, made->usage.input);
    assert_int_equal(read->usage.cached, made->usage.cached);
    assert_int_equal(read->usage.output, made->usage.output);
    buf_fini(&before);
    buf_fini(&after);
}

static void an_answer_survives_each_dialect(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(spokes); i++)
        for (unsigned seed = 0; seed < ROUNDS; seed++) {
            struct maker m = maker_of(seed, i);
            struct ir_answer made, read;
            struct err e = {0};
            struct buf body;
            char name[64];
            snprintf(name, sizeof name, "seed %u through %s", seed, spokes[i].name);
            buf_init(&body, BUF_NO_LIMIT);
            some_answer(&m, &made);
            const struct spoke *s = spoke_of(spokes[i].wire);
            if (s->write_answer(&made, &client, &m.a, &body, NULL, &e) < 0 || json_check(buf_str(&body), NULL) < 0 ||
                s->read_answer(buf_str(&body), &quirks_none, &m.a, &read, &e) < 0)
                fail_msg("%s: %s: " STR_FMT, name, e.text, STR_ARG(str_first(buf_str(&body), 2000)));
            same_answer(&made, &read, name);
            buf_fini(&body);
            arena_fini(&m.a);
        }
}

/* The stream in pieces of any size, gathered into an answer again. */
static void gather_pieces(struct maker *m, enum wire w, struct str bytes, struct gather *g)
{
    struct sse sse;
    struct sse_event ev;
    sse_init(&sse, 16 << 20);
    gather_init(g, &m->a);
    struct stream_reader *from = stream_reader_new(w, &quirks_none, &m->a, gather_event, g);
    assert_non_null(from);
    while (bytes.n) {
        struct str piece = str_first(bytes, 1 + below(m, 60));
        assert_int_equal(sse_feed(&sse, piece), 0);
        while (sse_next(&sse, &ev))
            if (ev.has_data)
                stream_read(from, ev.name, ev.data);
        bytes = str_from(bytes, piece.n);
    }
    stream_read_end(from);
    stream_reader_fini(from);
    gather_end(g);
    sse_fini(&sse);
}

static void an_answer_survives_as_a_stream_cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(spokes); i++)
        for (unsigned seed = 0; seed < ROUNDS; seed++) {
            struct maker m = maker_of(seed, i);
            struct ir_answer made;
            struct gather g;
            char name[64];
            snprintf(name, sizeof name, "seed %u streamed as %s", seed, spokes[i].name);
            some_answer(&m, &made);
            struct retold r;
            retold_init(&r, spokes[i].stream, &client, NULL, &m.a);
            retell_answer(&made, retold_event, &r, &m.a);
            gather_pieces(&m, spokes[i].stream, buf_str(&r.out), &g);
            if (!g.done || g.failed)
                fail_msg("%s: not whole: " STR_FMT, name, STR_ARG(str_first(buf_str(&r.out), 2000)));
            same_answer(&made, &g.answer, name);
            gather_fini(&g);
            retold_fini(&r);
            arena_fini(&m.a);
        }
}

/* Through every dialect one after the other, as a conversation whose model is switched at each turn. */
static void a_conversation_survives_a_walk_over_all_dialects(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < ROUNDS; seed++) {
        struct maker m = maker_of(seed, 0);
        m.audio = false;
        struct ir_request at, made;
        struct buf before, after, body;
        char name[64];
        snprintf(name, sizeof name, "seed %u over all dialects", seed);
        buf_init(&before, BUF_NO_LIMIT);
        buf_init(&after, BUF_NO_LIMIT);
        buf_init(&body, BUF_NO_LIMIT);
        some_request(&m, &made);
        at = made;
        for (unsigned step = 0; step < 8; step++) {
            size_t i = step < 4 ? (seed + step) % 4 : below(&m, 4);
            struct spoke_target target = {.model = str_c(spokes[i].model), .quirks = &quirks_none, .max_output = 4096};
            struct err e = {0};
            buf_reset(&body);
            if (spoke_of(spokes[i].wire)->write_request(&at, &target, &body, NULL, &e) < 0 ||
                spoke_of(spokes[i].wire)->read_request(arena_str(&m.a, buf_str(&body)), &m.a, &at, &e) < 0)
                fail_msg("%s: %s: %s", name, spokes[i].name, e.text);
        }
        assert_same_lines(say_request(&before, &made, SAY_COMMON), say_request(&after, &at, SAY_COMMON), name);
        buf_fini(&before);
        buf_fini(&after);
        buf_fini(&body);
        arena_fini(&m.a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_conversation_survives_each_dialect),
        cmocka_unit_test(an_answer_survives_each_dialect),
        cmocka_unit_test(an_answer_survives_as_a_stream_cut_anywhere),
        cmocka_unit_test(a_conversation_survives_a_walk_over_all_dialects),
    };
    return cmocka_run_group_tests_name("ir_random", tests, NULL, NULL);
}
