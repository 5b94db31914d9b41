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
 * a second usage replaces the first, never adds. A stream that was cut (no finish, no terminal)
 * ends as USAGE_PARTIAL when some usage was seen: its output is then the larger of what was said
 * and what was seen to pass; with none it is USAGE_NONE and content_tokens says what passed. */
#ifndef POINTSMAN_USAGE_H
#define POINTSMAN_USAGE_H

#include "proxy/config/snapshot.h"
#include "proxy/dialect/dialect.h"
#include "proxy/meter/request.h"
#include "proxy/meter/tokens.h"
#include "store/record.h"

#define USAGE_DRAWN_USUAL "gpt-image-1" /* what the image tool takes when it names no model */

/* Images that a tool of the answer made with a model of its own, in tokens as that model bills them. */
struct usage_drawn {
    int64_t input, cached, image_in, output, image_out; /* parts as in struct usage */
    bool guessed;   /* by quality and size: the answer did not say */
    char model[64];
};

/* Token counts of one exchange, normalised. -1 nowhere: 0 where unknown, `have` says what came. */
struct usage {
    int64_t input;          /* all prompt tokens, cached and written included */
    int64_t cached;         /* part of input: read from the provider's prompt cache */
    int64_t cache_write_5m; /* part of input: written to it */
    int64_t cache_write_1h; /* part of input */
    int64_t output;         /* billable, reasoning included */
    int64_t reasoning;      /* part of output */
    int64_t audio_in, audio_out, image_in, image_out, video_in, video_out; /* parts of both */
    int64_t audio_cached, image_cached; /* parts of cached, and of audio_in and image_in */
    int64_t citations;      /* tokens of quoted sources, counted beside input */
    int64_t extra_input;    /* billed as input, not counted in it: tool results that the provider
                               fed itself (Gemini), audio beside the prompt (Mistral) */
    int64_t searches;       /* web searches; those of little or much context stand in unit_milli */
    int64_t requests;       /* billed as so many (search units of a rerank); 0 and 1 mean one */
    int64_t unit_milli[UNIT_COUNT]; /* seconds, pages … in thousandths; not part of the tokens */
    struct usage_drawn drawn;
    int64_t earlier_nano;   /* charged for attempts that were given up before this answer */
    int64_t provider_cost_femto; /* the provider's own figure in 1e-15 USD; valid when have_cost */
    bool served[FACTOR_COUNT]; /* where and how: some bill it with a factor */
    bool output_split;      /* the output's parts were stated */
    bool have_cost;         /* stated and believable: a stated 0 with tokens used is not */
    bool have_usage;
    bool have_input;        /* false: output alone was stated (the prompt is to be estimated) */
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

/* What a usage object said, member by member, before it is normalised: Anthropic's two parts are
 * laid over each other here. Private to usage*.c. */
enum { USAGE_PARTS = 48 };
struct usage_parts {
    int64_t v[USAGE_PARTS];
    uint64_t have; /* bit per member */
};

/* Work of tools at the provider's side, counted from the answer itself: its usage leaves it out. */
struct usage_tools {
    int32_t searches, file_searches, sessions, maps, code;
    struct usage_drawn drawn;
};

struct usage_reader {
    enum wire wire;
    unsigned quirks;
    struct usage usage;
    enum usage_source source; /* MEASURED, PARTIAL or NONE; set by usage_finish */
    char model_served[200], finish_reason[48], service_tier[24], response_id[128];
    char error_code[64], error_message[300];
    int64_t tool_calls;
    uint64_t calls_digest;    /* of names and arguments of its tool calls, in order; 0 = none. Ids
                                 are left out: a repeated call has the same digest */
    int64_t content_bytes;    /* of text, reasoning and arguments seen */
    int64_t content_tokens;   /* the same in tokens, estimated; after usage_finish */
    int64_t events;
    int64_t sequence;         /* last sequence_number of a Responses stream, -1 before */
    bool saw_terminal, saw_error, saw_finish, failed_inside; /* failed: response.failed, error */
    /* private */
    struct usage_parts seen;
    struct usage_tools tools;
    uint32_t ids_seen;
    struct tokens_counter content;
    struct str uncounted[4];  /* texts of a whole body, counted only where it states no usage */
    unsigned uncounted_n;
    bool whole;
    uint64_t call_hash[16];   /* ids of tool calls counted, oldest overwritten */
};

void usage_reader_init(struct usage_reader *r, enum wire wire, unsigned quirks);
unsigned usage_event(struct usage_reader *r, struct str name, struct str data);
/* A whole JSON answer (Gemini's streamed array too). Unreadable bodies leave all at zero. */
void usage_body(struct usage_reader *r, struct str body);
/* The same for one that json_check() has found good: not walked over a second time. */
void usage_checked_body(struct usage_reader *r, struct str body);
/* Reads one usage object of any known shape into *u; false when it is none. */
bool usage_object(struct str object, unsigned quirks, struct usage *u);
void usage_finish(struct usage_reader *r);
/* So many web searches of that amount of context, in place of what *u says. */
void usage_searched(struct usage *u, int64_t searches, enum search_size size);

#endif
