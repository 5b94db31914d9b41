/* parse_key.c: virtual keys, teams and tags: who may, how fast, how much. Budgets are read here for
 * routes too. */
#include "proxy/config/options.h"
#include "proxy/config/units.h"

#include <arpa/inet.h>

enum { KEYS_MAX = 10000, GROUPS_MAX = 10000, TAGS_BYTES = 400 };

static const char window_names[] = "minute|hour|day|week|month|total";

static bool budget_window(struct str name, struct nearest *near, int *window)
{
    struct str rest = str_c(window_names), one;
    for (*window = 0; str_cut(&rest, '|', &one); ++*window) {
        if (str_eq(one, name))
            return true;
        nearest_offer(near, one);
    }
    return false;
}

struct budgets {
    struct budget_limit limits[WINDOW_COUNT];
    size_t count;
};

static void budget_add(struct reader *r, const struct yaml *n, struct str path, struct str window,
    struct str amount, struct budgets *to)
{
    struct nearest near = {.asked = window};
    struct err e;
    char guess[96];
    int w;
    int64_t nano;
    if (!budget_window(window, &near, &w)) {
        complain(r, n, path, ERR_UNKNOWN,
            "\"" STR_FMT "\" is no window; known are minute, hour, day, "
            "week, month, total%s",
            STR_ARG(str_first(window, 40)), nearest_text(&near, guess));
        return;
    }
    if (unit_money(amount, &nano, &e) < 0) {
        complain(r, n, path, e.code, "%s", e.text);
        return;
    }
    if (nano == 0) {
        complain(r, n, path, ERR_RANGE,
            "an amount of zero is no budget: leave it out for no limit, or "
            "set `paused: yes` to refuse everything");
        return;
    }
    for (size_t i = 0; i < to->count; i++) {
        if (to->limits[i].window == (enum window)w) {
            complain(r, n, path, ERR_DUPLICATE, "this window is given twice");
            return;
        }
    }
    to->limits[to->count++] = (struct budget_limit){(enum window)w, nano};
}

/* "20/week", "5/day, 200/total" */
static void budget_from_text(
    struct reader *r, const struct yaml *n, struct str path, struct budgets *to)
{
    struct str rest, one;
    if (!read_text(r, n, path, &rest))
        return;
    while (str_cut(&rest, ',', &one)) {
        one = str_trim(one);
        ptrdiff_t slash = str_chr(one, '/');
        if (slash < 0)
            complain(r, n, path, ERR_SYNTAX,
                "is \"" STR_FMT "\"; expected an amount and a window such "
                "as 20/week or { day: $5, total: $200 }",
                STR_ARG(str_first(one, 60)));
        else
            budget_add(
                r, n, path, str_from(one, (size_t)slash + 1), str_first(one, (size_t)slash), to);
    }
}

void read_budget(struct reader *r, const struct yaml *n, struct str path,
    const struct budget_limit **out, size_t *count)
{
    struct budgets b = {.count = 0};
    if (n->kind == YAML_TEXT) {
        budget_from_text(r, n, path, &b);
    } else if (n->kind == YAML_MAP) {
        for (const struct yaml *c = n->first; c; c = c->next) {
            struct str at = path_join(r, path, c->key), amount = STR_NULL;
            if (c->kind == YAML_NULL)
                complain_key(
                    r, c, at, ERR_RANGE, "an empty amount is no budget: leave the line out");
            else if (read_text(r, c, at, &amount))
                budget_add(r, c, at, c->key, amount, &b);
        }
    } else {
        complain(r, n, path, ERR_TYPE, "expected { day: $5, total: $200 } or 20/week");
    }
    struct budget_limit *kept = arena_alloc(r->a, sizeof b.limits);
    if (!kept)
        return;
    memcpy(kept, b.limits, sizeof b.limits);
    *out = kept;
    *count = b.count;
}

void read_capture(struct reader *r, const struct yaml *n, struct str path, int *mode, int *percent)
{
    struct str text;
    struct err e;
    int64_t ppm;
    if (!read_text(r, n, path, &text))
        return;
    if (!str_starts(text, STR("sample:"))) {
        static const int modes[] = {CAPTURE_OFF, CAPTURE_ERRORS, CAPTURE_ALL};
        int i;
        if (read_enum(r, n, path, "off|errors|all|sample:10%", &i))
            *mode = modes[i];
        return;
    }
    if (unit_percent(str_from(text, 7), &ppm, &e) < 0 || ppm < 10000 || ppm > 1000000 ||
        ppm % 10000) {
        complain(r, n, path, ERR_RANGE, "is \"" STR_FMT "\"; expected sample:1%% to sample:100%%",
            STR_ARG(str_first(text, 60)));
        return;
    }
    *mode = CAPTURE_SAMPLE;
    *percent = (int)(ppm / 10000);
}

bool read_count(struct reader *r, const struct yaml *n, struct str path, int64_t least,
    int64_t most, int64_t *out)
{
    struct str text;
    struct err e;
    if (!read_text(r, n, path, &text))
        return false;
    if (unit_count(text, out, &e) < 0) {
        complain(r, n, path, e.code, "%s", e.text);
        return false;
    }
    if (*out < least || *out > most) {
        complain(r, n, path, ERR_RANGE, "is " STR_FMT "; allowed is %lld to %lld",
            STR_ARG(str_first(text, 40)), (long long)least, (long long)most);
        return false;
    }
    return true;
}

/* { env: prod } and [env:prod] become "env:prod,team:x", as records carry them. */
static void parse_tags(struct reader *r, const struct yaml *n, struct str path, struct str *out)
{
    struct buf b;
    buf_init(&b, 1024);
    if (n->kind == YAML_TEXT) {
        buf_put_str(&b, n->text);
    } else {
        for (const struct yaml *c = n->first; c; c = c->next) {
            struct str text;
            if (!read_text(r, c, path, &text))
                continue;
            if (str_chr(text, ',') >= 0 || str_chr(c->key, ',') >= 0)
                complain(r, c, path, ERR_SYNTAX, "a tag may not hold a comma");
            buf_puts(&b, b.n ? "," : "");
            if (n->kind == YAML_MAP)
                buf_printf(&b, STR_FMT ":", STR_ARG(c->key));
            buf_put_str(&b, text);
        }
    }
    size_t count = 0;
    struct str rest = buf_str(&b), one;
    while (rest.n && str_cut(&rest, ',', &one))
        count += str_trim(one).n > 0;
    if (b.err || b.n > TAGS_BYTES || count > KEY_TAGS)
        complain(r, n, path, ERR_LIMIT, "a key has at most %d tags of %d characters together",
            KEY_TAGS, TAGS_BYTES);
    else
        *out = arena_str(r->a, buf_str(&b));
    buf_fini(&b);
}

static bool address_or_range(struct str s)
{
    char text[64];
    unsigned char address[16];
    uint64_t bits;
    ptrdiff_t slash = str_chr(s, '/');
    struct str host = slash < 0 ? s : str_first(s, (size_t)slash);
    if (host.n >= sizeof text)
        return false;
    str_copy(text, sizeof text, host);
    bool four = inet_pton(AF_INET, text, address) == 1;
    if (!four && inet_pton(AF_INET6, text, address) != 1)
        return false;
    return slash < 0 ||
           (str_to_u64(str_from(s, (size_t)slash + 1), &bits) && bits <= (four ? 32 : 128));
}

void check_addresses(
    struct reader *r, const struct yaml *n, struct str path, const struct str *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!address_or_range(list[i]))
            complain(r, n, path, ERR_SYNTAX, "\"" STR_FMT "\" is no address and no range such as "
                "10.0.0.0/8", STR_ARG(str_first(list[i], 60)));
}

static void key_special(
    struct reader *r, const struct option *o, const struct yaml *n, struct str path, void *ctx)
{
    struct key *k = ctx;
    struct str key = str_c(o->key), reference;
    if (str_eq(key, STR("secret"))) {
        if (n->kind == YAML_TEXT && str_eq(n->text, STR("client")))
            complain(r, n, path, ERR_RANGE, "client is for providers; give env:NAME or file:/path");
        else if (read_secret(r, n, path, SECRET_CALLER, &reference, &k->secret, NULL))
            k->reference = reference;
    } else if (str_eq(key, STR("tags"))) {
        parse_tags(r, n, path, &k->tags);
    } else if (str_eq(key, STR("budget"))) {
        read_budget(r, n, path, &k->budgets, &k->budget_count);
    } else if (str_eq(key, STR("capture"))) {
        read_capture(r, n, path, &k->capture, &k->capture_percent);
    }
}

static void shown_form(struct reader *r, struct key *k)
{
    size_t n = k->secret.n;
    if (n)
        k->shown =
            arena_printf(r->a, "%s…" STR_FMT, str_starts(k->secret, STR("sk-pm-")) ? "sk-pm-" : "",
                STR_ARG(str_from(k->secret, n - 4)));
}

static void check_same_secret(struct reader *r, const struct yaml *n, struct str path,
    const struct key *keys, size_t count)
{
    const struct key *k = &keys[count];
    for (size_t i = 0; i < count && k->secret.n; i++)
        if (str_eq(keys[i].secret, k->secret))
            complain_key(r, n, path, ERR_DUPLICATE, "has the same secret as keys." STR_FMT,
                STR_ARG(keys[i].name));
}

void parse_keys(struct reader *r, const struct yaml *map)
{
    struct key *to = arena_zalloc(r->a, map->count * sizeof *to + 1);
    if (map->kind != YAML_MAP || map->count > KEYS_MAX || !to) {
        complain(r, map, STR("keys"), ERR_TYPE, "expected a map of at most %d keys", KEYS_MAX);
        return;
    }
    size_t count = 0;
    for (const struct yaml *n = map->first; n; n = n->next) {
        struct str path = path_join(r, STR("keys"), n->key);
        struct key *k = &to[count];
        if (!check_name(r, n, path))
            continue;
        k->name = n->key;
        k->from_file = true;
        k->capture = -1;
        options_read(r, n, path, SECTION_KEY, k, key_special, k);
        check_addresses(r, yaml_get(n, "sources"), path_join(r, path, STR("sources")), k->sources,
            k->source_count);
        shown_form(r, k);
        check_same_secret(r, n, path, to, count);
        count++;
    }
    r->c->keys = to;
    r->c->key_count = count;
}

static void group_special(struct reader *r, const struct option *o, const struct yaml *n,
    struct str path, void *ctx)
{
    (void)o; /* `budget` is the only one */
    struct group_limits *g = ctx;
    read_budget(r, n, path, &g->budgets, &g->budget_count);
}

void parse_groups(struct reader *r, const struct yaml *map, const char *where, enum section s,
    const struct group_limits **out, size_t *count)
{
    struct group_limits *to = arena_zalloc(r->a, map->count * sizeof *to + 1);
    if (map->kind != YAML_MAP || map->count > GROUPS_MAX || !to) {
        complain(r, map, str_c(where), ERR_TYPE, "expected a map of at most %d names", GROUPS_MAX);
        return;
    }
    size_t n = 0;
    for (const struct yaml *c = map->first; c; c = c->next) {
        to[n].name = c->key;
        options_read(r, c, path_join(r, str_c(where), c->key), s, &to[n], group_special, &to[n]);
        n++;
    }
    *out = to;
    *count = n;
}
