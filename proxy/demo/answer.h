/* answer.h: what a simulated provider does with a request: how long it waits, what it says, how it
 * fails. Pure: the same request, state of the generator and time give the same answer. Private. */
#ifndef POINTSMAN_DEMO_ANSWER_H
#define POINTSMAN_DEMO_ANSWER_H

#include "proxy/demo/text.h"
#include "store/base/err.h"

struct demo_model {
    const char *name;
    int64_t ttft_ms, spread_percent, tokens_per_s, reasoning, context;
    const char *input, *output, *cached; /* USD per million, as text */
};
extern const struct demo_model demo_model_table[];
extern const size_t demo_model_total;
const struct demo_model *demo_model_find(struct str name); /* NULL when there is none */

/* A place that serves models: how reliable, how far away. */
struct demo_site {
    const char *provider, *prefix; /* "demo-eu", "/eu/v1" */
    const char *models;            /* "atlas breeze": what it serves */
    double slower;                 /* factor on times */
    double limited, broken, stalled, cut; /* shares of requests that fail so */
    unsigned most_at_once;         /* more are answered 429; 0 = any number */
    int64_t bad_from_s, bad_to_s, bad_every_s; /* a time of trouble that comes again */
};
extern const struct demo_site demo_sites[];
extern const size_t demo_site_total;
bool demo_site_serves(const struct demo_site *s, struct str model);

enum demo_end { DEMO_COMPLETE, DEMO_STALL, DEMO_CUT };
struct demo_answer {
    int status;             /* 200, or what it fails with */
    int64_t wait_us;        /* until the first token, or the error */
    int64_t piece_us;       /* between two pieces of a stream */
    int64_t retry_after_s;  /* 429 */
    struct buf text;        /* what it says; demo_answer_fini() */
    const char *tool, *arguments; /* a tool call instead; NULL = none */
    enum demo_end end;
    size_t end_after;       /* bytes of text before a stall or cut */
    int64_t prompt, cached, output, reasoning; /* tokens */
};

struct demo_question {
    const struct demo_site *site;
    const struct demo_model *model;
    size_t prompt_bytes;
    unsigned messages;      /* more than two: a session, whose beginning is cached */
    bool tools, last_is_tool_result;
    int64_t max_tokens;     /* 0 = none asked */
    unsigned in_flight;     /* at this site */
    int64_t since_start_us;
};
void demo_answer_make(
    const struct demo_question *q, struct demo_random *r, struct demo_answer *out);
void demo_answer_fini(struct demo_answer *a);

#endif
