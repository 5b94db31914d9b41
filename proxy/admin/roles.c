/* roles.c: see roles.h. */
#include "proxy/admin/roles.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>

enum { LOOK_AGAIN_MS = 600000 };

static void look_up(struct roles_user *u, int64_t uid, int64_t now_ms)
{
    char memory[4096];
    struct passwd entry, *found = NULL;
    *u = (struct roles_user){.uid = uid, .looked_ms = now_ms};
    if (getpwuid_r((uid_t)uid, &entry, memory, sizeof memory, &found) == 0 && found) {
        str_copy(u->name, sizeof u->name, str_c(found->pw_name));
        gid_t groups[ROLES_GROUPS];
        int n = ROLES_GROUPS;
        if (getgrouplist(found->pw_name, found->pw_gid, groups, &n) < 0)
            n = ROLES_GROUPS; /* the first 64 */
        u->group_count = n;
        for (int i = 0; i < n; i++)
            u->groups[i] = groups[i];
    } else {
        snprintf(u->name, sizeof u->name, "#%lld", (long long)uid);
    }
}

const struct roles_user *roles_user(struct roles *r, int64_t uid, int64_t now_ms)
{
    struct roles_user *oldest = &r->users[0];
    for (size_t i = 0; i < ROLES_CACHE; i++) {
        struct roles_user *u = &r->users[i];
        if (u->name[0] && u->uid == uid && now_ms - u->looked_ms < LOOK_AGAIN_MS)
            return u;
        if (u->looked_ms < oldest->looked_ms || (u->name[0] && u->uid == uid))
            oldest = u;
    }
    look_up(oldest, uid, now_ms);
    return oldest;
}

static bool in_group(const struct roles_user *u, struct str group)
{
    char memory[8192], name[64];
    struct group entry, *found = NULL;
    str_copy(name, sizeof name, group);
    if (getgrnam_r(name, &entry, memory, sizeof memory, &found) != 0 || !found)
        return false;
    for (int i = 0; i < u->group_count; i++)
        if (u->groups[i] == found->gr_gid)
            return true;
    return false;
}

enum role roles_of(struct roles *r, const struct config *c, int64_t uid, int64_t now_ms)
{
    if (uid == r->owner_uid || uid == 0)
        return ROLE_ADMIN;
    if (uid < 0)
        return ROLE_NONE;
    const struct roles_user *u = roles_user(r, uid, now_ms);
    enum role best = ROLE_NONE;
    for (size_t i = 0; i < c->access.role_count; i++) {
        const struct role_entry *e = &c->access.roles[i];
        bool named = str_eq(e->who, STR("*")) || str_eq(e->who, str_c(u->name)) ||
                     (e->who.n > 1 && e->who.p[0] == '@' && in_group(u, str_from(e->who, 1)));
        if (named && e->role > best)
            best = e->role;
    }
    return best;
}

const char *role_text(enum role role)
{
    static const char *const names[] = {"none", "viewer", "operator", "admin"};
    return names[role];
}

bool roles_may_read(struct roles *r, const struct config *c, int64_t uid, int64_t client_uid,
    struct str owner, int64_t now_ms)
{
    if (uid == r->owner_uid || uid == 0)
        return true;
    if (c->access.bodies == BODIES_ALL)
        return true;
    if (c->access.bodies == BODIES_NONE)
        return false;
    if (client_uid >= 0 && client_uid == uid)
        return true;
    return owner.n && str_eq(owner, str_c(roles_user(r, uid, now_ms)->name));
}
