/* seal.h: proofs of reasoning under a seal that names their maker.
 *
 * Why: a client of one dialect keeps the thoughts of another dialect's model between turns, and sends
 * them back. Under the seal (base64 of "pm1", the wire, and the text) they come back to that maker
 * only: a reader that finds a sealed one gives part->origin = the maker; a writer leaves out reasoning
 * whose origin is another wire. Of the same wire nothing is sealed. Pure. */
#ifndef POINTSMAN_SEAL_H
#define POINTSMAN_SEAL_H

#include "proxy/dialect/ir.h"

struct str ir_seal(struct arena *a, enum wire maker, struct str signature);
void ir_put_sealed(struct json_writer *w, const char *key, enum wire maker, struct str signature);
bool ir_unseal(struct arena *a, struct str signature, enum wire *maker, struct str *text);
bool ir_is_sealed(struct str signature);

#endif
