/* event.h: named facts of the process: what happened (events), how often (counters), and running
 * answers as somebody watches them.
 *
 * Why: Events, /metrics, the first screen's refused attempts, markers between the rows and the bell
 * all read the same facts. Cheap enough for the data path: a counter is one relaxed add, an event
 * a bounded ring behind a short lock (events are rare), nothing blocks.
 *
 * counters.def: X(name, unit, help). events.def: X(NAME, level, help). */
#ifndef POINTSMAN_EVENT_H
#define POINTSMAN_EVENT_H

#include "store/base/json.h"

#include <stdatomic.h>

enum counter {
#define X(name, unit, help) COUNTER_##name,
#include "proxy/event/counters.def"
#undef X
    COUNTER_COUNT
};
void counter_add(enum counter c, int64_t n);
int64_t counter_read(enum counter c);
const char *counter_name(enum counter c);
const char *counter_help(enum counter c);

enum event_level { EVENT_DEBUG, EVENT_INFO, EVENT_WARN, EVENT_ERROR, EVENT_AUDIT };
enum event_kind {
#define X(name, level, help) EVENT_KIND_##name,
#include "proxy/event/events.def"
#undef X
    EVENT_KIND_COUNT
};

/* Says it: into the ring, the log (WARN and up) and, for those marked so, the store. `request_id`
 * may be empty. Same text within a second is counted, not repeated. Any thread. */
void event_say(enum event_kind kind, struct str request_id, const char *fmt, ...) PRINTF_LIKE(3, 4);

struct event {
    uint64_t sequence;
    int64_t time_ms, repeated;
    enum event_kind kind;
    enum event_level level;
    char request_id[40], text[240];
};
/* Sequences start at the milliseconds of the wall clock times this: above all that an earlier process
 * gave, and small enough for a JSON number. */
enum { EVENT_SEQUENCES_A_MS = 1024 };
/* Newest first, from memory; fn returns false to stop. */
void event_recent(bool (*fn)(void *ctx, const struct event *e), void *ctx);
uint64_t event_sequence(void);
const char *event_kind_name(enum event_kind k);
const char *event_level_name(enum event_level l);
/* The store's ear: set once at start; gets every new event of level INFO and up, on the thread that
 * said it. */
void event_set_sink(void (*sink)(void *ctx, const struct event *e), void *ctx);

/* A request that never reached a route (gate, key, source, limit): kept for the first screen, and
 * said as an event of kind REFUSED. `peer` is address:port; the reason must not echo a secret. */
void event_refused(struct str peer, int status, struct str reason);
struct refused {
    int64_t time_ms; /* of the latest one */
    int64_t repeated; /* how many more from the same address for the same reason */
    int status;
    char peer[64], reason[160];
};
/* Newest first, those not older than `since_ms`. */
void event_refused_recent(int64_t since_ms, bool (*fn)(void *ctx, const struct refused *r),
    void *ctx);

#endif
