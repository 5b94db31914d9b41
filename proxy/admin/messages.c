/* messages.c: the readable form of a request: who said what, tool calls and results, images as a note,
 * whatever the dialect. Made here, so that the console needs to know no dialect.
 *
 * Reads chat completions, responses, messages and generateContent; anything else is shown raw by the
 * console. Never re-printed to a provider: for people only. */
#include "proxy/admin/handlers.h"
#include "proxy/admin/record_view.h"

#include "store/base/json_span.h"

#include <stdio.h>

struct view {
    struct json_writer *w;
    struct arena *arena;
    struct str previous; /* body of the request before, in the same session; empty: none */
    char note[160];      /* where this one ceases to begin as that one did: the cache ends there */
};

static struct str text_of(struct view *v, struct str object, const char *key)
{
    struct str s = json_get_str(object, str_c(key), v->arena);
    return s.p ? s : STR("");
}

static void part(struct view *v, const char *type, struct str name, struct str text)
{
    json_object_begin(v->w, NULL);
    json_put_c(v->w, "type", type);
    if (name.n)
        json_put_str(v->w, "name", name);
    json_put_str(v->w, "text", text);
    json_object_end(v->w);
}

static struct str raw_or_text(struct view *v, struct json_span s)
{
    return s.type == JSON_STRING ? json_text(s, v->arena) : s.raw;
}

/* One item of a `content` or `parts` array, in any dialect's spelling. */
static void content_item(struct view *v, struct str item)
{
    struct str type = text_of(v, item, "type");
    struct json_span text = json_get(item, STR("text"));
    struct json_span call = json_get(item, STR("functionCall"));
    struct json_span result = json_get(item, STR("functionResponse"));
    if (str_eq(type, STR("tool_use")))
        part(v, "tool_call", text_of(v, item, "name"), json_get(item, STR("input")).raw);
    else if (str_eq(type, STR("tool_result")))
        part(v, "tool_result", text_of(v, item, "tool_use_id"),
            raw_or_text(v, json_get(item, STR("content"))));
    else if (str_eq(type, STR("thinking")) || str_eq(type, STR("reasoning")))
        part(v, "thinking", STR_NULL, raw_or_text(v, json_get(item, STR("thinking"))));
    else if (call.type == JSON_OBJECT)
        part(v, "tool_call", text_of(v, call.raw, "name"), json_get(call.raw, STR("args")).raw);
    else if (result.type == JSON_OBJECT)
        part(v, "tool_result", text_of(v, result.raw, "name"),
            json_get(result.raw, STR("response")).raw);
    else if (text.type == JSON_STRING)
        part(v, json_is_true(json_get(item, STR("thought"))) ? "thinking" : "text", STR_NULL,
            json_text(text, v->arena));
    else
        part(v, type.n ? "media" : "other", type, STR(""));
}

static void contents(struct view *v, struct json_span content)
{
    struct json_iter it = json_iter(content.raw);
    struct json_span key, item;
    if (content.type == JSON_STRING)
        part(v, "text", STR_NULL, json_text(content, v->arena));
    while (content.type == JSON_ARRAY && json_next(&it, &key, &item)) {
        if (item.type == JSON_STRING)
            part(v, "text", STR_NULL, json_text(item, v->arena));
        else if (item.type == JSON_OBJECT)
            content_item(v, item.raw);
    }
}

static void chat_tool_calls(struct view *v, struct str message)
{
    struct json_span list = json_get(message, STR("tool_calls")), key, call;
    struct json_iter it = json_iter(list.raw);
    while (list.type == JSON_ARRAY && json_next(&it, &key, &call)) {
        struct str fn = json_get(call.raw, STR("function")).raw;
        part(v, "tool_call", text_of(v, fn, "name"), text_of(v, fn, "arguments"));
    }
}

/* A responses item that is no message: a call or its output. */
static bool response_item(struct view *v, struct str item, struct str type)
{
    if (str_eq(type, STR("function_call"))) {
        part(v, "tool_call", text_of(v, item, "name"), text_of(v, item, "arguments"));
        return true;
    }
    if (str_eq(type, STR("function_call_output"))) {
        part(v, "tool_result", text_of(v, item, "call_id"),
            raw_or_text(v, json_get(item, STR("output"))));
        return true;
    }
    return false;
}

static void message(struct view *v, struct str m, bool same)
{
    struct str role = text_of(v, m, "role"), type = text_of(v, m, "type");
    json_object_begin(v->w, NULL);
    json_put_str(v->w, "role", role.n ? role : str_starts(type, STR("function_call_output"))
        ? STR("tool") : STR("assistant"));
    json_put_bool(v->w, "same_as_before", same);
    json_array_begin(v->w, "parts");
    if (!response_item(v, m, type)) {
        if (str_eq(role, STR("tool")))
            part(v, "tool_result", text_of(v, m, "tool_call_id"),
                raw_or_text(v, json_get(m, STR("content"))));
        else
            contents(v, json_get(m, STR("content")));
        contents(v, json_get(m, STR("parts")));
        chat_tool_calls(v, m);
    }
    json_array_end(v->w);
    json_object_end(v->w);
}

static void text_message(struct view *v, const char *role, struct json_span content)
{
    if (content.type == JSON_NONE || content.type == JSON_NULL)
        return;
    json_object_begin(v->w, NULL);
    json_put_c(v->w, "role", role);
    json_put_bool(v->w, "same_as_before", false);
    json_array_begin(v->w, "parts");
    if (content.type == JSON_OBJECT)
        contents(v, json_get(content.raw, STR("parts")));
    else
        contents(v, content);
    json_array_end(v->w);
    json_object_end(v->w);
}

static struct json_span message_list(struct str body)
{
    static const char *const names[] = {"messages", "contents", "input"};
    struct json_span list = {0};
    for (size_t i = 0; i < ARRAY_LEN(names) && list.type != JSON_ARRAY; i++)
        list = json_get(body, str_c(names[i]));
    return list;
}

/* Tools and system prompt stand before the messages in what a provider caches. */
static void note_head(struct view *v, struct str body)
{
    static const struct {
        const char *member, *name;
    } heads[] = {{"tools", "tools"}, {"system", "system prompt"}, {"instructions", "instructions"},
        {"systemInstruction", "system prompt"}};
    for (size_t i = 0; v->previous.n && !v->note[0] && i < ARRAY_LEN(heads); i++) {
        struct json_span now = json_get(body, str_c(heads[i].member));
        struct json_span then = json_get(v->previous, str_c(heads[i].member));
        if (!str_eq(now.raw, then.raw))
            snprintf(v->note, sizeof v->note, "the %s changed since the request before: the "
                "provider's prompt cache was broken at its beginning", heads[i].name);
    }
}

static void note_message(struct view *v, size_t n, struct str message)
{
    struct str role = text_of(v, message, "role");
    if (!v->note[0])
        snprintf(v->note, sizeof v->note, "message %zu (" STR_FMT ") is not what it was in the request "
            "before: the provider's prompt cache was read up to there", n,
            STR_ARG(str_first(role.n ? role : STR("item"), 20)));
}

/* Appends a message without its marks of where a cache ends: clients move them on with each turn. */
static void put_unmarked(struct buf *out, struct str m)
{
    static const struct str mark = {"\"cache_control\"", sizeof "\"cache_control\"" - 1};
    ptrdiff_t at;
    while ((at = str_find(m, mark)) >= 0) {
        struct str before = str_trim(str_first(m, (size_t)at)), rest = str_from(m, (size_t)at);
        ptrdiff_t end = str_chr(rest, '}');
        if (before.n && before.p[before.n - 1] == ',')
            before.n--;
        buf_put_str(out, before);
        m = str_from(rest, end < 0 ? rest.n : (size_t)end + 1);
    }
    buf_put_str(out, m);
}

static bool same_message(struct str a, struct str b)
{
    struct buf p, q;
    bool marked = str_find(a, STR("cache_control")) >= 0 || str_find(b, STR("cache_control")) >= 0;
    if (str_eq(a, b) || !marked)
        return str_eq(a, b);
    buf_init(&p, a.n + 1);
    buf_init(&q, b.n + 1);
    put_unmarked(&p, a);
    put_unmarked(&q, b);
    bool same = !p.err && !q.err && str_eq(buf_str(&p), buf_str(&q));
    buf_fini(&p);
    buf_fini(&q);
    return same;
}

/* Another conversation of the same session (a helper of the agent): neither the first message nor the
 * one after it is known. */
static bool unrelated(struct str list, struct str before)
{
    for (unsigned i = 0; i < 2; i++) {
        char index[4] = {(char)('0' + i), 0};
        struct json_span now = json_path(list, index), then = json_path(before, index);
        if (now.type != JSON_NONE && same_message(now.raw, then.raw))
            return false;
    }
    return true;
}

/* Folds what equals the beginning of the request before. */
static void request_messages(struct view *v, struct str body)
{
    struct json_span list = message_list(body), key, m, old = {0};
    struct str known = message_list(v->previous).raw;
    if (unrelated(list.raw, known))
        v->previous = known = STR_NULL;
    struct json_iter it = json_iter(list.raw), before = json_iter(known);
    bool same = v->previous.n > 0;
    size_t n = 0;
    note_head(v, body);
    text_message(v, "system", json_get(body, STR("system")));
    text_message(v, "system", json_get(body, STR("systemInstruction")));
    text_message(v, "system", json_get(body, STR("instructions")));
    if (list.type != JSON_ARRAY) {
        text_message(v, "user", json_get(body, STR("input")));
        text_message(v, "user", json_get(body, STR("prompt")));
        return;
    }
    while (json_next(&it, &key, &m)) {
        bool more = same && json_next(&before, &key, &old);
        same = more && same_message(old.raw, m.raw);
        n++;
        if (more && !same)
            note_message(v, n, m.raw);
        message(v, m.raw, same);
    }
}

/* ---- the answer ---- */

/* Puts the texts of a stream's deltas together, whatever the dialect. */
static void delta_text(struct view *v, struct str data, struct buf *text, struct buf *tools)
{
    static const char *const paths[] = {"choices.0.delta.content", "choices.0.text", "delta.text",
        "candidates.0.content.parts.0.text"};
    struct json_span delta = json_get(data, STR("delta"));
    if (delta.type == JSON_STRING &&
        json_text_eq(json_get(data, STR("type")), STR("response.output_text.delta")))
        buf_put_str(text, json_text(delta, v->arena));
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct json_span s = json_path(data, paths[i]);
        if (s.type == JSON_STRING)
            buf_put_str(text, json_text(s, v->arena));
    }
    static const char *const calls[] = {"choices.0.delta.tool_calls.0.function.name",
        "choices.0.delta.tool_calls.0.function.arguments", "content_block.name",
        "delta.partial_json"};
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        struct json_span s = json_path(data, calls[i]);
        if (s.type == JSON_STRING) {
            if (i % 2 == 0 && tools->n)
                buf_putc(tools, '\n');
            buf_put_str(tools, json_text(s, v->arena));
            if (i % 2 == 0)
                buf_putc(tools, ' ');
        }
    }
}

static void stream_answer(struct view *v, struct str body)
{
    struct buf text, tools;
    struct str line;
    buf_init(&text, 8 << 20);
    buf_init(&tools, 8 << 20);
    while (body.n && str_cut(&body, '\n', &line))
        if (str_starts(line, STR("data:")))
            delta_text(v, str_trim(str_from(line, 5)), &text, &tools);
    json_object_begin(v->w, NULL);
    json_put_c(v->w, "role", "assistant");
    json_put_bool(v->w, "same_as_before", false);
    json_array_begin(v->w, "parts");
    if (text.n)
        part(v, "text", STR_NULL, buf_str(&text));
    if (tools.n)
        part(v, "tool_call", STR_NULL, buf_str(&tools));
    json_array_end(v->w);
    json_object_end(v->w);
    buf_fini(&text);
    buf_fini(&tools);
}

static void answer_message(struct view *v, struct str body)
{
    struct json_span chat = json_path(body, "choices.0.message");
    struct json_span gemini = json_path(body, "candidates.0.content");
    struct json_span output = json_get(body, STR("output")), key, item;
    struct json_iter it = json_iter(output.raw);
    if (chat.type == JSON_OBJECT)
        message(v, chat.raw, false);
    else if (gemini.type == JSON_OBJECT)
        message(v, gemini.raw, false);
    else if (output.type == JSON_ARRAY)
        while (json_next(&it, &key, &item))
            message(v, item.raw, false);
    else if (json_get(body, STR("content")).type == JSON_ARRAY)
        message(v, body, false);
    else if (str_find(body, STR("data:")) >= 0)
        stream_answer(v, body);
}

/* ---- the handler: the request before, its body, then this one's body ---- */

static void ask_body(struct call *c, struct str id, call_answered *fn)
{
    struct store_query q = {.kind = STORE_ASK_BODY, .id = id};
    call_ask(c, &q, fn);
}

static void messages_answered(struct call *c, struct store_answer *a)
{
    if (a->rc < 0) {
        call_error(c, 404, "no_body", "no body is kept of this request (capture)");
        return;
    }
    struct json_writer *w = call_begin(c);
    struct view v = {.w = w, .arena = &c->arena, .previous = call_previous(c)};
    json_array_begin(w, "messages");
    request_messages(&v, a->body.request);
    answer_message(&v, a->body.response);
    json_array_end(w);
    json_put_c(w, "cache_note", v.note);
    call_send(c);
}

static void previous_body_answered(struct call *c, struct store_answer *a)
{
    if (a->rc == 0)
        call_set_previous(c, arena_str(&c->arena, a->body.request));
    ask_body(c, call_record(c)->id, messages_answered);
}

static void previous_answered(struct call *c, struct store_answer *a)
{
    if (a->rc == 0 && a->n)
        ask_body(c, arena_str(&c->arena, a->records[0].id), previous_body_answered);
    else
        ask_body(c, call_record(c)->id, messages_answered);
}

static void show_messages(struct call *c)
{
    const struct record *r = call_record(c);
    struct store_query q = {.kind = STORE_ASK_EXCHANGES, .limit = 1, .session = r->session,
        .model = r->model, .to_ms = r->time_ms};
    if (!call_may_read(c, r))
        call_error(c, 403, "denied", "access.bodies does not let you read this request's bodies");
    else if (r->session.n)
        call_ask(c, &q, previous_answered);
    else
        ask_body(c, r->id, messages_answered);
}

void get_messages(struct call *c)
{
    call_with_record(c, show_messages);
}
