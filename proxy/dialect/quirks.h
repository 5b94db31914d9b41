/* quirks.h: how providers of one dialect depart from it, as rows of quirks.def.
 *
 *     const struct spoke_quirks *q = quirks_of(STR("https://api.mistral.ai/v1"));
 *     if (q->bits & SPOKE_ID_9) …
 *
 * Found once per request by the base URL; constant, nothing to free. */
#ifndef POINTSMAN_QUIRKS_H
#define POINTSMAN_QUIRKS_H

#include "proxy/meter/usage.h"

enum spoke_quirk {
    SPOKE_MAX_TOKENS = 1,        /* takes max_tokens, not max_completion_tokens */
    SPOKE_ID_9 = 2,              /* ids of calls are exactly nine letters or digits */
    SPOKE_NO_RESPONSES = 4,      /* no Responses API: such a request goes as chat */
    SPOKE_NO_DEVELOPER = 8,      /* role developer is not known: system is said */
    SPOKE_REASONING_BACK = 16,   /* wants the reasoning of earlier turns back (in tool turns) */
    SPOKE_NO_SCHEMA = 32,        /* response_format knows json_object alone */
    SPOKE_NO_PARALLEL = 64,      /* refuses parallel_tool_calls */
    SPOKE_NO_EFFORT = 128,       /* refuses reasoning_effort */
    SPOKE_ANY_NOT_REQUIRED = 256, /* tool_choice "any" where others say "required" */
    SPOKE_STRICT_FIELDS = 512,   /* refuses members that it does not know */
    SPOKE_CACHE_MARKS = 1024,    /* takes cache_control on parts of content */
    SPOKE_PLAIN_TEXT = 2048,     /* content of text alone must be one string */
    SPOKE_TOP_K = 4096,          /* takes top_k */
    SPOKE_GOOGLE_PROOFS = 16384, /* takes Gemini's proof on a call (extra_content); others refuse it */
    SPOKE_IMAGES = 32768,        /* makes images, and takes those it made back (message.images) */
    SPOKE_ALLOWED_TOOLS = 8192   /* takes tool_choice allowed_tools; others are shown those tools alone */
};

struct spoke_quirks {
    const char *host;            /* the end of the host's name, or ":port" of a local server */
    const char *reasoning;       /* member of a message that holds its reasoning */
    unsigned bits;               /* enum spoke_quirk */
    unsigned usage;              /* enum usage_quirk: how it counts */
};

extern const struct spoke_quirks quirks_none;
const struct spoke_quirks *quirks_of(struct str base_url);

#endif
