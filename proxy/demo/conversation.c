/* conversation.c: who the synthetic clients are and what they send. Agents go on for many turns with
 * a growing context and tools; scripts ask once. */
#include "proxy/demo/internal.h"
#include "store/base/json_span.h"

#include <stdio.h>

static const struct client_kind {
    const char *agent;
    unsigned key; /* index of demo_keys */
    const char *model;
    bool tools, stream, agentic;
} kinds[] = {
    {"claude-cli/2.1.330 (external, cli)", 0, "claude-sonnet-4-5", true, true, true},
    {"codex_cli_rs/0.169.0 (Linux; x86_64)", 1, "demo/atlas", true, true, true},
    {"opencode/1.18.33", 0, "smart", true, true, true},
    {"OpenAI/Python 2.14.0", 3, "demo/breeze", false, true, true},
    {"OpenAI/JS 7.57.0", 0, "fast", false, true, false},
    {"OpenAI/JS 7.57.0", 0, "demo/sage", false, true, false},
    {"python-httpx/0.28.1", 2, "cheap", false, false, false},
    {"curl/8.5.0", 1, "demo/pebble", false, false, false},
    {"OpenAI/Python 2.14.0", 3, "demo/quill-embed", false, false, false},
};

static const char tools_json[] =
    ",\"tools\":["
    "{\"type\":\"function\",\"function\":{\"name\":\"read_file\",\"description\":\"Read part of a "
    "file.\","
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"},\"offset\":"
    "{\"type\":"
    "\"integer\"},\"limit\":{\"type\":\"integer\"}},\"required\":[\"path\"]}}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"search\",\"description\":\"Search the "
    "repository.\","
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"pattern\":{\"type\":\"string\"},"
    "\"path\":{\"type\":"
    "\"string\"}},\"required\":[\"pattern\"]}}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"run_command\",\"description\":\"Run a "
    "command.\","
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"command\":{\"type\":\"string\"},"
    "\"timeout_s\":{\"type\":"
    "\"integer\"}},\"required\":[\"command\"]}}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"edit_file\",\"description\":\"Replace text in "
    "a file.\","
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"},\"old\":{"
    "\"type\":\"string\"},"
    "\"new\":{\"type\":\"string\"}},\"required\":[\"path\",\"old\",\"new\"]}}}]";

static void put_message(struct buf *out, const char *role, struct str text)
{
    buf_printf(out, "%s{\"role\":\"%s\",\"content\":", out->n ? "," : "", role);
    json_quote(out, text);
    buf_putc(out, '}');
}

static void add_question(struct demo_conversation *c, struct demo_random *r)
{
    struct buf text;
    buf_init(&text, 64 << 10);
    if (c->agentic && c->turn == 0) { /* what an agent reads before it begins */
        demo_text_answer(&text, r, 150 + demo_random_below(r, 500));
        buf_puts(&text, "\n\n");
    }
    demo_text_question(&text, r);
    put_message(&c->messages, "user", buf_str(&text));
    buf_fini(&text);
}

void demo_conversation_begin(struct demo_conversation *c, struct demo_random *r, unsigned number)
{
    static const char *const projects[] = {
        "checkout", "search", "billing", "docs", "parser", "mobile"};
    const struct client_kind *k = &kinds[demo_random_below(r, ARRAY_LEN(kinds))];
    *c = (struct demo_conversation){.agent = k->agent, .key = demo_keys[k->key].secret,
        .model = k->model, .tools = k->tools, .stream = k->stream, .agentic = k->agentic};
    c->turns_left = k->agentic ? 6 + demo_random_below(r, 24) : 1;
    if (k->agentic)
        snprintf(c->session, sizeof c->session, "%s-%u", projects[demo_random_below(r,
            ARRAY_LEN(projects))], number);
    buf_init(&c->messages, DEMO_CONVERSATION_MAX);
    if (c->tools)
        put_message(&c->messages, "system", str_c(demo_text_system));
    add_question(c, r);
}

static void put_body(const struct demo_conversation *c, struct demo_random *r, struct buf *body)
{
    const char *model = c->model;
    if (demo_random_chance(r, 0.006))
        model = "gtp-5-mini"; /* people mistype */
    buf_printf(body, "{\"model\":\"%s\",", model);
    if (str_ends(str_c(c->model), STR("embed"))) {
        buf_puts(body, "\"input\":\"How do I change the delivery address of an order?\"}");
        return;
    }
    buf_puts(body, "\"messages\":[");
    buf_put_str(body, buf_str(&c->messages));
    buf_putc(body, ']');
    buf_puts(body, c->tools ? tools_json : ",\"max_tokens\":800");
    buf_puts(body, c->stream ? ",\"stream\":true}" : "}");
}

void demo_conversation_request(struct demo_conversation *c, struct demo_random *r, const char *host,
    struct buf *out)
{
    struct buf body;
    buf_init(&body, DEMO_CONVERSATION_MAX + (16 << 10));
    put_body(c, r, &body);
    bool embed = str_ends(str_c(c->model), STR("embed"));
    buf_printf(out,
        "POST /v1/%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nUser-Agent: %s\r\n"
        "Content-Type: application/json\r\nAccept: application/json\r\nConnection: close\r\n",
        embed ? "embeddings" : "chat/completions", host,
        demo_random_chance(r, 0.004) ? "demo-key-long-forgotten" : c->key, c->agent);
    if (*c->session)
        buf_printf(out, "x-pointsman-session: %s\r\n", c->session);
    buf_printf(out, "Content-Length: %zu\r\n\r\n", body.n);
    buf_put_str(out, buf_str(&body));
    out->err = out->err ? out->err : body.err;
    buf_fini(&body);
}

static void add_tool_round(struct demo_conversation *c, struct demo_random *r)
{
    const char *name, *arguments;
    struct buf result;
    demo_text_tool(r, &name, &arguments);
    buf_printf(&c->messages,
        ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_%u\",\"type\":"
        "\"function\",\"function\":{\"name\":\"%s\",\"arguments\":",
        c->turn, name);
    json_quote(&c->messages, str_c(arguments));
    buf_puts(&c->messages, "}}]}");
    buf_init(&result, 8 << 10);
    demo_text_tool_result(&result, r);
    buf_printf(
        &c->messages, ",{\"role\":\"tool\",\"tool_call_id\":\"call_%u\",\"content\":", c->turn);
    json_quote(&c->messages, buf_str(&result));
    buf_putc(&c->messages, '}');
    buf_fini(&result);
}

bool demo_conversation_answered(struct demo_conversation *c, struct demo_random *r, bool ok)
{
    if (!ok)
        return c->turns_left > 1 && demo_random_chance(r, 0.8); /* the same turn once more */
    c->turn++;
    if (--c->turns_left == 0)
        return false;
    if (c->tools && demo_random_chance(r, 0.75)) {
        add_tool_round(c, r);
    } else {
        struct buf said;
        buf_init(&said, 16 << 10);
        demo_text_answer(&said, r, 3 + demo_random_below(r, 10));
        put_message(&c->messages, "assistant", buf_str(&said));
        buf_fini(&said);
        add_question(c, r);
    }
    return !c->messages.err; /* the context is full: a new session */
}

void demo_conversation_end(struct demo_conversation *c)
{
    buf_fini(&c->messages);
}
