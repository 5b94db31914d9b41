/* export_forms.h: a request, as the gateway tells of it (`exchanges/ID`), in the forms that leave
 * the console: for the clipboard and for files.
 *
 * Nothing here carries a secret: where a key belongs, the variable that holds it is named; what a
 * shell or an interpreter reads is quoted so that no byte of a body can end its literal. Pure.
 *
 *     export_begin(&out, EXPORT_HAR);
 *     export_put(&out, EXPORT_HAR, detail, "http://127.0.0.1:4141", true);     // one or several
 *     export_end(&out, EXPORT_HAR); */
#ifndef POINTSMAN_EXPORT_FORMS_H
#define POINTSMAN_EXPORT_FORMS_H

#include "store/base/buf.h"
#include "store/base/json_span.h"

enum export_kind {
    EXPORT_JSONL,
    EXPORT_CURL,
    EXPORT_HAR,
    EXPORT_PYTHON,
    EXPORT_MARKDOWN,
    EXPORT_KINDS
};

struct export_form {
    int key;
    const char *suffix, *help;
};
extern const struct export_form export_forms[EXPORT_KINDS];

void export_begin(struct buf *out, enum export_kind kind);
void export_put(
    struct buf *out, enum export_kind kind, struct str detail, const char *listen, bool first);
void export_end(struct buf *out, enum export_kind kind);

void form_curl(struct buf *out, struct str detail, const char *listen, struct arena *mem);
void form_headers(struct buf *out, struct str detail, const char *side, struct arena *mem);
/* What the answer says: of a stream its text, of a chat answer its message, else the body. */
void form_response(struct buf *out, struct str detail, struct arena *mem);

#endif
