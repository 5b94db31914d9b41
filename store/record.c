/* record.c: the packed form and the JSON form of a record; the fields stand in record.def.
 *
 * Packed: two counts (texts, numbers), the numbers as 8 bytes each, then each text as 4 bytes of
 * length and its bytes, all in the machine's own order: the spool never leaves its machine. The
 * counts let a reader take what a writer with fewer or more fields left: new fields are added at
 * the end of their kind in record.def. */
#include "store/record.h"
#include "store/base/clock.h"
#include "store/base/json_span.h"

#include <math.h>

enum {
    TEXT_FIELDS = 0
#define TEXT(name, most) +1
#include "store/record.def"
    ,
    INT_FIELDS = 0
#define INT(name) +1
#include "store/record.def"
};

static const char *name_in(const char *const *names, size_t n, int64_t value)
{
    return value >= 0 && (uint64_t)value < n ? names[value] : "unknown";
}

static const char *const outcome_names[] = {
    [OUTCOME_NONE] = "",
    [OUTCOME_OK] = "ok",
    [OUTCOME_CLIENT_ERROR] = "client_error",
    [OUTCOME_UPSTREAM_ERROR] = "upstream_error",
    [OUTCOME_TIMEOUT] = "timeout",
    [OUTCOME_TRUNCATED] = "truncated",
    [OUTCOME_CANCELLED] = "cancelled",
    [OUTCOME_REFUSED] = "refused",
    [OUTCOME_INTERRUPTED] = "interrupted",
};

const char *record_state_name(int64_t state)
{
    static const char *const names[] = {"queued", "sent", "streaming", "done"};
    return name_in(names, ARRAY_LEN(names), state);
}

const char *record_outcome_name(int64_t outcome)
{
    return name_in(outcome_names, ARRAY_LEN(outcome_names), outcome);
}

int record_outcome_from(struct str name)
{
    for (size_t i = OUTCOME_OK; i < ARRAY_LEN(outcome_names); i++)
        if (str_eq(name, str_c(outcome_names[i])))
            return (int)i;
    return -1;
}

const char *usage_source_name(int64_t source)
{
    static const char *const names[] = {
        "none", "measured", "provider", "estimated", "partial", "interrupted"};
    return name_in(names, ARRAY_LEN(names), source);
}

const char *cost_source_name(int64_t source)
{
    static const char *const names[] = {
        "none", "measured", "provider", "estimated", "subscription"};
    return name_in(names, ARRAY_LEN(names), source);
}

/* At most `most` bytes, never ending inside a character. */
static struct str cut_text(struct str s, size_t most)
{
    if (s.n <= most)
        return s;
    while (most && ((unsigned char)s.p[most] & 0xC0) == 0x80)
        most--;
    return str_first(s, most);
}

static char *pack_u32(char *to, size_t value)
{
    uint32_t v = (uint32_t)value;
    memcpy(to, &v, sizeof v);
    return to + sizeof v;
}

static char *pack_text(char *to, struct str s, size_t most)
{
    s = cut_text(s, most);
    to = pack_u32(to, s.n);
    if (s.n)
        memcpy(to, s.p, s.n);
    return to + s.n;
}

void record_pack(const struct record *r, struct buf *out)
{
    size_t room = (2 + TEXT_FIELDS) * sizeof(uint32_t) + INT_FIELDS * sizeof(int64_t);
#define TEXT(name, most) room += MIN(r->name.n, (size_t)(most));
#include "store/record.def"
    char *from = buf_reserve(out, room), *to = from;
    if (!from)
        return;
    to = pack_u32(to, TEXT_FIELDS);
    to = pack_u32(to, INT_FIELDS);
#define INT(name)                                                                                  \
    memcpy(to, &r->name, sizeof r->name);                                                          \
    to += sizeof r->name;
#include "store/record.def"
#define TEXT(name, most) to = pack_text(to, r->name, most);
#include "store/record.def"
    out->n += (size_t)(to - from);
}

/* Reads from the packed bytes; after a short read everything is zero. */
struct unpacker {
    struct str rest;
    bool bad;
};

static struct str unpack_bytes(struct unpacker *u, size_t n)
{
    if (u->bad || u->rest.n < n) {
        u->bad = true;
        return STR_NULL;
    }
    struct str s = str_first(u->rest, n);
    u->rest = str_from(u->rest, n);
    return s;
}

static uint32_t unpack_u32(struct unpacker *u)
{
    uint32_t v = 0;
    struct str s = unpack_bytes(u, sizeof v);
    if (s.p)
        memcpy(&v, s.p, sizeof v);
    return v;
}

static int64_t unpack_int(struct unpacker *u)
{
    int64_t v = 0;
    struct str s = unpack_bytes(u, sizeof v);
    if (s.p)
        memcpy(&v, s.p, sizeof v);
    return v;
}

static struct str unpack_text(struct unpacker *u)
{
    return unpack_bytes(u, unpack_u32(u));
}

int record_unpack(struct str bytes, struct record *r)
{
    *r = (struct record){0};
    struct unpacker u = {.rest = bytes};
    uint32_t texts = unpack_u32(&u), ints = unpack_u32(&u), i = 0, t = 0;
#define INT(name) \
    if (i < ints) { \
        r->name = unpack_int(&u); \
        i++; \
    }
#include "store/record.def"
    for (; i < ints && !u.bad; i++)
        (void)unpack_int(&u);
#define TEXT(name, most) \
    if (t < texts) { \
        r->name = unpack_text(&u); \
        t++; \
    }
#include "store/record.def"
    for (; t < texts && !u.bad; t++)
        (void)unpack_text(&u);
    if (!u.bad)
        return 0;
    *r = (struct record){0};
    return -ERR_CORRUPT;
}

/* "a,b" as ["a","b"]. */
static void json_list(struct json_writer *w, const char *key, struct str list)
{
    struct str piece;
    json_array_begin(w, key);
    while (list.n && str_cut(&list, ',', &piece)) {
        piece = str_trim(piece);
        if (piece.n)
            json_put_str(w, NULL, piece);
    }
    json_array_end(w);
}

/* A kept JSON array; when it was cut to fit, the elements that are whole. */
static void json_kept_array(struct json_writer *w, const char *key, struct str array)
{
    struct json_iter it = json_iter(array);
    struct json_span k, v;
    json_array_begin(w, key);
    while (!it.object && json_next(&it, &k, &v))
        json_put_raw(w, NULL, v.raw);
    json_array_end(w);
}

static void json_kept_object(struct json_writer *w, const char *key, struct str object)
{
    if (object.n && json_check(object, NULL) == 0)
        json_put_raw(w, key, object);
    else
        json_put_null(w, key);
}

static void json_target(const struct record *r, struct json_writer *w)
{
    char text[64 + 1 + 200 + 1] = "";
    struct str provider = cut_text(r->provider, 64), model = cut_text(r->model, 200);
    if (provider.n) {
        memcpy(text, provider.p, provider.n);
        text[provider.n] = '/';
        if (model.n)
            memcpy(text + provider.n + 1, model.p, model.n);
        json_put_str(w, "target", str_n(text, provider.n + 1 + model.n));
    } else {
        json_put_str(w, "target", model);
    }
}

int64_t record_generation_us(const struct record *r)
{
    bool stream = r->stream && r->ttft_us > 0 && r->total_us - r->ttft_us >= 1000;
    return stream ? r->total_us - r->ttft_us : r->total_us;
}

double record_tokens_per_second(const struct record *r)
{
    int64_t us = record_generation_us(r);
    if (us <= 0 || r->output_tokens <= 0)
        return 0;
    return round((double)r->output_tokens * 1e7 / (double)us) / 10;
}

static void json_who(const struct record *r, struct json_writer *w)
{
    char time[32];
    clock_rfc3339(r->time_ms, time);
    json_put_str(w, "id", r->id);
    json_put_c(w, "time", time);
    json_put_str(w, "key", r->key);
    json_put_str(w, "team", r->team);
    json_put_str(w, "session", r->session);
    json_list(w, "tags", r->tags);
    json_object_begin(w, "client");
    json_put_str(w, "user_agent", r->user_agent);
    json_put_str(w, "peer", r->peer);
    json_object_end(w);
    json_put_int(w, "client_uid", r->client_uid);
    json_put_str(w, "endpoint", r->endpoint);
    json_put_str(w, "dialect", r->dialect);
}

static void json_way(const struct record *r, struct json_writer *w)
{
    json_put_str(w, "model_asked", r->model_asked);
    json_put_str(w, "route", r->route);
    json_put_str(w, "rule", r->rule);
    json_put_str(w, "override", r->override_by);
    json_target(r, w);
    json_put_str(w, "model_served", r->model_served);
    json_put_bool(w, "stream", r->stream != 0);
    json_put_c(w, "state", record_state_name(r->state));
    json_put_int(w, "status", r->status);
    json_put_c(w, "outcome", record_outcome_name(r->outcome));
    json_put_str(w, "finish_reason", r->finish_reason);
    json_kept_array(w, "attempts", r->attempts);
    json_object_begin(w, "error");
    json_put_str(w, "code", r->error_code);
    json_put_str(w, "message", r->error_message);
    json_object_end(w);
    json_kept_object(w, "why", r->why);
    json_list(w, "dropped", r->dropped);
    json_put_str(w, "upstream_request_id", r->upstream_request_id);
    json_put_str(w, "response_ref", r->response_ref);
}

#define PUT_INT(name) json_put_int(w, #name, r->name)

static void json_use(const struct record *r, struct json_writer *w)
{
    PUT_INT(input_tokens);
    PUT_INT(cached_tokens);
    PUT_INT(cache_write_tokens);
    PUT_INT(cache_write_1h_tokens);
    PUT_INT(output_tokens);
    PUT_INT(reasoning_tokens);
    PUT_INT(audio_input_tokens);
    PUT_INT(audio_output_tokens);
    json_put_c(w, "usage_source", usage_source_name(r->usage_source));
    PUT_INT(cost_nano);
    json_put_c(w, "cost_source", cost_source_name(r->cost_source));
    PUT_INT(list_cost_nano);
    PUT_INT(reserve_nano);
    json_put_str(w, "price_key", r->price_key);
    json_put_str(w, "billed", r->billed);
    PUT_INT(tool_calls);
}

static void json_times(const struct record *r, struct json_writer *w)
{
    PUT_INT(request_bytes);
    PUT_INT(response_bytes);
    PUT_INT(queue_us);
    PUT_INT(connect_us);
    PUT_INT(retry_us);
    PUT_INT(ttft_us);
    PUT_INT(max_gap_us);
    PUT_INT(client_stall_us);
    PUT_INT(overhead_us);
    PUT_INT(total_us);
    json_put_double(w, "tokens_per_second", record_tokens_per_second(r));
    json_put_bool(w, "redacted", r->redacted != 0);
}

void record_json_members(const struct record *r, struct json_writer *w)
{
    json_who(r, w);
    json_way(r, w);
    json_use(r, w);
    json_times(r, w);
}

void record_json(const struct record *r, struct json_writer *w)
{
    json_object_begin(w, NULL);
    record_json_members(r, w);
    json_object_end(w);
}
