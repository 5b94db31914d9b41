/* goals.c: the five goals, as presets over policies. A route that names a goal gets these where it
 * says nothing of its own; people are shown what a goal expands to. */
#include "proxy/route/plan_state.h"

static const struct goal_preset presets[] = {
    [GOAL_NONE] = {"none", POLICY_PRIORITY, 0, 0, 0, "the route's own policy"},
    [GOAL_QUALITY] = {"quality", POLICY_PRIORITY, 0, 0, 0,
        "policy priority: the first target, the others only when it fails"},
    [GOAL_LATENCY] = {"latency", POLICY_PRIORITY, GOAL_AVOID_SPIKES, 0, 0,
        "policy priority, away from a target whose first-token p95 of the last minute is over "
        "twice that of its last hour"},
    [GOAL_COST] = {"cost", POLICY_LOWEST_COST, GOAL_AVOID_ERRORS, 0, 0,
        "policy lowest-cost, away from a target with a fifth of errors in the last minute"},
    [GOAL_LONG_CONTEXT] = {"long_context", POLICY_STICKY, GOAL_FIT_WHOLE, 0, 0,
        "only targets whose context window holds prompt and asked output; policy sticky by "
        "session"},
    [GOAL_RESILIENCE] = {"resilience", POLICY_PRIORITY, GOAL_AVOID_ERRORS | GOAL_WIDE, 1,
        20 * (int64_t)1000000,
        "policy priority, one attempt a target, first token within 20 s, away from a target with a "
        "fifth of errors in the last minute, then every other provider that lists the same model"},
};

const struct goal_preset *goal_preset(enum goal g)
{
    return &presets[(unsigned)g < ARRAY_LEN(presets) ? g : GOAL_NONE];
}

const char *goal_name(enum goal g)
{
    return goal_preset(g)->name;
}

const char *goal_expands_to(enum goal g)
{
    return goal_preset(g)->expands_to;
}

int goal_from_name(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(presets); i++)
        if (str_eq(str_c(presets[i].name), name))
            return (int)i;
    return -1;
}
