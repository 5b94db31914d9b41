/* secret.h: what must not be seen: the redactor, randomness, constant-time comparison, sealing.
 *
 * Why: logs, events, kept bodies and exports are read by people who may not know the keys. One
 * redactor knows every live secret by value and the common forms of provider keys by pattern; it
 * runs over each log line (the first secret_add() or secret_random() installs it there) and over
 * each body before it is kept.
 *
 *     secret_add(provider_key);                      // any time, any thread
 *     secret_redact(body, n);                        // in place: "sk-a****…": offsets stay
 *
 * A value is kept only as a keyed hash with eight of its bytes. Redact a body as a whole, not in
 * chunks: a secret that lies across two chunks is seen in neither.
 *
 * Sealing: XChaCha20-Poly1305 with a random nonce; the row's id is authenticated, so that a blob
 * moved to another row does not open. The master key lives outside the store, in guarded memory:
 * $CREDENTIALS_DIRECTORY/pointsman.key, else a file that only its owner can read, else
 * $POINTSMAN_MASTER_KEY; 64 hex digits in each of them. */
#ifndef POINTSMAN_SECRET_H
#define POINTSMAN_SECRET_H

#include "store/base/buf.h"
#include "store/base/err.h"

enum {
    SECRET_VALUE_MIN = 8, /* shorter values are no secrets and are not added */
    SECRET_VALUES_MAX = 4096,
    SECRET_MASTER_BYTES = 32
};

/* Adds a value that must never be seen. False when it is too short or the table is full. */
bool secret_add(struct str value);

/* Replaces each secret in place by its first four characters and asterisks. Returns how many. */
size_t secret_redact(char *p, size_t n);

/* Cryptographic randomness. */
void secret_random(void *p, size_t n);
uint64_t secret_random_u64(void);

/* In a time that does not depend on the contents. */
bool secret_equal(const void *a, const void *b, size_t n);

/* Overwrites; never optimised away. */
void secret_wipe(void *p, size_t n);

struct secret_box; /* the master key */

/* Finds the master key as told above. With `create`, a missing `key_file` is made (0600). `from`
 * (may be NULL) is set to a text that says where it came from. -ERR_MISSING: nowhere; -ERR_DENIED:
 * others can read the file; -ERR_SYNTAX: not 64 hex digits. */
int secret_box_new(struct secret_box **out, const char *key_file, bool create, const char **from,
    struct err *e) MUST_CHECK;
int secret_box_from(struct secret_box **out, const unsigned char key[SECRET_MASTER_BYTES],
    struct err *e) MUST_CHECK;
void secret_box_free(struct secret_box *b);

/* Appends version, key mark, nonce and ciphertext to `out`. */
int secret_seal(const struct secret_box *b, struct str row_id, struct str plain,
    struct buf *out) MUST_CHECK;
/* Appends the plain text. -ERR_UNSUPPORTED: another version; -ERR_DENIED: sealed with another
 * master key; -ERR_CORRUPT: damaged, or moved from another row. */
int secret_open(const struct secret_box *b, struct str row_id, struct str sealed, struct buf *out,
    struct err *e) MUST_CHECK;

#endif
