/* sse.h: an incremental parser of server-sent events: pure, nothing allocated per byte.
 *
 * Why: streams are cut anywhere by the network; meter, translation and the console need whole
 * events, the same whatever the cuts. The same-dialect path forwards the raw bytes of an event,
 * so each event also says which bytes of the input made it.
 *
 *     struct sse s; sse_init(&s, 16 << 20);
 *     for each piece:
 *         sse_feed(&s, piece);
 *         while (sse_next(&s, &ev)) ...        // ev.raw, ev.name, ev.data valid until next call
 *     if (sse_finish(&s, &ev)) ...             // an event that ended without its blank line
 *
 * LF, CRLF and CR line ends, comments, several data lines (joined by LF), a BOM at the start. */
#ifndef POINTSMAN_SSE_H
#define POINTSMAN_SSE_H

#include "store/base/buf.h"

struct sse {
    struct buf in;      /* bytes of the unfinished event */
    struct buf joined;  /* data of several lines */
    size_t scanned;     /* bytes of `in` already looked at */
    size_t drop;        /* bytes of `in` that the last event used */
    bool started, overflow;
};

struct sse_event {
    struct str raw;  /* all bytes of the event, comments and blank line included */
    struct str name; /* "event:" field; empty when absent */
    struct str data; /* "data:" lines joined by LF */
    struct str id;
    bool has_data;   /* false: only comments, or fields without data */
    bool only_comment;
};

/* max_event: an event larger than this sets `overflow` (feed returns -ERR_LIMIT). */
void sse_init(struct sse *s, size_t max_event);
void sse_fini(struct sse *s);
int sse_feed(struct sse *s, struct str bytes) MUST_CHECK;
bool sse_next(struct sse *s, struct sse_event *ev);
bool sse_finish(struct sse *s, struct sse_event *ev);
/* Bytes held that belong to no finished event yet. */
struct str sse_pending(const struct sse *s);
/* Gives the pending bytes up as passed on (an event too large to hold): the parser then skips to
 * the end of that event and reports it with empty name and data and raw = its last piece. */
void sse_release(struct sse *s);

#endif
