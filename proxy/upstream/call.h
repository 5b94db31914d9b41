/* call.h: what the files of this room share: the call, its shard, its sockets. Not for others.
 *
 * A call is a pooled object with its own easy handle. Its life:
 *
 *     free ── upstream_start ──▶ marked ── act ──▶ added to a shard ── message ──▶ done() ──▶ free
 *                                   │                  │  ▲
 *                                   └──── cancel ──────┘  └── marked again to resume
 *
 * curl refuses multi calls from inside its callbacks, so start, cancel and resume only put the
 * call on the `marked` list; upstream_act() does the work, never while `in_curl`. */
#ifndef POINTSMAN_UPSTREAM_CALL_H
#define POINTSMAN_UPSTREAM_CALL_H

#include "proxy/upstream/coding.h"
#include "proxy/upstream/upstream.h"
#include "store/base/buf.h"

#include <curl/curl.h>

struct upstream_shard {
    struct upstream *u;
    CURLM *multi;
    struct loop_timer timer;
    size_t live;
    bool due;   /* curl's timer ran out or is 0 */
    bool dirty; /* curl ran: it may have messages */
};

/* A descriptor of curl: a connection (we opened it, it is kept in epoll while idle) or a resolver's
 * pipe (curl's own, out of epoll as soon as curl says so). */
struct upstream_socket {
    struct upstream_shard *shard;
    loop_id id;           /* 0: not in epoll */
    uint32_t armed, want; /* EPOLL* bits in epoll · asked for by curl */
    int fd;
    bool connection;
    bool plain; /* no TLS: bytes that come while idle are never legitimate */
    bool held;  /* curl waits for nothing because the reader is paused, not because it is idle */
};

struct upstream_call {
    struct upstream *u;
    struct upstream_shard *shard; /* NULL: not added to a multi */
    CURL *easy;
    struct upstream_call *next, *prev; /* of `marked` or `running`; `next` alone in the pool */
    struct upstream_events events;
    void *ctx;

    /* the request */
    const struct str *body; /* the caller's pieces, or &small */
    size_t body_count, piece, offset;
    int64_t body_bytes;
    struct buf text;        /* method and header lines, each ended by NUL */
    struct buf small;       /* a small body, copied: goes out in one write with the head */
    struct curl_slist *lines;
    size_t line_cap;
    char *proxy, *ca_file, *method, *url; /* as last set on the handle */
    CURLU *parsed_url;      /* of url; NULL: curl could not read it, and will say so */
    bool written, allow_private, plain, streamed, http2;
    bool url_written;       /* its host is an address, or localhost */
    char url_host[128];     /* empty: too long to be a name */
    const char *host;       /* to be looked up; empty: needs no lookup */
    bool leads, followed, waits_for_name, name_known; /* see names.c */
    struct upstream_call *next_leader;
    unsigned sends;         /* times the request was sent: > 1 when a warm connection was dead */
    bool worn;              /* the handle must be renewed before its next request */
    unsigned opened;        /* sockets dialled */
    struct sockaddr_storage dialled; /* the last of them */
    socklen_t dialled_size;
    bool forbidden;         /* an address was refused */

    /* the answer */
    struct buf head;        /* lines of the head under way */
    size_t head_total;      /* head bytes so far, those of 1xx and trailers too */
    bool is_head;           /* the request was HEAD */
    bool status_seen, headed, body_unframed;
    struct coding *coding;  /* NULL: identity */
    enum upstream_end fail; /* set by a callback that stopped the transfer */
    char fail_reason[160];
    char error[CURL_ERROR_SIZE];

    /* what the caller asked for */
    bool marked, cancelled, paused;
    bool undecoded; /* the decoder stopped for a pause with more to give */
    bool held;      /* curl was told to pause and keeps a piece */
    bool yielded;   /* … or is on `yielded`, for others to have their turn */
    size_t burst;   /* bytes handed on since curl was entered for the burst_of-th time */
    uint64_t burst_of;
    struct upstream_call *yield_next, *yield_prev;
    bool finished; /* curl is done, decoded bytes still wait for resume */
    bool over;     /* done() runs */
    CURLcode code;
};

struct upstream {
    struct loop *loop;
    struct upstream_config config;
    struct upstream_shard *shards;
    CURLSH *share; /* names and TLS sessions of all shards */
    char ca_file[128];
    struct upstream_socket **sockets; /* by descriptor */
    size_t socket_cap, connections;
    struct upstream_call *pool;
    size_t pooled;
    struct upstream_call *marked, *running;
    struct upstream_call *leaders; /* whose names are being looked up */
    struct upstream_call *yielded; /* had a burst and wait: the longest first */
    uint64_t entered;              /* how often curl was entered */
    struct http_header *headers; /* of the head that is being read: head() is over before the next */
    size_t header_cap;
    unsigned in_curl; /* > 0: inside a curl call, multi calls are refused */
    struct upstream_stats stats;
};

/* options.c */
CURL *options_new_handle(struct upstream_call *c);
void options_forget_texts(struct upstream_call *c); /* before the handle is reset or freed */
bool options_renew_handle(struct upstream_call *c); /* false: the handle is of no use any more */
int options_apply(struct upstream_call *c, const struct upstream_request *r,
    struct err *e) MUST_CHECK;
void options_find_ca(char *out, size_t size);

/* multi.c */
int multi_init(struct upstream *u, struct upstream_shard *s, struct err *e) MUST_CHECK;
void multi_fini(struct upstream_shard *s);
struct upstream_shard *multi_choose(struct upstream *u);
void multi_run_timer(struct upstream_shard *s);
curl_socket_t multi_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a);
int multi_close_socket(void *ctx, curl_socket_t fd);

/* answer.c */
size_t answer_header(char *line, size_t size, size_t n, void *ctx);
size_t answer_write(char *bytes, size_t size, size_t n, void *ctx);
/* Decodes what waits; false while paused again or stopped. */
bool answer_resume(struct upstream_call *c);
void answer_reset(struct upstream_call *c);

/* ends.c */
void ends_fill(struct upstream_call *c, CURLcode code, struct upstream_result *r);

/* names.c */
bool names_enter(struct upstream_call *c); /* false: waits; marked again when it may go on */
void names_release(struct upstream_call *c, bool known);
void names_fail(struct upstream_call *c, const struct upstream_result *r);

/* memory.c */
void memory_init_curl(void);

/* upstream.c */
void upstream_act(struct upstream *u);
void call_yield(struct upstream_call *c);
void call_mark(struct upstream_call *c);

/* address.c: is the host of this URL an address written out, or localhost? */
bool address_written(struct str url);
struct str address_host(struct str url, bool *brackets);
bool address_is_https(struct str url);
bool address_text_forbidden(const char *ip); /* for a name without allow_private */

/* Stops the transfer from inside a callback, with the reason that done() will carry. */
void call_fail(struct upstream_call *c, enum upstream_end end, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

#endif
