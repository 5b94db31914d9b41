/* ir.h: the neutral form: what a request, an answer and an event of a stream mean, whatever the
 * dialect they came in. The hub between the spokes (spoke.h): a reader turns its dialect into this,
 * a writer turns this into its dialect, so four spokes make every pair.
 *
 * Texts are never decoded and printed anew. A member whose comment says
 *   text    is the inside of a JSON string: the bytes between its quotes, escapes and all
 *   raw     is any JSON value as it was written: number, object, array
 * so numbers beyond 2^53, key order and odd escapes arrive as they were sent, and joining two texts
 * is joining bytes. `p == NULL` means absent, `n == 0` with a p means empty. Plain C strings and
 * integers are used only for what the gateway itself decides on.
 *
 *     struct ir_request r;
 *     spoke_of(WIRE_CHAT)->read_request(body, arena, &r, &e);
 *     spoke_of(WIRE_MESSAGES)->write_request(&r, &target, &out, &notes, &e);
 *
 * Ownership: everything lies in the body that was read or in the arena. Pure. */
#ifndef POINTSMAN_IR_H
#define POINTSMAN_IR_H

#include "proxy/dialect/dialect.h"
#include "proxy/meter/usage.h"
#include "store/base/json.h"
#include "store/base/json_span.h"

enum ir_role { IR_SYSTEM, IR_DEVELOPER, IR_USER, IR_ASSISTANT, IR_TOOL };

enum ir_part_kind {
    IR_TEXT,      /* text, citations */
    IR_MEDIA,     /* media */
    IR_CALL,      /* id, name, arguments; of a tool */
    IR_RESULT,    /* id (of the call), name where known, content, is_error */
    IR_REASONING, /* text; signature: proof of its maker */
    IR_REDACTED,  /* signature: reasoning that only its maker can read */
    IR_REFUSAL,   /* text */
    IR_OPAQUE     /* raw: what only `origin` understands (server tools and their results …) */
};

enum ir_media_kind { IR_IMAGE, IR_AUDIO, IR_DOCUMENT, IR_VIDEO };

/* By one of data, url, file_id. */
struct ir_media {
    enum ir_media_kind kind;
    struct str mime;       /* text: "image/png"; absent where the dialect does not say */
    struct str data;       /* text: base64, or plain text where mime is "text/plain" and is_text */
    struct str url;        /* text */
    struct str file_id;    /* text */
    struct str filename;   /* text */
    struct str detail;     /* text: "low" … */
    bool is_text;          /* data is a document's text, not base64 */
    bool to_be_cited;      /* answers shall say which places of it they rest on */
};

/* Where an answer's words come from: a page of the web, or (url absent) a file. */
enum { IR_PLACE_UNSAID = -1 };
struct ir_citation {
    struct str type;              /* text: the word of `origin` for it ("char_location") */
    struct str url, title;        /* texts; of a file the title is its name */
    struct str file_id;           /* text */
    struct str index;             /* raw number: which of the request's documents it is */
    struct str cited;             /* text: the words of the source */
    struct str said;              /* text: the words of the answer; where they were repeated */
    int64_t start, end;           /* their characters (places.h), all texts of the choice in a row */
    struct str raw;               /* raw object as `origin` of the part said it */
    struct ir_citation *next;
};

struct ir_part {
    enum ir_part_kind kind;
    enum wire origin;      /* whose `raw`, `signature` and citations these are */
    struct str raw;        /* raw object: the whole part as it was written; absent when made here */
    struct str text;       /* text */
    struct str signature;  /* text; Gemini puts one on calls and texts too */
    struct str id, name;   /* texts */
    struct str item_id;    /* text: Responses knows an item by a second id */
    struct str arguments;  /* raw object; for CALL. Broken ones (cut at the maximum): see broken */
    struct str broken;     /* text: arguments that are no JSON object, as a text; else absent */
    struct ir_media media;
    struct ir_part *content; /* of a RESULT: TEXT, MEDIA, OPAQUE */
    bool is_error;
    bool custom;           /* CALL, RESULT: of a custom tool, its arguments are {"input":"…"} */
    struct str cache;      /* raw object: the dialect's cache mark ({"type":"ephemeral"}) */
    struct ir_citation *citations;
    struct ir_part *next;
};

/* Roles alternate as they came; a RESULT stands in a message of role IR_TOOL, several in a row in
 * one message or in several: writers put them together as their dialect wants. */
struct ir_message {
    enum ir_role role;
    struct str name;       /* text: of the speaker */
    struct ir_part *parts, *last;
    struct ir_message *next;
};

enum ir_tri { IR_UNSAID, IR_NO, IR_YES };

struct ir_tool {
    enum wire origin;
    struct str name, description; /* texts; name absent: not a function, only `raw` says what */
    struct str type;       /* text: the dialect's own word where it is no function ("web_search") */
    struct str schema;     /* raw object: JSON schema of the arguments; absent: none given */
    enum ir_tri strict;
    struct str cache;      /* raw object */
    struct str raw;        /* raw object */
    bool custom;           /* takes a text, not JSON (custom.h); `schema` is of a function instead */
    struct str syntax, grammar; /* texts: what that text must look like, "lark" … */
    struct str space, inner; /* texts: the two names that Responses makes `name` of; else absent */
    bool opened;           /* nameless, and what it holds stands in the list itself */
    bool within;           /* stands in another entry or item, which says it in `origin` */
    struct ir_tool *next;
};

enum ir_choice_mode { IR_CHOICE_UNSAID, IR_CHOICE_AUTO, IR_CHOICE_NONE, IR_CHOICE_REQUIRED,
    IR_CHOICE_NAMED };
struct ir_name {
    struct str name; /* text */
    struct ir_name *next;
};

enum { IR_MODE_TEXT = 1, IR_MODE_IMAGE = 2, IR_MODE_AUDIO = 4 };

enum ir_format_kind { IR_FORMAT_UNSAID, IR_FORMAT_TEXT, IR_FORMAT_JSON, IR_FORMAT_SCHEMA };

/* In rising order, so that they compare. */
enum ir_effort { IR_EFFORT_UNSAID, IR_EFFORT_NONE, IR_EFFORT_MINIMAL, IR_EFFORT_LOW,
    IR_EFFORT_MEDIUM, IR_EFFORT_HIGH, IR_EFFORT_XHIGH, IR_EFFORT_MAX, IR_EFFORT_COUNT };
enum { IR_BUDGET_UNSAID = -2, IR_BUDGET_DYNAMIC = -1 };

/* A member of the request's object that has no neutral meaning. */
struct ir_member {
    struct str key;   /* text */
    struct str value; /* raw */
    struct ir_member *next;
};

struct ir_request {
    enum wire origin;
    struct ir_message *messages, *last_message;
    struct ir_tool *tools, *last_tool;
    struct {
        enum ir_choice_mode mode;
        struct ir_name *only; /* NAMED: the one; else the calls are limited to these ("allowed") */
    } tool_choice;
    enum ir_tri parallel;
    int64_t max_output;       /* tokens; 0 = unsaid */
    struct str temperature, top_p, top_k, seed, frequency_penalty, presence_penalty; /* raw numbers */
    int64_t n;                /* answers asked for; 0 = unsaid */
    struct str stop;          /* raw array of strings */
    enum ir_tri logprobs;
    struct str top_logprobs;  /* raw number */
    struct {
        enum ir_format_kind kind;
        struct str schema;    /* raw object */
        struct str name, description; /* texts */
        enum ir_tri strict;
    } format;
    struct {
        enum ir_effort effort;
        int64_t budget;       /* tokens, IR_BUDGET_UNSAID, IR_BUDGET_DYNAMIC; 0 = off */
        bool adaptive;        /* Anthropic's {"type":"adaptive"} */
        enum ir_tri shown;    /* is its text (or a summary) wanted? */
        struct str summary;   /* text: "auto" … */
    } reasoning;
    struct str verbosity;     /* text */
    struct str service_tier;  /* text, in OpenAI's words: auto default flex priority; others as said */
    struct str user;          /* text: the end user's name for the provider */
    struct str metadata;      /* raw object of strings */
    struct str cache_key;     /* text: prompt_cache_key */
    unsigned modes;           /* IR_MODE_…: kinds of answer asked for; 0 = unsaid */
    struct str modes_raw;     /* raw array, as `origin` wrote it */
    bool stream, include_usage;
    struct ir_member *rest, *last_rest;
};

enum ir_finish { IR_FINISH_UNSAID, IR_FINISH_STOP, IR_FINISH_LENGTH, IR_FINISH_TOOLS,
    IR_FINISH_FILTER, IR_FINISH_ERROR };

struct ir_choice {
    unsigned index;
    struct ir_part *parts, *last;
    enum ir_finish finish;    /* TOOLS wherever calls are there, whatever the provider says */
    struct str finish_native; /* text */
    struct str stop_sequence; /* text: the one that was met */
    struct str logprobs;      /* raw array in chat's shape: [{token,logprob,bytes,top_logprobs}] */
    struct ir_choice *next;
};

struct ir_answer {
    enum wire origin;
    struct str id, model;     /* texts */
    struct str created;       /* raw number: Unix seconds */
    struct ir_choice *choices, *last_choice;
    struct usage usage;       /* usage.have_usage: said */
    struct str service_tier;  /* text */
};

/* A stream. Readers keep this order whatever their dialect does:
 *   START · per choice: parts one after the other, never interleaved (a part begins with its first
 *   event and is over at PART_END) · FINISH of each choice · USAGE (where said) · DONE
 * PING anywhere; ERROR instead of the rest (nothing follows). USAGE may come early too (Anthropic
 * says the input first): the last one counts. */
enum ir_event_kind {
    IR_EV_START,      /* id, model, created */
    IR_EV_TEXT,       /* text; logprobs */
    IR_EV_REASONING,  /* text */
    IR_EV_SIGNATURE,  /* signature of the reasoning part (or text part) under way */
    IR_EV_REDACTED,   /* signature: a whole part */
    IR_EV_REFUSAL,    /* text */
    IR_EV_CALL_START, /* id, name; signature (Gemini) */
    IR_EV_CALL_ARGS,  /* text: a fragment of the arguments' JSON, itself as text of a JSON string */
    IR_EV_CITATION,   /* citation, of the text part under way; before its PART_END */
    IR_EV_OPAQUE,     /* raw: a whole part that only `origin` understands */
    IR_EV_MEDIA,      /* media; raw: a whole part. Sound: a piece, beside the text that it says */
    IR_EV_PART_END,   /* the part under way is whole */
    IR_EV_FINISH,     /* finish, finish_native, stop_sequence */
    IR_EV_USAGE,      /* usage; service_tier */
    IR_EV_ERROR,      /* error */
    IR_EV_PING,
    IR_EV_DONE        /* the provider said that all is said */
};

struct ir_event {
    enum ir_event_kind kind;
    enum wire origin;
    unsigned choice;
    unsigned part;            /* counts the parts of a choice from 0 */
    struct str text, signature, id, item_id, name, model; /* texts */
    struct str created;       /* raw number */
    struct str logprobs;      /* raw array in chat's shape */
    struct str raw;
    const struct ir_media *media;
    const struct ir_citation *citation;
    enum ir_finish finish;
    struct str finish_native, stop_sequence, service_tier; /* texts */
    const struct usage *usage;
    const struct dialect_error *error;
};

/* What a writer could not say: names of members in the client's words, ", " between them. */
struct ir_notes {
    char dropped[800];
    unsigned count;           /* dropped where a route may refuse it */
    struct str schema_tool;   /* text: structured output is asked for by a tool of this name; its
                               * call is the answer's text (unwrap.h). Absent: it is not */
};
/* Where only some tools may be called and a wire has no such list, only those are shown. */
bool ir_may_be_called(const struct ir_request *r, struct str name);
/* `what` was asked for and is left out. */
void ir_dropped(struct ir_notes *notes, const char *what);
void ir_dropped_text(struct ir_notes *notes, const char *before, struct str what);
/* A tool that this wire has no words for; noted where something is lost by that. */
bool ir_leaves_out(const struct ir_tool *t, enum wire w, struct ir_notes *notes);
/* A part that only its maker understands: by its type, or what it holds. */
void ir_dropped_opaque(struct ir_notes *notes, struct str raw);
/* Sources that earlier answers named: only their own maker's wire and Responses take them back. */
void ir_changed_citations(struct ir_notes *notes, const struct ir_request *r);
/* A citation that this wire has no words for. */
void ir_dropped_citation(struct ir_notes *notes, const struct ir_citation *c);
/* Said, but no reason to refuse: a value clamped, reasoning of another maker left out. */
void ir_changed(struct ir_notes *notes, const char *what);

/* --- for readers ---------------------------------------------------------------------------- */

/* The inside of a JSON string; a NULL p for anything else. */
struct str ir_text(struct json_span v);
/* The value as written unless absent or null. */
struct str ir_raw(struct json_span v);
enum ir_tri ir_tri_of(struct json_span v); /* of a boolean */
/* Plain text as a text of this form (quotes and controls escaped). */
struct str ir_text_of(struct arena *a, struct str plain);
/* Decoded, for what we must look at; without escapes the same bytes. */
struct str ir_plain(struct str text, struct arena *a);
bool ir_is(struct str text, const char *word); /* text without escapes, compared */
/* {…} as a text of JSON ↔ as an object. object: empty text gives {}, broken gives a NULL p. */
struct str ir_object_of(struct str text, struct arena *a);
/* Sets part->arguments, or part->broken. */
void ir_set_arguments(struct ir_part *part, struct str text, struct arena *a);

/* All return NULL without memory (the arena's ceiling): readers then give -ERR_NOMEM. */
struct ir_message *ir_add_message(struct ir_request *r, struct arena *a, enum ir_role role);
void ir_message_add(struct ir_message *m, struct ir_part *p);
struct ir_part *ir_add_part(struct ir_message *m, struct arena *a, enum ir_part_kind kind);
struct ir_part *ir_new_part(struct arena *a, enum ir_part_kind kind, enum wire origin);
struct ir_tool *ir_add_tool(struct ir_request *r, struct arena *a);
struct ir_choice *ir_add_choice(struct ir_answer *r, struct arena *a);
void ir_choice_add(struct ir_choice *c, struct ir_part *p);
bool ir_add_rest(struct ir_request *r, struct arena *a, struct str key, struct str value);
struct str ir_mime(struct str text); /* without the escape that some write: "image\/png" */
/* "data:image/png;base64,…" → mime and data; anything else → url. */
void ir_set_url(struct ir_media *m, struct str url_text);
/* Gives calls whose id was used before another one, and their results with them: some servers count
 * from 0 in each turn, or give parallel calls one id; others refuse that. False: no memory. */
bool ir_tell_calls_apart(struct ir_request *r, struct arena *a);
/* Sets c->start and c->end from two numbers that count from the character `before` on. */
void ir_set_place(struct ir_citation *c, struct json_span start, struct json_span end, int64_t before);
/* The request's tool of that name, NULL: none; r may be NULL. */
const struct ir_tool *ir_tool_named(const struct ir_request *r, struct str name);
/* The name of the tool that was called with this id, from the messages before; or absent. */
struct str ir_name_of_call(const struct ir_request *r, struct str id);
unsigned ir_modes_of(struct json_span list); /* of ["text","image"], in letters of any case */
/* Asked for, and this wire makes texts alone. */
void ir_dropped_modes(struct ir_notes *notes, const struct ir_request *r);
enum ir_effort ir_effort_from(struct str text); /* "low" …; UNSAID when unknown */
const char *ir_effort_name(enum ir_effort e);
/* Both ways between an effort and a number of thinking tokens under `max_output` (0 = no bound). */
int64_t ir_budget_of(enum ir_effort e, int64_t max_output);
enum ir_effort ir_effort_of_budget(int64_t budget);

/* --- for writers ---------------------------------------------------------------------------- */

void ir_put_text(struct json_writer *w, const char *key, struct str text); /* absent: nothing */
void ir_put_raw(struct json_writer *w, const char *key, struct str raw);   /* absent: nothing */
/* {…} as the text of a JSON string: the value of `arguments`. */
void ir_put_object_as_text(struct json_writer *w, const char *key, struct str object);
/* An object, whatever the part has: its arguments, or the broken text under "INVALID_JSON". */
void ir_put_arguments(struct json_writer *w, const char *key, const struct ir_part *call);
/* Base64 of data for "data:mime;base64,…"; the media's url otherwise. */
void ir_put_data_url(struct json_writer *w, const char *key, const struct ir_media *m);

#endif
