/* failure.c: what a provider's answer means for the next step. See plan.h.
 *
 * Only error bodies are looked into, and only their beginning. Codes come first, wording second:
 * several providers say it in prose alone. */
#include "proxy/route/plan.h"

enum { LOOK_AT = 4096, SECOND_US = 1000000 };

static const struct hint {
    const char *text;
    enum failure_class means;
} hints[] = {
    {"context_length_exceeded", FAIL_CONTEXT},
    {"model_context_window_exceeded", FAIL_CONTEXT},
    {"maximum context length", FAIL_CONTEXT},
    {"context window", FAIL_CONTEXT},
    {"prompt is too long", FAIL_CONTEXT},
    {"exceed context limit", FAIL_CONTEXT},
    {"exceeds the maximum number of tokens", FAIL_CONTEXT},
    {"input token count", FAIL_CONTEXT},
    {"too many tokens", FAIL_CONTEXT},
    {"content_filter", FAIL_CONTENT},
    {"content_policy_violation", FAIL_CONTENT},
    {"ResponsibleAIPolicyViolation", FAIL_CONTENT},
    {"content management policy", FAIL_CONTENT},
    {"API_KEY_INVALID", FAIL_KEY},
    {"invalid_api_key", FAIL_KEY},
    {"API key not valid", FAIL_KEY},
    {"credit balance is too low", FAIL_KEY},
    {"insufficient_quota", FAIL_KEY},
    {"billing_error", FAIL_KEY},
    {"model_not_found", FAIL_MODEL},
    {"DeploymentNotFound", FAIL_MODEL},
};

static enum failure_class hinted(struct str body, unsigned of)
{
    body = str_first(body, LOOK_AT);
    for (size_t i = 0; i < ARRAY_LEN(hints); i++)
        if ((hints[i].means & of) && str_find_nocase(body, str_c(hints[i].text)) >= 0)
            return hints[i].means;
    return 0;
}

enum failure_class failure_classify(int status, struct str error_body)
{
    enum failure_class hint;
    if (status >= 200 && status < 400)
        return 0;
    switch (status) {
    case 0:
        return FAIL_NETWORK;
    case 400:
        hint = hinted(error_body, ~0u);
        return hint ? hint : FAIL_CLIENT;
    case 401:
    case 402:
        return FAIL_KEY;
    case 403:
        hint = hinted(error_body, FAIL_CONTENT);
        return hint ? hint : FAIL_KEY;
    case 404:
    case 501:
        return FAIL_MODEL;
    case 408:
    case 504:
        return FAIL_TIMEOUT;
    case 409: /* official clients try it again */
        return FAIL_5XX;
    case 413:
        return FAIL_CONTEXT;
    case 429:
        hint = hinted(error_body, FAIL_KEY); /* used up for good: waiting does not help */
        return hint ? hint : FAIL_429;
    default:
        return status >= 500 ? FAIL_5XX : FAIL_CLIENT;
    }
}

enum failure_class failure_classify_event(struct str data)
{
    static const struct hint events[] = {
        {"rate_limit", FAIL_429}, {"RESOURCE_EXHAUSTED", FAIL_429}, {"timeout_error", FAIL_TIMEOUT},
        {"DEADLINE_EXCEEDED", FAIL_TIMEOUT}, {"authentication_error", FAIL_KEY},
        {"permission_error", FAIL_KEY}, {"not_found_error", FAIL_MODEL},
        {"overloaded", FAIL_5XX}, {"server_error", FAIL_5XX}, {"api_error", FAIL_5XX},
        {"invalid_request_error", FAIL_CLIENT}, {"INVALID_ARGUMENT", FAIL_CLIENT},
    };
    enum failure_class hint = hinted(data, ~0u);
    for (size_t i = 0; !hint && i < ARRAY_LEN(events); i++)
        if (str_find(str_first(data, LOOK_AT), str_c(events[i].text)) >= 0)
            hint = events[i].means;
    return hint ? hint : FAIL_5XX;
}

bool failure_worth_repeating(enum failure_class f)
{
    return f & (FAIL_429 | FAIL_5XX | FAIL_NETWORK | FAIL_TIMEOUT);
}

const char *failure_name(enum failure_class f)
{
    switch (f) {
    case FAIL_429: return "429";
    case FAIL_5XX: return "5xx";
    case FAIL_NETWORK: return "network";
    case FAIL_TIMEOUT: return "timeout";
    case FAIL_CONTEXT: return "context";
    case FAIL_CONTENT: return "content";
    case FAIL_KEY: return "key";
    case FAIL_CLIENT: return "client";
    case FAIL_MODEL: return "model";
    }
    return "";
}

int64_t retry_delay_us(unsigned attempt, int64_t retry_after_us, uint64_t random)
{
    int64_t ceiling = (int64_t)SECOND_US / 2 << MIN(attempt, 4u); /* 0.5 s doubling to 8 s */
    int64_t jitter = (int64_t)(random % (uint64_t)ceiling);
    return retry_after_us > 0 ? retry_after_us + jitter / 4 : jitter;
}
