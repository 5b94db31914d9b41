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
 * moved to another row does not open. The master key lies outside of the store and, while we run, in
 * guarded memory. Each of its sources holds one key or several, 64 hex digits each, with blanks, line
 * ends or commas between them: the first one seals, all of them open. So a new master key is one
 * written in front of the old: whatever moment a rotation is cut at, every row still opens. */
#ifndef POINTSMAN_SECRET_H
#define POINTSMAN_SECRET_H

#include "store/base/buf.h"
#include "store/base/err.h"

enum {
    SECRET_VALUE_MIN = 8, /* shorter values are no secrets and are not added */
    SECRET_VALUES_MAX = 4096,
    SECRET_MASTER_BYTES = 32,
    SECRET_MASTERS_MAX = 32 /* master keys of one source; renewing drops the oldest */
};

/* Adds a value that must never be seen. False when it is too short or the table is full. */
bool secret_add(struct str value);

/* How much of a text that goes on elsewhere can be looked at now: all but the end that may be the
 * first part of a secret. An end longer than any secret is no reason to wait. */
size_t secret_whole(struct str text);

/* The first n bytes of a text, without an end that may be half a secret: that is known as none. */
struct str secret_first(struct str text, size_t n);

/* Replaces each secret in place by its first four characters and asterisks, also one whose letters
 * are written as \u0073. Returns how many. Answers: see secret_said.h. */
size_t secret_redact(char *p, size_t n);

/* The same for a text of `size` bytes with its NUL that was cut to fit: what it ends with may be the
 * first part of a secret, not to be known as one; then it goes too. */
void secret_redact_cut(char *text, size_t size);

/* The same for plain letters alone; `found` (may be NULL) is told which bytes of p were covered. */
size_t secret_find(char *p, size_t n, void (*found)(void *ctx, size_t from, size_t n), void *ctx);

/* Cryptographic randomness. */
void secret_random(void *p, size_t n);
uint64_t secret_random_u64(void);

/* In a time that does not depend on the contents. */
bool secret_equal(const void *a, const void *b, size_t n);

/* Overwrites; never optimised away. */
void secret_wipe(void *p, size_t n);

struct secret_box; /* the master keys */

/* Looked at in this order: $CREDENTIALS_DIRECTORY/pointsman.key, `variable`, `key_file`. The first
 * that is there seals; the keys of all open. */
struct secret_sources {
    struct str variable;  /* the value of $POINTSMAN_MASTER_KEY; empty: not set */
    const char *key_file; /* only its owner may be able to read it; NULL: none */
    bool create;          /* nothing is there: make key_file (0600), its folder too (0700) */
};
/* `from` (may be NULL) is set to what seals, as people call it. -ERR_MISSING: no master key at all;
 * -ERR_DENIED: others can read the file; -ERR_SYNTAX: something else than hex digits. */
int secret_box_new(struct secret_box **out, const struct secret_sources *sources, const char **from,
    struct err *e) MUST_CHECK;
int secret_box_from(struct secret_box **out, const unsigned char key[SECRET_MASTER_BYTES],
    struct err *e) MUST_CHECK;
/* Writes a new key in front of those of key_file, in one step that is whole or not there. */
int secret_renew_file(const char *key_file, struct err *e) MUST_CHECK;
void secret_box_free(struct secret_box *b);

/* Appends version, key mark, nonce and ciphertext to `out`. */
int secret_seal(const struct secret_box *b, struct str row_id, struct str plain,
    struct buf *out) MUST_CHECK;
/* Appends the plain text. -ERR_UNSUPPORTED: another version; -ERR_DENIED: sealed with another
 * master key; -ERR_CORRUPT: damaged, or moved from another row. */
int secret_open(const struct secret_box *b, struct str row_id, struct str sealed, struct buf *out,
    struct err *e) MUST_CHECK;
/* Was it sealed with the key that seals now? False: with an older one, or none of ours. */
bool secret_is_current(const struct secret_box *b, struct str sealed);

#endif
