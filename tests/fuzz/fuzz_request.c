/* Fuzz harness of proxy/meter/request.h: what is taken is valid JSON, its spans lie inside the body
 * and a splice of the model leaves valid JSON. The first byte chooses the wire. */
#include "proxy/meter/request.h"
#include "store/base/json_span.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct str part, struct str whole)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void check(struct str body, const struct request_facts *f)
{
    if (json_check(body, NULL) != 0 || !inside(f->model_span, body) ||
        !inside(f->stream_options, body))
        abort();
    if (f->max_output < 0 || f->n < 1 || f->prompt_bytes < 0 || f->prompt_tokens < 0)
        abort();
    struct buf out;
    buf_init(&out, body.n + 64);
    if (f->model_span.n) {
        json_splice(&out, body, f->model_span, STR("\"other\""));
        if (out.err || json_check(buf_str(&out), NULL) != 0)
            abort();
    }
    buf_reset(&out);
    if (f->stream_options.n) {
        json_splice(&out, body, f->stream_options, STR("{\"include_usage\":true}"));
        if (out.err || json_check(buf_str(&out), NULL) != 0)
            abort();
    }
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct str body = {(const char *)data + 1, size - 1};
    struct request_facts f;
    struct arena a;
    size_t at = 0;
    const char *field = NULL;
    arena_init(&a, 4096, 1 << 20);
    int rc = request_read(body, (enum wire)(data[0] % WIRE_COUNT), &a, &f, &at, &field);
    if (at > body.n || !field)
        abort();
    if (rc == 0)
        check(body, &f);
    arena_fini(&a);
    return 0;
}
