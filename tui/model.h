/* model.h: what the console knows: rows, figures, markers, events. No curses, no link.
 *
 * Why: the gateway is asked for what is new and the answers are laid into one bounded picture that
 * every screen draws from. Rows are kept oldest first; one in flight is replaced by its next state
 * and at last by its end record. A row is counted, so that a paused list can hold what has left.
 *
 *     model_init(&m);
 *     if (model_take(&m, reply, &e) < 0) ...          // the JSON of `snapshot`
 *     for (size_t i = 0; i < m.row_count; i++) draw(m.rows[i]);
 *
 * Ownership: the model owns all; rows are borrowed until the next model_take() unless row_get().
 * Memory: at most MODEL_ROWS_MAX rows of about 1 KiB, and small fixed tables. */
#ifndef POINTSMAN_MODEL_H
#define POINTSMAN_MODEL_H

#include "store/base/err.h"
#include "store/base/json_span.h"
#include "store/record.h"

enum {
    MODEL_ROWS_MAX = 10000,
    MODEL_MARKERS_MAX = 64,
    MODEL_TROUBLE_MAX = 8,
    MODEL_EVENTS_MAX = 1000,
    MODEL_REFUSED_MAX = 12,
    MODEL_HISTORY = 60
};

struct row {
    unsigned refs;
    struct record r;     /* texts point behind the struct */
    int64_t tps10;       /* tokens a second, times ten, as the gateway says */
    int64_t missing_ms;  /* in flight, but no longer in the list since then; 0: it is */
    unsigned generation; /* of the filter that `match` is the answer of */
    bool match;
};

struct marker {
    int64_t seq, time_ms, undo_rev;
    char who[64], text[200];
};

struct trouble {
    int64_t err_ppm;
    char provider[64], state[32], text[160];
};

struct console_event {
    int64_t seq, time_ms, repeated;
    char level[8], kind[32], text[240], request_id[40];
};

struct refused {
    int64_t time_ms, status;
    char peer[64], reason[160];
};

struct figures {
    double req_per_s;
    int64_t live, err_ppm, today_nano, nano_per_hour, mem_bytes, held_bytes, held_most_bytes, consoles;
    char top_key[64];
    int64_t req_history[MODEL_HISTORY], ttft_history[MODEL_HISTORY], err_history[MODEL_HISTORY],
        tok_history[MODEL_HISTORY], nano_history[MODEL_HISTORY];
    size_t history;
};

/* From `status`: whose gateway this is and what it keeps. */
struct gateway {
    bool known, demo;
    int64_t pid, uptime_s, keep_ms, keep_bytes, requests, keys, providers;
    char version[32], owner[64], me[64], role[16], listen[128], data[256], open_to[16], capture[32],
        warning[240], try_model[280], provider_names[1000]; /* ",openai,lab," */
};

struct model {
    struct row **rows;
    size_t row_count, row_room;
    struct marker markers[MODEL_MARKERS_MAX]; /* oldest first */
    size_t marker_count;
    struct trouble trouble[MODEL_TROUBLE_MAX];
    size_t trouble_count;
    struct console_event *events; /* oldest first */
    size_t event_count;
    struct refused refused[MODEL_REFUSED_MAX];
    size_t refused_count;
    struct figures now;
    struct gateway gateway;
    int64_t seq, time_ms; /* the gateway's, of the last answer */
    int64_t live_at;      /* when its running requests were looked at, as it says; 0: tell all anew */
    uint64_t version;     /* grows with each answer that brought something */
    unsigned missed;      /* how often the picture had to be taken anew */
    size_t dropped;       /* rows that left for want of room */
};

void model_init(struct model *m);
void model_fini(struct model *m);

/* Lays one answer of `snapshot` into the picture. 0, or -ERR_SYNTAX when it is no such answer. */
int model_take(struct model *m, struct str snapshot, struct err *e) MUST_CHECK;
int model_take_status(struct model *m, struct str status, struct err *e) MUST_CHECK;

struct row *row_new(struct str record_json); /* NULL: not a record, or no memory */
struct row *row_get(struct row *row);
void row_put(struct row *row);

struct row *model_row(const struct model *m, struct str id); /* NULL when it is not there */
void event_read(struct str json, struct console_event *out);

bool row_is_live(const struct row *row);
bool row_is_problem(const struct row *row);
int64_t row_total_us(const struct row *row, int64_t now_ms); /* so far, when in flight */
/* Where the request went, or is going: "anthropic/claude-haiku-4-5"; "" when nowhere. */
struct str row_target(const struct row *row, char out[280]);
/* Is the model that answers another one than was asked for (by a switch, a route, a fallback)? */
bool row_is_switched(const struct row *row);
/* Has this console seen its model at another provider too? Then the model alone says too little. */
bool row_needs_provider(const struct row *row);
unsigned row_attempts(const struct row *row);

#endif
