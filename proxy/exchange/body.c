/* body.c: the pieces of the body as a target gets it: the client's bytes, with `model` and (where
 * usage must be asked for) `stream_options` spliced in place. Nothing is copied but the splices. */
#include "proxy/exchange/exchange.h"

#include "proxy/worker.h"

/* One replacement: bytes [at, at+n) of the body become `with`. */
struct splice {
    size_t at, n;
    struct str with;
};

static struct splice model_splice(struct exchange *x, struct str model)
{
    struct buf quoted;
    buf_init(&quoted, 4096);
    if (x->facts.model_span.p == x->facts.model.p) /* a part of a form: no quotes around it */
        buf_put_str(&quoted, model);
    else
        json_quote(&quoted, model);
    struct splice s = {(size_t)(x->facts.model_span.p - x->body.p), x->facts.model_span.n,
        arena_str(&x->arena, buf_str(&quoted))};
    buf_fini(&quoted);
    return s;
}

/* Only where a chat or completions stream was asked for without its usage, and the provider is
 * known to take the field. */
static bool must_ask_usage(const struct exchange *x, const struct provider *p)
{
    return (x->ep.wire == WIRE_CHAT || x->ep.wire == WIRE_COMPLETIONS) && x->facts.stream &&
           !x->facts.include_usage && p->ask_usage && !x->usage_refused &&
           !health_lacks(x->worker->shared->health, p, HEALTH_LACKS_STREAM_OPTIONS) &&
           p->dialect == DIALECT_OPENAI;
}

/* Absent or null: a member after the opening brace. An object: only include_usage is set in it. */
static bool usage_splice(struct exchange *x, struct splice out[1])
{
    struct str body = buf_str(&x->body), options = x->facts.stream_options;
    if (options.n && *options.p == '{') {
        struct json_span member = json_get(options, STR("include_usage"));
        if (member.type != JSON_NONE) {
            *out = (struct splice){(size_t)(member.raw.p - body.p), member.raw.n, STR("true")};
            return true;
        }
        bool empty = json_count(json_value(options)) == 0;
        *out = (struct splice){(size_t)(options.p - body.p) + 1, 0,
            empty ? STR("\"include_usage\":true") : STR("\"include_usage\":true,")};
        return true;
    }
    if (options.n) { /* null */
        *out = (struct splice){(size_t)(options.p - body.p), options.n,
            STR("{\"include_usage\":true}")};
        return true;
    }
    ptrdiff_t brace = str_chr(body, '{');
    if (brace < 0)
        return false;
    *out = (struct splice){(size_t)brace + 1, 0,
        STR("\"stream_options\":{\"include_usage\":true},")};
    return true;
}

int body_pieces(struct exchange *x, const struct provider *p, struct str model)
{
    struct splice splices[2];
    size_t n = 0;
    struct str body = buf_str(&x->body);
    x->usage_asked = false;
    if (must_ask_usage(x, p) && usage_splice(x, &splices[n])) {
        x->usage_asked = true;
        n++;
    }
    if (x->facts.model_span.n && !str_eq(model, x->facts.model)) {
        splices[n] = model_splice(x, model);
        if (!splices[n].with.p)
            return -ERR_NOMEM;
        n++;
    }
    if (n == 2 && splices[0].at > splices[1].at) {
        struct splice swap = splices[0];
        splices[0] = splices[1];
        splices[1] = swap;
    }
    size_t at = 0;
    x->piece_count = 0;
    for (size_t i = 0; i < n; i++) {
        x->pieces[x->piece_count++] = str_n(body.p + at, splices[i].at - at);
        x->pieces[x->piece_count++] = splices[i].with;
        at = splices[i].at + splices[i].n;
    }
    x->pieces[x->piece_count++] = str_from(body, at);
    return 0;
}
