/* key.h: who may. Virtual keys: made, shown once, kept as a keyed hash, found in constant time.
 *
 * A secret is "sk-pm-" + 43 characters of base62 (256 bits) + 6 of a CRC32: a mistyped one is
 * refused without a look-up. Secrets given in the configuration may be any text of 16 characters
 * or more and are matched by hash first. The hash is BLAKE2b-256 keyed with the store's pepper;
 * the stored hash is never accepted as a key. */
#ifndef POINTSMAN_KEY_H
#define POINTSMAN_KEY_H

#include "proxy/config/snapshot.h"

struct key_table; /* immutable; part of a snapshot */

void key_set_pepper(const unsigned char pepper[32]); /* once, before any other call */
void key_digest(struct str secret, unsigned char out[32]);
/* Writes a new secret (ended by NUL) and its shown form "sk-pm-…9f2a". */
void key_make_secret(char secret[80], char shown[32]);
bool key_well_formed(struct str secret); /* prefix, length, checksum */

/* Copies the pointers; the keys must live as long as the table. NULL without memory. */
struct key_table *key_table_new(const struct key *const *keys, size_t n);
void key_table_free(struct key_table *t);
size_t key_table_count(const struct key_table *t);
/* Is any key defined that makes callers identify themselves? Keys made by `run` do not count. */
bool key_table_demands(const struct key_table *t);
const struct key *key_table_at(const struct key_table *t, size_t i);
const struct key *key_by_name(const struct key_table *t, struct str name);
/* The same work and the same answer time for unknown, paused, revoked and expired ones; the caller
 * looks at the key's state. NULL when unknown. */
const struct key *key_find(const struct key_table *t, struct str secret, int64_t wall_ms);

/* May this key use that route or model name? */
bool key_allows(const struct key *k, struct str name);
/* Is the address (text without port) one of the key's sources? */
bool key_allows_source(const struct key *k, struct str address);
/* "10.0.3.7" in "10.0.0.0/8"; both families, a network without "/n" is one address. */
bool address_in_network(struct str address, struct str network);

#endif
