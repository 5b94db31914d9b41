/* environment.c: keys and providers found in the environment.
 *
 * A secret that stands in the environment stays readable in /proc/PID/environ for the life of the
 * process, also after unsetenv(). So each one that was read is copied to a table of our own and its
 * bytes are overwritten where they stood; a reload finds it in the table. A variable handed over by
 * a console lives in the table only. */
#include "proxy/config/environment.h"
#include "proxy/config/sealed.h"
#include "store/base/secret.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

const struct provider_row provider_rows[] = {
#define X(name, variable, url_variable, url, dialect, quirks, ask) \
    {name, variable, url_variable, url, DIALECT_##dialect, quirks, ask},
#include "proxy/config/providers.def"
#undef X
};
const size_t provider_row_count = ARRAY_LEN(provider_rows);

enum { KEPT_MAX = 256, VALUE_MAX = 16 << 10 };

struct kept {
    char *name, *value;
    size_t length;
    char *
        stood; /* where the value stands in the environment block; NULL when wiped or handed over */
};
static struct kept kept[KEPT_MAX];
static size_t kept_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

const struct provider_row *provider_row_by_name(struct str name)
{
    for (size_t i = 0; i < provider_row_count; i++)
        if (str_eq(str_c(provider_rows[i].name), name))
            return &provider_rows[i];
    return NULL;
}

const struct provider_row *provider_row_by_host(struct str host)
{
    for (size_t i = 0; i < provider_row_count; i++) {
        struct str known = url_host(str_c(provider_rows[i].base_url));
        if (known.n && str_eq_nocase(known, host))
            return &provider_rows[i];
    }
    return NULL;
}

enum residency residency_of_url(struct str url)
{
    struct str host = url_host(url);
    if (str_eq_nocase(host, STR("us.api.openai.com")))
        return RESIDENCY_US;
    if (str_eq_nocase(host, STR("eu.api.openai.com")))
        return RESIDENCY_EU;
    bool vertex = str_ends(host, STR("-aiplatform.googleapis.com")) || /* europe-west1-… */
                  str_ends(host, STR(".rep.googleapis.com"));
    return vertex ? RESIDENCY_REGION : RESIDENCY_NONE;
}

static char *find_in(char **environment, struct str name)
{
    for (char **at = environment; at && *at; at++)
        if (str_starts(str_c(*at), name) && (*at)[name.n] == '=')
            return *at + name.n + 1;
    return NULL;
}

static struct kept *kept_find(struct str name)
{
    for (size_t i = 0; i < kept_count; i++)
        if (str_eq(str_c(kept[i].name), name))
            return &kept[i];
    return NULL;
}

/* Under the lock. */
static struct kept *keep(struct str name, struct str value, char *stood)
{
    struct kept *k = kept_find(name);
    if (!k && kept_count == KEPT_MAX)
        return NULL;
    char *copy = str_dup(value), *name_copy = k ? NULL : str_dup(name);
    if (!copy || (!k && !name_copy)) {
        free(copy);
        free(name_copy);
        return NULL;
    }
    if (!k)
        k = &kept[kept_count++];
    /* an old value stays allocated: a configuration of before may still be reading it */
    k->name = name_copy ? name_copy : k->name;
    k->value = copy;
    k->length = value.n;
    k->stood = stood;
    return k;
}

struct str environment_get(char **environment, struct str name, bool secret)
{
    if (environment) {
        char *value = find_in(environment, name);
        return value ? str_c(value) : STR_NULL;
    }
    pthread_mutex_lock(&lock);
    struct kept *k = kept_find(name);
    struct str found = k ? str_n(k->value, k->length) : STR_NULL;
    char *stands = k ? NULL : find_in(environ, name);
    if (stands) {
        found = str_c(stands);
        k = secret ? keep(name, found, stands) : NULL;
        if (k)
            found = str_n(k->value, k->length);
    }
    pthread_mutex_unlock(&lock);
    return found;
}

void environment_offer_names(char **environment, struct nearest *near)
{
    for (char **at = environment ? environment : environ; at && *at; at++) {
        ptrdiff_t equals = str_chr(str_c(*at), '=');
        if (equals > 0)
            nearest_offer(near, str_n(*at, (size_t)equals));
    }
}

void environment_wipe_secrets(void)
{
    for (size_t i = 0; i < provider_row_count; i++)
        environment_get(NULL, str_c(provider_rows[i].variable), true);
    environment_get(NULL, STR("POINTSMAN_MASTER_KEY"), true);
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < kept_count; i++) {
        if (kept[i].stood)
            secret_wipe(kept[i].stood, kept[i].length);
        kept[i].stood = NULL;
    }
    pthread_mutex_unlock(&lock);
}

int environment_set(struct str name, struct str value, struct err *e)
{
    if (!name.n || name.n > 128 || str_chr(name, '=') >= 0)
        return err_set(
            e, ERR_SYNTAX, "not a variable's name: " STR_FMT, STR_ARG(str_first(name, 60)));
    if (!value.n || value.n > VALUE_MAX || memchr(value.p, '\0', value.n))
        return err_set(e, ERR_RANGE, "the value of " STR_FMT " is empty or longer than 16 KiB",
            STR_ARG(name));
    pthread_mutex_lock(&lock);
    struct kept *k = keep(name, value, NULL);
    pthread_mutex_unlock(&lock);
    return k ? 0 : err_set(e, ERR_NOMEM, "no room for another variable");
}

void environment_restore(void)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < kept_count; i++)
        if (kept[i].length)
            setenv(kept[i].name, kept[i].value, 1);
    pthread_mutex_unlock(&lock);
}

/* Why a key of the environment is not taken; NULL when it is fine. */
static const char *key_fault(struct str value)
{
    if (str_starts(value, STR("sk-pm-")))
        return "holds a key of a pointsman gateway, not of a provider: skipped";
    for (size_t i = 0; i < value.n; i++)
        if ((unsigned char)value.p[i] < 0x21 || (unsigned char)value.p[i] > 0x7e)
            return "holds blanks or characters that no key has: skipped";
    return NULL;
}

static bool taken_already(const struct provider *out, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(out[i].name, str_c(name)))
            return true;
    return false;
}

static struct str usable_url(struct reader *r, const struct provider_row *row)
{
    struct str url = environment_get(r->q->environment, str_c(row->url_variable), false);
    const char *fault = url.n ? url_fault(url) : NULL;
    if (url.n && url_is_ours(url, r->listen))
        fault = "points at this gateway";
    if (fault)
        warn_about(r, NULL, str_c(row->url_variable), "%s: ignored%s%s", fault,
            *row->base_url ? ", using " : "", row->base_url);
    if (!url.n || fault)
        return str_c(row->base_url);
    while (url.n && url.p[url.n - 1] == '/')
        url.n--;
    return arena_str(r->a, url);
}

/* Of the variable; else sealed under the provider's name: then `pointsman provider seal openai` is all
 * that a provider takes. */
static bool key_from(struct reader *r, const struct provider_row *row, struct provider_key *key)
{
    struct str value = environment_get(r->q->environment, str_c(row->variable), true);
    const char *fault = key_fault(value);
    if (value.n && fault)
        warn_about(r, NULL, str_c(row->variable), "%s", fault);
    if (value.n && !fault) {
        key->name = arena_printf(r->a, "env:%s", row->variable);
        key->secret = arena_str(r->a, value);
        return true;
    }
    struct buf plain;
    struct err e = {0};
    buf_init(&plain, SEALED_VALUE_MAX + 64);
    int rc = sealed_get(str_c(row->name), &plain, &e);
    key->name = arena_printf(r->a, "sealed:%s", row->name);
    key->secret = rc == 0 ? arena_str(r->a, buf_str(&plain)) : STR_NULL;
    if (rc < 0)
        key->fault = arena_str(r->a, str_c(e.text));
    if (rc < 0 && rc != -ERR_AGAIN && rc != -ERR_NOT_FOUND)
        warn_about(r, NULL, str_c(row->name), "%s", e.text);
    secret_wipe(plain.p, plain.n);
    buf_fini(&plain);
    return rc != -ERR_AGAIN && rc != -ERR_NOT_FOUND;
}

static bool provider_from(struct reader *r, const struct provider_row *row, struct provider *p)
{
    struct provider_key *key = arena_zalloc(r->a, sizeof *key);
    if (!key || !key_from(r, row, key))
        return false;
    struct str url = usable_url(r, row);
    if (!url.n) {
        warn_about(r, NULL, str_c(row->variable), "skipped: %s must say where the provider is",
            row->url_variable);
        return false;
    }
    *p = (struct provider){.name = str_c(row->name)};
    options_defaults(r, SECTION_PROVIDER, p);
    options_defaults(r, SECTION_TIMEOUTS, p);
    key->weight = 1;
    secret_add(key->secret);
    p->dialect = row->dialect;
    p->base_url = url;
    p->keys = key;
    p->key_count = 1;
    p->locked_keys = key->fault.n > 0;
    p->ask_usage = row->ask_usage;
    const struct provider_row *by_host = provider_row_by_host(url_host(url));
    p->quirks = by_host ? by_host->quirks : 0;
    p->served_in = residency_of_url(url);
    p->from_environment = true;
    if (row->dialect == DIALECT_AZURE)
        p->api_version = STR("2024-10-21");
    return true;
}

size_t environment_providers(struct reader *r, struct provider *out)
{
    size_t n = 0;
    for (size_t i = 0; i < provider_row_count; i++)
        if (!taken_already(out, n, provider_rows[i].name) &&
            provider_from(r, &provider_rows[i], &out[n]))
            n++;
    return n;
}

size_t environment_provider_variables(char **environment,
    void (*fn)(void *ctx, struct str provider, struct str variable), void *ctx)
{
    size_t n = 0;
    for (size_t i = 0; i < provider_row_count; i++) {
        struct str value = environment_get(environment, str_c(provider_rows[i].variable), false);
        if (!value.n || key_fault(value))
            continue;
        fn(ctx, str_c(provider_rows[i].name), str_c(provider_rows[i].variable));
        n++;
    }
    return n;
}
