/* proof.c: see proof.h. The kind is a word in front of what is sealed; no signature has a colon. */
#include "proxy/dialect/proof.h"
#include "proxy/dialect/seal.h"

static const char *const words[] = {
    [PROOF_REASONING] = "",
    [PROOF_REDACTED] = "redacted:",
};

void proof_put(struct json_writer *w, const char *key, enum proof_kind kind, enum wire maker,
    struct str text)
{
    struct buf b;
    if (kind == PROOF_REASONING) {
        ir_put_sealed(w, key, maker, text);
        return;
    }
    buf_init(&b, text.n + 16);
    buf_puts(&b, words[kind]);
    buf_put_str(&b, text);
    ir_put_sealed(w, key, maker, buf_str(&b));
    buf_fini(&b);
}

bool proof_read(struct arena *a, struct str sealed, struct proof *out)
{
    if (!ir_unseal(a, sealed, &out->maker, &out->text))
        return false;
    out->kind = PROOF_REASONING;
    struct str word = str_c(words[PROOF_REDACTED]);
    if (str_starts(out->text, word)) {
        out->kind = PROOF_REDACTED;
        out->text = str_from(out->text, word.n);
    }
    return true;
}
