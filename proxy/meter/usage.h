/* usage.h: reads what an answer used, by the way, from the bytes that pass.
 *
 * Why: the ledger stands on the provider's own figures. Every provider spells them differently;
 * this file turns them into one shape, and tells the data path what kind of event it is looking at:
 * the first content (first token), the usage event that a client did not ask for, the terminal
 * event before which the record must be safe. Pure.
 *
 *     struct usage_reader r; usage_reader_init(&r, WIRE_CHAT, quirks);
 *     unsigned kind = usage_event(&r, ev.name, ev.data);     // each event of a stream
 *     usage_body(&r, body);                                  // or a whole answer
 *     usage_finish(&r);                                      // then r.usage, r.source …
 *
 * Figures from outside are range-checked, clamped (never negative, at most 2^40) and counted once;
 * a second usage replaces the first, never adds. */
#ifndef POINTSMAN_USAGE_H
#define POINTSMAN_USAGE_H

#include "proxy/dialect/dialect.h"
#include "store/record.h"

/* Token counts of one exchange, normalised. -1 nowhere: 0 where unknown, `have` says what came. */
struct usage {
    int64_t input;          /* all prompt tokens, cached and written included */
    int64_t cached;         /* part of input: read from the provider's prompt cache */
    int64_t cache_write_5m; /* part of input: written to it */
    int64_t cache_write_1h; /* part of input */
    int64_t output;         /* billable, reasoning included */
    int64_t reasoning;      /* part of output */
    int64_t audio_in, audio_out, image_in, image_out; /* parts of input and output */
    int64_t searches;       /* billed tool uses: web searches */
    int64_t provider_cost_femto; /* the provider's own figure in 1e-15 USD; valid when have_cost */
    bool have_cost;         /* stated and believable: a stated 0 with tokens used is not */
    bool have_usage;
};

enum usage_quirk { /* how a provider departs from its dialect; a provider row sets these */
    QUIRK_NONE = 0,
    QUIRK_OUTPUT_WITHOUT_REASONING = 1, /* xAI chat, gemini's OpenAI form: output excludes it */
};

enum usage_seen {
    SEEN_CONTENT = 1,     /* carries answer text, reasoning or tool arguments */
    SEEN_USAGE_ONLY = 2,  /* `choices` an empty array and `usage` an object: may be withheld */
    SEEN_TERMINAL = 4,    /* official clients stop reading here */
    SEEN_ERROR = 8,       /* an error inside a 200 stream */
    SEEN_FINISH = 16      /* carries a finish reason */
};

struct usage_reader {
    enum wire wire;
    unsigned quirks;
    struct usage usage;
    enum usage_source source; /* USAGE_MEASURED, USAGE_NONE until usage_finish */
    char model_served[200], finish_reason[48], service_tier[24], response_id[128];
    char error_code[64], error_message[300];
    int64_t tool_calls;
    int64_t content_bytes;    /* of text, reasoning and arguments seen: for estimates */
    int64_t events;
    bool saw_terminal, saw_error, saw_finish, failed_inside; /* failed: response.failed, error */
};

void usage_reader_init(struct usage_reader *r, enum wire wire, unsigned quirks);
unsigned usage_event(struct usage_reader *r, struct str name, struct str data);
/* A whole JSON answer (Gemini's streamed array too). Unreadable bodies leave all at zero. */
void usage_body(struct usage_reader *r, struct str body);
/* Reads one usage object of any known shape into *u; false when it is none. */
bool usage_object(struct str object, unsigned quirks, struct usage *u);
void usage_finish(struct usage_reader *r);

/* What is known of a request before it is sent. Pure and one pass over the body. */
struct request_facts {
    struct str model;        /* decoded, in the arena; empty when absent or not a string */
    struct str model_span;   /* the value's bytes in the body, quotes included: for splicing */
    bool stream, stream_given;
    bool include_usage;      /* the client asked for usage itself */
    struct str stream_options; /* raw value, empty when absent */
    bool tools, images, json_schema, audio;
    bool background;         /* Responses: billed later than its answer */
    int64_t max_output;      /* asked maximum of output tokens in any of its names; 0 = none */
    int64_t n;               /* candidates asked for, at least 1 */
    int64_t prompt_bytes;    /* bytes of the prompt's text: an upper bound of its tokens */
    int64_t prompt_tokens;   /* estimate */
    bool unbounded_input;    /* URLs, file ids, previous_response_id: cost can't be bounded */
    struct str session_hint; /* session named inside the body (metadata.user_id and such) */
    struct str service_tier, user;
};
/* 0; -ERR_SYNTAX not JSON (offset in *at); -ERR_DUPLICATE a policy field twice (its name in
 * *field); -ERR_TYPE wrong type (model not a string, stream not a boolean; name in *field). */
int request_read(struct str body, enum wire wire, struct arena *a, struct request_facts *out,
    size_t *at, const char **field) MUST_CHECK;

/* Tokens of a text, estimated: ±10 % on English, code and Chinese. */
int64_t tokens_estimate(struct str text);
/* The same when only the number of bytes is known (a stream that was cut): English prose and code. */
int64_t tokens_of_bytes(int64_t bytes);

#endif
