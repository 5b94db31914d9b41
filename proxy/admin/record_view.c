/* record_view.c: see record_view.h. */
#include "proxy/admin/record_view.h"

#include "store/base/histogram.h"

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

/* What an event says: its data lines, without the field's name; the bytes as they are where there is none
 * (an element of Gemini's array). `room` holds what had to be joined. */
static struct str event_data(struct str bytes, struct buf *room)
{
    struct str rest = bytes, line, one = STR_NULL;
    size_t lines = 0;
    buf_reset(room);
    while (rest.n && str_cut(&rest, '\n', &line)) {
        if (!str_starts(line, STR("data:")))
            continue;
        one = str_trim(str_from(line, strlen("data:")));
        if (lines++)
            buf_putc(room, '\n');
        buf_put_str(room, one);
    }
    if (lines > 1)
        return buf_str(room);
    bool comment = str_starts(bytes, STR(":")) || str_starts(bytes, STR("event:"));
    return lines ? one : comment ? STR("") : str_trim(bytes);
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
    struct buf room;
    buf_init(&room, response.n + 1);
    json_array_begin(w, "events");
    while (more && (size_t)at < response.n) {
        more = read_mark(&it, &next_us, &next_at);
        size_t n = more && next_at >= at ? (size_t)(next_at - at) : response.n;
        struct str bytes = str_first(str_from(response, (size_t)at), n);
        json_object_begin(w, NULL);
        json_put_int(w, "us", us);
        json_put_str(w, "name", event_name(bytes));
        json_put_str(w, "data", event_data(bytes, &room));
        json_object_end(w);
        us = next_us;
        at = next_at;
    }
    json_array_end(w);
    buf_fini(&room);
}

void body_json(const struct store_body *b, struct json_writer *w)
{
    side(w, "request", b->request_headers, b->request, b->request_cut);
    side(w, "response", b->response_headers, b->response, b->response_cut);
    put_events(w, b->events, b->response);
}

enum time_part { PART_QUEUE, PART_RETRY, PART_CONNECT, PART_FIRST, PART_ANSWER, PART_CLIENT, PART_OWN,
    PARTS };

static const char *const part_names[PARTS] = {"waiting for a place at the provider",
    "attempts that failed", "connecting", "provider's first token", "the answer coming in",
    "the client not reading", "pointsman itself"};

static enum time_part largest_part(const struct record *r, int64_t us[PARTS])
{
    int64_t before = r->queue_us + r->retry_us + r->connect_us;
    bool streamed = r->ttft_us > 0;
    us[PART_QUEUE] = r->queue_us;
    us[PART_RETRY] = r->retry_us;
    us[PART_CONNECT] = r->connect_us;
    us[PART_FIRST] = streamed ? MAX(r->ttft_us - before, 0) : r->total_us - before;
    us[PART_ANSWER] = streamed ? r->total_us - r->ttft_us - r->client_stall_us : 0;
    us[PART_CLIENT] = r->client_stall_us;
    us[PART_OWN] = r->overhead_us;
    enum time_part most = PART_QUEUE;
    for (unsigned i = 1; i < PARTS; i++)
        if (us[i] > us[most])
            most = (enum time_part)i;
    return most;
}

/* What the target usually takes until then; NULL where an hour has too few to say. */
static const struct histogram *usual(enum time_part part, const struct histogram *first,
    const struct histogram *whole)
{
    enum { LEAST = 20 };
    const struct histogram *h = part == PART_FIRST ? first : part == PART_ANSWER ? whole : NULL;
    return h && histogram_total(h) >= LEAST ? h : NULL;
}

bool record_sentence(const struct record *r, const struct histogram *first,
    const struct histogram *whole, char *out, size_t size)
{
    int64_t us[PARTS];
    if (r->state != STATE_DONE || r->total_us < 1000)
        return false;
    enum time_part most = largest_part(r, us);
    const struct histogram *h = usual(most, r->ttft_us > 0 ? first : whole, whole);
    if (!h) {
        snprintf(out, size, "most of %.3g s: %s, %.3g s (%d %%)", (double)r->total_us / 1e6,
            part_names[most], (double)us[most] / 1e6, (int)(us[most] * 100 / r->total_us));
        return true;
    }
    int64_t took = most == PART_FIRST && r->ttft_us > 0 ? r->ttft_us : r->total_us;
    int64_t median = histogram_percentile(h, 500000), rank = histogram_rank(h, took);
    int p = (int)MIN(MAX(rank / 10000, 1), 99);
    if (rank >= 750000 && took > median)
        snprintf(out, size, "slow by %.3g s: %s, p%d of %lld", (double)(took - median) / 1e6,
            part_names[most], p, (long long)histogram_total(h));
    else
        snprintf(out, size, "%s: %.3g s of %.3g s, as usual (p%d of %lld)", part_names[most],
            (double)us[most] / 1e6, (double)r->total_us / 1e6, p, (long long)histogram_total(h));
    return true;
}
