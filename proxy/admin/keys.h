/* keys.h: what keys.c and runs.c share. Private to this room. */
#ifndef POINTSMAN_ADMIN_KEYS_H
#define POINTSMAN_ADMIN_KEYS_H

#include "proxy/admin/call.h"

struct made {
    char secret[80], shown[32];
    struct str object; /* value of "secret/NAME" */
};
/* A new secret; `old_digest` (hex, may be empty) works until old_until_ms. The caller wipes. */
void make_secret(struct call *c, struct made *m, struct str old_digest, int64_t old_until_ms);
/* "key/NAME", "secret/NAME" in the call's arena. */
struct str key_object(struct call *c, const char *kind, struct str name);
/* Is there the key that the path names? Else 404 was sent. */
bool key_must_exist(struct call *c);

#endif
