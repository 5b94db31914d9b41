/* Fuzz harness of proxy/meter/usage.h: any answer of any wire, as one body and as events, gives
 * figures within their bounds. The first byte chooses the wire. */
#include "proxy/meter/price.h"
#include "proxy/sse.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct usage_reader *r)
{
    const int64_t most = (int64_t)1 << 44;
    usage_finish(r);
    const struct usage *u = &r->usage;
    const int64_t all[] = {u->input, u->cached, u->cache_write_5m, u->cache_write_1h, u->output,
        u->reasoning, u->audio_in, u->audio_out, u->image_in, u->image_out, u->extra_input,
        u->searches, u->drawn.input, u->drawn.output, u->provider_cost_femto, r->tool_calls, r->content_bytes, r->content_tokens};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i] < 0 || (all[i] > most && i != 14))
            abort();
    if (u->cached > u->input || u->audio_in > u->input || u->audio_out > u->output)
        abort();
    const struct price *p = price_find(price_list_builtin(), STR(""), str_c(r->model_served));
    int64_t list;
    enum cost_source source;
    const struct price *images = price_of_images(price_list_builtin(), STR(""), u);
    if (price_charge(p, images, u, price_tier_from(str_c(r->service_tier)), &list, &source) < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    enum wire wire = (enum wire)(data[0] % WIRE_COUNT);
    struct str rest = {(const char *)data + 1, size - 1};
    struct usage_reader r;
    usage_reader_init(&r, wire, data[0] & 64 ? QUIRK_OUTPUT_WITHOUT_REASONING : 0);
    usage_body(&r, rest);
    check(&r);
    usage_reader_init(&r, wire, 0);
    struct sse s;
    struct sse_event ev;
    sse_init(&s, 1 << 20);
    if (sse_feed(&s, rest) == 0)
        while (sse_next(&s, &ev))
            usage_event(&r, ev.name, ev.data);
    sse_fini(&s);
    usage_event(&r, STR("error"), rest);
    check(&r);
    return 0;
}
