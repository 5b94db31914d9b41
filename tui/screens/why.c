/* why.c: see why.h. One function a kind of step (proxy/route writes them). */
#include "tui/screens/why.h"

#include "tui/widgets/listing.h"

enum { PART = 300 };

static void lay_route(struct text *t, struct str step)
{
    char route[PART], how[PART];
    listing_text(step, "route", route, sizeof route);
    listing_text(step, "how", how, sizeof how);
    text_printf(t, ROLE_TEXT, "  route %s, by its %s", route,
        strcmp(how, "pattern") == 0 ? "pattern" : "name");
}

static void lay_direct(struct text *t, struct str step)
{
    char target[PART], how[PART];
    listing_text(step, "target", target, sizeof target);
    listing_text(step, "how", how, sizeof how);
    text_printf(t, ROLE_TEXT, "  no route: %s, as %s", target, how);
}

static void lay_override(struct text *t, struct str step)
{
    char name[PART], scope[PART], of[PART], to[PART], by[PART], passed[PART];
    listing_text(step, "name", name, sizeof name);
    listing_text(step, "scope", scope, sizeof scope);
    listing_text(step, "of", of, sizeof of);
    listing_text(step, "to", to, sizeof to);
    listing_text(step, "by", by, sizeof by);
    listing_text(step, "passed_over", passed, sizeof passed);
    text_printf(t, passed[0] ? ROLE_DIM : ROLE_SWITCH, "  %s switched %s → %s for %s%s%s%s%s",
        by[0] ? by : "somebody", name, to, scope, of[0] ? " " : "", of,
        passed[0] ? "; passed over: " : "", passed);
}

static void lay_rule(struct text *t, struct str step)
{
    char rule[PART], because[PART];
    bool taken = json_is_true(json_get(step, STR("taken")));
    listing_text(step, "rule", rule, sizeof rule);
    listing_text(step, "because", because, sizeof because);
    text_printf(t, taken ? ROLE_OK : ROLE_DIM, "  %s %s%s%s", taken ? "✓" : "·", rule,
        taken ? " takes it" : " does not: ", because);
}

static void lay_candidate(struct text *t, struct str step)
{
    char target[PART], reason[PART];
    listing_text(step, "target", target, sizeof target);
    listing_text(step, "reason", reason, sizeof reason);
    struct json_span score = json_get(step, STR("score"));
    text_printf(t, ROLE_OK, "  %lld. %-34s %s", (long long)listing_i64(step, "place"), target, reason);
    if (score.type == JSON_NUMBER) {
        text_extend(t, ROLE_DIM, STR("   score "));
        text_extend(t, ROLE_DIM, score.raw);
    }
}

static void lay_rejected(struct text *t, struct str step)
{
    char target[PART], reason[PART];
    listing_text(step, "target", target, sizeof target);
    listing_text(step, "reason", reason, sizeof reason);
    text_printf(t, ROLE_WARN, "  ✗  %-34s %s", target, reason);
}

static void lay_step(struct text *t, struct str step)
{
    static const struct {
        const char *step;
        void (*lay)(struct text *t, struct str step);
    } kinds[] = {{"route", lay_route}, {"direct", lay_direct}, {"override", lay_override},
        {"rule", lay_rule}, {"candidate", lay_candidate}, {"rejected", lay_rejected}};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (json_text_eq(json_get(step, STR("step")), str_c(kinds[i].step))) {
            kinds[i].lay(t, step);
            return;
        }
    text_add(t, ROLE_DIM, "  ");
    text_extend(t, ROLE_DIM, step);
}

void why_lay(struct text *t, struct str steps)
{
    struct json_iter it = json_iter(steps);
    struct json_span k, v;
    while (json_next(&it, &k, &v))
        lay_step(t, v.raw);
}
