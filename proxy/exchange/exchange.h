/* exchange.h: the one request object: a client's request, the attempts to have it answered, and the
 * answer on its way back. The noun of the data path; its verbs are steps.def.
 *
 * Life: exchange_head() (from http, before the body) → exchange_body() → steps → the end record is
 * in the spool → done. It outlives its client (a disconnect policy may let the upstream finish) and
 * its upstream call (the client reads slowly); it is freed at the end of the turn in which both are
 * gone. Everything it points to is its arena, its snapshot, or a pooled handle.
 *
 * One thread: its worker's. Only exchange.c writes `step`, only attempt.c writes `call`. */
#ifndef POINTSMAN_EXCHANGE_H
#define POINTSMAN_EXCHANGE_H

#include "proxy/access/account.h"
#include "proxy/endpoints.h"
#include "proxy/http/http.h"
#include "proxy/meter/price.h"
#include "proxy/route/plan.h"
#include "proxy/sse.h"
#include "proxy/upstream/upstream.h"
#include "store/base/id.h"
#include "store/base/json_span.h"
#include "store/spool.h"

struct worker;
struct watch;
struct translation;

enum exchange_step {
#define X(name, fn, help) STEP_##name,
#include "proxy/exchange/steps.def"
#undef X
    STEP_COUNT
};

/* How the provider's answer is handed on. */
enum answer_mode {
    ANSWER_NONE,   /* no head yet */
    ANSWER_HELD,   /* a JSON body, kept whole until its end is known good */
    ANSWER_EVENTS, /* server-sent events, metered as they pass */
    ANSWER_PIPED,  /* anything else, as it comes */
    ANSWER_FAILED  /* an error answer: collected, then retried or passed on */
};

enum { ATTEMPTS_MAX = 8 };
struct attempt {
    char target[160];
    int status;
    const char *outcome;
    char reason[200];
    int64_t started_us, ended_us;
};

/* A kept copy of what passed, for the inspector and the body store. */
struct capture {
    bool on;
    struct buf answer;   /* raw bytes as received */
    struct buf times;    /* pairs of uint32: ms·10 since head, offset in answer */
    bool cut;
};

enum { IMAGE_TOKENS_MOST = 8192 }; /* that a provider makes one image of */

/* What a raw path (images, sound, documents) asks for; 0 where it says nothing of the kind. */
struct raw_work {
    int64_t images, pixels, characters, upload_bytes;
    struct str size, quality; /* "1024x1024", "hd": part of a price's name */
};

struct exchange {
    struct worker *worker;
    struct http_request *q;         /* NULL once the client is gone and its request closed */
    struct arena arena;
    struct snapshot *snapshot;
    enum exchange_step step;
    bool ending;                    /* freed at the end of this turn */

    /* what is asked */
    char id[ID_LENGTH + 1];
    struct endpoint ep;
    struct buf body;                /* taken over from q */
    struct request_facts facts;
    struct str method;
    struct str asked;               /* model */
    struct str session, tags, user_agent, peer, query, content_type;
    int64_t client_uid, time_ms, head_us, body_us;
    const struct key *key;          /* NULL: open */
    bool key_apart;                 /* it came in x-pointsman-key: other credentials are the client's */
    const struct http_header *client_headers; /* copied: attempts outlive q */
    size_t client_header_count;
    bool loopback_peer;

    /* who answers */
    struct plan plan;
    bool forced;                    /* its route was named by x-pointsman-route */
    struct str raw_provider;        /* of a raw path: named, or made the id in it; p set: known or
                                       asked for */
    bool raw_named;
    size_t next_candidate;
    const struct candidate *target; /* of the running attempt */
    bool login_given;               /* some target so far takes the caller's own login */
    int provider_key;               /* index, -1 none needed */
    struct attempt *attempts;       /* in the arena, grown by doubling */
    unsigned attempt_count, attempt_room;
    unsigned tries_here;            /* of this candidate */
    bool usage_asked;               /* we asked for the usage chunk: withhold it */
    bool usage_refused;             /* this provider does not take stream_options */
    int64_t retry_after_us;         /* that its error's body asks for; 0: not said */
    bool holds_provider_slot, counted_in_flight;
    bool place_coming;              /* ended while its turn was on the way: freed after it has come */
    struct health_waiter waiter;    /* in the provider's queue */
    struct loop_message ready_message;
    enum wire wire;                 /* spoken with that target; not ep.wire: translate.h */
    struct translation *translation;
    struct upstream_call *call;
    struct str pieces[5];           /* of the body as sent */
    size_t piece_count;
    bool body_sent;                 /* the running attempt went upstream: never worth zero */

    /* what it may cost */
    struct reservation reservation;
    const struct price *price;
    int64_t reserve_nano, reserve_output;
    int64_t earlier_nano;           /* charged for attempts before this one */
    struct raw_work raw_work;       /* what a raw path asks for, in units of price_units.def */
    struct slot *slot;

    /* the answer */
    enum answer_mode mode;
    int status;                     /* to the client; 0 = none yet */
    int upstream_status;
    struct http_header *answer_headers;
    size_t answer_header_count;
    struct buf held;
    struct sse sse;
    size_t passed;                  /* bytes of the unfinished event already handed on */
    struct usage_reader reader;
    bool begun;                     /* the head of a stream has gone to the client */
    bool paused;
    bool client_gone;
    bool terminal_handed_on;
    bool settled;
    int64_t read_on_bytes;          /* read for the usage alone, after the client had left */
    bool usage_lost;                /* a piped answer too large to keep for its usage */
    bool last_byte_waits;           /* of a piped answer: it leaves behind the end record */
    char last_byte;
    bool replied;                   /* a whole answer was given to http */
    bool client_complete;           /* every byte reached the kernel */
    struct capture capture;
    struct watch *watch;
    int64_t charged_memory;

    /* times (monotonic µs) and figures of the record */
    struct loop_timer timer;        /* headers, first token, idle, pauses between attempts */
    struct loop_timer total_timer;
    int64_t sent_us, first_byte_us, first_token_us, last_data_us, max_gap_us, last_data_event_us;
    int64_t queue_us, queued_at_us, retry_us, connect_us, overhead_us, received_us;
    int64_t response_bytes;
    enum record_outcome outcome;
    char error_code[64], error_message[400], upstream_request_id[128];
    const char *dropped;         /* what the target could not take; NULL: nothing was translated */
    const char *timeout_name;       /* which limit ended the attempt */
    bool time_over;                 /* the total limit passed: no further attempt */
    struct exchange *next, **link;  /* the worker's list of live ones */
};

/* http's callbacks, given by the worker. */
void exchange_head(struct worker *w, struct http_request *q);
void exchange_body(struct worker *w, struct http_request *q);
void exchange_hangup(struct worker *w, struct http_request *q);
void exchange_drained(struct worker *w, struct http_request *q);
void exchange_closed(struct worker *w, struct http_request *q, bool clean);

/* From the worker's mailbox: a person cancels; a person watches. */
void exchange_cancel(struct exchange *x, const char *who);
void exchange_watch(struct exchange *x, struct watch *watch);

/* The process ends before the exchange does: settled as interrupted, the client sees no clean end. */
void exchange_shutdown(struct exchange *x);
void exchange_destroy(struct exchange *x); /* after http and upstream have let go; kept for another */
void exchange_free_spare(struct worker *w);

/* --- between the files of this room ------------------------------------------------------- */

enum step_result { STEP_NEXT, STEP_WAIT, STEP_STOP };

void exchange_enter(struct exchange *x, enum exchange_step step); /* the one writer of x->step */
void exchange_run(struct exchange *x);                            /* drives until it must wait */
void exchange_free_if_done(struct exchange *x);

enum step_result step_auth(struct exchange *x);
enum step_result step_read(struct exchange *x);
enum step_result step_route(struct exchange *x);
enum step_result step_admit(struct exchange *x);
enum step_result step_send(struct exchange *x);
enum step_result step_stream(struct exchange *x);
enum step_result step_settle(struct exchange *x);
enum step_result step_done(struct exchange *x);

/* refuse.c: our own errors, in the caller's dialect; enters SETTLE. `retry_ms` < 0: no header. */
enum step_result exchange_refuse(struct exchange *x, int status, const char *code, int64_t retry_ms,
    const char *fmt, ...) PRINTF_LIKE(5, 6);
/* The attempts are used up: says what the provider's failure was (502, 504 …). */
void exchange_fail(struct exchange *x, int status, const char *code, const char *message);

/* attempt.c */
void attempt_start(struct exchange *x);
void attempt_end(struct exchange *x, const char *outcome, int status, const char *reason);
/* Counts and tells a provider's failure. */
void attempt_tell_failure(struct exchange *x, const char *reason);
/* Another try, now or later? true when one was begun or armed. */
bool attempt_again(struct exchange *x, enum failure_class failure, int64_t retry_after_us);
/* Would attempt_again() begin one? Changes nothing. */
bool attempt_would_again(const struct exchange *x, enum failure_class failure,
    int64_t retry_after_us);
/* The same target at once, for a reason that is ours (a field it does not take). */
bool attempt_same_again(struct exchange *x);
void attempt_cancel(struct exchange *x);
int attempt_watch(struct exchange *x); /* sets the timer to the limit that counts now */
void attempt_release(struct exchange *x); /* provider slot and in-flight count */

/* answer.c: what the upstream says. */
extern const struct upstream_events answer_events;
void answer_timeout(struct exchange *x, const char *which);
/* stream.c */
void stream_data(struct exchange *x, struct str bytes);
void stream_done(struct exchange *x, const struct upstream_result *r);
bool stream_begin(struct exchange *x, int64_t length);
void stream_write(struct exchange *x, struct str bytes);
void stream_abort(struct exchange *x, int status, const char *code, const char *message);
void stream_finish(struct exchange *x); /* the stream said that it is complete */

/* rawwork.c: what a raw path asks for, read once; at most that many nano-USD (-1: unbounded); what an
 * answer without (enough of) usage is billed by. */
void raw_work_read(struct exchange *x);
const struct price *raw_price(const struct exchange *x, const struct candidate *c);
int64_t raw_bound(const struct exchange *x, const struct price *p);
bool raw_usage(const struct exchange *x, struct usage *u, enum usage_source *source);

/* bound.c: what it may cost at most. */
/* Of the first target, into reserve_nano; refuses what has no bound or no price (else STEP_WAIT). */
enum step_result bound_first(struct exchange *x, struct account *const *accounts, size_t n);
/* Why a target may not be asked: as the client reads it. */
struct bound_no {
    char text[300];
    int status;
    const char *code;
    int64_t retry_ms;
};
/* Reserves what the present target may cost beside what was spent before it; false: it can't be. */
bool bound_target(struct exchange *x, struct bound_no *why);
/* Reserves the next step of a stream that has outgrown its reserve; false: it was cut. */
bool bound_grow(struct exchange *x);

/* settle.c */
void settle(struct exchange *x); /* idempotent: price, spool, budget, health */
/* An attempt is given up for another one: what it may have cost stays charged. */
void settle_attempt(struct exchange *x);
void slot_update(struct exchange *x);
/* A text of a client's or a provider's making, its secrets covered; a copy in the arena. */
struct str exchange_covered(struct exchange *x, struct str text);

/* headers.c (pure) */
size_t headers_to_provider(struct exchange *x, const struct provider *p, struct http_header *out,
    size_t max);
size_t headers_to_client(struct exchange *x, const struct http_header *in, size_t n,
    struct http_header *out, size_t max);
struct str upstream_url(struct exchange *x, const struct provider *p, struct str model);

/* body.c: the pieces of the body as this target gets it. */
int body_pieces(struct exchange *x, const struct provider *p, struct str model);

/* rawpath.c: may this key use the path (STEP_WAIT: yes); a plan where no model says who gets it. */
enum step_result raw_allowed(struct exchange *x);
enum step_result raw_plan(struct exchange *x);
/* Is it a provider (and no route), and so the target itself? Notes it for raw_plan(). */
bool raw_names_provider(struct exchange *x, struct str name);

/* local.c: answers that are made here. local_reply() takes what is in `body`. */
void local_answer(struct exchange *x);
void local_reply(struct exchange *x, int status, const char *type, struct buf *body);

/* models.c: in the shape of who asks (ep.dialect). */
void models_list(struct exchange *x);
void models_one(struct exchange *x);

/* capture.c */
void capture_begin(struct exchange *x);
void capture_cover_login(const struct exchange *x, char *p, size_t n);
void capture_answer(struct exchange *x, struct str bytes);
void capture_end(struct exchange *x);

#endif
