/* members.h: reads the members of a request's object by a table, in one pass.
 *
 *     static const struct member_rule rules[] = {
 *         {"temperature", MEMBER_NUMBER, offsetof(struct ir_request, temperature)},
 *         {"messages", MEMBER_FN, 0, read_messages},
 *     };
 *     int rc = members_read(body, rules, ARRAY_LEN(rules), &request, arena, e);
 *
 * null counts as absent. A member without a rule goes to request->rest. Pure. */
#ifndef POINTSMAN_MEMBERS_H
#define POINTSMAN_MEMBERS_H

#include "proxy/dialect/ir.h"
#include "store/base/err.h"

enum member_kind {
    MEMBER_TEXT,   /* struct str */
    MEMBER_RAW,    /* struct str, any value */
    MEMBER_NUMBER, /* struct str, raw */
    MEMBER_INT,    /* int64_t */
    MEMBER_TRI,    /* enum ir_tri from a boolean */
    MEMBER_BOOL,   /* bool */
    MEMBER_FN,     /* fn */
    MEMBER_SKIP    /* known, and without meaning elsewhere */
};

struct member_rule {
    const char *key;
    enum member_kind kind;
    size_t at;
    int (*fn)(struct ir_request *r, struct json_span v, struct arena *a, struct err *e);
};

int members_read(struct str object, const struct member_rule *rules, size_t n,
    struct ir_request *r, struct arena *a, struct err *e) MUST_CHECK;

/* -ERR_TYPE: "`key` has the wrong type". */
int member_wrong(struct err *e, const char *key);
int member_no_memory(struct err *e);

#endif
