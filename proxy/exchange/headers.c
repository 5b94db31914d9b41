/* headers.c: which headers pass, each way, and where a request goes. An allow-list of headers rots
 * as providers invent new ones, so everything passes but what is named here. */
#include "proxy/exchange/exchange.h"
#include "proxy/exchange/translate.h"

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
/* Said to the client's kind of provider, or about it: without meaning where another dialect is
 * spoken, and its betas are refused there. */
static const struct str of_the_dialect[] = {
    NAME("anthropic-version"), NAME("anthropic-beta"),
    NAME("anthropic-dangerous-direct-browser-access"), NAME("openai-organization"),
    NAME("openai-project"), NAME("openai-beta"), NAME("x-goog-api-client"),
    NAME("x-goog-user-project"), NAME("x-app"), NAME("originator"), NAME("session_id"),
    NAME("session-id"), NAME("thread-id"),
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
    if (translating(x) && (LISTED(h->name, of_the_dialect) ||
            str_starts_nocase(h->name, STR("x-stainless-")) ||
            str_starts_nocase(h->name, STR("x-codex-"))))
        return false;
    if (!p->client_login && (LISTED(h->name, credentials) || LISTED(h->name, of_our_account)))
        return false;
    if (p->client_login && LISTED(h->name, credentials) && x->key && !x->key_apart)
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
            ARENA_JOIN(a, STR("Bearer "), secret)};
    }
}

size_t headers_to_provider(struct exchange *x, const struct provider *p, struct http_header *out,
    size_t max)
{
    size_t n = 0;
    struct str connection = find(x->client_headers, x->client_header_count, STR("connection"));
    bool spliced = x->piece_count > 1 || translating(x);
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

/* A provider that asks to wait for years means "no": some clients would wait. A day is what we say. */
static struct str wait_at_most_a_day(struct str value)
{
    struct str digits = str_trim(value);
    size_t n = 0;
    while (n < digits.n && digits.p[n] >= '0' && digits.p[n] <= '9')
        n++;
    int64_t seconds = 0;
    bool number = n > 0 && n == digits.n;
    return number && (!str_to_i64(digits, &seconds) || seconds > 86400) ? STR("86400") : value;
}

size_t headers_to_client(struct exchange *x, const struct http_header *in, size_t count,
    struct http_header *out, size_t max)
{
    size_t n = 0;
    struct str connection = find(in, count, STR("connection"));
    for (size_t i = 0; i < count && n + 8 < max; i++) {
        if (LISTED(in[i].name, hop_by_hop) || LISTED(in[i].name, not_to_client) ||
            LISTED(in[i].name, credentials) || connection_names(connection, in[i].name) ||
            (translating(x) && (str_eq_nocase(in[i].name, STR("content-type")) ||
                str_eq_nocase(in[i].name, STR("request-id")))) ||
            (str_starts_nocase(in[i].name, STR("x-pointsman-")) &&
                !str_eq_nocase(in[i].name, STR("x-pointsman-demo"))))
            continue;
        out[n++] = in[i];
        if (str_eq_nocase(in[i].name, STR("retry-after")))
            out[n - 1].value = wait_at_most_a_day(in[i].value);
    }
    if (translating(x) && n + LIMIT_HEADERS + 8 < max)
        n += limits_to_client(x, in, count, out + n);
    if (translating(x) && x->ep.dialect == DIALECT_ANTHROPIC) /* what its SDKs show as the id */
        out[n++] = (struct http_header){STR("request-id"), str_c(x->id)};
    if (translating(x))
        out[n++] = (struct http_header){STR("content-type"),
            (x->mode == ANSWER_EVENTS || x->translation->told) &&
                !x->translation->client.json_array ? STR("text/event-stream") : STR("application/json")};
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
    return ARENA_JOIN(a, base, path);
}

static bool is_gemini(enum wire w)
{
    return w == WIRE_GENERATE || w == WIRE_STREAM_GENERATE || w == WIRE_GEMINI_COUNT ||
           w == WIRE_GEMINI_EMBED;
}

/* Where the target's wire lives, as its own clients write it. */
static struct str path_of(struct exchange *x, struct str model)
{
    static const char *const paths[WIRE_COUNT] = {
        [WIRE_CHAT] = "/v1/chat/completions",
        [WIRE_RESPONSES] = "/v1/responses",
        [WIRE_MESSAGES] = "/v1/messages",
        [WIRE_GENERATE] = ":generateContent",
        [WIRE_STREAM_GENERATE] = ":streamGenerateContent",
        [WIRE_EMBEDDINGS] = "/v1/embeddings",
        [WIRE_GEMINI_EMBED] = ":batchEmbedContents",
    };
    struct str path = x->ep.path;
    if (translating(x))
        path = str_c(paths[x->wire]);
    if (!is_gemini(x->wire))
        return path;
    size_t verb = path.n; /* the model stands in the path */
    while (verb && path.p[verb - 1] != ':')
        verb--;
    return arena_printf(&x->arena, "/v1beta/models/" STR_FMT ":" STR_FMT, STR_ARG(model),
        STR_ARG(str_from(path, verb)));
}

/* Azure names a deployment in the path, except on its v1 surface (a base that ends in /v1) and on
 * that of AI Foundry (…/models), which read the model from the body. */
static struct str azure_url(const struct provider *p, struct str path, struct str model,
    struct arena *a)
{
    struct str version = p->api_version.n ? p->api_version : STR("2024-10-21");
    struct str base = p->base_url, verb = str_starts(path, STR("/v1/")) ? str_from(path, 3) : path;
    if (str_ends(base, STR("/v1")))
        return arena_printf(a, STR_FMT STR_FMT "%s" STR_FMT, STR_ARG(base), STR_ARG(verb),
            p->api_version.n ? "?api-version=" : "", STR_ARG(p->api_version));
    if (str_ends(base, STR("/models")) || str_find(base, STR("/deployments/")) >= 0)
        return arena_printf(a, STR_FMT STR_FMT "?api-version=" STR_FMT, STR_ARG(base),
            STR_ARG(verb), STR_ARG(version));
    const char *openai = str_ends(base, STR("/openai")) ? "" : "/openai";
    if (str_starts(verb, STR("/responses")))
        return arena_printf(a, STR_FMT "%s" STR_FMT "?api-version=" STR_FMT, STR_ARG(base), openai,
            STR_ARG(verb), STR_ARG(version));
    return arena_printf(a, STR_FMT "%s/deployments/" STR_FMT STR_FMT "?api-version=" STR_FMT,
        STR_ARG(base), openai, STR_ARG(model), STR_ARG(verb), STR_ARG(version));
}

/* With the client's query where it speaks the same; the streamed form of Gemini is asked as events. */
static struct str with_query(struct exchange *x, struct str url)
{
    struct arena *a = &x->arena;
    struct str query = translating(x) ? STR_NULL : clean_query(x->query, a);
    if (translating(x) && x->wire == WIRE_STREAM_GENERATE)
        query = STR("?alt=sse");
    if (query.n && str_chr(url, '?') >= 0)
        query = ARENA_JOIN(a, STR("&"), str_from(query, 1));
    return query.n ? ARENA_JOIN(a, url, query) : url;
}

struct str upstream_url(struct exchange *x, const struct provider *p, struct str model)
{
    struct arena *a = &x->arena;
    struct str path = path_of(x, model), url;
    if (p->dialect == DIALECT_AZURE)
        url = azure_url(p, path, model, a);
    else if (p->dialect == DIALECT_OPENAI || p->dialect == DIALECT_OPENAI_RESPONSES)
        /* an OpenAI base carries its own version, or none: the path goes on behind it */
        url = ARENA_JOIN(a, p->base_url,
            str_starts(path, STR("/v1/")) ? str_from(path, 3) : path);
    else
        url = join(p->base_url, path, a);
    return with_query(x, url);
}
