/* http.h: the side that faces clients: listen, accept, the request gate, answers.
 *
 * Why: libmicrohttpd parses HTTP/1.1; this room keeps it honest (the gate: what smuggling needs is
 * refused before anything looks at the request), shards it (16 daemons a worker), watches clients
 * leave while they wait, and writes streams raw on the socket. It is the only room that includes
 * <microhttpd.h>, and it knows nothing of models or providers: the worker gives it callbacks.
 *
 * Life of a request:
 *     head()   the gate has passed; no body was read yet. Answer at once with http_reply() (401,
 *              404, 413 …) or return and the body is read (a HEAD or GET goes straight on).
 *     body()   the whole body is in q->body. From here the request rests (suspended) until
 *              http_reply() or http_stream_begin() is called, now or in any later turn.
 *     hangup() the client left before its answer was complete; q stays valid until closed().
 *     drained() a stream's queue fell below the low-water mark after it had passed the high one.
 *     closed() the last call; q is freed at the end of the turn. `clean` says that every byte of
 *              the answer was handed to the kernel.
 * Answers may be given from inside the callbacks or later from any phase of the same loop.
 *
 * Ownership: q and everything in it belong to this room; texts live until closed(). q->user is the
 * owner's (exchange). Header names and values given to replies are copied. */
#ifndef POINTSMAN_HTTP_H
#define POINTSMAN_HTTP_H

#include "proxy/loop/loop.h"
#include "store/base/arena.h"
#include "store/base/buf.h"
#include "store/base/http_header.h"

#include <stdatomic.h>
#include <sys/socket.h>

struct http_request {
    struct str method;      /* "POST" */
    struct str target;      /* raw, as on the wire: path?query */
    struct str path, query; /* raw path without query; query without '?' */
    const struct http_header *headers;
    size_t header_count;
    struct buf body;        /* whole, after head(); its ceiling is the body limit */
    bool http10, wants_close;
    struct sockaddr_storage peer;
    struct str peer_text;   /* "127.0.0.1:5123" */
    int64_t peer_uid;       /* of the local process at the other end; -1 unknown or not local */
    bool peer_loopback;
    int64_t accepted_us, head_us, body_us; /* monotonic */
    struct arena *arena;    /* of this request */
    void *user;
};

struct http_events {
    void (*head)(void *ctx, struct http_request *q);
    void (*body)(void *ctx, struct http_request *q);
    void (*hangup)(void *ctx, struct http_request *q);
    void (*drained)(void *ctx, struct http_request *q);
    void (*closed)(void *ctx, struct http_request *q, bool clean);
    /* A request that the gate refused, for Events and the first screen: status and reason. */
    void (*refused)(void *ctx, struct str peer, int status, const char *reason);
    /* Writes the error body for a refusal by the gate (path may be empty): dialect's business. */
    void (*error_body)(void *ctx, struct str path, int status, const char *reason, struct buf *out);
    /* Is this peer free of the limit per peer (a trusted proxy)? Loopback is. May be NULL. */
    bool (*peer_exempt)(void *ctx, const struct sockaddr *peer);
};

struct http_config {
    size_t request_bytes, header_bytes;
    size_t connections;         /* cap of this worker */
    unsigned peer_connections;  /* per address, 0 = off; loopback and trusted proxies are exempt */
    unsigned shards;            /* libmicrohttpd daemons */
    int64_t head_deadline_us, body_idle_us, write_stall_us;
    size_t body_bytes_per_s;    /* least average upload rate */
    size_t high_water, low_water; /* bytes queued for a stream's client */
    bool ask_peer_uid;          /* sock_diag for loopback peers */
    bool check_host;            /* Host and Origin must be local or listed (loopback listener) */
    const struct str *hosts;    /* allow_hosts */
    size_t host_count;
    const struct str *origins;  /* allow_origins */
    size_t origin_count;
    /* Uploads past 256 KiB are charged here (bytes, shared by all workers); over the limit: 503.
     * NULL = not counted. */
    _Atomic int64_t *memory_used;
    int64_t memory_limit;
};

struct http_server;

/* The config is copied; its lists (hosts, origins) must outlive the server. */
int http_server_new(struct http_server **out, struct loop *l, const struct http_config *config,
    const struct http_events *events, void *ctx, struct err *e) MUST_CHECK;
/* Takes a listening descriptor (TCP or unix) and owns it from here, also when it fails. */
int http_server_listen(struct http_server *s, int listen_fd, struct err *e) MUST_CHECK;
/* New lists of names after a reload, from the loop's thread; both must outlive the server or the
 * next call. */
void http_server_names(struct http_server *s, const struct str *hosts, size_t host_count,
    const struct str *origins, size_t origin_count);
/* No new connections; idle ones are closed; requests go on that run, are being read, or wait in the
 * backlog or in a socket. Drained: all of them have been read, or their time for that is over. */
void http_server_drain(struct http_server *s);
bool http_server_drained(const struct http_server *s);
/* Ends what still runs (streams are aborted, closed() is called), then frees. Only after the loop
 * stopped and before loop_free(). */
void http_server_free(struct http_server *s);

/* "127.0.0.1:4141", "[::1]:0"; close-on-exec, non-blocking, SO_REUSEPORT when `shared`. Returns the
 * descriptor or -ERR_X; *port gets the real port. */
int http_listen_tcp(struct str address, bool shared, int *port, struct err *e) MUST_CHECK;

/* The value of a request header, any case of name; STR_NULL when absent. */
struct str http_header_get(const struct http_request *q, struct str name);

/* A whole answer; body is copied. Exactly once a request, and not after http_stream_begin(). With
 * HEAD the body is left out and its length sent. Framing headers among `headers` are left out: they
 * are made here. 0, -ERR_RANGE for a header with control bytes (a 502 is sent instead), -ERR_STATE
 * after a hang-up or a second answer. Before a large body was read it ends the connection. */
int http_reply(struct http_request *q, int status, const struct http_header *headers, size_t n,
    struct str body);

/* A piece-by-piece answer, written raw on the socket. `length` >= 0 sends Content-Length, -1 sends
 * chunks (or ends by close to HTTP/1.0). From body() on. The head leaves with the first write, or
 * at the latest in this turn; every write goes to the kernel at once. Errors as http_reply(). */
int http_stream_begin(struct http_request *q, int status, const struct http_header *headers,
    size_t n, int64_t length);
/* 0, or 1 when more than high_water bytes wait: stop the source until drained(). What the kernel
 * does not take is copied. -ERR_STATE after a hang-up, -ERR_RANGE past the length announced. */
int http_stream_write(struct http_request *q, struct str bytes);
size_t http_stream_queued(const struct http_request *q);         /* bytes not yet in the kernel */
/* clean: last chunk, then close. Not clean: what was written still reaches the client, and the end
 * shows that something is missing: no last chunk, too few bytes, or a reset where neither can. */
void http_stream_end(struct http_request *q, bool clean);

/* For tests: nothing is left open. */
struct http_stats {
    size_t connections, requests_live;
    int64_t accepted, refused, client_stall_us_total;
};
struct http_stats http_stats(const struct http_server *s);

/* µs for which this stream's client did not take bytes that were ready. */
int64_t http_client_stall_us(const struct http_request *q);

#endif
