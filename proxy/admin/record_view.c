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

/* The events of a stream: times and offsets are kept, the texts are cut from the answer itself. */
static void put_events(struct json_writer *w, struct str events, struct str response)
{
    struct json_iter it = json_iter(events);
    struct json_span key, item;
    json_array_begin(w, "events");
    while (events.n && json_next(&it, &key, &item)) {
        int64_t us = 0, at = -1, n = 0;
        if (json_i64(json_get(item.raw, STR("us")), &us) < 0 ||
            json_i64(json_get(item.raw, STR("at")), &at) < 0 ||
            json_i64(json_get(item.raw, STR("n")), &n) < 0 || at < 0 || n < 0)
            continue;
        struct json_span name = json_get(item.raw, STR("name"));
        json_object_begin(w, NULL);
        json_put_int(w, "us", us);
        json_put_raw(w, "name", name.type == JSON_STRING ? name.raw : STR("\"\""));
        json_put_str(w, "data", str_first(str_from(response, (size_t)at), (size_t)n));
        json_object_end(w);
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
