/* internal.h: what the files of this room share; nobody else includes it.
 *
 *     server.c   shards (libmicrohttpd daemons), the phase of the turn, drain, free
 *     listen.c   listening sockets, accept, limits
 *     conn.c     a connection: hang-up watch, deadlines
 *     request.c  libmicrohttpd's calls: head, gate, body, resting
 *     reply.c    held answers (keep-alive), and the short answer of somebody who is leaving
 *     stream.c   raw answers
 *     gate.c     the request gate (pure)      peer.c   who is at the other end
 *     parser.c   what libmicrohttpd refuses by itself, in our words
 *     seams.c    what it has cut or joined in a head
 *     holder.c   who holds a port that is taken
 *
 * States of a request; request_enter() is the only writer:
 *
 *     HEAD ─▶ BODY ─▶ REST ─▶ HELD ─▶ over          (http_reply)
 *      │       │       └────▶ RAW ──▶ LEAVING ─▶ over   (http_stream_…)
 *      │       ├─▶ DISCARD ─▶ HELD                   (answered early: the rest of the body is read)
 *      └───────┴─▶ LEAVING                           (refused, or too much left to read)
 *      any ─▶ ABORT ─▶ over
 *
 * A connection is suspended (libmicrohttpd does not look at it) in REST and RAW only. LEAVING: the
 * answer is in the kernel, our side is shut, and what the client still sends is read and dropped
 * for a short while, since closing with unread bytes would reset the answer away. */
#ifndef POINTSMAN_HTTP_INTERNAL_H
#define POINTSMAN_HTTP_INTERNAL_H

#include "proxy/http/gate.h"
#include "proxy/http/http.h"

#include <microhttpd.h>
#include <uthash.h>

/* libmicrohttpd before 0.9.71 had int here; this room needs 0.9.75 for MHD_add_connection with
 * epoll and no listen socket. */
#if MHD_VERSION < 0x00097500
#error "libmicrohttpd 0.9.75 or newer is needed"
#endif

enum {
    HTTP_IDLE_US = 120000000,     /* a kept connection without a request */
    HTTP_LEFT_US = 100000,        /* how long one that left may still be read from */
    HTTP_LINGER_US = 2000000,     /* how long LEAVING reads on … */
    HTTP_LINGER_BYTES = 33554432, /* … and how much */
    HTTP_DISCARD_BYTES = 65536,   /* an early answer keeps the connection when no more is to come */
    HTTP_CHARGED_BYTES = 262144,  /* uploads are charged to memory in steps of this */
    HTTP_OVER_CAP = 32,           /* connections past the cap that still get their 503 */
    HTTP_QUEUE_SLACK = 16777216,  /* above high_water: a stream whose source does not stop */
    HTTP_SPARE_REQUESTS = 256,
    HTTP_KEEP_BYTES = 16384       /* buffers up to this stay with a spare request */
};

struct shard {
    struct http_server *s;
    struct MHD_Daemon *d;
    loop_id watch;
    size_t connections;
    size_t awake;                 /* of them: neither suspended nor quiet */
    bool run;                     /* has something to do in this turn's phase */
    unsigned idle_runs;           /* in a row that asked for another and did nothing */
};

struct listener {
    struct http_server *s;
    int fd;
    loop_id watch;
    unsigned port;                /* 0: unix */
    bool ready, paused, local;    /* local: unix domain */
    struct loop_timer retry;
    struct listener *next;
};

struct peer_count {               /* connections per address */
    unsigned char address[16];
    unsigned count;
    UT_hash_handle hh;
};

enum request_state {
    REQUEST_HEAD, REQUEST_BODY, REQUEST_DISCARD, REQUEST_REST, REQUEST_HELD, REQUEST_RAW,
    REQUEST_LEAVING, REQUEST_ABORT, REQUEST_OVER
};

struct conn {
    struct http_server *s;
    struct shard *shard;
    struct MHD_Connection *mhd;
    struct request *q;            /* the request of this moment, or NULL */
    struct conn *prev, *next;     /* all connections */
    struct conn *marked_prev, *marked_next;
    int fd;
    loop_id watch;
    struct loop_timer timer;      /* fires no later than deadline_us; set again then if too early */
    int64_t deadline_us;          /* 0: none */
    int64_t accepted_us;
    bool marked, suspended;
    bool quiet;                   /* kept, and all that came is read: see conn_idle() */
    bool left;                    /* the client closed or half-closed */
    bool drained;                 /* the last read took all there was: what is to come is an edge */
    bool input;                   /* bytes came since the request's end (or since the last one's) */
    bool writable;
    bool filled;                  /* the last read took all that libmicrohttpd had room for */
    bool over_cap, loopback, local;
    unsigned port;
    int64_t peer_uid;
    struct peer_count *peer_count;
    struct sockaddr_storage peer;
    char peer_text[64];
    struct buf target;            /* raw, of the request of this moment */
};

struct request {
    struct http_request pub;
    struct arena arena;
    struct conn *c;
    struct request *next;         /* dead or spare */
    enum request_state state;
    struct gate_facts facts;
    bool told;                    /* head() was called: closed() is owed */
    bool in_handler, hung, clean, head_only;
    struct MHD_Response *response; /* HELD, DISCARD */
    int status;                   /* of response */
    size_t answer_bytes;
    int64_t read_us;              /* last bytes of the body */
    uint64_t body_seen, discarded;
    int64_t charged;              /* to config.memory_used */
    /* raw answers */
    struct buf out;
    size_t sent;                  /* bytes of out already in the kernel */
    int64_t length_left;          /* of an announced length; -1 none */
    bool chunked, head_waits, blocked, over_high, ended, end_clean;
    int64_t blocked_us, stall_us;
    int unacked;                  /* bytes in the kernel's queue when the client last took some */
};

struct http_server {
    struct loop *l;
    struct http_config config;
    struct http_events ev;
    void *ctx;
    struct gate_rules rules;
    struct shard *shards;
    struct listener *listeners;
    struct conn *conns, *marked, *dead_conns;
    struct conn **by_fd;          /* parser.c's, to know whose bytes libmicrohttpd reads */
    size_t by_fd_room;
    struct conn *adding;          /* between MHD_add_connection() and its callback */
    struct request *dead, *spare;
    size_t spare_count;
    struct peer_count *peers;
    int diag_fd;                  /* netlink; -1: none */
    bool draining, freeing, reap_pending;
    struct http_stats stats;
    uint64_t moves;               /* reads and calls of the handler, to tell work from spinning */
    int64_t date_s, paused_us;    /* paused_us: when lack of descriptors was last told of */
    char date[40];
};

/* listen.c */
void listeners_accept(struct http_server *s);
bool listeners_ready(const struct http_server *s);
void listeners_empty(struct http_server *s); /* takes in all that waits */
void listeners_close(struct http_server *s);
void listeners_resume(struct http_server *s); /* a connection went: there is room again */

/* conn.c */
struct conn *conn_new(struct http_server *s, const struct listener *l, int fd,
    const struct sockaddr *peer, socklen_t peer_len);
void conn_gone(struct conn *c);   /* libmicrohttpd let go of it: freed at the end of the turn */
void conn_free(struct conn *c);
void conn_mark(struct conn *c);   /* act on it in this turn's phase */
void conn_unmark(struct conn *c);
void conn_act(struct conn *c);
void conn_suspend(struct conn *c);
void conn_resume(struct conn *c);
void conn_kill(struct conn *c);   /* ends it without a word */
void conn_reset(struct conn *c);  /* the client gets RST, not FIN */
void conn_deadline(struct conn *c, int64_t due_us); /* 0: none */
void conn_idle(struct conn *c, bool kept); /* between requests; kept: whole, and goes on */
void conn_wake(struct conn *c);   /* no longer suspended or quiet */
void conn_notify(void *cls, struct MHD_Connection *mhd, void **socket_context,
    enum MHD_ConnectionNotificationCode code);
struct conn *conn_of(struct MHD_Connection *mhd);

/* request.c */
enum MHD_Result request_handler(void *cls, struct MHD_Connection *mhd, const char *url,
    const char *method, const char *version, const char *data, size_t *data_n, void **con_cls);
void request_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
    enum MHD_RequestTerminationCode code);
void request_enter(struct request *q, enum request_state state);
void request_hangup(struct request *q); /* tells the owner once, then ends the connection */
void request_abort(struct request *q);
void request_refuse(struct request *q, int status, const char *reason);
void request_body_late(struct request *q); /* the deadline of a body came */
void request_free(struct request *q);
static inline struct request *request_of(const struct http_request *pub)
{
    return CONTAINER_OF(pub, struct request, pub);
}

/* reply.c */
bool reply_header_bad(const struct http_header *h);
bool reply_header_ours(struct str name);      /* framing: made here, never copied */
void conn_refuse(struct conn *c, int status, const char *reason); /* without a request */
bool reply_leave(struct request *q, int status, const struct http_header *headers, size_t n,
    struct str body);
void reply_head(struct request *q, struct buf *out, int status, const struct http_header *headers,
    size_t n, int64_t length, bool chunked);

/* stream.c */
void stream_flush(struct request *q);
void stream_stalled(struct request *q);
void stream_fini(struct request *q);

/* parser.c */
void parser_knows(struct conn *c);       /* it is read from here on, and … */
void parser_forgets(const struct conn *c);
void parser_run(struct http_server *s, struct MHD_Daemon *d); /* libmicrohttpd reads and answers */
void parser_reads(const struct conn *c); /* libmicrohttpd works on it now */
void parser_unstick(struct http_server *s, const struct shard *d); /* who keeps it spinning ends */
void parser_log(void *cls, const char *format, va_list ap); /* cls: the server */

/* seams.c */
bool seams_clean(struct MHD_Connection *mhd, const struct gate_head *head);

/* peer.c */
int peer_diag_open(void);
int64_t peer_uid_inet(int diag_fd, const struct sockaddr_storage *peer,
    const struct sockaddr_storage *own);
int64_t peer_uid_unix(int fd, int64_t *pid);
void peer_text(const struct sockaddr_storage *peer, char *out, size_t size);
bool peer_is_loopback(const struct sockaddr_storage *peer);

/* holder.c: "held by python3 (pid 812) of alice", or only the user when the process can't be seen;
 * false when no listener is found there. */
bool port_holder(const struct sockaddr *a, char *out, size_t size);

/* server.c */
void server_reap_later(struct http_server *s);

#endif
