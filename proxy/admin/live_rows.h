/* live_rows.h: running requests as a snapshot tells them.
 *
 * Why: a running request's record is a kilobyte of which twelve numbers change. With thousands of
 * streams, writing two hundred of them and reading them in a console took 15 ms, several times a
 * second, and a key or a switch that came meanwhile waited that long. So a console says up to when it
 * knows them (`live_at` of its last answer): what has only counted since is told by its counts.
 *
 *     struct live_rows *rows = live_rows_write(a, &filter, 200, known_us);
 *     json_put_raw(w, "live", live_rows_records(rows));
 *
 * Ownership: the admin thread's; texts are borrowed until the next call. One thread. */
#ifndef POINTSMAN_LIVE_ROWS_H
#define POINTSMAN_LIVE_ROWS_H

#include "proxy/admin/filter.h"
#include "store/base/buf.h"

struct admin;

/* Does the head of one running request (all but its counts) stand as it was, and since when? */
struct live_head {
    uint64_t mark;
    int64_t since_us;
};

/* Zero is the initial state. */
struct live_rows {
    struct buf records, counts;  /* two JSON arrays */
    int64_t written_us;          /* monotonic; `live_at` of the answers that hold them */
    int64_t known_us;            /* what they leave out: heads as old as this */
    unsigned most;
    bool shared;                 /* without a filter: serves who asks soon after for the same */
    struct live_head **heads;    /* one table a worker, by slot */
    unsigned *head_counts;
};

/* The first `most` running requests that match. known_us: the `live_at` that the asker has, 0: none. */
struct live_rows *live_rows_write(struct admin *a, const struct filter *f, unsigned most, int64_t known_us);
struct str live_rows_records(const struct live_rows *x);
struct str live_rows_counts(const struct live_rows *x);
void live_rows_free(struct admin *a);

#endif
