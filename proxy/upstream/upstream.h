/* upstream.h: the side that faces providers: one HTTP call at a time, many at once.
 *
 * Why: libcurl's multi socket interface under our loop, sharded, with handles and idle sockets kept
 * warm. The only room that includes <curl/curl.h> on the gateway's side. It sends what it is given
 * and reports what comes; it knows no dialect and decides nothing.
 *
 *     struct upstream_request r = {.method = STR("POST"), .url = url, .headers = h, .body = &piece,
 *         .header_count = n, .body_count = 1, .connect_timeout_us = 5000000};
 *     static const struct upstream_events events = {on_head, on_data, on_done};
 *     rc = upstream_start(u, &r, &events, exchange, &call, &e);
 *
 * Callbacks come from a turn of the loop, never from inside upstream_start(). After done() (or
 * upstream_cancel()) the call is gone. They may call pause/resume/cancel of any call and
 * upstream_start() of another. A call that fails in any way after a start that returned 0 ends with
 * done(). After upstream_pause() the piece under way is still given in full, the next one is not.
 *
 * Framing headers (Content-Length, Transfer-Encoding, Connection, Expect, Upgrade, TE, Trailer) are
 * this room's and left out of what is given; nothing else is added but Host. A gzip answer is given
 * decoded, its Content-Encoding and Content-Length taken out of the head.
 *
 * Timeouts: connect is watched here; headers, first token, idle and total belong to the exchange,
 * which calls upstream_cancel().
 *
 * Defences: header values with control bytes refuse the call (T11); no redirects, no proxy from the
 * environment, http and https only (T10); the dialled address is checked (T9); TLS verified (T26);
 * a content coding other than identity or gzip ends it, gzip within caps (T16).
 *
 * The process must ignore SIGPIPE: TLS writes to a closed connection raise it. */
#ifndef POINTSMAN_UPSTREAM_H
#define POINTSMAN_UPSTREAM_H

#include "proxy/loop/loop.h"
#include "store/base/http_header.h"

#include <sys/socket.h>

struct upstream;
struct upstream_call;

struct upstream_config {
    unsigned shards;         /* curl multis */
    unsigned fill;           /* live transfers a multi takes before the next one is used (256) */
    size_t answer_head_bytes; /* most header bytes of an answer */
    size_t decoded_ratio, decoded_bytes; /* caps for a compressed answer */
};

struct upstream_request {
    struct str method;
    struct str url;                     /* absolute */
    const struct http_header *headers;  /* checked here, copied */
    size_t header_count;
    const struct str *body;             /* pieces, sent one after the other; must live until done() */
    size_t body_count;
    int64_t connect_timeout_us;
    bool http2;
    bool streamed;                      /* the answer comes in small pieces, over a long time */
    bool allow_private;                 /* the NAME may resolve to a private address */
    const char *proxy, *ca_file;        /* NULL: none / the system's bundle; copied */
};

enum upstream_end {
    UPSTREAM_OK,          /* the answer is complete and its framing right */
    UPSTREAM_REFUSED,     /* connection refused or unreachable */
    UPSTREAM_DNS,
    UPSTREAM_TLS,
    UPSTREAM_CONNECT_TIMEOUT,
    UPSTREAM_FORBIDDEN,   /* address not allowed */
    UPSTREAM_RESET,       /* connection lost before or in the answer */
    UPSTREAM_TRUNCATED,   /* ended before its announced length or last chunk */
    UPSTREAM_MALFORMED,   /* not HTTP, bad chunk, oversized head */
    UPSTREAM_CODING,      /* content coding not asked for, or a bomb */
    UPSTREAM_INTERNAL     /* our own failure: no memory, bad header value */
};

struct upstream_result {
    enum upstream_end end;
    char reason[200];     /* for people: "could not connect to 127.0.0.1:9: Connection refused" */
    bool answered;        /* a status line was seen */
    bool body_unframed;   /* the body ended with the connection: truncation can't be told */
    bool reused;          /* on a warm connection */
    int64_t connect_us;   /* name + connect + TLS; 0 on a warm one */
    int64_t sent_bytes, received_bytes;
};

struct upstream_events {
    /* Final head (1xx are skipped). Names and values live during the call only. */
    void (*head)(void *ctx, int status, const struct http_header *headers, size_t n);
    void (*data)(void *ctx, struct str bytes);
    void (*done)(void *ctx, const struct upstream_result *result);
};

int upstream_new(struct upstream **out, struct loop *l, const struct upstream_config *config,
    struct err *e) MUST_CHECK;
/* Cancels what runs, without callbacks. The loop must not turn after it. */
void upstream_free(struct upstream *u);

/* On the thread that runs it, around its life: what curl frees there is kept for its next transfer. */
void upstream_thread_begin(void);
void upstream_thread_end(void);

/* 0 and *call, or -ERR_RANGE (a header value), -ERR_NOMEM. */
int upstream_start(struct upstream *u, const struct upstream_request *r,
    const struct upstream_events *events, void *ctx, struct upstream_call **call,
    struct err *e) MUST_CHECK;
void upstream_pause(struct upstream_call *c);  /* back-pressure: no more data() until resumed */
void upstream_resume(struct upstream_call *c);
void upstream_cancel(struct upstream_call *c); /* closes at once; no further callback */

/* For tests: connections are reused. */
struct upstream_stats {
    size_t live, idle_connections;
    int64_t started, reused;
};
struct upstream_stats upstream_stats(const struct upstream *u);

/* Is this address one that must not be dialled (T9)? `written` = the address stands in the
 * configuration itself, which means it is meant. Pure; for tests and config check. */
bool upstream_address_forbidden(const struct sockaddr *a, bool allow_private, bool written);

#endif
