/* usage_wire.c: see usage_wire.h: text, finish, calls, usage and errors, taken alike on every wire. */
#include "proxy/meter/usage_wire.h"
#include "store/base/secret.h"

/* A string value into a field of the reader. */
void usage_copy(char *dst, size_t size, struct json_span v)
{
    if (v.type != JSON_STRING || v.raw.n <= 2)
        return;
    if (v.raw.n - 2 < size && !dst[v.raw.n - 2] && memcmp(dst, v.raw.p + 1, v.raw.n - 2) == 0)
        return; /* the same on every event */
    struct str inside = {v.raw.p + 1, v.raw.n - 2};
    if (str_chr(inside, '\\') < 0) {
        str_copy(dst, size, inside);
        return;
    }
    struct arena a;
    arena_init(&a, 512, 8192);
    str_copy(dst, size, json_text(v, &a));
    arena_fini(&a);
}

void usage_copy_once(char *dst, size_t size, struct json_span v)
{
    if (!dst[0])
        usage_copy(dst, size, v);
}

/* A piece of what the model said. */
unsigned usage_content(struct usage_reader *r, struct json_span v)
{
    if (v.type != JSON_STRING || v.raw.n <= 2)
        return 0;
    struct str inside = {v.raw.p + 1, v.raw.n - 2};
    r->content_bytes += (int64_t)inside.n;
    if (r->whole && r->uncounted_n < ARRAY_LEN(r->uncounted))
        r->uncounted[r->uncounted_n++] = inside;
    else
        tokens_feed_json(&r->content, inside);
    return SEEN_CONTENT;
}

/* All strings in a value count as content: thinking blocks, arguments given as an object. */
unsigned usage_content_within(struct usage_reader *r, struct json_span v)
{
    if (v.type == JSON_STRING)
        return usage_content(r, v);
    if (v.type != JSON_ARRAY && v.type != JSON_OBJECT)
        return 0;
    unsigned kind = 0;
    struct json_iter it = json_iter(v.raw);
    struct json_span k, e;
    while (json_next(&it, &k, &e))
        if (!IS(k, "type") && !IS(k, "signature") && !IS(k, "id"))
            kind |= usage_content_within(r, e);
    return kind;
}

unsigned usage_finished(struct usage_reader *r, struct json_span v)
{
    if (v.type != JSON_STRING || v.raw.n <= 2)
        return 0;
    TAKE(finish_reason, v);
    r->saw_finish = true;
    return SEEN_FINISH;
}

/* Byte by byte (FNV-1a), so that it does not matter how a stream cuts the arguments. */
void usage_call_bytes(struct usage_reader *r, struct json_span v)
{
    struct str s = v.raw;
    if (v.type == JSON_STRING)
        s = str_n(s.p + 1, s.n >= 2 ? s.n - 2 : 0);
    else if (v.type != JSON_OBJECT)
        return;
    uint64_t h = r->calls_digest ? r->calls_digest : 0xcbf29ce484222325u;
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
    r->calls_digest = s.n ? h : r->calls_digest;
}

bool usage_new_id(struct usage_reader *r, struct json_span id)
{
    uint64_t hash = str_hash(id.raw) | 1;
    for (size_t i = 0; i < ARRAY_LEN(r->call_hash); i++)
        if (r->call_hash[i] == hash)
            return false;
    r->call_hash[r->ids_seen++ % ARRAY_LEN(r->call_hash)] = hash;
    return true;
}

/* True for a call that was not counted yet. A call without id is told by its name. */
bool usage_new_call(struct usage_reader *r, struct json_span id, struct json_span name)
{
    if (id.type != JSON_STRING || id.raw.n <= 2)
        return name.type == JSON_STRING && name.raw.n > 2;
    return usage_new_id(r, id);
}

void usage_take(struct usage_reader *r, struct json_span v, bool merge)
{
    if (v.type != JSON_OBJECT)
        return;
    if (!merge)
        r->seen.have = 0;
    TAKE(service_tier, usage_parts_read(&r->seen, v.raw));
}

unsigned usage_take_error(struct usage_reader *r, struct str object)
{
    struct arena a;
    struct dialect_error_read e;
    arena_init(&a, 1024, 65536);
    dialect_read_error(object, &a, &e);
    str_copy(r->error_code, sizeof r->error_code, e.code.n ? e.code : e.type);
    if (!e.code.n && e.status_text.n)
        str_copy(r->error_code, sizeof r->error_code, e.status_text);
    str_copy(r->error_message, sizeof r->error_message, e.message);
    secret_redact_cut(r->error_message, sizeof r->error_message);
    arena_fini(&a);
    r->saw_error = r->failed_inside = true;
    return SEEN_ERROR;
}
