/* limits.c: a provider's rate limits in the words of a client that speaks another dialect. Its SDK reads
 * its own names alone, and agents slow down by them. Gemini's clients know no such headers: there the
 * pause stands in the error's body (RetryInfo), and is made from, or into, Retry-After. */
#include "proxy/exchange/exchange.h"
#include "proxy/exchange/translate.h"

#include "store/base/clock.h"

enum { SECOND_US = 1000000 };

static bool has(const struct http_header *h, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(h[i].name, name))
            return true;
    return false;
}

/* "6m0s", "1.2s", "6ms", as OpenAI writes them. */
static struct str duration(int64_t us, struct arena *a)
{
    int64_t ms = (us + 999) / 1000, s = ms / 1000;
    if (ms < 1000)
        return arena_printf(a, "%lldms", (long long)ms);
    if (s < 60)
        return arena_printf(a, "%lld.%03llds", (long long)s, (long long)(ms % 1000));
    if (s < 3600)
        return arena_printf(a, "%lldm%llds", (long long)(s / 60), (long long)(s % 60));
    return arena_printf(a, "%lldh%lldm%llds", (long long)(s / 3600), (long long)(s / 60 % 60),
        (long long)(s % 60));
}

static struct str moment(int64_t us, int64_t now_ms, struct arena *a)
{
    char text[32];
    clock_rfc3339(now_ms + us / 1000, text);
    ptrdiff_t dot = str_chr(str_c(text), '.');
    return dot < 0 ? arena_str(a, str_c(text)) : arena_printf(a, "%.*sZ", (int)dot, text);
}

static struct str name(struct exchange *x, const char *what, const char *which)
{
    if (x->ep.dialect == DIALECT_ANTHROPIC)
        return arena_printf(&x->arena, "anthropic-ratelimit-%s-%s", what, which);
    return arena_printf(&x->arena, "x-ratelimit-%s-%s", which, what);
}

static size_t put_limit(struct exchange *x, const struct health_limit *l, const char *what,
    struct http_header *out)
{
    struct arena *a = &x->arena;
    bool anthropic = x->ep.dialect == DIALECT_ANTHROPIC;
    size_t n = 0;
    if (l->left < 0)
        return 0;
    if (l->limit >= 0)
        out[n++] = (struct http_header){name(x, what, "limit"),
            arena_printf(a, "%lld", (long long)l->limit)};
    out[n++] = (struct http_header){name(x, what, "remaining"),
        arena_printf(a, "%lld", (long long)l->left)};
    if (l->reset_us >= 0)
        out[n++] = (struct http_header){name(x, what, "reset"), anthropic
            ? moment(l->reset_us, clock_wall_ms(), a) : duration(l->reset_us, a)};
    return n;
}

size_t limits_to_client(struct exchange *x, const struct http_header *in, size_t count,
    struct http_header *out)
{
    struct health_limits said;
    size_t n = 0;
    if (x->retry_after_us > 0 && !has(in, count, STR("retry-after")))
        out[n++] = (struct http_header){STR("retry-after"), arena_printf(&x->arena, "%lld",
            (long long)((x->retry_after_us + SECOND_US - 1) / SECOND_US))};
    bool anthropic = x->ep.dialect == DIALECT_ANTHROPIC;
    if (x->ep.dialect == DIALECT_GEMINI || has(in, count, anthropic
            ? STR("anthropic-ratelimit-requests-remaining") : STR("x-ratelimit-remaining-requests")))
        return n;
    health_read_limits(in, count, clock_wall_ms(), &said);
    n += put_limit(x, &said.requests, "requests", out + n);
    return n + put_limit(x, &said.tokens, "tokens", out + n);
}
