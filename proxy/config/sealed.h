/* sealed.h: provider keys that lie sealed in the store, as the configuration sees them.
 *
 * Why: `api_key: sealed:NAME` must open at the start, at each reload, and after somebody has sealed a
 * new one; but this room knows no store. So whoever has opened the store puts the sealed rows here
 * (as they are: ciphertext), and a value exists in the clear only in the configurations that use it.
 *
 *     sealed_open(key_file);                            // sealed_key_file() says which
 *     store_each_sealed(store, …) → sealed_put(…);      // at the start
 *     sealed_make(name, value, &blob, &e);              // somebody seals: makes the master key if need be
 *     store_put_sealed(…); … sealed_put(…);             // stored; then it is in force with the next load
 *
 * Without sealed_open() (`config check`) every sealed:NAME is taken as it stands. A key that is not
 * there is a fault, as a variable that is not set; one that does not open is not: the gateway starts,
 * and says which provider lacks its key.
 *
 * Threads: one at a time, as for loading: main at the start, then admin. */
#ifndef POINTSMAN_CONFIG_SEALED_H
#define POINTSMAN_CONFIG_SEALED_H

#include "proxy/config/snapshot.h"
#include "store/base/buf.h"
#include "store/base/err.h"

enum { SEALED_NAME_MAX = 64, SEALED_MAX = 1000, SEALED_VALUE_MAX = 16 << 10 };

/* Where the master key's file is, or would be made: `master_key` of the configuration; else
 * ~/.config/pointsman/master.key, else master.key in the data folder: the first that is there, else
 * the first that can be made. */
void sealed_key_file(const struct config *c, char *out, size_t size);

void sealed_open(const char *key_file);
void sealed_close(void); /* forgets rows and master key */
int sealed_put(struct str name, struct str sealed, struct str who, int64_t time_ms) MUST_CHECK;
void sealed_drop(struct str name);

/* What a name may be, and what a value; else a text that says what is wrong. */
const char *sealed_name_fault(struct str name);
const char *sealed_value_fault(struct str value);

/* Seals. -ERR_MISSING never: a master key is made where there is none. */
int sealed_make(struct str name, struct str value, struct buf *out, struct err *e) MUST_CHECK;
/* Appends the value. -ERR_AGAIN: no store was opened here; -ERR_NOT_FOUND: no such key; others: it
 * does not open, and *e says why and what to do. */
int sealed_get(struct str name, struct buf *out, struct err *e) MUST_CHECK;

struct sealed_view {
    struct str name, who;
    int64_t time_ms;
    bool opens, current; /* current: sealed with the master key that seals now */
    char shown[24], why[400]; /* "sk-a…9fQ2"; why it does not open */
};
void sealed_each(void (*fn)(void *ctx, const struct sealed_view *v), void *ctx);
/* As keys are shown: "sk-a…9fQ2", nothing of short ones. */
void sealed_show(struct str value, char out[24]);
size_t sealed_count(void);
/* What seals, as people call it: a path, or "$POINTSMAN_MASTER_KEY". NULL: nothing that can be used,
 * and *e says why. */
const char *sealed_master(struct err *e);
/* Puts a new master key in front of the old ones. Where it does not come from a file: nothing is
 * changed, and what was written in front there seals from now on. */
int sealed_renew(struct err *e) MUST_CHECK;
/* The same value, sealed with the master key that seals now. */
int sealed_again(struct str name, struct buf *out, struct err *e) MUST_CHECK;

/* It has keys, and none of them opens: not to be asked, not even without. */
static inline bool provider_is_locked(const struct provider *p)
{
    return p->key_count && p->locked_keys == p->key_count;
}

#endif
