/* rollup.h: sums per minute, hour and day of each name of each dimension (rollup.def).
 *
 * Why: facets, reports, budgets at start and percentiles of any window must not read the log. The
 * writer gathers a batch in memory and adds it to the rows in the batch's own transaction. */
#ifndef POINTSMAN_STORE_ROLLUP_H
#define POINTSMAN_STORE_ROLLUP_H

#include "store/backend.h"
#include "store/query.h"

enum rollup_span { ROLLUP_MINUTE, ROLLUP_HOUR, ROLLUP_DAY, ROLLUP_SPANS };
extern const int64_t rollup_span_ms[ROLLUP_SPANS];
enum { ROLLUP_MINUTES_KEPT_MS = 8 * 24 * 3600 * 1000 }; /* minute rows; hours and days stay */

struct rollups; /* one batch */

struct rollups *rollups_new(void);
void rollups_free(struct rollups *r);
void rollups_forget(struct rollups *r);
/* Adds (sign 1) or takes away (-1) what a record means to one name. 0 or -ERR_NOMEM. */
int rollups_add(struct rollups *r, enum store_dimension d, int64_t name, const struct record *x,
    int sign) MUST_CHECK;
/* Many names are gathered: write them soon. */
bool rollups_full(const struct rollups *r);
int rollups_write(struct rollups *r, struct db *db) MUST_CHECK;

/* [from, to) cut into whole days, hours and minutes, outward; at most 5 pieces. Minutes that are
 * no longer kept (before minutes_from_ms) become their hour. least: no finer than this span. */
struct rollup_piece {
    enum rollup_span span;
    int64_t from, to;
};
unsigned rollup_pieces(int64_t from_ms, int64_t to_ms, int64_t minutes_from_ms,
    enum rollup_span least, struct rollup_piece out[5]);

/* The columns of a rollup row after `name`, for SELECT; rollup_read() adds such a row to *sum. */
#define ROLLUP_COLUMNS_SQL                                                                          \
    ", requests, streams, ok, client_errors, upstream_errors, timeouts, truncated, cancelled,"     \
    " refused, interrupted, limited, server_errors, input_tokens, cached_tokens,"                  \
    " cache_write_tokens, output_tokens, reasoning_tokens, generation_us, generated_tokens,"       \
    " cost_nano, measured_nano, provider_nano, estimated_nano, subscription_nano,"                 \
    " unpriced_requests, estimated_requests, provider_requests, provider_list_nano, unseen_requests"
void rollup_read(struct db *db, struct db_stmt *s, int column, struct store_sum *sum);

#endif
