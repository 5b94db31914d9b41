/* usage_gemini.c: what an answer of Gemini's used, and the searches that it stands on. See usage_wire.h. */
#include "proxy/meter/usage_wire.h"

static unsigned gemini_part(struct usage_reader *r, struct json_span part)
{
    unsigned kind = 0;
    struct json_iter it = json_iter(part.raw);
    struct json_span k, v;
    while (it.object && json_next(&it, &k, &v)) {
        if (IS(k, "text"))
            kind |= usage_content(r, v);
        else if (IS(k, "functionCall")) {
            usage_content_within(r, json_get(v.raw, STR("args")));
            usage_call_bytes(r, json_get(v.raw, STR("name")));
            usage_call_bytes(r, json_get(v.raw, STR("args")));
            r->tool_calls++;
            kind |= SEEN_CONTENT;
        } else if (IS(k, "executableCode") || IS(k, "codeExecutionResult"))
            kind |= usage_content_within(r, v) | SEEN_CONTENT;
        else if (IS(k, "inlineData"))
            kind |= SEEN_CONTENT;
    }
    return kind;
}

/* What the answer stands on: searches by their words, else by what they found. */
static void gemini_grounding(struct usage_reader *r, struct json_span grounding)
{
    struct json_want w[] = {{STR("webSearchQueries")}, {STR("groundingChunks")},
        {STR("searchEntryPoint")}};
    int32_t queries = 0, web = 0;
    struct json_span k, e;
    if (grounding.type != JSON_OBJECT || json_scan(grounding.raw, w, ARRAY_LEN(w)) < 0)
        return;
    struct json_iter it = json_iter(w[0].value.raw);
    while (!it.object && queries < 1000 && json_next(&it, &k, &e))
        queries += e.type == JSON_STRING && e.raw.n > 2;
    it = json_iter(w[1].value.raw);
    while (!it.object && json_next(&it, &k, &e)) {
        web |= json_get(e.raw, STR("web")).type == JSON_OBJECT;
        if (json_get(e.raw, STR("maps")).type == JSON_OBJECT)
            r->tools.maps = 1;
    }
    web |= w[2].value.type == JSON_OBJECT;
    r->tools.searches = MAX(r->tools.searches, MAX(queries, web)); /* a stream repeats them */
}

static unsigned gemini_candidate(struct usage_reader *r, struct json_span candidate)
{
    struct json_want w[] = {{STR("content")}, {STR("finishReason")}, {STR("groundingMetadata")}};
    struct json_span k, part;
    if (json_scan(candidate.raw, w, ARRAY_LEN(w)) < 0)
        return 0;
    unsigned kind = usage_finished(r, w[1].value);
    gemini_grounding(r, w[2].value);
    struct json_iter it = json_iter(json_get(w[0].value.raw, STR("parts")).raw);
    while (!it.object && json_next(&it, &k, &part))
        kind |= gemini_part(r, part);
    return kind;
}

unsigned usage_gemini(struct usage_reader *r, struct str object)
{
    unsigned kind = 0;
    struct json_span k, v, unused, c;
    struct json_iter it = json_iter(object);
    while (it.object && json_next(&it, &k, &v)) {
        if (IS(k, "candidates")) {
            struct json_iter in = json_iter(v.raw);
            while (!in.object && json_next(&in, &unused, &c))
                kind |= gemini_candidate(r, c);
        } else if (IS(k, "usageMetadata"))
            usage_take(r, v, false);
        else if (IS(k, "modelVersion"))
            TAKE_ONCE(model_served, v);
        else if (IS(k, "responseId"))
            TAKE_ONCE(response_id, v);
        else if (IS(k, "promptFeedback"))
            kind |= usage_finished(r, json_get(v.raw, STR("blockReason")));
        else if (IS(k, "error") && v.type == JSON_OBJECT)
            kind |= usage_take_error(r, object);
    }
    return kind;
}
