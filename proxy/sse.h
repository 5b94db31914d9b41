/* sse.h: an incremental parser of server-sent events: pure, nothing allocated per byte.
 *
 * Why: streams are cut anywhere by the network; meter, translation and the console need whole
 * events, the same whatever the cuts. The same-dialect path forwards the raw bytes of an event,
 * so each event also says which bytes of the input made it: the raws in a row are the input.
 *
 *     struct sse s; sse_init(&s, 16 << 20);
 *     for each piece:
 *         sse_feed(&s, piece);
 *         while (sse_next(&s, &ev)) ...        // ev.raw, ev.name, ev.data valid until next call
 *     if (sse_finish(&s, &ev)) ...             // bytes left over: an event without its blank line
 *
 * LF, CRLF and CR line ends, comments, several data lines (joined by LF), a BOM at the start. An
 * event whose blank line is a CR is reported at that CR; an LF that comes in a later piece leads
 * the raw of the next event. A lone blank line is an event with only_comment set. */
#ifndef POINTSMAN_SSE_H
#define POINTSMAN_SSE_H

#include "store/base/buf.h"

struct sse {
    struct buf in;      /* bytes from the event under way on, and of the last one reported */
    struct buf joined;  /* data of several lines */
    size_t max_event;
    size_t scanned;     /* bytes of `in` already looked at */
    size_t drop;        /* bytes of `in` that reported events used */
    size_t ready;       /* end of a finished event not yet reported; 0 = not known */
    size_t lead;        /* bytes at the event's start that are of no line: BOM, LF of a cut CRLF */
    bool started;       /* past the place of a BOM */
    bool line_used;     /* the line under way has a byte */
    bool after_cr;      /* the last byte looked at was a CR: an LF belongs to it */
    bool released;      /* the event under way was given up by sse_release() */
    bool overflow;
};

struct sse_event {
    struct str raw;  /* all bytes of the event, comments and blank line included */
    struct str name; /* "event:" field; empty when absent */
    struct str data; /* "data:" lines joined by LF */
    struct str id;
    bool has_data;   /* false: only comments, or fields without data */
    bool only_comment; /* no field at all */
};

/* max_event: an unfinished event larger than this makes feed return -ERR_LIMIT. A finished one that
 * came whole in one piece is still reported; both set `overflow`. */
void sse_init(struct sse *s, size_t max_event);
void sse_fini(struct sse *s);

/* 0, or -ERR_LIMIT (the event under way is too large; its bytes are still in sse_pending(), and
 * sse_release() makes the parser go on) or -ERR_NOMEM. Call sse_next() until false in between. */
int sse_feed(struct sse *s, struct str bytes) MUST_CHECK;
bool sse_next(struct sse *s, struct sse_event *ev);
bool sse_finish(struct sse *s, struct sse_event *ev);

/* Bytes held that belong to no finished event yet (once sse_next() has returned false). */
struct str sse_pending(const struct sse *s);

/* Gives the pending bytes up as passed on (an event too large to hold): the parser then skips to
 * the end of that event and reports it with empty name and data and raw = its last piece. */
void sse_release(struct sse *s);

#endif
