/* query_internal.h: a reader's connection, and the table of what can be asked. Shared by query.c
 * and the ask_*.c files. */
#ifndef POINTSMAN_STORE_QUERY_INTERNAL_H
#define POINTSMAN_STORE_QUERY_INTERNAL_H

#include "store/store_internal.h"

struct reader {
    struct store *store;
    struct db *main, *bodies; /* bodies: opened when first asked for */
    struct texts *texts;
    unsigned generation;
};

/* One running question. */
struct asking {
    struct reader *r;
    const struct store_query *q;
    struct store_answer *a;
    const _Atomic int *cancelled;
    int64_t deadline_us;
};

bool asking_over(const struct asking *k); /* the time is up, or the asker has left */

int ask_exchanges(struct asking *k);
int ask_walk(struct asking *k);
int ask_record(struct asking *k);
int ask_response(struct asking *k);
int ask_body(struct asking *k);
int ask_sessions(struct asking *k);
int ask_audit(struct asking *k);
int ask_events(struct asking *k);
int ask_ledger(struct asking *k);
int ask_sums(struct asking *k);
int ask_facets(struct asking *k);
int ask_check(struct asking *k);
/* Parts of ask_check(): a line of its report; rows against rollups from a whole day on, minutes from
 * where they are still kept. */
int check_line(struct asking *k, bool problem, const char *fmt, ...) PRINTF_LIKE(3, 4);
int check_rollups(struct asking *k, int64_t from_ms, int64_t minutes_ms);

int reader_open(struct reader **out, struct store *s, struct err *e);
int reader_bodies(struct reader *r); /* opens that connection when it isn't */

/* Room for n things of a size in the answer; NULL without memory. */
void *answer_array(struct store_answer *a, size_t n, size_t size);

#endif
