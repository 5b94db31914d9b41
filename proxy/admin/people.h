/* people.h: who is attached: consoles say hello and are kept alive by their calls. */
#ifndef POINTSMAN_ADMIN_PEOPLE_H
#define POINTSMAN_ADMIN_PEOPLE_H

#include "store/base/str.h"

enum { PEOPLE_MAX = 64, PEOPLE_GONE_MS = 30000 };

struct person {
    int64_t uid, since_ms, seen_ms;
    char user[64], role[12], from[64], terminal[40], tty[40], size[16];
};

struct people {
    struct person list[PEOPLE_MAX];
    size_t count;
};

/* A console's hello, told apart by uid, tty and where it comes from. False when it is a new one: then
 * somebody came. The oldest makes room. */
bool people_hello(struct people *p, const struct person *who, int64_t now_ms);
/* A call of that uid: its consoles live on. */
void people_seen(struct people *p, int64_t uid, int64_t now_ms);
/* Drops those not seen for 30 s; calls gone() for each. */
void people_sweep(struct people *p, int64_t now_ms, void (*gone)(const struct person *who));
/* The terminal of the console of that uid seen last; empty when there is none. */
struct str people_terminal(const struct people *p, int64_t uid);

#endif
