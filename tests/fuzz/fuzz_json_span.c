/* Fuzz harness of store/base/json_span.h: no read past the end, and the two ways of walking agree.
 */
#include "store/base/err.h"
#include "store/base/json_span.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Walks everything by iterators; false when any of it broke. */
static bool walk(struct json_span v, struct arena *a)
{
    if (v.type == JSON_STRING) {
        struct str text = json_text(v, a);
        if (text.p && !json_text_eq(v, text))
            abort();
    }
    int64_t number;
    if (v.type == JSON_NUMBER && json_i64(v, &number) == 0 && v.raw.n > 400)
        (void)number;
    if (v.type != JSON_OBJECT && v.type != JSON_ARRAY)
        return v.type != JSON_NONE;
    struct json_iter it = json_iter(v.raw);
    struct json_span key, value;
    bool ok = true;
    while (json_next(&it, &key, &value))
        ok = walk(value, a) && ok;
    return ok && it.err == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct arena a;
    arena_init(&a, 4096, 1 << 20);
    size_t at = 0;
    int rc = json_check(text, &at);
    if (at > size)
        abort();
    bool walked = walk(json_value(text), &a);
    if (rc == 0 && !walked)
        abort(); /* what the check takes, the iterators must take */
    struct json_want wants[] = {{STR("model")}, {STR("stream")}, {STR("messages")}};
    int scanned = json_scan(text, wants, 3);
    if (scanned == 0 && rc != 0)
        abort(); /* and the other way about */
    (void)json_path(text, "choices.0.delta.content");
    struct buf out;
    buf_init(&out, size * 6 + 16);
    json_quote(&out, text);
    if (out.err || json_check(buf_str(&out), NULL) != 0)
        abort();
    if (rc == 0 && wants[0].count) {
        buf_reset(&out);
        json_splice(&out, text, wants[0].value.raw, STR("\"m\""));
        if (json_check(buf_str(&out), NULL) != 0)
            abort();
    }
    buf_fini(&out);
    arena_fini(&a);
    return 0;
}
