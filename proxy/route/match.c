/* match.c: the conditions of rules, one function each; the table is made from conditions.def, so
 * that a condition without a function does not compile. All are pure questions to the request. */
#include "store/base/tz.h"
#include "proxy/route/plan_state.h"

typedef bool condition_fn(const struct condition *c, const struct planner *pl, struct str *seen);

static bool glob_one(const struct condition *c, struct str value, struct str *seen)
{
    *seen = value;
    return str_glob(c->text, value);
}

static bool match_KEY(const struct condition *c, const struct planner *pl, struct str *seen)
{
    return glob_one(c, pl->r->key ? pl->r->key->name : STR(""), seen);
}

static bool match_TEAM(const struct condition *c, const struct planner *pl, struct str *seen)
{
    return glob_one(c, pl->r->key ? pl->r->key->team : STR(""), seen);
}

static bool match_TAG(const struct condition *c, const struct planner *pl, struct str *seen)
{
    struct str rest = pl->r->tags, tag;
    *seen = rest;
    while (str_cut(&rest, ',', &tag))
        if (str_glob(c->text, str_trim(tag)))
            return true;
    return false;
}

static bool match_SESSION(const struct condition *c, const struct planner *pl, struct str *seen)
{
    return glob_one(c, pl->r->session, seen);
}

/* Records hold no headers and no budgets of their time: a replay says where it had to guess. */
static void guess(const struct planner *pl)
{
    if (pl->r->trial)
        pl->out->guessed = true;
}

static bool match_HEADER(const struct condition *c, const struct planner *pl, struct str *seen)
{
    *seen = STR("absent");
    guess(pl);
    for (size_t i = 0; i < pl->r->header_count; i++) {
        if (!str_eq_nocase(pl->r->headers[i].name, c->text))
            continue;
        *seen = STR("another value"); /* a header may hold a secret: never told */
        if (str_glob(c->value, str_trim(pl->r->headers[i].value)))
            return true;
    }
    return false;
}

static bool match_CLIENT(const struct condition *c, const struct planner *pl, struct str *seen)
{
    return glob_one(c, pl->r->user_agent, seen);
}

static bool match_MODEL(const struct condition *c, const struct planner *pl, struct str *seen)
{
    return glob_one(c, pl->r->asked, seen);
}

static bool in_range(const struct condition *c, int64_t v, const struct planner *pl,
    struct str *seen)
{
    if (!pl->r->trial)
        *seen = arena_printf(pl->a, "%lld", (long long)v);
    return v >= c->low && v <= c->high;
}

static bool match_PROMPT_TOKENS(const struct condition *c, const struct planner *pl,
    struct str *seen)
{
    return in_range(c, pl->facts->prompt_tokens, pl, seen);
}

static bool yes_or_no(const struct condition *c, bool value, struct str *seen)
{
    *seen = value ? STR("yes") : STR("no");
    return (c->low != 0) == value;
}

static bool match_STREAM(const struct condition *c, const struct planner *pl, struct str *seen)
{
    return yes_or_no(c, pl->facts->stream || pl->r->wire == WIRE_STREAM_GENERATE, seen);
}

static bool match_TOOLS(const struct condition *c, const struct planner *pl, struct str *seen)
{
    return yes_or_no(c, pl->facts->tools, seen);
}

static bool match_IMAGES(const struct condition *c, const struct planner *pl, struct str *seen)
{
    return yes_or_no(c, pl->facts->images, seen);
}

static bool match_JSON_SCHEMA(const struct condition *c, const struct planner *pl, struct str *seen)
{
    return yes_or_no(c, pl->facts->json_schema, seen);
}

static struct tz_local local_now(const struct planner *pl)
{
    struct tz_local l;
    tz_local(tz_get(pl->r->snapshot->config->timezone, NULL), pl->r->wall_ms / 1000, &l);
    return l;
}

static bool match_HOUR(const struct condition *c, const struct planner *pl, struct str *seen)
{
    struct tz_local l = local_now(pl);
    if (!pl->r->trial)
        *seen = arena_printf(pl->a, "%02d:%02d", l.hour, l.minute);
    return (uint64_t)c->low >> l.hour & 1;
}

static bool match_WEEKDAY(const struct condition *c, const struct planner *pl, struct str *seen)
{
    static const char *const names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    struct tz_local l = local_now(pl);
    *seen = str_c(names[l.weekday]);
    return (uint64_t)c->low >> (l.weekday + 1) % 7 & 1; /* bit 0 is Sunday */
}

static bool match_BUDGET_USED(const struct condition *c, const struct planner *pl, struct str *seen)
{
    guess(pl);
    if (!pl->r->trial)
        *seen = arena_printf(pl->a, "%lld %%", (long long)(pl->r->budget_used_ppm / 10000));
    return pl->r->budget_used_ppm >= c->low && pl->r->budget_used_ppm <= c->high;
}

static const struct {
    const char *name;
    condition_fn *holds;
} conditions[] = {
#define X(enum_name, name, help) {name, match_##enum_name},
#include "proxy/config/conditions.def"
#undef X
};

bool condition_holds(const struct condition *c, const struct planner *pl, struct str *seen)
{
    struct str ignored = STR("");
    return conditions[c->kind].holds(c, pl, seen ? seen : &ignored);
}

const char *condition_name(enum condition_kind k)
{
    return conditions[k].name;
}
