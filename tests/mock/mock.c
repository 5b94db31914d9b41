/* mock.c: a provider for load: fast, one thread, says nothing true.
 *
 * Why: benches and soaks need an upstream that costs little and does exactly what it was told. What
 * a request gets is said by its model's name (or `?as=` in the query), any of these joined by '-':
 *
 *     stream-20x50ms        a stream of 20 deltas, 50 ms apart (0ms: as fast as they are taken)
 *     stream-20x50ms-b400   … each delta padded to 400 bytes
 *     wait-300ms            the head comes after 300 ms
 *     b10000                a plain answer with 10,000 bytes of text
 *     status-429            that status, with an error body (Retry-After: 1 on 429 and 503)
 *     cut                   the connection is closed in the middle of the body or stream
 *     stall                 nothing more comes after the first half
 *
 * Speaks POST /v1/chat/completions, /v1/completions, /v1/responses, /v1/embeddings, /v1/messages,
 * /v1beta/models/M:generateContent and :streamGenerateContent; GET /v1/models; GET /mock/stats gives
 * counters. Deltas are numbered and say when they left (monotonic µs): "w0 8123456 ", so
 * that a reader can prove that none is lost and measure how long it took.
 *
 *     mock [--port N]       prints `listening http://127.0.0.1:PORT` */
#include "proxy/loop/loop.h"
#include "store/base/buf.h"
#include "store/base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_MAX ((size_t)64 << 10)
#define BODY_KEPT ((size_t)256 << 10) /* of a body only this much is looked at */
#define MODEL_MAX 128

enum dialect { CHAT, COMPLETION, RESPONSES, EMBEDDING, MESSAGES, GEMINI, MODELS, STATS, UNKNOWN };

/* What the model's name asked for. */
struct plan {
    bool stream, cut, stall, usage, base64;
    unsigned chunks, status;
    int64_t interval_us, wait_us;
    size_t bytes;
};

struct client {
    int fd;
    loop_id id;
    struct buf in, out;
    size_t head_bytes, body_left; /* of the request under way */
    size_t sent;                  /* of out */
    bool reading_body, busy, wants_out, dead;
    enum dialect dialect;
    struct plan plan;
    char model[MODEL_MAX];
    unsigned next;                /* step of the stream */
    struct loop_timer timer;
};

static struct loop *loop;
static int listen_fd;
static struct {
    int64_t connections, live, requests, done, aborted;
} counts;

/* ---- life of a connection ---- */

static void client_free(void *ctx)
{
    struct client *c = ctx;
    buf_fini(&c->in);
    buf_fini(&c->out);
    free(c);
}

static void client_close(struct client *c)
{
    if (c->dead)
        return;
    c->dead = true;
    counts.live--;
    counts.aborted += c->busy;
    loop_timer_stop(loop, &c->timer);
    loop_fd_remove(loop, c->id);
    close(c->fd);
    if (loop_defer(loop, client_free, c) < 0)
        abort(); /* a tool: no memory ends it */
}

static void client_flush(struct client *c)
{
    while (c->sent < c->out.n) {
        ssize_t n = send(c->fd, c->out.p + c->sent, c->out.n - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0) {
            client_close(c);
            return;
        }
        c->sent += (size_t)n;
    }
    bool waits = c->sent < c->out.n;
    if (!waits) {
        buf_reset(&c->out);
        c->sent = 0;
    }
    if (waits != c->wants_out) {
        c->wants_out = waits;
        loop_fd_change(loop, c->id, EPOLLIN | EPOLLRDHUP | (waits ? EPOLLOUT : 0));
    }
}

/* ---- what is said ---- */

static void put_head(struct client *c, unsigned status, const char *type, ptrdiff_t length)
{
    buf_printf(&c->out, "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nx-request-id: req_mock_%lld\r\n", status,
        status < 300 ? "OK" : "Error", type, (long long)counts.requests);
    if (status == 429 || status == 503)
        buf_puts(&c->out, "Retry-After: 1\r\n");
    if (length >= 0)
        buf_printf(&c->out, "Content-Length: %td\r\n\r\n", length);
    else
        buf_puts(&c->out, "Transfer-Encoding: chunked\r\n\r\n");
}

static void put_chunk(struct client *c, const struct buf *text)
{
    buf_printf(&c->out, "%zx\r\n", text->n);
    buf_put_str(&c->out, buf_str(text));
    buf_puts(&c->out, "\r\n");
}

static void put_word(struct buf *b, unsigned n, size_t bytes)
{
    size_t from = b->n;
    buf_printf(b, "w%u %lld ", n, (long long)clock_mono_us());
    while (b->n - from < bytes && !b->err)
        buf_putc(b, 'x');
}

static void put_text(struct buf *b, size_t bytes)
{
    static const char words[] = "The quick brown fox jumps over the lazy dog again and again. ";
    for (size_t i = 0; i < bytes; i++)
        buf_putc(b, words[i % (sizeof words - 1)]);
}

static void plain_openai(struct client *c, struct buf *b)
{
    bool chat = c->dialect == CHAT;
    buf_printf(b, "{\"id\":\"chatcmpl-mock%lld\",\"object\":\"%s\",\"created\":1700000000,"
        "\"model\":\"%s\",\"choices\":[{\"index\":0,%s", (long long)counts.requests,
        chat ? "chat.completion" : "text_completion", c->model,
        chat ? "\"message\":{\"role\":\"assistant\",\"content\":\"" : "\"text\":\"");
    put_text(b, c->plan.bytes ? c->plan.bytes : 260);
    buf_printf(b, "\"%s,\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":120,"
        "\"completion_tokens\":60,\"total_tokens\":180,\"prompt_tokens_details\":{\"cached_tokens\":32},"
        "\"completion_tokens_details\":{\"reasoning_tokens\":0}},\"system_fingerprint\":\"fp_mock\"}",
        chat ? "}" : "");
}

static void plain_answer(struct client *c, struct buf *b)
{
    size_t bytes = c->plan.bytes ? c->plan.bytes : 260;
    switch (c->dialect) {
    case MESSAGES:
        buf_printf(b, "{\"id\":\"msg_mock\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"%s\","
            "\"content\":[{\"type\":\"text\",\"text\":\"", c->model);
        put_text(b, bytes);
        buf_puts(b, "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{"
            "\"input_tokens\":120,\"cache_read_input_tokens\":32,\"output_tokens\":60}}");
        break;
    case GEMINI:
        buf_puts(b, "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"");
        put_text(b, bytes);
        buf_printf(b, "\"}],\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0}],"
            "\"usageMetadata\":{\"promptTokenCount\":120,\"candidatesTokenCount\":60,"
            "\"totalTokenCount\":180},\"modelVersion\":\"%s\"}", c->model);
        break;
    case RESPONSES:
        buf_printf(b, "{\"id\":\"resp_mock\",\"object\":\"response\",\"status\":\"completed\",\"model\":\"%s\","
            "\"output\":[{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":"
            "\"output_text\",\"text\":\"", c->model);
        put_text(b, bytes);
        buf_puts(b, "\"}]}],\"usage\":{\"input_tokens\":120,\"output_tokens\":60,\"total_tokens\":180}}");
        break;
    case EMBEDDING:
        buf_printf(b, "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,"
            "\"embedding\":%s}],", c->plan.base64 ? "\"zczMPc3MTL6amZk+\"" : "[0.1,-0.2,0.3]");
        buf_printf(b, "\"model\":\"%s\",\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}", c->model);
        break;
    case MODELS:
        buf_puts(b, "{\"object\":\"list\",\"data\":[{\"id\":\"plain\",\"object\":\"model\",\"created\":1,"
            "\"owned_by\":\"mock\"},{\"id\":\"stream-20x50ms\",\"object\":\"model\",\"created\":1,"
            "\"owned_by\":\"mock\"}]}");
        break;
    case STATS:
        buf_printf(b, "{\"connections\":%lld,\"live\":%lld,\"requests\":%lld,\"done\":%lld,"
            "\"aborted\":%lld}", (long long)counts.connections, (long long)counts.live,
            (long long)counts.requests, (long long)counts.done, (long long)counts.aborted);
        break;
    default:
        plain_openai(c, b);
    }
}

/* ---- streams: step 0, then one step a delta, then the ends. False: no such step ---- */

static bool step_openai(struct client *c, unsigned step, struct buf *b)
{
    unsigned n = c->plan.chunks;
    step += step > n && !c->plan.usage; /* the chunk of usage comes only when asked for */
    const char *object = c->dialect == CHAT ? "chat.completion.chunk" : "text_completion";
    if (step > n + 2)
        return false;
    if (step == n + 2) {
        buf_puts(b, "data: [DONE]\n\n");
        return true;
    }
    buf_printf(b, "data: {\"id\":\"chatcmpl-mock\",\"object\":\"%s\",\"created\":1700000000,"
        "\"model\":\"%s\",", object, c->model);
    if (step == n + 1) {
        buf_printf(b, "\"choices\":[],\"usage\":{\"prompt_tokens\":120,\"completion_tokens\":%u,"
            "\"total_tokens\":%u}}\n\n", n, n + 120);
        return true;
    }
    if (step == n) {
        buf_puts(b, "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n");
        return true;
    }
    buf_puts(b, c->dialect == CHAT && step == 0
                    ? "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\""
                : c->dialect == CHAT ? "\"choices\":[{\"index\":0,\"delta\":{\"content\":\""
                                   : "\"choices\":[{\"index\":0,\"text\":\"");
    put_word(b, step, c->plan.bytes);
    buf_puts(b, c->dialect == CHAT ? "\"},\"finish_reason\":null}]}\n\n"
                                   : "\",\"finish_reason\":null}]}\n\n");
    return true;
}

static bool step_messages(struct client *c, unsigned step, struct buf *b)
{
    unsigned n = c->plan.chunks;
    if (step > n)
        return false;
    if (step == 0)
        buf_printf(b, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":"
            "\"msg_mock\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"%s\",\"content\":[],"
            "\"stop_reason\":null,\"usage\":{\"input_tokens\":120,\"output_tokens\":1}}}\n\n"
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
            "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n", c->model);
    if (step < n) {
        buf_puts(b, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
            "\"delta\":{\"type\":\"text_delta\",\"text\":\"");
        put_word(b, step, c->plan.bytes);
        buf_puts(b, "\"}}\n\n");
        return true;
    }
    buf_printf(b, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\","
        "\"stop_sequence\":null},\"usage\":{\"output_tokens\":%u}}\n\n"
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", n);
    return true;
}

static bool step_gemini(struct client *c, unsigned step, struct buf *b)
{
    unsigned n = c->plan.chunks;
    if (step >= n)
        return false;
    buf_puts(b, "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"");
    put_word(b, step, c->plan.bytes);
    buf_printf(b, "\"}],\"role\": \"model\"},%s\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": "
        "120,\"candidatesTokenCount\": %u,\"totalTokenCount\": %u},\"modelVersion\": \"%s\"}\r\n\r\n",
        step + 1 == n ? "\"finishReason\": \"STOP\"," : "", step + 1, step + 121, c->model);
    return true;
}

static bool step_responses(struct client *c, unsigned step, struct buf *b)
{
    unsigned n = c->plan.chunks;
    if (step > n)
        return false;
    if (step == 0)
        buf_printf(b, "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":"
            "\"resp_mock\",\"object\":\"response\",\"status\":\"in_progress\",\"model\":\"%s\"}}\n\n",
            c->model);
    if (step < n) {
        buf_puts(b, "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\","
            "\"output_index\":0,\"content_index\":0,\"delta\":\"");
        put_word(b, step, c->plan.bytes);
        buf_puts(b, "\"}\n\n");
        return true;
    }
    buf_printf(b, "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":"
        "\"resp_mock\",\"object\":\"response\",\"status\":\"completed\",\"model\":\"%s\",\"usage\":{"
        "\"input_tokens\":120,\"output_tokens\":%u,\"total_tokens\":%u}}}\n\n", c->model, n, n + 120);
    return true;
}

static bool stream_step(struct client *c, unsigned step, struct buf *b)
{
    switch (c->dialect) {
    case MESSAGES:
        return step_messages(c, step, b);
    case GEMINI:
        return step_gemini(c, step, b);
    case RESPONSES:
        return step_responses(c, step, b);
    default:
        return step_openai(c, step, b);
    }
}

static void client_next_request(struct client *c);

static void answer_done(struct client *c)
{
    c->busy = false;
    counts.done++;
    client_flush(c);
    if (!c->dead && c->in.n > 0)
        client_next_request(c);
}

/* Sends steps until the plan says to wait, the socket is full, or the stream ends. */
static void stream_run(void *ctx)
{
    struct client *c = ctx;
    struct buf event;
    bool more = true;
    buf_init(&event, 16 << 20);
    while (more && !c->dead) {
        bool half = c->next >= c->plan.chunks / 2;
        if (half && c->plan.cut) {
            client_close(c);
            break;
        }
        if (half && c->plan.stall)
            break;
        buf_reset(&event);
        if (!stream_step(c, c->next++, &event)) {
            buf_puts(&c->out, "0\r\n\r\n");
            answer_done(c);
            break;
        }
        put_chunk(c, &event);
        client_flush(c);
        more = c->plan.interval_us == 0 && !c->wants_out;
        if (!c->dead && c->plan.interval_us > 0 && c->next < c->plan.chunks)
            more = loop_timer_set(loop, &c->timer, c->timer.due_us + c->plan.interval_us) < 0;
        else if (!c->wants_out)
            more = true;
    }
    buf_fini(&event);
}

static void answer_run(void *ctx)
{
    struct client *c = ctx;
    c->timer.fn = stream_run;
    c->timer.due_us = loop_now_us(loop);
    if (c->plan.stream && c->plan.status == 200) {
        put_head(c, 200, "text/event-stream", -1);
        stream_run(c);
        return;
    }
    struct buf body;
    buf_init(&body, 64 << 20);
    if (c->plan.status != 200)
        buf_printf(&body, "{\"error\":{\"message\":\"the mock was asked for a %u\",\"type\":\"mock_error\","
            "\"code\":\"mock\"}}", c->plan.status);
    else
        plain_answer(c, &body);
    put_head(c, c->plan.status, "application/json", (ptrdiff_t)body.n);
    bool half = c->plan.cut || c->plan.stall;
    buf_put_str(&c->out, str_first(buf_str(&body), half ? body.n / 2 : body.n));
    buf_fini(&body);
    if (!half) {
        answer_done(c);
        return;
    }
    client_flush(c);
    if (c->plan.cut)
        client_close(c);
}

/* ---- what is asked ---- */

static uint64_t number_after(struct str s, const char *mark)
{
    ptrdiff_t at = str_find(s, str_c(mark));
    uint64_t n = 0;
    if (at < 0)
        return 0;
    for (size_t i = (size_t)at + strlen(mark); i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
        n = n * 10 + (uint64_t)(s.p[i] - '0');
    return n;
}

static bool has(struct str s, const char *what)
{
    return str_find(s, str_c(what)) >= 0;
}

static void read_plan(struct client *c, struct str body, struct str target)
{
    ptrdiff_t as = str_find(target, STR("as="));
    struct str spec = as < 0 ? str_c(c->model) : str_from(target, (size_t)as + 3);
    struct plan *p = &c->plan;
    *p = (struct plan){.chunks = 20, .status = 200};
    p->stream = has(body, "\"stream\":true") || has(body, "\"stream\": true") ||
                has(target, ":streamGenerateContent");
    p->base64 = has(body, "\"base64\"");
    p->usage = has(body, "\"include_usage\":true") || has(body, "\"include_usage\": true");
    p->cut = has(spec, "cut");
    p->stall = has(spec, "stall");
    p->wait_us = (int64_t)number_after(spec, "wait-") * 1000;
    if (has(spec, "status-"))
        p->status = (unsigned)MIN(number_after(spec, "status-"), (uint64_t)599);
    if (str_starts(spec, STR("b")) || has(spec, "-b"))
        p->bytes = MIN(number_after(spec, str_starts(spec, STR("b")) ? "b" : "-b"), (uint64_t)32 << 20);
    ptrdiff_t s = str_find(spec, STR("stream-"));
    if (s >= 0) {
        p->chunks = (unsigned)MIN(number_after(str_from(spec, (size_t)s), "stream-"), (uint64_t)10000000);
        p->interval_us = (int64_t)number_after(str_from(spec, (size_t)s), "x") * 1000;
    }
}

static void read_model(struct client *c, struct str body, struct str path)
{
    struct str rest = body;
    ptrdiff_t at = str_find(body, STR("\"model\""));
    c->model[0] = '\0';
    if (c->dialect == GEMINI) {
        rest = str_from(path, (size_t)str_find(path, STR("/models/")) + 8);
        str_copy(c->model, sizeof c->model, str_first(rest, (size_t)MAX(str_chr(rest, ':'), 0)));
        return;
    }
    if (at < 0)
        return;
    rest = str_from(body, (size_t)at + 7);
    at = str_chr(rest, '"');
    rest = str_from(rest, (size_t)MAX(at, 0) + 1);
    at = str_chr(rest, '"');
    if (at > 0)
        str_copy(c->model, sizeof c->model, str_first(rest, (size_t)at));
}

static enum dialect read_dialect(struct str path)
{
    static const struct {
        const char *end;
        enum dialect dialect;
    } rows[] = {{"/chat/completions", CHAT}, {"/completions", COMPLETION}, {"/responses", RESPONSES},
        {"/embeddings", EMBEDDING}, {"/messages", MESSAGES}, {":generateContent", GEMINI},
        {":streamGenerateContent", GEMINI}, {"/models", MODELS}, {"/mock/stats", STATS}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_ends(path, str_c(rows[i].end)))
            return rows[i].dialect;
    return UNKNOWN;
}

static void request_begin(struct client *c)
{
    struct str head = str_first(buf_str(&c->in), c->head_bytes);
    struct str body = str_from(buf_str(&c->in), c->head_bytes);
    struct str line = str_first(head, (size_t)MAX(str_chr(head, '\r'), 0)), word, target = STR("");
    str_cut(&line, ' ', &word);
    str_cut(&line, ' ', &target);
    struct str path = target;
    ptrdiff_t query = str_chr(target, '?');
    if (query >= 0)
        path = str_first(target, (size_t)query);
    c->dialect = read_dialect(path);
    read_model(c, body, path);
    read_plan(c, body, target);
    if (c->dialect == UNKNOWN)
        c->plan.status = 404;
    if (c->dialect == STATS || c->dialect == MODELS || c->dialect == EMBEDDING)
        c->plan.stream = false;
    c->busy = true;
    c->next = 0;
    counts.requests += c->dialect != STATS;
    buf_reset(&c->in); /* no pipelining: a gateway doesn't */
    c->head_bytes = 0;
    c->reading_body = false;
    c->timer = (struct loop_timer){.fn = answer_run, .ctx = c};
    if (c->plan.wait_us == 0 ||
        loop_timer_set(loop, &c->timer, loop_now_us(loop) + c->plan.wait_us) < 0)
        answer_run(c);
}

/* The head is in c->in: how much body follows? */
static bool request_head(struct client *c)
{
    ptrdiff_t end = str_find(buf_str(&c->in), STR("\r\n\r\n"));
    if (end < 0) {
        if (c->in.n > HEAD_MAX)
            client_close(c);
        return false;
    }
    struct str head = str_first(buf_str(&c->in), (size_t)end + 2);
    c->head_bytes = (size_t)end + 4;
    ptrdiff_t at = str_find_nocase(head, STR("\r\ncontent-length:"));
    struct str value = at < 0 ? STR("0") : str_from(head, (size_t)at + 17);
    ptrdiff_t stop = str_chr(value, '\r');
    uint64_t length = 0;
    if (stop >= 0)
        value = str_first(value, (size_t)stop);
    if (!str_to_u64(str_trim(value), &length)) {
        client_close(c);
        return false;
    }
    size_t have = c->in.n - c->head_bytes;
    c->body_left = length > have ? (size_t)length - have : 0;
    c->reading_body = true;
    return true;
}

static void client_next_request(struct client *c)
{
    if (c->busy || c->dead || (!c->reading_body && !request_head(c)))
        return;
    if (c->body_left == 0)
        request_begin(c);
}

static void client_read(struct client *c)
{
    char bytes[65536];
    for (;;) {
        ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            client_close(c);
            return;
        }
        size_t keep = (size_t)n;
        if (c->reading_body) {
            c->body_left -= MIN(c->body_left, (size_t)n);
            keep = c->in.n >= BODY_KEPT ? 0 : keep;
        }
        buf_put(&c->in, bytes, keep);
        client_next_request(c);
        if (c->dead || (size_t)n < sizeof bytes)
            return;
    }
}

static void client_event(void *ctx, uint32_t events)
{
    struct client *c = ctx;
    if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) {
        client_close(c);
        return;
    }
    if (events & EPOLLIN)
        client_read(c);
    if (c->dead || !(events & EPOLLOUT))
        return;
    client_flush(c);
    if (!c->dead && !c->wants_out && c->busy && c->plan.stream && !loop_timer_running(&c->timer) &&
        c->next > 0)
        stream_run(c);
}

static void accept_all(void *ctx, uint32_t events)
{
    (void)ctx;
    (void)events;
    for (;;) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct client *c = calloc(1, sizeof *c);
        if (!c)
            abort();
        c->fd = fd;
        buf_init(&c->in, HEAD_MAX + BODY_KEPT + 65536);
        buf_init(&c->out, 64 << 20);
        c->id = loop_fd_add(loop, fd, EPOLLIN | EPOLLRDHUP, client_event, c);
        counts.connections++;
        counts.live++;
        if (!c->id)
            client_close(c);
    }
}

static void on_term(int signal_number)
{
    (void)signal_number;
    loop_stop(loop);
}

int main(int argc, char **argv)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    uint64_t port = 0;
    int on = 1;
    if (argc == 3 && strcmp(argv[1], "--port") == 0 && str_to_u64(str_c(argv[2]), &port) && port < 65536)
        a.sin_port = htons((uint16_t)port);
    else if (argc != 1) {
        fputs("usage: mock [--port N]\n", stderr);
        return 2;
    }
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (loop_new(&loop, NULL) < 0 || bind(listen_fd, (struct sockaddr *)&a, size) < 0 ||
        listen(listen_fd, 4096) < 0 || getsockname(listen_fd, (struct sockaddr *)&a, &size) < 0 ||
        !loop_fd_add(loop, listen_fd, EPOLLIN, accept_all, NULL)) {
        perror("mock");
        return 1;
    }
    signal(SIGTERM, on_term);
    signal(SIGINT, on_term);
    printf("listening http://127.0.0.1:%d\n", ntohs(a.sin_port));
    fflush(stdout);
    loop_run(loop);
    return 0;
}
