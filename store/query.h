/* query.h: what can be asked of the store, and what comes back. Part of the door (store.h).
 *
 * Why: readers must never delay the writer nor hold the write-ahead log back, so a question is a
 * small job: it runs on one of two query threads with its own connection, within a time budget,
 * walks by keyset in slices, and answers with what it has found, a cursor, and how far it looked.
 *
 *     struct store_query q = {.kind = STORE_ASK_EXCHANGES, .limit = 50, .key = STR("alice")};
 *     uint64_t ticket = store_ask(s, &q, on_answer, ctx);
 *     ...
 *     static void on_answer(void *ctx, struct store_answer *a)   // on a query thread
 *     {   post to the own loop; there read a->records[0 .. a->n - 1], then store_answer_free(a);   }
 *
 * Ownership: store_ask() copies the texts of the query; `keep` and its context must live until the
 * callback (as must `walk` and its). The answer and all that it points to belong to the callback. */
#ifndef POINTSMAN_STORE_QUERY_H
#define POINTSMAN_STORE_QUERY_H

#include "store/base/arena.h"
#include "store/base/err.h"
#include "store/base/histogram.h"
#include "store/record.h"

enum store_ask {
    STORE_ASK_EXCHANGES, /* a page: records[], cursor, searched_back_ms, done */
    STORE_ASK_WALK,      /* rows of a span, newest first, a few columns each, given to `walk` as they
                            come: cursor, done. What a million rows are replayed with */
    STORE_ASK_RECORD,    /* by `id`: records[0]; rc -ERR_NOT_FOUND */
    STORE_ASK_RESPONSE,  /* the newest record whose response_ref is `id` */
    STORE_ASK_BODY,      /* by `id`: body; rc -ERR_NOT_FOUND when none is kept */
    STORE_ASK_SESSIONS,  /* newest first: sessions[], cursor, done */
    STORE_ASK_SUMS,      /* by `dimension` over [from_ms, to_ms): sums[], most expensive first */
    STORE_ASK_FACETS,    /* names of a dimension, most used first: sums[] with counts only */
    STORE_ASK_AUDIT,     /* newest first: audits[], cursor, done */
    STORE_ASK_EVENTS,    /* newest first: events[], cursor, done; `level` is the least one */
    STORE_ASK_LEDGER,    /* of account `key` (of request `id` alone), newest first: entries[] (up
                            to 2 over the limit: those of one exchange stay together), cursor, done */
    STORE_ASK_CHECK      /* `db check`: report[] lines, problems; takes its time, in slices */
};

enum store_dimension {
    STORE_BY_ALL,
    STORE_BY_KEY,
    STORE_BY_TEAM,
    STORE_BY_MODEL, /* name: "provider/model" */
    STORE_BY_PROVIDER,
    STORE_BY_ROUTE,
    STORE_BY_TAG,
    STORE_BY_SESSION, /* whole hours only: the span is widened to them */
    STORE_DIMENSIONS
};

/* Where a page ended. All zero: from the start. Opaque to others; safe to show as two numbers. */
struct store_cursor {
    int64_t at, row;
};

enum { STORE_STATUS_ANY = 0, STORE_BUCKETS_MAX = 400, STORE_PAGE_MAX = 1000 };

/* `name` of a walk: only rows of that route or asked model; empty: all.
 * One row of a walk. Key, team and so on are numbers of names, 0 for none: the same number is always
 * the same name, so that a reader asks for each text once. Valid within the call. */
#define STORE_STEP_PACKED(X)                                                                        \
    X(session) X(key) X(team) X(provider) X(model) X(route) X(stream) X(input_tokens)              \
    X(cached_tokens) X(cache_write_tokens) X(cache_write_1h_tokens) X(output_tokens)               \
    X(reasoning_tokens) X(cost_nano) X(ttft_us) X(total_us) X(tags) X(user_agent) X(endpoint)      \
    X(model_asked) X(features)
struct store_step {
    int64_t row, time_ms;
#define X(column) int64_t column;
    STORE_STEP_PACKED(X)
#undef X
    struct asking *asking;
};
/* Valid until the next call. */
struct str store_step_name(const struct store_step *s, int64_t name);
struct str store_step_session(const struct store_step *s);
struct str store_step_id(const struct store_step *s); /* a question of its own: for a few rows */

struct store_query {
    enum store_ask kind;
    /* pages */
    unsigned limit;              /* rows; 0: 100; at most STORE_PAGE_MAX */
    bool oldest_first;           /* exchanges only */
    struct store_cursor cursor;
    int64_t from_ms, to_ms;      /* [from, to); to 0: no end. Widened to minutes for sums */
    struct str id, key, team, model, provider, route, session; /* empty: any */
    unsigned status_class;       /* 1 … 5: 1xx … 5xx; 6: no status was sent; 0: any */
    int outcome;                 /* enum record_outcome; 0: any */
    bool (*keep)(void *ctx, const struct record *r); /* any other filter; NULL: all */
    void *keep_ctx;
    void (*walk)(void *ctx, const struct store_step *s); /* on the query thread */
    void *walk_ctx;
    unsigned level;              /* events */
    /* sums */
    enum store_dimension dimension;
    struct str name;             /* only that one; empty: all */
    int64_t bucket_starts[STORE_BUCKETS_MAX]; /* ascending, optional: points[] of each sum; the */
    unsigned buckets;                         /* last one ends at to_ms, the span begins with the
                                                 first one */
    unsigned budget_ms;          /* 0: 40 for pages, 2,000 for sums, 600,000 for a check. At its
                                    end a page answers with what it has, others -ERR_TIMEOUT */
};

/* The columns of a rollup row: rollup.def. */
struct store_sum {
    struct str name;
#define X(column, help) int64_t column;
#include "store/rollup.def"
#undef X
    struct histogram *ttft, *total; /* µs; NULL for facets, tags and sessions */
    struct store_point *points;     /* one per bucket asked for; NULL without buckets */
};

struct store_point {
    int64_t requests, errors, input_tokens, cached_tokens, output_tokens, ttft_p95_us;
    int64_t generation_us, generated_tokens; /* their ratio is tokens per second */
    int64_t cost_nano, measured_nano, provider_nano, provider_list_nano, estimated_nano;
    int64_t unpriced_requests, estimated_requests, provider_requests, unseen_requests;
};

struct store_session {
    struct str session, client, key, model, last_id;
    int64_t turns, errors, input_tokens, cached_tokens, output_tokens, cost_nano, first_ms, last_ms;
};

struct store_body {
    struct str request, response;                   /* as they passed, secrets cut out */
    struct str request_headers, response_headers;   /* JSON */
    struct str events;                              /* JSON: offsets and times of the stream */
    bool request_cut, response_cut;                 /* longer than capture.max_bytes */
    int64_t time_ms;
};

struct store_audit {
    int64_t revision, time_ms, uid;
    struct str who, terminal, what, before, after;
};

struct store_event {
    int64_t sequence, time_ms, level, repeated;
    struct str kind, request_id, text;
};

enum store_entry_kind {
    LEDGER_GRANT = 1,
    LEDGER_RESERVE,
    LEDGER_RELEASE,
    LEDGER_SETTLE,
    LEDGER_REFUND,
    LEDGER_OPENING, /* what was spent before the first grant, taken out: credit starts at the grant */
    LEDGER_CARRY,   /* the sum of entries that a prune removed */
    LEDGER_TRANSFER /* from one key to another: two entries whose sum is zero */
};
const char *store_entry_kind_name(int64_t kind);

struct store_entry {
    int64_t time_ms, kind, amount_nano;
    struct str exchange_id, who, note;
};

struct store_answer {
    enum store_ask kind;
    int rc;              /* 0 or -ERR_X */
    struct err err;
    size_t n;            /* rows in the one array that is set, or given to `walk` */
    struct record *records;
    struct store_session *sessions;
    struct store_sum *sums;
    struct store_audit *audits;
    struct store_event *events;
    struct store_entry *entries;
    struct str *report;
    struct store_body body;
    struct store_cursor cursor; /* go on from here */
    int64_t searched_back_ms;   /* every row at or after (oldest first: before) this was looked at */
    bool done;                  /* there is nothing after the cursor */
    unsigned problems;
    struct arena arena;         /* holds all of the above */
};
void store_answer_free(struct store_answer *a);

typedef void (*store_answered)(void *ctx, struct store_answer *a);

#endif
