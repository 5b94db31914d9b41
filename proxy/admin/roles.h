/* roles.h: who may do what: a unix uid → viewer, operator or admin, by `access` of the configuration.
 *
 * The owner of the gateway and root are admin. Others get the highest role that names them, one of
 * their groups ("@dev") or everybody ("*"). Names are looked up once in ten minutes a uid. */
#ifndef POINTSMAN_ADMIN_ROLES_H
#define POINTSMAN_ADMIN_ROLES_H

#include "proxy/config/snapshot.h"

enum { ROLES_CACHE = 64, ROLES_GROUPS = 64 };

struct roles_user {
    int64_t uid, looked_ms;
    char name[64];
    unsigned groups[ROLES_GROUPS];
    int group_count;
};

struct roles {
    int64_t owner_uid;
    struct roles_user users[ROLES_CACHE];
};

/* Valid until the next call. Unknown users are called "#1234". */
const struct roles_user *roles_user(struct roles *r, int64_t uid, int64_t now_ms);
enum role roles_of(struct roles *r, const struct config *c, int64_t uid, int64_t now_ms);
const char *role_text(enum role role);

/* May that uid read the prompts of this record? `owner` is the key's owner, or empty. */
bool roles_may_read(struct roles *r, const struct config *c, int64_t uid, int64_t client_uid,
    struct str owner, int64_t now_ms);

#endif
