/* names.c: one lookup at a time for one name.
 *
 * Why: curl starts a thread per lookup, also for a name that is being looked up already. A thousand
 * requests that start together on a cold name would be a thousand threads. So the first call to a
 * name leads; those to the same name wait until it dials (the answer is in curl's cache then), finds
 * a warm connection, or ends. On a warm name that is within the same turn. If the leader ends without
 * having dialled, those that wait share its fate. Addresses written out need no lookup. */
#include "proxy/upstream/call.h"

#include <utlist.h>

static bool names_same(const struct upstream_call *a, const struct upstream_call *b)
{
    return str_eq_nocase(str_c(a->host), str_c(b->host));
}

bool names_enter(struct upstream_call *c)
{
    struct upstream *u = c->u;
    if (!c->host[0] || c->name_known)
        return true;
    for (struct upstream_call *l = u->leaders; l; l = l->next_leader)
        if (names_same(l, c)) {
            l->followed = true;
            c->waits_for_name = true;
            return false;
        }
    c->next_leader = u->leaders;
    u->leaders = c;
    c->leads = true;
    return true;
}

static bool names_step_down(struct upstream_call *c)
{
    if (!c->leads)
        return false;
    LL_DELETE2(c->u->leaders, c, next_leader);
    c->leads = false;
    return c->followed;
}

/* `known`: the lookup succeeded; otherwise the next of those that wait leads. */
void names_release(struct upstream_call *c, bool known)
{
    struct upstream_call *one, *next;
    if (!names_step_down(c))
        return;
    DL_FOREACH_SAFE(c->u->running, one, next)
        if (one->waits_for_name && names_same(one, c)) {
            one->waits_for_name = false;
            one->name_known = known;
            call_mark(one);
        }
}

void names_fail(struct upstream_call *c, const struct upstream_result *r)
{
    struct upstream_call *one, *next;
    if (!names_step_down(c))
        return;
    DL_FOREACH_SAFE(c->u->running, one, next)
        if (one->waits_for_name && names_same(one, c)) {
            one->waits_for_name = false;
            one->finished = true;
            one->code = CURLE_COULDNT_RESOLVE_HOST;
            call_fail(one, r->end, "%s", r->reason);
            call_mark(one);
        }
}
