/* Units of proxy/dialect/spoke.h over recorded exchanges: each answer means what it means, whole and
 * in any pieces, and says the same after it has gone through each other dialect and back. */
#include "tests/unit/ir_check.h"

static unsigned faults;
#define FAULT(...) (faults++ < 40 ? (void)(printf("# " __VA_ARGS__), printf("\n")) : (void)0)

/* What an answer says, of its first choice: texts decoded, calls as lines "id name arguments". */
struct said {
    struct buf text, reasoning, refusal, calls;
    enum ir_finish finish;
    struct usage usage;
    bool done, error, in_part;
    unsigned starts, call_count, order_faults;
    struct arena arena;
};

static void said_init(struct said *s)
{
    *s = (struct said){0};
    buf_init(&s->text, 32 << 20);
    buf_init(&s->reasoning, 32 << 20);
    buf_init(&s->refusal, 32 << 20);
    buf_init(&s->calls, 32 << 20);
    arena_init(&s->arena, 4096, 256 << 20);
}

static void said_fini(struct said *s)
{
    buf_fini(&s->text);
    buf_fini(&s->reasoning);
    buf_fini(&s->refusal);
    buf_fini(&s->calls);
    arena_fini(&s->arena);
}

static void collect(void *ctx, const struct ir_event *ev)
{
    struct said *s = ctx;
    s->order_faults += s->done || s->error; /* nothing may follow */
    if (ev->kind == IR_EV_DONE)
        s->done = true;
    if (ev->kind == IR_EV_ERROR)
        s->error = true;
    if (ev->kind == IR_EV_USAGE)
        s->usage = *ev->usage;
    if (ev->kind == IR_EV_START)
        s->order_faults += s->starts++ > 0;
    if (ev->choice)
        return;
    switch (ev->kind) {
    case IR_EV_TEXT:
        buf_put_str(&s->text, ev->text);
        break;
    case IR_EV_REASONING:
        buf_put_str(&s->reasoning, ev->text);
        break;
    case IR_EV_REFUSAL:
        buf_put_str(&s->refusal, ev->text);
        break;
    case IR_EV_CALL_START:
        s->call_count++;
        buf_printf(&s->calls, "\n" STR_FMT " " STR_FMT " " STR_FMT, STR_ARG(ev->id),
            STR_ARG(ev->name), STR_ARG(ev->text));
        s->order_faults += s->in_part;
        s->in_part = true;
        break;
    case IR_EV_CALL_ARGS:
        buf_put_str(&s->calls, ev->text);
        s->order_faults += !s->in_part;
        break;
    case IR_EV_PART_END:
        if (s->in_part && s->calls.p[s->calls.n - 1] == ' ') /* called without arguments */
            buf_puts(&s->calls, "{}");
        s->in_part = false;
        break;
    case IR_EV_FINISH:
        s->finish = ev->finish;
        break;
    default:
        break;
    }
}

/* The text of arguments, as a fragment would have it. */
static void put_arguments(struct said *s, const struct ir_part *p)
{
    if (p->arguments.p)
        buf_put_str(&s->calls, ir_text_of(&s->arena, p->arguments));
    else
        buf_put_str(&s->calls, p->broken);
}

static void collect_answer(struct said *s, const struct ir_answer *a)
{
    s->usage = a->usage;
    s->done = true;
    if (!a->choices)
        return;
    s->finish = a->choices->finish;
    for (const struct ir_part *p = a->choices->parts; p; p = p->next) {
        if (p->kind == IR_TEXT)
            buf_put_str(&s->text, p->text);
        else if (p->kind == IR_REASONING)
            buf_put_str(&s->reasoning, p->text);
        else if (p->kind == IR_REFUSAL)
            buf_put_str(&s->refusal, p->text);
        if (p->kind != IR_CALL)
            continue;
        s->call_count++;
        buf_printf(&s->calls, "\n" STR_FMT " " STR_FMT " ", STR_ARG(p->id), STR_ARG(p->name));
        put_arguments(s, p);
    }
}

static const struct spoke_client some_client = {.model = {"asked", 5}, .fallback_id = {"id1", 3},
    .now_s = 1700000000, .include_usage = true};

static const struct spoke_quirks *quirks_for(const char *where)
{
    bool without = strncmp(where, "xai/", 4) == 0;
    return quirks_of(without ? STR("https://api.x.ai/v1") : STR("https://api.openai.com/v1"));
}

/* --- streams ------------------------------------------------------------------------------------ */

static void feed(struct stream_reader *r, struct str bytes, size_t step)
{
    struct sse s;
    struct sse_event ev;
    sse_init(&s, 16 << 20);
    for (size_t at = 0, n; at < bytes.n; at += n) {
        n = step ? step : 1 + (at * 2654435761u >> 7) % 90; /* 0: at cuts that look random */
        assert_int_equal(sse_feed(&s, str_first(str_from(bytes, at), n)), 0);
        while (sse_next(&s, &ev))
            if (ev.has_data)
                stream_read(r, ev.name, ev.data);
    }
    if (sse_finish(&s, &ev) && ev.has_data)
        stream_read(r, ev.name, ev.data);
    stream_read_end(r);
    sse_fini(&s);
}

static void read_stream(enum wire w, const struct spoke_quirks *q, struct str bytes, size_t step,
    struct said *out)
{
    said_init(out);
    struct stream_reader *r = stream_reader_new(w, q, &out->arena, collect, out);
    assert_non_null(r);
    feed(r, bytes, step);
    stream_reader_fini(r);
}

/* As `to` would have it. */
static void rewrite_stream(enum wire w, const struct spoke_quirks *q, struct str bytes,
    enum wire to, struct buf *out)
{
    struct arena a;
    arena_init(&a, 4096, 256 << 20);
    struct retold rw;
    retold_init(&rw, to, &some_client, NULL, &a);
    struct stream_reader *r = stream_reader_new(w, q, &a, retold_event, &rw);
    assert_non_null(r);
    feed(r, bytes, 0);
    stream_reader_fini(r);
    buf_init(out, 256 << 20);
    buf_put_str(out, buf_str(&rw.out));
    retold_fini(&rw);
    arena_fini(&a);
}

/* --- comparing ---------------------------------------------------------------------------------- */

static struct str plain(struct said *s, const struct buf *b)
{
    return b->n ? ir_plain(buf_str(b), &s->arena) : STR("");
}

static void same(const char *where, const char *what, struct str got, struct str want)
{
    if (!str_eq(got, want))
        FAULT("%s: %s is\n%.*s\nwant\n%.*s", where, what, (int)MIN(got.n, (size_t)600),
            got.p ? got.p : "", (int)MIN(want.n, (size_t)600), want.p ? want.p : "");
}

static void same_number(const char *where, const char *what, int64_t got, int64_t want)
{
    if (got != want)
        FAULT("%s: %s is %lld, want %lld", where, what, (long long)got, (long long)want);
}

/* Ids as Anthropic takes them: others fold to the same. */
static void fold_ids(struct buf *calls)
{
    bool in_id = false;
    for (size_t i = 0; i < calls->n; i++) {
        char c = calls->p[i];
        if (c == '\n')
            in_id = true;
        else if (c == ' ')
            in_id = false;
        else if (in_id && strchr(".:/|", c))
            calls->p[i] = '_';
    }
}

static void compare(const char *where, struct said *got, struct said *want, enum wire through)
{
    bool has_reasoning = through != WIRE_GENERATE && through != WIRE_STREAM_GENERATE;
    struct buf text;
    buf_init(&text, 64 << 20);
    buf_put_str(&text, plain(want, &want->text));
    if (through != WIRE_CHAT && through != WIRE_RESPONSES) /* refusals are text elsewhere */
        buf_put_str(&text, plain(want, &want->refusal));
    else
        same(where, "refusal", plain(got, &got->refusal), plain(want, &want->refusal));
    same(where, "text", plain(got, &got->text), buf_str(&text));
    buf_fini(&text);
    if (has_reasoning)
        same(where, "reasoning", plain(got, &got->reasoning), plain(want, &want->reasoning));
    fold_ids(&got->calls);
    fold_ids(&want->calls);
    same(where, "calls", plain(got, &got->calls), plain(want, &want->calls));
    if (want->finish != IR_FINISH_ERROR && want->done)
        same_number(where, "finish", got->finish, want->finish);
    same_number(where, "done", got->done, want->done);
    if (!want->done)
        return;
    same_number(where, "input", got->usage.input + got->usage.extra_input,
        want->usage.input + want->usage.extra_input);
    same_number(where, "cached", got->usage.cached, want->usage.cached);
    if (want->usage.reasoning > want->usage.output)
        return; /* counted beside it, which no other dialect knows */
    same_number(where, "output", got->usage.output, want->usage.output);
    same_number(where, "reasoning tokens", got->usage.reasoning, want->usage.reasoning);
}

static struct str without_ends(struct str text, struct arena *a)
{
    char *to = arena_alloc(a, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; to && i < text.n; i++)
        if (text.p[i] != '\n')
            to[n++] = text.p[i];
    return str_n(to, n);
}

static void compare_expected(const char *where, struct said *got, struct str want)
{
    struct json_span text = json_get(want, STR("text")), thought = json_get(want, STR("reasoning"));
    struct json_span calls = json_get(want, STR("tool_calls"));
    if (text.type == JSON_STRING)
        same(where, "text", plain(got, &got->text), json_text(text, &got->arena));
    if (thought.type == JSON_STRING) /* parts of a summary: an empty line between them, or none */
        same(where, "reasoning", without_ends(plain(got, &got->reasoning), &got->arena),
            without_ends(json_text(thought, &got->arena), &got->arena));
    if (calls.type == JSON_ARRAY)
        same_number(where, "calls", got->call_count, (int64_t)json_count(calls));
    struct json_span k, v;
    struct json_iter it = json_iter(calls.raw);
    while (calls.type == JSON_ARRAY && json_next(&it, &k, &v)) {
        struct str name = json_text(json_get(v.raw, STR("name")), &got->arena);
        if (str_find(buf_str(&got->calls), name) < 0)
            FAULT("%s: no call of %.*s", where, STR_ARG(name));
    }
    struct json_span finish = json_get(want, STR("finish_reason"));
    static const char *const names[] = {"", "stop", "length", "tool_calls", "content_filter",
        "error"};
    bool forced = got->finish == IR_FINISH_TOOLS && json_text_eq(finish, STR("stop"));
    if (finish.type == JSON_STRING && got->finish && !json_text_eq(finish, STR("error")) && !forced)
        same(where, "finish", str_c(names[got->finish]), json_text(finish, &got->arena));
}

/* --- fixtures ----------------------------------------------------------------------------------- */

static const enum wire wires[] = {WIRE_CHAT, WIRE_RESPONSES, WIRE_MESSAGES, WIRE_GENERATE};

static int wire_of(struct json_span dialect, bool stream)
{
    static const char *const names[] = {"openai-chat", "openai-responses", "anthropic-messages",
        "gemini-generate"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (json_text_eq(dialect, str_c(names[i])))
            return wires[i] == WIRE_GENERATE && stream ? WIRE_STREAM_GENERATE : (int)wires[i];
    return -1;
}

static enum wire stream_wire(enum wire w)
{
    return w == WIRE_GENERATE ? WIRE_STREAM_GENERATE : w;
}

static void check_stream(const char *where, enum wire w, struct str bytes, struct str expected)
{
    static const size_t steps[] = {1 << 30, 1, 0};
    const struct spoke_quirks *q = quirks_for(where);
    struct said want, again;
    read_stream(w, q, bytes, steps[0], &want);
    if (str_find(bytes, STR("\"willContinue\"")) < 0) /* one call in pieces was counted as many */
        compare_expected(where, &want, expected);
    same_number(where, "order faults", want.order_faults, 0);
    for (size_t i = 1; i < ARRAY_LEN(steps); i++) {
        read_stream(w, q, bytes, steps[i], &again);
        same(where, "text in pieces", buf_str(&again.text), buf_str(&want.text));
        same(where, "calls in pieces", buf_str(&again.calls), buf_str(&want.calls));
        same_number(where, "done in pieces", again.done, want.done);
        said_fini(&again);
    }
    for (size_t i = 0; i < ARRAY_LEN(wires); i++) {
        enum wire to = stream_wire(wires[i]);
        char label[500];
        struct buf out;
        if (!spoke_of(to))
            continue;
        snprintf(label, sizeof label, "%s through %s", where, wire_name(to));
        rewrite_stream(w, q, bytes, to, &out);
        read_stream(to, &quirks_none, buf_str(&out), 0, &again);
        same_number(label, "order faults", again.order_faults, 0);
        compare(label, &again, &want, to);
        said_fini(&again);
        buf_fini(&out);
    }
    said_fini(&want);
}

static void check_whole(const char *where, enum wire w, struct str body, struct str expected)
{
    const struct spoke_quirks *q = quirks_for(where);
    struct ir_answer answer, back;
    struct said want, again;
    struct err e = {0};
    said_init(&want);
    if (spoke_of(w)->read_answer(body, q, &want.arena, &answer, &e) < 0) {
        FAULT("%s: %s", where, e.text);
        said_fini(&want);
        return;
    }
    collect_answer(&want, &answer);
    compare_expected(where, &want, expected);
    for (size_t i = 0; i < ARRAY_LEN(wires) && answer.choices; i++) {
        const struct spoke *to = spoke_of(wires[i]);
        char label[500];
        struct buf out;
        size_t at;
        if (!to)
            continue;
        snprintf(label, sizeof label, "%s through %s", where, wire_name(to->wire));
        said_init(&again);
        buf_init(&out, 64 << 20);
        if (to->write_answer(&answer, &some_client, &again.arena, &out, NULL, &e) < 0)
            FAULT("%s: %s", label, e.text);
        if (json_check(buf_str(&out), &at) < 0)
            FAULT("%s: not JSON at %zu: %.*s", label, at, STR_ARG(buf_str(&out)));
        if (to->read_answer(buf_str(&out), &quirks_none, &again.arena, &back, &e) < 0) {
            FAULT("%s: %s", label, e.text);
        } else {
            collect_answer(&again, &back);
            compare(label, &again, &want, to->wire);
        }
        said_fini(&again);
        buf_fini(&out);
    }
    said_fini(&want);
}

/* A request says the same after going through its own dialect; through others it stays JSON. */
static void check_request(const char *where, enum wire w, struct str body)
{
    struct arena a;
    struct ir_request r;
    struct err e = {0};
    arena_init(&a, 4096, 256 << 20);
    if (spoke_of(w)->read_request(body, &a, &r, &e) < 0) {
        FAULT("%s: request: %s", where, e.text);
        arena_fini(&a);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(wires); i++) {
        const struct spoke *to = spoke_of(wires[i]);
        struct ir_notes notes = {0};
        struct spoke_target target = {.model = STR("m"), .ask_usage = true, .stream = r.stream,
            .quirks = quirks_of(STR("https://api.openai.com/v1"))};
        struct buf out;
        size_t at;
        if (!to)
            continue;
        buf_init(&out, 64 << 20);
        int rc = to->write_request(&r, &target, &out, &notes, &e);
        if (rc < 0 && rc != -ERR_UNSUPPORTED)
            FAULT("%s to %s: %s", where, wire_name(to->wire), e.text);
        if (rc == 0 && json_check(buf_str(&out), &at) < 0)
            FAULT("%s to %s: not JSON at %zu", where, wire_name(to->wire), at);
        struct ir_request back;
        if (rc == 0 && to->read_request(buf_str(&out), &a, &back, &e) < 0)
            FAULT("%s to %s: can't be read back: %s", where, wire_name(to->wire), e.text);
        buf_fini(&out);
    }
    arena_fini(&a);
}

static unsigned check_fixture(const char *dir, const char *where)
{
    struct str expected = shared_read(dir, "expected.json");
    struct str stream = shared_read(dir, "stream.sse"), body = shared_read(dir, "response.json");
    struct str request = shared_read(dir, "request.json");
    int64_t status = 0;
    int w = expected.p ? wire_of(json_get(expected, STR("dialect")), stream.p != NULL) : -1;
    unsigned checked = 0;
    if (w >= 0 && spoke_of((enum wire)w)) {
        bool ok = json_i64(json_get(expected, STR("status")), &status) == 0 && status == 200;
        if (ok && request.p && json_check(request, NULL) == 0)
            check_request(where, (enum wire)w, request);
        if (ok &&
            json_get(expected, STR("response_error")).type == JSON_NONE) {
            if (stream.p)
                check_stream(where, (enum wire)w, stream, expected);
            else if (body.p)
                check_whole(where, (enum wire)w, body, expected);
            checked = 1;
        }
    }
    free((char *)expected.p);
    free((char *)stream.p);
    free((char *)body.p);
    free((char *)request.p);
    return checked;
}

static void every_recorded_exchange_survives_each_dialect(void **state)
{
    (void)state;
    const char *only = getenv("ONLY");
    struct exchanges x = {.turn = 0};
    unsigned seen = 0;
    while (exchange_next(&x))
        if (!only || strstr(x.where, only))
            seen += check_fixture(x.dir, x.where);
    printf("# %u recorded exchanges\n", seen);
    assert_true(only || seen >= (x.places > 1 ? 250 : 12));
    assert_int_equal(faults, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_recorded_exchange_survives_each_dialect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
