/* record_view.c: see record_view.h. */
#include "proxy/admin/record_view.h"

#include "store/base/json_span.h"

#include <stdio.h>

static void put_json_or_empty(struct json_writer *w, const char *key, struct str json, const char *empty)
{
    json_put_raw(w, key, json.n && json_check(json, NULL) == 0 ? json : str_c(empty));
}

static void side(struct json_writer *w, const char *key, struct str headers, struct str body, bool cut)
{
    json_object_begin(w, key);
    put_json_or_empty(w, "headers", headers, "{}");
    json_put_str(w, "body", body);
    json_put_bool(w, "body_cut", cut);
    json_object_end(w);
}

/* "event: message_start" at the beginning of an event's bytes. */
static struct str event_name(struct str bytes)
{
    struct str line;
    while (bytes.n && str_cut(&bytes, '\n', &line))
        if (str_starts(line, STR("event:")))
            return str_trim(str_from(line, strlen("event:")));
    return STR("");
}

static bool read_mark(struct json_iter *it, int64_t *us, int64_t *at)
{
    struct json_span key, pair, first, second;
    if (!json_next(it, &key, &pair) || pair.type != JSON_ARRAY)
        return false;
    struct json_iter inner = json_iter(pair.raw);
    return json_next(&inner, &key, &first) && json_next(&inner, &key, &second) &&
           json_i64(first, us) == 0 && json_i64(second, at) == 0 && *at >= 0;
}

/* The events of a stream: [[µs, offset], …] is kept; the bytes of each are cut from the answer. */
static void put_events(struct json_writer *w, struct str marks, struct str response)
{
    struct json_iter it = json_iter(marks);
    int64_t us = 0, at = 0, next_us = 0, next_at = 0;
    bool more = marks.n && read_mark(&it, &us, &at);
    json_array_begin(w, "events");
    while (more && (size_t)at < response.n) {
        more = read_mark(&it, &next_us, &next_at);
        size_t n = more && next_at >= at ? (size_t)(next_at - at) : response.n;
        struct str bytes = str_first(str_from(response, (size_t)at), n);
        json_object_begin(w, NULL);
        json_put_int(w, "us", us);
        json_put_str(w, "name", event_name(bytes));
        json_put_str(w, "data", str_trim(bytes));
        json_object_end(w);
        us = next_us;
        at = next_at;
    }
    json_array_end(w);
}

void body_json(const struct store_body *b, struct json_writer *w)
{
    side(w, "request", b->request_headers, b->request, b->request_cut);
    side(w, "response", b->response_headers, b->response, b->response_cut);
    put_events(w, b->events, b->response);
}

bool record_sentence(const struct record *r, char *out, size_t size)
{
    if (r->state != STATE_DONE || r->total_us < 1000)
        return false;
    int64_t wait = r->ttft_us > 0 ? r->ttft_us - r->queue_us - r->retry_us - r->connect_us : 0;
    const struct {
        int64_t us;
        const char *text;
    } parts[] = {
        {r->queue_us, "waiting for a place at the provider"},
        {r->retry_us, "attempts that failed"},
        {r->connect_us, "connecting"},
        {MAX(wait, 0), "the provider before its first token"},
        {r->ttft_us > 0 ? r->total_us - r->ttft_us - r->client_stall_us
                        : r->total_us - r->queue_us - r->retry_us - r->connect_us,
            r->ttft_us > 0 ? "the answer coming in" : "the provider"},
        {r->client_stall_us, "the client not reading"},
        {r->overhead_us, "pointsman itself"},
    };
    size_t most = 0;
    for (size_t i = 1; i < ARRAY_LEN(parts); i++)
        if (parts[i].us > parts[most].us)
            most = i;
    snprintf(out, size, "most of %.3g s was %s: %.3g s (%d %%)", (double)r->total_us / 1e6,
        parts[most].text, (double)parts[most].us / 1e6,
        (int)(parts[most].us * 100 / MAX(r->total_us, 1)));
    return true;
}
