/* translate.h: an exchange whose target speaks another dialect than its client.
 *
 *     translate_request(x, provider, model, &e)   the body as the target's dialect has it
 *     translate_whole(x, &e)                      x->held: the answer, said anew for the client
 *     translate_told(x, &e)                       x->translation->out: the same as a whole stream
 *     translate_gathered(x, &e)                   x->held: a whole stream, said anew as an answer
 *     translate_error(x, &read)                   x->held: the provider's error, said anew
 *     translate_event(x, name, data)              x->translation->out: what the client gets for it
 *     translate_end(x)                            the same when the provider's bytes are over
 *
 * x->wire is the wire of the running attempt; translating(x) says that it is not the client's. Every
 * attempt is translated from the client's own body; nothing of one is in the next. */
#ifndef POINTSMAN_TRANSLATE_H
#define POINTSMAN_TRANSLATE_H

#include "proxy/dialect/spoke.h"
#include "proxy/dialect/unwrap.h"
#include "proxy/exchange/exchange.h"

struct translation {
    struct arena arena;          /* the neutral request and the states of a stream */
    struct ir_request request;
    bool read;                   /* the request was read */
    struct buf body;             /* as sent upstream */
    struct buf out;              /* of a stream: bytes for the client */
    struct spoke_client client;
    struct stream_reader *from;
    struct stream_writer *to;
    struct ir_notes notes;
    struct unwrap unwrap;        /* of a stream: structured output that came as a call */
    bool over, failed;           /* the client was told that all is said; that it failed */
    bool told;                   /* it gets as a stream what came in one piece */
};

static inline bool translating(const struct exchange *x)
{
    return x->translation && x->wire != x->ep.wire;
}

/* Sets x->wire. 0; -ERR_UNSUPPORTED, -ERR_TYPE, -ERR_MISSING (400 with e->text), -ERR_NOMEM. */
int translate_request(struct exchange *x, const struct provider *p, struct str model,
    struct err *e) MUST_CHECK;
int translate_whole(struct exchange *x, struct err *e) MUST_CHECK;
/* For providers that don't keep to what was asked: a stream, or none. -ERR_STATE: it failed inside. */
int translate_told(struct exchange *x, struct err *e) MUST_CHECK;
int translate_gathered(struct exchange *x, struct err *e) MUST_CHECK;
void translate_error(struct exchange *x, const struct dialect_error_read *read,
    int64_t retry_after_us);
bool translate_begin_stream(struct exchange *x); /* false: no memory */
/* The provider sent a comment: it is at work. */
void translate_ping(struct exchange *x);
void translate_event(struct exchange *x, struct str name, struct str data);
void translate_end(struct exchange *x);
/* The in-stream error of this exchange, in the client's dialect and in its running order. */
void translate_abort(struct exchange *x, const struct dialect_error *error);
/* limits.c: the provider's rate limits under the names that the client's SDK reads; returns how many
 * headers it wrote, at most LIMIT_HEADERS. */
enum { LIMIT_HEADERS = 7 };
size_t limits_to_client(struct exchange *x, const struct http_header *in, size_t count,
    struct http_header *out);
void translate_reset(struct exchange *x); /* before another attempt */
void translate_free(struct exchange *x);

/* A count of tokens that only another dialect's provider could give: our estimate. True: answered. */
bool translate_count(struct exchange *x);

#endif
