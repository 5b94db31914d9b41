/* people.c: see people.h. */
#include "proxy/admin/people.h"

#include <string.h>

static struct person *find(struct people *p, const struct person *who)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->list[i].uid == who->uid && strcmp(p->list[i].tty, who->tty) == 0 &&
            strcmp(p->list[i].from, who->from) == 0)
            return &p->list[i];
    return NULL;
}

static struct person *make_room(struct people *p)
{
    if (p->count < PEOPLE_MAX)
        return &p->list[p->count++];
    struct person *oldest = &p->list[0];
    for (size_t i = 1; i < p->count; i++)
        if (p->list[i].seen_ms < oldest->seen_ms)
            oldest = &p->list[i];
    return oldest;
}

bool people_hello(struct people *p, const struct person *who, int64_t now_ms)
{
    struct person *old = find(p, who);
    int64_t since = old ? old->since_ms : now_ms;
    struct person *place = old ? old : make_room(p);
    *place = *who;
    place->since_ms = since;
    place->seen_ms = now_ms;
    return old != NULL;
}

void people_seen(struct people *p, int64_t uid, int64_t now_ms)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->list[i].uid == uid)
            p->list[i].seen_ms = now_ms;
}

void people_sweep(struct people *p, int64_t now_ms, void (*gone)(const struct person *who))
{
    size_t kept = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (now_ms - p->list[i].seen_ms > PEOPLE_GONE_MS)
            gone(&p->list[i]);
        else
            p->list[kept++] = p->list[i];
    }
    p->count = kept;
}

struct str people_terminal(const struct people *p, int64_t uid)
{
    const struct person *last = NULL;
    for (size_t i = 0; i < p->count; i++)
        if (p->list[i].uid == uid && (!last || p->list[i].seen_ms > last->seen_ms))
            last = &p->list[i];
    return last ? str_c(last->tty) : STR_NULL;
}
