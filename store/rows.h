/* rows.h: records to table rows and back; texts that come again and again are kept once.
 *
 * Why: ten million rows stay at some 300 bytes because model, key, route and the like are small
 * numbers. The writer knows the id of a text from its cache, readers the text of an id; both caches
 * are bounded and belong to one connection each. Columns: columns.def. */
#ifndef POINTSMAN_STORE_ROWS_H
#define POINTSMAN_STORE_ROWS_H

#include "store/backend.h"
#include "store/base/arena.h"
#include "store/record.h"

struct names; /* text → id */

struct names *names_new(void);
void names_free(struct names *n);
/* After a rollback: ids that were made in it don't exist. */
void names_forget(struct names *n);
/* The id of a text, made when new; 0 for ""; < 0 on an error. */
int64_t names_id(struct names *n, struct db *db, struct str text);
/* The same for sessions, in a cache of their own. */
int64_t sessions_id(struct names *n, struct db *db, struct str text);
/* Without making one: -1 when nobody has used that text yet, -2 on an error. */
int64_t name_find(struct db *db, struct str text);
int64_t session_find(struct db *db, struct str text);

struct texts; /* id → text */

struct texts *texts_new(void);
void texts_free(struct texts *t);
void texts_forget(struct texts *t); /* as names_forget() */
/* "" when unknown. Valid until the next call. */
struct str texts_name(struct texts *t, struct db *db, int64_t id);
struct str texts_session(struct texts *t, struct db *db, int64_t id);

/* Status class as it is indexed: 1 … 5, 6 when no status was sent. */
int64_t row_class(int64_t status);
/* row 0: a new one. The row number; 0 when that id is stored already; < 0 on an error. */
int64_t row_insert(struct db *db, struct names *n, const struct record *r, int64_t row,
    int64_t session);

/* The columns that row_read() expects, as a literal to build statements from:
 *     "SELECT " ROW_COLUMNS " FROM exchange WHERE id = ?1" */
#define ROW_COLUMNS "row, class, session" ROW_FIELDS_SQL
#define ROW_FIELDS_SQL                                                                              \
    ", time_ms, id, status, outcome, key, team, provider, model, route, stream, state,"            \
    " input_tokens, cached_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens,"      \
    " reasoning_tokens, audio_input_tokens, audio_output_tokens, usage_source, cost_nano,"         \
    " cost_source, list_cost_nano, reserve_nano, request_bytes, response_bytes, queue_us,"         \
    " connect_us, retry_us, ttft_us, max_gap_us, client_stall_us, overhead_us, total_us,"          \
    " tool_calls, client_uid, redacted, tags, user_agent, endpoint, dialect, model_asked, rule,"   \
    " model_served, finish_reason, override_by, error_code, dropped, price_key, peer,"             \
    " upstream_request_id, response_ref, error_message, attempts, why, features, billed"
/* Places in such a row that filters look at before anything is copied. */
enum {
    ROW_NUMBER, ROW_CLASS, ROW_SESSION, ROW_TIME, ROW_ID, ROW_STATUS, ROW_OUTCOME, ROW_KEY,
    ROW_TEAM, ROW_PROVIDER, ROW_MODEL, ROW_ROUTE
};
/* Texts are copied into the arena. 0 or -ERR_NOMEM. */
int row_read(struct db *db, struct db_stmt *s, struct texts *t, struct arena *a,
    struct record *r) MUST_CHECK;

#endif
