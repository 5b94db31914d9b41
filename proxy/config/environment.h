/* environment.h: the process's environment with a memory of its own. Private to this room; what
 * others may call stands in config.h. */
#ifndef POINTSMAN_CONFIG_ENVIRONMENT_H
#define POINTSMAN_CONFIG_ENVIRONMENT_H

#include "proxy/config/options.h"

struct provider_row {
    const char *name, *variable, *url_variable, *base_url;
    enum dialect dialect;
    unsigned quirks;
    bool ask_usage;
};
extern const struct provider_row provider_rows[];
extern const size_t provider_row_count;
const struct provider_row *provider_row_by_name(struct str name); /* NULL when unknown */
const struct provider_row *provider_row_by_host(struct str host);

/* Where a provider at that URL keeps the data, as far as it is billed. */
enum residency residency_of_url(struct str url);

/* The value of a variable, or STR_NULL. NULL as environment: the process's, and what was kept of it
 * or handed over. `secret` marks it for environment_wipe_secrets(). */
struct str environment_get(char **environment, struct str name, bool secret);

/* Offers the names of all variables that are set: for "did you mean". */
void environment_offer_names(char **environment, struct nearest *near);

/* Providers from the environment, appended to `out` (room for provider_row_count); says what it
 * skips as warnings. Returns how many. */
size_t environment_providers(struct reader *r, struct provider *out);

#endif
