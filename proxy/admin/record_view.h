/* record_view.h: what several handlers show of a record: its bodies, and the one sentence about where
 * the time went. Private to this room. */
#ifndef POINTSMAN_ADMIN_RECORD_VIEW_H
#define POINTSMAN_ADMIN_RECORD_VIEW_H

#include "proxy/admin/call.h"

struct filter;

/* "request":{headers, body, body_cut}, "response":{…}, "events":[…] */
void body_json(const struct store_body *b, struct json_writer *w);
/* Where the time went, against what the same target did in the hour before (`first` and `whole` tokens'
 * durations, or NULL): "slow by 3.1 s: provider's first token, p97 of 212". False when there is nothing
 * to say. */
struct histogram;
bool record_sentence(const struct record *r, const struct histogram *first,
    const struct histogram *whole, char *out, size_t size);

/* snapshot.c */
struct event;
void event_json(const struct event *e, struct json_writer *w);
int64_t admin_memory_bytes(void);
/* status.c: live objects that stand in no file. */
int64_t admin_drift(struct live *l);
/* reports.c: "price":{…} in USD per million tokens, "context_tokens". p may be NULL. */
struct price;
void price_json(struct json_writer *w, const struct price *p);

/* traffic.c */
void admin_each_live(struct admin *a, bool (*fn)(void *ctx, const struct record *r), void *ctx);
size_t admin_live_count(struct admin *a);
bool admin_find_record(struct call *c, struct str id, struct record *out);
void call_with_record(struct call *c, call_fn *then);
struct record *call_record(const struct call *c);
/* The messages of the session's request before, for folding. */
struct str call_previous(const struct call *c);
void call_set_previous(struct call *c, struct str messages);
bool call_may_read(struct call *c, const struct record *r);
/* Arguments: false after an error was sent. */
bool call_cursor(struct call *c, struct store_cursor *out);
bool call_filter(struct call *c, struct filter *f);

#endif
