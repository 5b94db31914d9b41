/* proof.h: what a seal (seal.h) holds where a dialect has one opaque field for several things: the
 * signature of a reasoning, or reasoning that only its maker can read.
 *
 *     proof_put(w, "thoughtSignature", PROOF_REDACTED, WIRE_MESSAGES, data);
 *     if (proof_read(a, text, &proof)) …      // proof.kind, proof.maker, proof.text
 */
#ifndef POINTSMAN_PROOF_H
#define POINTSMAN_PROOF_H

#include "proxy/dialect/ir.h"

enum proof_kind { PROOF_REASONING, PROOF_REDACTED };
struct proof {
    enum proof_kind kind;
    enum wire maker;
    struct str text;
};

void proof_put(struct json_writer *w, const char *key, enum proof_kind kind, enum wire maker,
    struct str text);
/* False: not sealed by us. */
bool proof_read(struct arena *a, struct str sealed, struct proof *out);

#endif
