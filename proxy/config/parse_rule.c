/* parse_rule.c: a route's rules: conditions (conditions.def) and where a request goes that meets
 * them all. */
#include "proxy/config/options.h"
#include "proxy/config/units.h"

static const struct {
    const char *name, *help;
} kinds[] = {
#define X(name, text, help) {text, help},
#include "proxy/config/conditions.def"
#undef X
};

/* ">150k", ">=1k", "<2k", "<=2k", "1k-8k", "4k": with `number` reading one figure. */
static bool range_from(
    struct str s, int (*number)(struct str, int64_t *, struct err *), int64_t *low, int64_t *high)
{
    int64_t v;
    bool or_equal = s.n > 1 && s.p[1] == '=';
    *low = 0;
    *high = INT64_MAX;
    if (s.n && (*s.p == '>' || *s.p == '<')) {
        if (number(str_trim(str_from(s, or_equal ? 2 : 1)), &v, NULL) < 0)
            return false;
        if (*s.p == '>')
            *low = v + !or_equal;
        else
            *high = v - !or_equal;
        return *high >= 0;
    }
    ptrdiff_t dash = str_chr(s, '-');
    if (dash < 0) {
        if (number(s, low, NULL) < 0)
            return false;
        *high = *low;
        return true;
    }
    return number(str_trim(str_first(s, (size_t)dash)), low, NULL) == 0 &&
           number(str_trim(str_from(s, (size_t)dash + 1)), high, NULL) == 0 && *low <= *high;
}

/* "22-06" or "9-12,14-18": the bit mask of hours; the end hour itself is not part. */
static bool hours_from(struct str s, int64_t *mask)
{
    struct str one;
    *mask = 0;
    while (str_cut(&s, ',', &one)) {
        one = str_trim(one);
        ptrdiff_t dash = str_chr(one, '-');
        uint64_t from, to;
        if (!str_to_u64(dash < 0 ? one : str_first(one, (size_t)dash), &from) || from > 23)
            return false;
        if (dash < 0)
            to = from + 1;
        else if (!str_to_u64(str_from(one, (size_t)dash + 1), &to) || to > 24 || to == from)
            return false;
        for (uint64_t h = from; h != to % 24 || !*mask; h = (h + 1) % 24)
            *mask |= (int64_t)1 << h;
    }
    return *mask != 0;
}

static int weekday(struct str s)
{
    static const char *const names[] = {"sunday", "monday", "tuesday", "wednesday", "thursday",
        "friday", "saturday"};
    for (int i = 0; i < 7 && s.n >= 3; i++)
        if (str_starts_nocase(str_c(names[i]), s))
            return i;
    return -1;
}

/* "mon-fri", "sat,sun": both ends are part. */
static bool weekdays_from(struct str s, int64_t *mask)
{
    struct str one;
    *mask = 0;
    while (str_cut(&s, ',', &one)) {
        one = str_trim(one);
        ptrdiff_t dash = str_chr(one, '-');
        int from = weekday(str_trim(dash < 0 ? one : str_first(one, (size_t)dash)));
        int to = dash < 0 ? from : weekday(str_trim(str_from(one, (size_t)dash + 1)));
        if (from < 0 || to < 0)
            return false;
        for (int d = from;; d = (d + 1) % 7) {
            *mask |= (int64_t)1 << d;
            if (d == to)
                break;
        }
    }
    return *mask != 0;
}

/* "x-task: batch" → name in lower case and the pattern of the value. */
static bool header_from(struct reader *r, struct str s, struct condition *c)
{
    ptrdiff_t colon = str_chr(s, ':');
    if (colon <= 0)
        return false;
    char *name = arena_c(r->a, str_trim(str_first(s, (size_t)colon)));
    if (!name)
        return false;
    for (char *p = name; *p; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
    c->text = str_c(name);
    c->value = str_trim(str_from(s, (size_t)colon + 1));
    return c->text.n && c->value.n;
}

static bool condition_from(struct reader *r, struct str text, struct condition *c)
{
    bool flag;
    switch (c->kind) {
    case CONDITION_PROMPT_TOKENS: return range_from(text, unit_count, &c->low, &c->high);
    case CONDITION_BUDGET_USED: return range_from(text, unit_percent, &c->low, &c->high);
    case CONDITION_HOUR: return hours_from(text, &c->low);
    case CONDITION_WEEKDAY: return weekdays_from(text, &c->low);
    case CONDITION_HEADER: return header_from(r, text, c);
    case CONDITION_STREAM:
    case CONDITION_TOOLS:
    case CONDITION_IMAGES:
    case CONDITION_JSON_SCHEMA:
        if (unit_bool(text, &flag, NULL) < 0)
            return false;
        c->low = flag;
        return true;
    default: c->text = text; return text.n > 0;
    }
}

static void parse_condition(struct reader *r, const struct yaml *n, struct str path,
    struct rule *rule, struct condition *to)
{
    struct nearest near = {.asked = n->key};
    struct str text;
    char guess[96];
    size_t kind = 0;
    while (kind < ARRAY_LEN(kinds) && !str_eq(str_c(kinds[kind].name), n->key))
        nearest_offer(&near, str_c(kinds[kind++].name));
    if (kind == ARRAY_LEN(kinds)) {
        complain_key(r, n, path, ERR_UNKNOWN, "unknown condition%s", nearest_text(&near, guess));
        return;
    }
    if (!read_text(r, n, path, &text))
        return;
    to->kind = (enum condition_kind)kind;
    if (!condition_from(r, text, to)) {
        complain(r, n, path, ERR_SYNTAX, "is \"" STR_FMT "\"; expected %s",
            STR_ARG(str_first(text, 60)), kinds[kind].help);
        return;
    }
    to->shown = arena_printf(r->a, "%s " STR_FMT, kinds[kind].name, STR_ARG(str_first(text, 120)));
    rule->condition_count++;
}

static void parse_conditions(struct reader *r, const struct yaml *map, struct str path,
    struct rule *rule)
{
    struct condition *to = arena_zalloc(r->a, map->count * sizeof *to + 1);
    if (map->kind != YAML_MAP || !to) {
        complain(
            r, map, path, ERR_TYPE, "expected conditions such as { prompt_tokens: \">150k\" }");
        return;
    }
    rule->conditions = to;
    for (const struct yaml *c = map->first; c; c = c->next)
        parse_condition(r, c, path_join(r, path, c->key), rule, &to[rule->condition_count]);
}

static bool names_route(struct reader *r, const struct yaml *n, struct str path, struct rule *rule)
{
    struct nearest near = {.asked = n->text};
    char guess[96];
    for (size_t i = 0; i < r->c->route_count; i++) {
        if (str_eq(r->c->routes[i].name, n->text)) {
            rule->route = r->c->routes[i].name;
            return true;
        }
        nearest_offer(&near, r->c->routes[i].name);
    }
    if (str_chr(n->text, '/') >= 0)
        return false; /* a target */
    complain(r, n, path, ERR_UNKNOWN, "no route is called \"" STR_FMT "\", and a target is written "
        "provider/model%s", STR_ARG(str_first(n->text, 60)), nearest_text(&near, guess));
    return true;
}

static void rule_special(
    struct reader *r, const struct option *o, const struct yaml *n, struct str path, void *ctx)
{
    struct rule *rule = ctx;
    if (str_eq(str_c(o->key), STR("if")))
        parse_conditions(r, n, path, rule);
    else if (n->kind != YAML_TEXT || !names_route(r, n, path, rule))
        parse_targets(r, n, path, &rule->targets, &rule->target_count);
}

void parse_rule(
    struct reader *r, const struct yaml *n, struct str path, size_t index, struct rule *rule)
{
    options_read(r, n, path, SECTION_RULE, rule, rule_special, rule);
    if (!rule->name.n)
        rule->name = arena_printf(r->a, "rule %zu", index);
}
