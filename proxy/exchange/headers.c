/* headers.c: which headers pass, each way, and where a request goes. An allow-list of headers rots
 * as providers invent new ones, so everything passes but what is named here. */
#include "proxy/exchange/exchange.h"

#include "proxy/worker.h"

/* With its length: these lists are walked for every header of every request. */
#define NAME(lit) {"" lit, sizeof(lit) - 1}

/* Of one connection, not of the message. */
static const struct str hop_by_hop[] = {
    NAME("connection"), NAME("keep-alive"), NAME("proxy-authenticate"),
    NAME("proxy-authorization"), NAME("proxy-connection"), NAME("te"), NAME("trailer"),
    NAME("transfer-encoding"), NAME("upgrade"), NAME("content-length"), NAME("http2-settings"),
};
/* What must not leave for a provider. */
static const struct str not_to_provider[] = {
    NAME("host"), NAME("expect"), NAME("cookie"), NAME("origin"), NAME("forwarded"),
    NAME("accept-encoding"), NAME("x-real-ip"),
};
static const struct str credentials[] = {
    NAME("authorization"), NAME("x-api-key"), NAME("x-goog-api-key"), NAME("api-key"),
};
static const struct str of_our_account[] = {
    NAME("openai-organization"), NAME("openai-project"),
};
/* True of the body as it was sent to us only. */
static const struct str digests[] = {
    NAME("digest"), NAME("content-digest"), NAME("content-md5"), NAME("repr-digest"),
};
static const struct str not_to_client[] = {
    NAME("set-cookie"), NAME("set-cookie2"), NAME("alt-svc"), NAME("strict-transport-security"),
    NAME("x-request-id"), NAME("content-encoding"), NAME("date"),
};

static bool listed(struct str name, const struct str *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(name, names[i]))
            return true;
    return false;
}
#define LISTED(name, list) listed(name, list, ARRAY_LEN(list))

static struct str find(const struct http_header *h, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(h[i].name, name))
            return h[i].value;
    return STR_NULL;
}

/* Does `Connection: a, b` name it? */
static bool connection_names(struct str connection, struct str name)
{
    struct str one;
    while (str_cut(&connection, ',', &one))
        if (str_eq_nocase(str_trim(one), name))
            return true;
    return false;
}

static bool passes_to_provider(const struct exchange *x, const struct provider *p,
    const struct http_header *h, struct str connection, bool spliced)
{
    if (LISTED(h->name, hop_by_hop) || LISTED(h->name, not_to_provider) ||
        str_starts_nocase(h->name, STR("x-forwarded-")) ||
        str_starts_nocase(h->name, STR("x-pointsman-")) || connection_names(connection, h->name))
        return false;
    if (!p->client_login && (LISTED(h->name, credentials) || LISTED(h->name, of_our_account)))
        return false;
    if (p->client_login && LISTED(h->name, credentials) && x->key &&
        !find(x->client_headers, x->client_header_count, STR("x-pointsman-key")).n)
        return false; /* that credential is a pointsman key */
    return !(spliced && LISTED(h->name, digests));
}

static struct http_header provider_login(const struct exchange *x, const struct provider *p,
    struct arena *a)
{
    struct str secret = p->keys[x->provider_key].secret;
    switch (p->dialect) {
    case DIALECT_ANTHROPIC:
        return (struct http_header){STR("x-api-key"), secret};
    case DIALECT_GEMINI:
        return (struct http_header){STR("x-goog-api-key"), secret};
    case DIALECT_AZURE:
        return (struct http_header){STR("api-key"), secret};
    default:
        return (struct http_header){STR("Authorization"),
            arena_printf(a, "Bearer " STR_FMT, STR_ARG(secret))};
    }
}

size_t headers_to_provider(struct exchange *x, const struct provider *p, struct http_header *out,
    size_t max)
{
    size_t n = 0;
    struct str connection = find(x->client_headers, x->client_header_count, STR("connection"));
    bool spliced = x->piece_count > 1;
    for (size_t i = 0; i < x->client_header_count && n + p->header_count + 8 < max; i++) {
        const struct http_header *h = &x->client_headers[i];
        if (passes_to_provider(x, p, h, connection, spliced) &&
            !find(p->headers, p->header_count, h->name).p)
            out[n++] = *h;
    }
    if (!p->client_login && x->provider_key >= 0)
        out[n++] = provider_login(x, p, &x->arena);
    if (!p->client_login && p->organization.n)
        out[n++] = (struct http_header){STR("openai-organization"), p->organization};
    if (!p->client_login && p->project.n)
        out[n++] = (struct http_header){STR("openai-project"), p->project};
    if (p->dialect == DIALECT_ANTHROPIC && !find(out, n, STR("anthropic-version")).p)
        out[n++] = (struct http_header){STR("anthropic-version"), STR("2023-06-01")};
    out[n++] = (struct http_header){STR("Accept-Encoding"), STR("identity")};
    out[n++] = (struct http_header){STR("x-pointsman-hop"),
        str_c(x->worker->shared->hop)};
    for (size_t i = 0; i < p->header_count; i++)
        out[n++] = p->headers[i];
    return n;
}

size_t headers_to_client(struct exchange *x, const struct http_header *in, size_t count,
    struct http_header *out, size_t max)
{
    size_t n = 0;
    struct str connection = find(in, count, STR("connection"));
    for (size_t i = 0; i < count && n + 8 < max; i++) {
        if (LISTED(in[i].name, hop_by_hop) || LISTED(in[i].name, not_to_client) ||
            LISTED(in[i].name, credentials) || connection_names(connection, in[i].name) ||
            (str_starts_nocase(in[i].name, STR("x-pointsman-")) &&
                !str_eq_nocase(in[i].name, STR("x-pointsman-demo"))))
            continue;
        out[n++] = in[i];
    }
    struct str theirs = find(in, count, STR("x-request-id"));
    if (!theirs.n)
        theirs = find(in, count, STR("request-id"));
    if (theirs.n) {
        out[n++] = (struct http_header){STR("x-upstream-request-id"), theirs};
        str_copy(x->upstream_request_id, sizeof x->upstream_request_id, theirs);
    }
    return n;
}

/* The query without `key=`, which may hold a credential. */
static struct str clean_query(struct str query, struct arena *a)
{
    struct buf b;
    struct str rest = query, one;
    if (query.n == 0)
        return STR_NULL;
    buf_init(&b, 64 << 10);
    if (query.n == 0)
        return STR("");
    while (str_cut(&rest, '&', &one)) {
        if (one.n == 0 || str_starts(one, STR("key=")))
            continue;
        buf_putc(&b, b.n ? '&' : '?');
        buf_put_str(&b, one);
    }
    struct str clean = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return clean;
}

/* Bases are written with or without their version: what the path repeats is left out. */
static struct str join(struct str base, struct str path, struct arena *a)
{
    ptrdiff_t slash = str_chr(str_from(path, 1), '/');
    struct str version = slash < 0 ? path : str_first(path, (size_t)slash + 1);
    if (str_ends(base, version))
        path = str_from(path, version.n);
    return arena_printf(a, STR_FMT STR_FMT, STR_ARG(base), STR_ARG(path));
}

struct str upstream_url(struct exchange *x, const struct provider *p, struct str model)
{
    struct arena *a = &x->arena;
    struct str path = x->ep.path, url;
    if (x->ep.wire == WIRE_GENERATE || x->ep.wire == WIRE_STREAM_GENERATE ||
        x->ep.wire == WIRE_GEMINI_COUNT || x->ep.wire == WIRE_GEMINI_EMBED) {
        /* the model stands in the path */
        size_t verb = path.n;
        while (verb && path.p[verb - 1] != ':')
            verb--;
        path = arena_printf(a, "/v1beta/models/" STR_FMT ":" STR_FMT, STR_ARG(model),
            STR_ARG(str_from(path, verb)));
    }
    if (p->dialect == DIALECT_OPENAI || p->dialect == DIALECT_OPENAI_RESPONSES)
        /* an OpenAI base carries its own version, or none: the path goes on behind it */
        url = arena_printf(a, STR_FMT STR_FMT, STR_ARG(p->base_url),
            STR_ARG(str_starts(path, STR("/v1/")) ? str_from(path, 3) : path));
    else
        url = join(p->base_url, path, a);
    struct str query = clean_query(x->query, a);
    return arena_printf(a, STR_FMT STR_FMT, STR_ARG(url), STR_ARG(query));
}
