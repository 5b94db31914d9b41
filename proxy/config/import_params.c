/* import_params.c: what a LiteLLM deployment says of itself: prices, times, and what stands elsewhere: in
 * a named credential, in a variable. */
#include "proxy/config/environment.h"
#include "proxy/config/import.h"
#include "proxy/config/units.h"

const struct yaml *import_param(const struct import *m, const struct yaml *params, const char *key)
{
    const struct yaml *own = yaml_get(params, key);
    struct str name = import_text(params, "litellm_credential_name");
    if (own || !name.n || !m->credentials || m->credentials->kind != YAML_LIST)
        return own;
    for (const struct yaml *c = m->credentials->first; c; c = c->next)
        if (str_eq(import_text(c, "credential_name"), name))
            return yaml_get(yaml_get(c, "credential_values"), key);
    return NULL;
}

int64_t import_seconds(struct import *m, const struct yaml *map, const char *where, const char *key)
{
    struct str text = import_text(map, key);
    struct err e;
    int64_t ms;
    if (!text.n)
        return -1;
    if (unit_decimal(text, 3, &ms, &e) == 0 && ms > 0 && ms <= 7 * INT64_C(86400000))
        return ms;
    import_leave_out(m, yaml_get(map, key), where, str_c(key), "is no number of seconds, up to 7 days");
    return -1;
}

void import_price(struct import *m, const struct yaml *params, const struct yaml *info,
    const struct import_provider *p, struct str model)
{
    static const char *const names[] = {"input_cost_per_token", "output_cost_per_token",
        "cache_read_input_token_cost", "cache_creation_input_token_cost"};
    struct import_price price = {.input = -1, .output = -1, .cached = -1, .cache_write = -1,
        .context = import_number(info, "max_input_tokens", -1),
        .most_output = import_number(info, "max_output_tokens", import_number(info, "max_tokens", -1))};
    int64_t *to[] = {&price.input, &price.output, &price.cached, &price.cache_write};
    bool any = price.context > 0 || price.most_output > 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct yaml *from = yaml_get(params, names[i]) ? params : info;
        struct str text = import_text(from, names[i]);
        struct err e;
        if (text.n && unit_fee(text, to[i], &e) < 0)
            import_leave_out(m, yaml_get(from, names[i]), "", str_c(names[i]), e.text);
        else
            any = any || text.n;
    }
    if (!any || str_chr(model, '*') >= 0 || m->price_count == IMPORT_ROUTES_MAX)
        return;
    price.key = arena_printf(m->a, STR_FMT "/" STR_FMT, STR_ARG(p->name), STR_ARG(model));
    m->prices[m->price_count++] = price;
}

/* Text that may stand in a variable, of the process or of the file's own environment_variables. Our
 * file takes only secrets from the environment: the value itself is written. False: said what
 * lacks. */
bool import_resolve(struct import *m, const struct yaml *params, const char *key, struct str *out)
{
    const struct yaml *at = import_param(m, params, key);
    *out = at && at->kind == YAML_TEXT ? at->text : STR_NULL;
    if (!str_starts(*out, STR("os.environ/")))
        return true;
    struct str name = str_from(*out, 11);
    *out = environment_get(m->environment, name, false);
    for (const struct yaml *c = m->variables ? m->variables->first : NULL; c && !out->n;
         c = c->next)
        if (str_eq(c->key, name) && c->kind == YAML_TEXT)
            *out = c->text;
    if (out->n)
        return true;
    struct str why = arena_printf(m->a,
        "the environment variable " STR_FMT " is not set: set it and import again, or write the "
        "value; this deployment is left out",
        STR_ARG(str_first(name, 100)));
    import_leave_out(m, at, "litellm_params", str_c(key), why.n ? why.p : "");
    return false;
}
