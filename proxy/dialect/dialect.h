/* dialect.h: what is said on the wire, and how an error is said in each dialect.
 *
 * Why: auth, gate, routing and limits refuse requests in the caller's own shape; the data path asks
 * which protocol a request speaks. Pure: no descriptors, no clock. */
#ifndef POINTSMAN_DIALECT_H
#define POINTSMAN_DIALECT_H

#include "proxy/config/dialects.h"
#include "store/base/arena.h"
#include "store/base/buf.h"

/* A protocol: the shape of one endpoint's request, answer and stream. */
enum wire {
    WIRE_RAW, /* passed as it comes, nothing read but usage where it is recognised */
    WIRE_CHAT,
    WIRE_COMPLETIONS,
    WIRE_EMBEDDINGS,
    WIRE_RESPONSES,
    WIRE_MESSAGES,
    WIRE_COUNT_TOKENS,
    WIRE_GENERATE,        /* generateContent */
    WIRE_STREAM_GENERATE, /* streamGenerateContent, with or without alt=sse */
    WIRE_GEMINI_COUNT,
    WIRE_GEMINI_EMBED,
    WIRE_MODELS,
    WIRE_COUNT
};

const char *dialect_name(enum dialect d); /* "openai", "openai_responses", "anthropic" … */
const char *wire_name(enum wire w);
/* Of a record's endpoint ("/v1/messages"); WIRE_RAW where it is none of the above. */
enum wire wire_of_endpoint(struct str endpoint);
enum dialect wire_dialect(enum wire w);   /* whose error shape it takes */

/* An error body in that dialect. `code` is ours, stable, snake_case ("model_not_found"); the type
 * is derived from the status. `request_id` may be empty. */
/* The code by which Anthropic's SDK knows that it must send the whole conversation, not a turn of one
 * that the provider keeps ("thread"). */
#define DIALECT_NO_THREAD "thread_unsupported_request"

struct dialect_error {
    int status;
    struct str code, message, param;
    struct str request_id;
    struct str response_id, model; /* of the running answer: only response.failed shows them */
    int64_t sequence;              /* number of the next event of a Responses stream */
    int64_t retry_after_ms;        /* 0: unsaid; only Gemini says it in the body */
};
void dialect_write_error(enum dialect d, const struct dialect_error *error, struct buf *out);

/* The HTTP status that a type or status word of any dialect stands for ("rate_limit_error",
 * "RESOURCE_EXHAUSTED"); 0 when it is none of them. */
int dialect_error_status(struct str type);

/* The same as an event in mid-stream, ready for the wire (never followed by a clean end). */
void dialect_write_stream_error(enum wire w, const struct dialect_error *error, struct buf *out);

/* Reads a provider's error body of any shape: {"error":{…}}, {"error":"text"}, {"message":…},
 * {"detail":…}, wrapped in an array, or plain text. What is not there stays empty; numbers are
 * given as text. Texts lie in the arena or in the body. */
struct dialect_error_read {
    struct str message, type, code, param;
    struct str status_text; /* Gemini's "RESOURCE_EXHAUSTED" */
    int64_t retry_after_ms; /* of Google's RetryInfo; 0: unsaid */
};
void dialect_read_error(struct str body, struct arena *a, struct dialect_error_read *out);

#endif
