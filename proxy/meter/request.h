/* request.h: what is known of a request before it is sent, read in one walk over its body.
 *
 * Why: routing, limits, budgets and splicing ask the same few things of every body: which model,
 * streamed or not, how long a prompt, how much output at most. The same strict parse decides all of
 * them, so that nobody can say one thing to the policy and another to the provider: a policy field
 * given twice is refused, keys are compared exactly. Pure.
 *
 *     struct request_facts f;
 *     int rc = request_read(body, WIRE_CHAT, &arena, &f, &at, &field);
 *     if (rc < 0) ...                          // 400: JSON broken at byte `at`, or `field` is
 * wrong
 *
 * Ownership: texts lie in the body or in the arena. Gemini's model stands in the path: f.model is
 * empty. */
#ifndef POINTSMAN_REQUEST_H
#define POINTSMAN_REQUEST_H

#include "proxy/dialect/dialect.h"
#include "proxy/meter/tokens.h"

/* How much a web search may read: billed apart. */
enum search_size { SEARCH_MEDIUM, SEARCH_LOW, SEARCH_HIGH };

/* What is known of a request before it is sent. */
struct request_facts {
    struct str model;        /* decoded; empty when absent */
    struct str model_span;   /* the value's bytes in the body, quotes included: for splicing */
    bool stream, stream_given;
    bool include_usage;      /* the client asked for usage itself */
    struct str stream_options; /* raw value, empty when absent; "null" is possible */
    bool tools, images, json_schema, audio;
    bool web_search;         /* chat: `web_search_options` given */
    bool server_tools;       /* it offers tools that work at the provider's side */
    bool image_tool;         /* one of them makes images */
    struct str tool_model;   /* the model that a tool names; decoded only of its quotes */
    enum search_size search_size;
    int64_t tool_calls_most; /* of such tools; 0 = not said */
    int64_t image_count;
    bool stored;             /* it names what lies at the provider: a file, a cached context */
    bool sealed;             /* a string holds somebody's reasoning under our seal (ir.h) */
    bool background;         /* Responses: billed later than its answer */
    int64_t max_output;      /* largest of the asked maxima of output tokens; 0 = none */
    int64_t n;               /* candidates asked for, at least 1 */
    int64_t prompt_bytes;    /* an upper bound of the prompt's tokens: bytes of its text, and fixed
                                shares for images and sound */
    int64_t prompt_tokens;   /* estimate */
    bool unbounded_input; /* URLs, files, previous_response_id, server tools: cost can't be bounded
                           */
    struct str session_hint; /* session named inside the body (metadata.user_id and such) */
    struct str service_tier, user;
    uint64_t
        prefix_hash; /* of the prompt's beginning (what a provider's cache keys on); 0 = none */
};

/* 0; -ERR_SYNTAX not JSON, -ERR_LIMIT nested too deep (offset in *at); -ERR_DUPLICATE a policy
 * field twice, -ERR_TYPE one of the wrong type: model not a string, stream not a boolean, a maximum
 * not a whole number, the body not an object; -ERR_DENIED one by which a request would choose an
 * address or a key itself (its name in *field). `null` counts as absent. */
int request_read(struct str body, enum wire wire, struct arena *a, struct request_facts *out,
    size_t *at, const char **field) MUST_CHECK;

#endif
