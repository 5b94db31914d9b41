/* kept.c: see kept.h. */
#include "proxy/admin/kept.h"

#include "proxy/dialect/retell.h"
#include "proxy/meter/price.h"
#include "proxy/route/health.h"
#include "proxy/route/plan.h"
#include "proxy/sse.h"
#include "store/base/json_span.h"

enum { BODY_MAX = 64 << 20, DEPTH_MAX = 512 };

static enum wire wire_of(const struct record *r)
{
    static const struct {
        const char *end;
        enum wire wire;
    } ends[] = {{"/chat/completions", WIRE_CHAT}, {"/responses", WIRE_RESPONSES},
        {"/messages", WIRE_MESSAGES}, {":generateContent", WIRE_GENERATE},
        {":streamGenerateContent", WIRE_GENERATE}};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (str_ends(r->endpoint, str_c(ends[i].end)))
            return ends[i].wire;
    return WIRE_RAW;
}

void kept_init(struct kept *k, struct call *c, const struct record *r)
{
    const struct config *config = live_config(c->admin->live);
    const struct provider *p = plan_find_provider(config, r->provider);
    *k = (struct kept){.arena = &c->arena, .wire = wire_of(r)};
    k->spoke = spoke_of(k->wire);
    k->target = (struct spoke_target){.model = r->model, .quirks = &quirks_none,
        .stream = r->stream != 0, .max_output = spoke_default_output(0)};
    if (!p || !k->spoke)
        return;
    const struct price *price = price_find(config->prices, r->provider, r->model);
    k->target.quirks = quirks_of(p->base_url);
    k->target.ask_usage = p->ask_usage;
    k->target.max_output = spoke_default_output(price ? price->max_output_tokens : 0);
    k->sent_wire = spoke_target_wire(p->dialect, k->target.quirks, k->wire, false);
    if (k->sent_wire == WIRE_RESPONSES && p->dialect != DIALECT_OPENAI_RESPONSES &&
        c->admin->start.health && health_lacks(c->admin->start.health, p, HEALTH_LACKS_RESPONSES))
        k->sent_wire = WIRE_CHAT;
}

/* ---- requests ---- */

/* JSON that was cut somewhere: up to its last whole value, and closed. */
static struct str mended(struct str cut, struct arena *a)
{
    char open[DEPTH_MAX];
    size_t depth = 0, good = 0;
    bool in_string = false;
    for (size_t i = 0; i < cut.n; i++) {
        char c = cut.p[i];
        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == ',') {
            good = i;
        } else if (c == '{' || c == '[') {
            if (depth == DEPTH_MAX)
                return STR_NULL;
            open[depth++] = c == '{' ? '}' : ']';
            good = i + 1;
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
            good = i + 1;
        }
    }
    char *out = arena_alloc(a, good + depth + 1);
    if (!out || !good)
        return STR_NULL;
    memcpy(out, cut.p, good);
    for (size_t i = 0; i < depth; i++)
        out[good + i] = open[depth - 1 - i];
    return str_n(out, good + depth);
}

int kept_request(const struct kept *k, struct str body, struct ir_request *out, struct err *e)
{
    if (!k->spoke)
        return err_set(e, ERR_UNSUPPORTED, "requests of this kind have no readable form");
    if (json_check(body, NULL) < 0)
        body = mended(body, k->arena);
    if (!body.p || json_check(body, NULL) < 0)
        return err_set(e, ERR_SYNTAX, "the kept request is no JSON");
    return k->spoke->read_request(body, k->arena, out, e);
}

struct str kept_sent(const struct kept *k, const struct ir_request *r, struct ir_notes *notes)
{
    struct buf out;
    struct err e = {0};
    struct str body = STR_NULL;
    if (k->sent_wire == k->wire || k->sent_wire == WIRE_RAW || !spoke_of(k->sent_wire))
        return STR_NULL;
    buf_init(&out, BODY_MAX);
    if (spoke_of(k->sent_wire)->write_request(r, &k->target, &out, notes, &e) == 0)
        body = arena_str(k->arena, buf_str(&out));
    buf_fini(&out);
    return body;
}

/* ---- answers ---- */

static void feed_events(struct str body, struct stream_reader *to)
{
    struct sse sse;
    struct sse_event ev;
    bool last = false;
    sse_init(&sse, BODY_MAX);
    int rc = sse_feed(&sse, body);
    while (rc == 0 && (sse_next(&sse, &ev) || (!last && (last = sse_finish(&sse, &ev)))))
        if (ev.has_data)
            stream_read(to, ev.name, ev.data);
    sse_fini(&sse);
}

static bool is_stream(struct str body)
{
    return str_starts(body, STR("data:")) || str_starts(body, STR("event:")) ||
           str_starts(body, STR(":"));
}

bool kept_feed(const struct kept *k, struct str body, struct stream_reader *to)
{
    struct json_span whole = json_value(body), key, v;
    struct json_iter it = json_iter(whole.raw);
    bool array = whole.type == JSON_ARRAY && k->wire == WIRE_GENERATE;
    if (!array && !is_stream(body))
        return false;
    if (!array)
        feed_events(body, to);
    while (array && json_next(&it, &key, &v))
        stream_read(to, STR_NULL, v.raw);
    stream_read_end(to);
    return true;
}

static int gathered(const struct kept *k, struct str body, struct ir_answer *out, struct err *e)
{
    struct gather g;
    gather_init(&g, k->arena);
    struct stream_reader *from = stream_reader_new(k->wire, k->target.quirks, k->arena,
        gather_event, &g);
    bool fed = from && kept_feed(k, body, from);
    stream_reader_fini(from);
    gather_end(&g);
    *out = g.answer;
    int rc = !fed ? err_set(e, ERR_SYNTAX, "the kept answer is neither JSON nor a stream")
        : g.failed ? err_set(e, ERR_STATE, STR_FMT, STR_ARG(str_first(g.error.message, 300))) : 0;
    gather_fini(&g);
    return rc;
}

int kept_answer(const struct kept *k, struct str body, struct ir_answer *out, struct err *e)
{
    *out = (struct ir_answer){0};
    if (!k->spoke)
        return err_set(e, ERR_UNSUPPORTED, "answers of this kind have no readable form");
    if (json_value(body).type != JSON_OBJECT || json_check(body, NULL) < 0)
        return gathered(k, body, out, e);
    return k->spoke->read_answer(body, k->target.quirks, k->arena, out, e);
}
