/* auth.c: who asks, and may this path be asked at all: before the body is read, so that a stranger
 * costs nothing and never reaches the store. */
#include "proxy/exchange/exchange.h"

#include "proxy/access/key.h"
#include "proxy/event/event.h"
#include "proxy/worker.h"
#include "store/base/secret.h"

#include <unistd.h>

enum { TAGS_BYTES = 512 }; /* as record.def */

static struct str header(const struct exchange *x, struct str name)
{
    for (size_t i = 0; i < x->client_header_count; i++)
        if (str_eq_nocase(x->client_headers[i].name, name))
            return x->client_headers[i].value;
    return STR_NULL;
}

static struct str bearer(struct str v)
{
    return str_starts_nocase(v, STR("bearer ")) ? str_trim(str_from(v, 7)) : STR_NULL;
}

static struct str query_key(struct str query)
{
    struct str rest = query, one;
    while (str_cut(&rest, '&', &one))
        if (str_starts(one, STR("key=")))
            return str_from(one, 4);
    return STR_NULL;
}

/* Every place in which a client may carry our key, the explicit one first. */
static size_t offered(const struct exchange *x, struct str out[6])
{
    const struct str places[] = {
        header(x, STR("x-pointsman-key")),
        bearer(header(x, STR("authorization"))),
        header(x, STR("x-api-key")),
        header(x, STR("x-goog-api-key")),
        header(x, STR("api-key")),
        query_key(x->query),
    };
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (places[i].n)
            out[n++] = places[i];
    return n;
}

/* First characters only, and only of our own kind: a message never echoes a secret. */
static struct str prefix_of(struct str secret)
{
    return str_starts(secret, STR("sk-pm-")) ? str_first(secret, 10) : STR("(not a pointsman key)");
}

/* One text for what is unknown, paused, revoked and expired. That a key was mistyped is no secret: it
 * shows from the key alone. */
static enum step_result refuse_key(struct exchange *x, struct str secret)
{
    const char *owner = x->worker->shared->owner_name;
    if (str_starts(secret, STR("sk-pm-")) && !key_well_formed(secret))
        return exchange_refuse(x, 401, "invalid_api_key", -1,
            "the key " STR_FMT "… is not one that this pointsman gateway made: it is mistyped or cut "
            "short (its last characters don't fit the others); copy it again, or ask %s for a new one",
            STR_ARG(prefix_of(secret)), owner);
    return exchange_refuse(x, 401, "invalid_api_key", -1,
        "the key " STR_FMT "… is not known to this pointsman gateway, or is paused, revoked or "
        "expired; ask %s for a new one", STR_ARG(prefix_of(secret)), owner);
}

/* May somebody without a key come in? Only while none is defined, and (unless `open_to: any`) only
 * the gateway's own user or root from this machine. */
static enum step_result check_open(struct exchange *x, const struct str *keys, size_t n)
{
    const struct config *config = x->snapshot->config;
    const struct shared *shared = x->worker->shared;
    if (key_table_demands(x->snapshot->keys)) {
        if (n == 0)
            return exchange_refuse(x, 401, "missing_api_key", -1,
                "this pointsman gateway asks for a key: send `Authorization: Bearer sk-pm-…`; "
                "ask %s for one", shared->owner_name);
        return refuse_key(x, keys[0]);
    }
    if (n && str_starts(keys[0], STR("sk-pm-")))
        return refuse_key(x, keys[0]);
    if (str_eq(config->open_to, STR("any")))
        return STEP_WAIT;
    if (x->client_uid == shared->owner_uid || x->client_uid == 0)
        return STEP_WAIT;
    return exchange_refuse(x, 401, "missing_api_key", -1,
        "this pointsman gateway is open to user %s only; ask for a key", shared->owner_name);
}

static struct str without_port(struct str peer)
{
    for (size_t i = peer.n; i > 0; i--)
        if (peer.p[i - 1] == ':')
            return str_first(peer, i - 1);
    return peer;
}

static enum step_result check_key(struct exchange *x)
{
    struct str keys[6];
    size_t n = offered(x, keys);
    for (size_t i = 0; i < n && !x->key; i++)
        x->key = key_find(x->snapshot->keys, keys[i], x->time_ms);
    x->key_apart = x->key && key_find(x->snapshot->keys, header(x, STR("x-pointsman-key")),
        x->time_ms) == x->key;
    if (!x->key)
        return check_open(x, keys, n);
    const struct key *k = x->key;
    if (k->paused || k->revoked || (k->expires_ms && k->expires_ms <= x->time_ms)) {
        x->key = NULL;
        return refuse_key(x, keys[0]);
    }
    if (!key_allows_source(k, without_port(x->peer)))
        return exchange_refuse(x, 403, "source_not_allowed", -1,
            "key " STR_FMT " may not be used from this address", STR_ARG(k->name));
    x->tags = k->tags;
    return STEP_WAIT;
}

static bool has_tag(struct str tags, struct str tag)
{
    struct str one;
    while (tags.n && str_cut(&tags, ',', &one))
        if (str_eq(str_trim(one), tag))
            return true;
    return false;
}

/* A tag with limits belongs to keys: a request can't say it and spend another team's money. */
static bool is_limited(const struct config *c, struct str tag)
{
    for (size_t i = 0; i < c->tag_count; i++)
        if (str_eq(c->tags[i].name, tag))
            return true;
    return false;
}

/* The key's tags, then what the request adds; none twice, or it would be counted twice. */
static struct str join_tags(struct exchange *x, struct str said)
{
    struct str all = x->tags, one;
    while (said.n && str_cut(&said, ',', &one)) {
        one = str_trim(one);
        if (!one.n || all.n + one.n + 1 > TAGS_BYTES || has_tag(all, one) ||
            is_limited(x->snapshot->config, one))
            continue;
        struct str more = arena_printf(&x->arena, STR_FMT "%s" STR_FMT, STR_ARG(all),
            all.n ? "," : "", STR_ARG(one));
        all = more.p ? more : all;
    }
    return all;
}

static void read_session_and_tags(struct exchange *x)
{
    static const struct str names[] = {
        {"x-pointsman-session", 19}, {"x-claude-code-session-id", 24}, {"session-id", 10},
        {"session_id", 10}, {"x-session-id", 12}, {"conversation_id", 15}, {"thread-id", 9},
    };
    x->session = x->ep.session;
    for (size_t i = 0; i < ARRAY_LEN(names) && !x->session.n; i++)
        x->session = secret_first(header(x, names[i]), 128);
    x->tags = join_tags(x, secret_first(header(x, STR("x-pointsman-tags")), TAGS_BYTES));
}

enum step_result step_auth(struct exchange *x)
{
    struct err e = {0};
    struct shared *shared = x->worker->shared;
    enum dialect caller = header(x, STR("anthropic-version")).n ? DIALECT_ANTHROPIC
        : header(x, STR("x-goog-api-key")).n ? DIALECT_GEMINI : DIALECT_OPENAI;
    int rc = endpoint_match(x->q->method, x->q->path, caller, &x->arena, &x->ep, &e);
    if (rc < 0)
        return exchange_refuse(x, rc == -ERR_DENIED ? 405 : 404,
            rc == -ERR_DENIED ? "method_not_allowed" : "unknown_path", -1, "%s", e.text);
    if (x->ep.auth == AUTH_LOCAL && !x->loopback_peer && key_table_count(x->snapshot->keys) == 0)
        return exchange_refuse(x, 403, "local_only", -1, "asked from this machine only");
    if (str_eq(header(x, STR("x-pointsman-hop")), str_c(shared->hop)))
        return exchange_refuse(x, 508, "loop_detected", -1,
            "this request has been through a pointsman gateway and came back: a provider's base_url "
            "leads to the gateway itself");
    if (x->ep.auth != AUTH_NONE && x->ep.auth != AUTH_LOCAL) {
        enum step_result result = check_key(x);
        if (result != STEP_WAIT)
            return result;
    }
    if (x->ep.handler == HANDLE_RELAY && !spool_has_room(x->worker->spool))
        return exchange_refuse(x, 503, "spool_full", 5000,
            "no room for records: the disk is full or the database is behind; new work waits");
    read_session_and_tags(x);
    return STEP_WAIT; /* for the body */
}
