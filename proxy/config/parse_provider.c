/* parse_provider.c: the section `providers`, and names in general. */
#include "proxy/config/environment.h"
#include "proxy/config/units.h"

enum { PROVIDERS_MAX = 256, HEADERS_MAX = 32 };

static void parse_headers(struct reader *r, const struct yaml *map, struct str path,
    struct provider *p)
{
    static const char *const ours[] = {"host", "content-length", "transfer-encoding", "connection",
        "upgrade", "te", "trailer", "expect", "keep-alive", "content-encoding", "accept-encoding"};
    struct http_header *to = arena_alloc(r->a, map->count * sizeof *to + 1);
    if (map->kind != YAML_MAP || map->count > HEADERS_MAX || !to) {
        complain(r, map, path, ERR_TYPE, "expected a map of at most %d headers such as "
            "{ x-team: lab }", HEADERS_MAX);
        return;
    }
    size_t n = 0;
    for (const struct yaml *c = map->first; c; c = c->next) {
        struct str at = path_join(r, path, c->key), value;
        const char *fault = c->key.n ? NULL : "a header needs a name";
        for (size_t i = 0; i < c->key.n; i++)
            if (!strchr(
                    "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
                    c->key.p[i]))
                fault = "is not a header name";
        for (size_t i = 0; i < ARRAY_LEN(ours); i++)
            if (str_eq_nocase(c->key, str_c(ours[i])))
                fault = "belongs to the connection and can't be set";
        if (fault)
            complain_key(r, c, at, ERR_SYNTAX, "%s", fault);
        else if (read_text(r, c, at, &value)) /* refuses control characters: no header is split */
            to[n++] = (struct http_header){c->key, value};
    }
    p->headers = to;
    p->header_count = n;
}

static bool parse_one_key(struct reader *r, const struct yaml *n, struct str path,
    struct provider *p, struct provider_key *key)
{
    if (n->kind == YAML_TEXT && str_eq(n->text, STR("client"))) {
        p->client_login = true;
        return false;
    }
    bool got = read_secret(r, n, path, SECRET_PROVIDER, &key->name, &key->secret, &key->fault);
    p->locked_keys += got && key->fault.n;
    return got;
}

struct key_place {
    struct provider *provider;
    struct provider_key *key;
    bool got;
};

static void api_key_special(struct reader *r, const struct option *o, const struct yaml *n,
    struct str path, void *ctx)
{
    (void)o; /* `key` is the only one */
    struct key_place *place = ctx;
    place->got = parse_one_key(r, n, path, place->provider, place->key);
    if (place->provider->client_login)
        complain(r, n, path, ERR_TYPE, "client stands alone: `api_key: client`");
}

static void parse_api_keys(struct reader *r, const struct yaml *list, struct str path,
    struct provider *p)
{
    struct provider_key *keys = arena_zalloc(r->a, list->count * sizeof *keys + 1);
    if (list->kind != YAML_LIST || !list->count || list->count > 64 || !keys) {
        complain(r, list, path, ERR_TYPE,
            "expected a list of 1 to 64 keys such as [{ key: env:LAB_KEY, weight: 2 }]");
        return;
    }
    size_t n = 0, i = 1;
    for (const struct yaml *c = list->first; c; c = c->next, i++) {
        struct key_place place = {.provider = p, .key = &keys[n]};
        struct str at = path_index(r, path, i);
        keys[n] = (struct provider_key){.weight = 1};
        if (c->kind == YAML_TEXT) /* a bare reference */
            place.got = parse_one_key(r, c, at, p, &keys[n]);
        else
            options_read(r, c, at, SECTION_API_KEY, &keys[n], api_key_special, &place);
        if (place.got) {
            keys[n].index = (unsigned)n;
            n++;
        }
    }
    p->keys = keys;
    p->key_count = n;
}

static void parse_api_key(
    struct reader *r, const struct yaml *n, struct str path, struct provider *p)
{
    struct provider_key *key = arena_zalloc(r->a, sizeof *key);
    if (!key)
        return;
    key->weight = 1;
    if (parse_one_key(r, n, path, p, key)) {
        p->keys = key;
        p->key_count = 1;
    }
}

static void provider_special(struct reader *r, const struct option *o, const struct yaml *n,
    struct str path, void *ctx)
{
    struct provider *p = ctx;
    struct str key = str_c(o->key), text;
    struct err e;
    int64_t version;
    if (str_eq(key, STR("api_key")))
        parse_api_key(r, n, path, p);
    else if (str_eq(key, STR("api_keys")))
        parse_api_keys(r, n, path, p);
    else if (str_eq(key, STR("headers")))
        parse_headers(r, n, path, p);
    else if (str_eq(key, STR("timeouts")))
        options_read(r, n, path, SECTION_TIMEOUTS, p, NULL, NULL);
    else if (str_eq(key, STR("http")) && read_count(r, n, path, 1, 2, &version))
        p->http2 = version == 2;
    else if (str_eq(key, STR("ask_usage")) && read_text(r, n, path, &text) &&
             unit_bool(text, &p->ask_usage, &e) < 0)
        complain(r, n, path, e.code, "%s", e.text);
}

/* What a well-known name or host brings along. */
static void apply_known(struct reader *r, const struct yaml *n, struct str path, struct provider *p)
{
    const struct provider_row *row = provider_row_by_name(p->name);
    if (!p->base_url.n && row && *row->base_url && !yaml_get(n, "base_url"))
        p->base_url = str_c(row->base_url);
    if (!p->base_url.n && !yaml_get(n, "base_url"))
        complain_key(r, n, path, ERR_MISSING, "`base_url` is missing, for example "
            "base_url: http://127.0.0.1:11434/v1");
    p->served_in = p->residency ? p->residency : residency_of_url(p->base_url);
    row = provider_row_by_host(url_host(p->base_url));
    if (!row)
        return;
    p->quirks = row->quirks;
    if (!yaml_get(n, "dialect"))
        p->dialect = row->dialect;
    if (!yaml_get(n, "ask_usage"))
        p->ask_usage = row->ask_usage;
    if (!yaml_get(n, "api_key") && !yaml_get(n, "api_keys"))
        complain_key(r, n, path, ERR_MISSING, "`api_key` is missing, for example api_key: env:%s",
            row->variable);
}

static void check_provider(
    struct reader *r, const struct yaml *n, struct str path, struct provider *p)
{
    if (yaml_get(n, "api_key") && yaml_get(n, "api_keys"))
        complain_key(r, yaml_get(n, "api_keys"), path, ERR_DUPLICATE,
            "give `api_key` or `api_keys`, not both");
    if (p->base_url.n && url_is_ours(p->base_url, r->listen))
        complain(r, yaml_get(n, "base_url"), path, ERR_RANGE,
            "`base_url` is this gateway's own address: requests would come back to it");
    bool plain = str_starts_nocase(p->base_url, STR("http://"));
    struct str host = url_host(p->base_url);
    if (plain && p->key_count && !host_is_loopback(host) && str_chr(host, '.') >= 0 &&
        provider_row_by_host(host))
        complain(r, yaml_get(n, "base_url"), path, ERR_RANGE,
            "sends its key in clear text: write https://");
    if (p->dialect == DIALECT_AZURE && !p->api_version.n &&
        str_find(p->base_url, STR("/openai/v1")) < 0)
        p->api_version = STR("2024-10-21");
    if (p->dialect != DIALECT_AZURE && yaml_get(n, "api_version"))
        complain_key(r, yaml_get(n, "api_version"), path, ERR_RANGE,
            "`api_version` does nothing unless dialect is azure");
    if (yaml_get(n, "max_wait") && !p->max_concurrent)
        complain_key(r, yaml_get(n, "max_wait"), path, ERR_RANGE,
            "`max_wait` does nothing without `max_concurrent`");
}

static const char *name_fault(struct str name)
{
    if (!name.n || name.n > 64)
        return "a name has 1 to 64 characters";
    if (str_chr(name, '/') >= 0)
        return "a name may not hold `/`: that separates provider and model";
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] <= 0x20 || name.p[i] == 0x7f)
            return "a name may not hold blanks or control characters";
    return NULL;
}

bool check_name(struct reader *r, const struct yaml *n, struct str path)
{
    const char *fault = name_fault(n->key);
    if (fault)
        complain_key(r, n, path, ERR_SYNTAX, "%s", fault);
    return !fault;
}

/* Those found in the environment stay, unless the map gives one of that name. */
static size_t keep_found(struct reader *r, const struct yaml *map, struct provider *to)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->c->provider_count; i++)
        if (!yaml_get(map, r->c->providers[i].name.p))
            to[kept++] = r->c->providers[i];
    return kept;
}

/* On the demo's own host and port, whatever the path. */
static bool is_demo(struct reader *r, struct str url)
{
    struct str demo = str_c(r->q->demo_url ? r->q->demo_url : "");
    ptrdiff_t slash = demo.n > 8 ? str_chr(str_from(demo, 8), '/') : -1;
    return slash > 0 && str_starts(url, str_first(demo, (size_t)slash + 9));
}

static void parse_provider(
    struct reader *r, const struct yaml *n, struct str path, struct provider *p)
{
    p->name = n->key;
    p->id = config_stable_id(CONFIG_ID_PROVIDER, p->name);
    p->ask_usage = true;
    options_defaults(r, SECTION_TIMEOUTS, p);
    if (n->kind != YAML_MAP) {
        complain(
            r, n, path, ERR_TYPE, "expected a map such as { dialect: openai, base_url: http://… }");
        return;
    }
    options_read(r, n, path, SECTION_PROVIDER, p, provider_special, p);
    p->demo = is_demo(r, p->base_url);
    apply_known(r, n, path, p);
    check_provider(r, n, path, p);
}

void parse_providers(struct reader *r, const struct yaml *map)
{
    struct provider *to = arena_zalloc(r->a, (map->count + r->c->provider_count) * sizeof *to + 1);
    if (map->kind != YAML_MAP || map->count > PROVIDERS_MAX || !to) {
        complain(r, map, STR("providers"), ERR_TYPE, "expected a map of at most %d providers",
            PROVIDERS_MAX);
        return;
    }
    size_t count = keep_found(r, map, to);
    for (const struct yaml *n = map->first; n; n = n->next) {
        struct str path = path_join(r, STR("providers"), n->key);
        if (check_name(r, n, path))
            parse_provider(r, n, path, &to[count++]);
    }
    r->c->providers = to;
    r->c->provider_count = count;
}
