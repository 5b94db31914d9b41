/* offline.h: the verbs that work without a gateway: configuration and the store's upkeep, as the data
 * folder's only user; and doctor. Each prints and returns an exit status (0 done, 1 failed).
 *
 * Why: with a gateway running it is asked instead (tui/cli_config.c); no other process ever opens the
 * files: the store's lock decides, and names who holds it. */
#ifndef POINTSMAN_OFFLINE_H
#define POINTSMAN_OFFLINE_H

#include "store/base/buf.h"
#include "store/base/err.h"

struct store;

struct offline {
    const char *config, *data, *socket; /* --config, --data, --socket; NULL: the defaults */
    const char *socket_in_use;          /* of a gateway that answers, or NULL */
    bool json, quiet;
};

int offline_config_check(const struct offline *o, const char *file);
int offline_config_options(const struct offline *o, bool sample);
int offline_config_import(const struct offline *o, const char *format, const char *file);
int offline_db_check(const struct offline *o);
int offline_db_backup(const struct offline *o, const char *path);
int offline_db_prune(const struct offline *o, int64_t older_ms);

/* Sealed provider keys (offline_sealed.c). What was done, or found, is appended as the admin API says it
 * (proxy/admin/api.h); < 0: *e says why not. The value is the caller's to wipe. */
int offline_seal(const struct offline *o, struct str name, struct str value, struct buf *json,
    struct err *e) MUST_CHECK;
int offline_sealed(const struct offline *o, struct buf *json, struct err *e) MUST_CHECK;
int offline_forget(const struct offline *o, struct str name, struct buf *json,
    struct err *e) MUST_CHECK;
int offline_reseal(const struct offline *o, struct buf *json, struct err *e) MUST_CHECK;
/* The store of the configuration, taken as its only user and recovered. key_file (may be NULL): where
 * the master key is. */
int offline_open_store(const struct offline *o, struct store **store, char *key_file, size_t size,
    struct err *e) MUST_CHECK;

int offline_doctor(const struct offline *o);

#endif
