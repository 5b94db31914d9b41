/* export.c: the present state as a file: the options that differ from their defaults, and what people
 * changed live folded into the routes that it concerns.
 *
 * A switch for everyone replaces the route's targets (what stood there follows as a comment), one for
 * a key or a session becomes a rule in front. What a file can't say, such as a switch of a name that
 * holds a slash, is written as a comment, never left out in silence. */
#include "proxy/config/export.h"
#include "proxy/config/units.h"
#include "store/base/json_span.h"

#include <stdlib.h>

void export_text(struct buf *out, struct str s)
{
    static const char safe[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./$%+";
    static const char *const words[] = {
        "null", "true", "false", "yes", "no", "on", "off", "~", "<<"};
    bool plain = s.n && s.p[0] != '-' && s.p[0] != '%' && s.p[0] != '.';
    for (size_t i = 0; i < s.n && plain; i++) {
        bool inner_colon = s.p[i] == ':' && i && i + 1 < s.n;
        plain = inner_colon || (s.p[i] && strchr(safe, s.p[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        plain = plain && !str_eq_nocase(s, str_c(words[i]));
    if (plain)
        buf_put_str(out, s);
    else
        json_quote(out, s); /* JSON's form is also YAML's */
}

static void export_list(struct buf *out, const struct str *list, size_t n)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < n; i++) {
        buf_puts(out, i ? ", " : "");
        export_text(out, list[i]);
    }
    buf_putc(out, ']');
}

static int64_t load_int(const void *base, const struct option *o)
{
    const char *at = (const char *)base + o->offset;
    int64_t wide;
    int narrow;
    if (o->size == sizeof wide) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    if (o->size == sizeof narrow) {
        memcpy(&narrow, at, sizeof narrow);
        return narrow;
    }
    return *(const bool *)(const void *)at;
}

static struct str load_text(const void *base, const struct option *o)
{
    const char *at = (const char *)base + o->offset;
    struct str s;
    if (o->type == TYPE_CPATH || o->type == TYPE_CURL) {
        const char *c;
        memcpy(&c, at, sizeof c);
        return str_c(c);
    }
    memcpy(&s, at, sizeof s);
    return s;
}

static bool is_text(const struct option *o)
{
    return o->type >= TYPE_TEXT && o->type <= TYPE_ADDRESS;
}

static void put_choice(struct buf *out, const char *choices, int64_t index)
{
    struct str rest = str_c(choices), one;
    while (str_cut(&rest, '|', &one) && index--)
        continue;
    export_text(out, one);
}

static void put_number(struct buf *out, const struct option *o, int64_t v)
{
    if (o->type == TYPE_BOOL)
        buf_puts(out, v ? "yes" : "no");
    else if (o->type == TYPE_ENUM)
        put_choice(out, option_choices(o), v);
    else if (v == 0 && *o->choices)
        buf_puts(out, o->choices);
    else if (o->type == TYPE_SIZE)
        unit_put_size(out, v);
    else if (o->type == TYPE_TIME_US || o->type == TYPE_TIME_MS)
        unit_put_duration(out, o->type == TYPE_TIME_MS ? v * 1000 : v);
    else if (o->type == TYPE_PERCENT)
        unit_put_percent(out, v);
    else if (o->type == TYPE_RATE)
        unit_put_rate(out, v);
    else if (o->type == TYPE_DATE)
        unit_put_date(out, v);
    else
        buf_printf(out, "%lld", (long long)v);
}

static const void *list_of(const void *base, const struct option *o, size_t *n)
{
    const struct str *list;
    memcpy(&list, (const char *)base + o->offset, sizeof list);
    memcpy(n, (const char *)base + o->count_offset, sizeof *n);
    return list;
}

static bool differs(const struct option *o, const void *base, const void *plain)
{
    size_t n;
    if (o->type == TYPE_LIST)
        return list_of(base, o, &n) && n;
    if (is_text(o))
        return !str_eq(load_text(base, o), load_text(plain, o));
    return load_int(base, o) != load_int(plain, o);
}

/* The rows of a section that differ from their defaults. flow: ", key: value" in one line. */
void export_options(
    struct exporter *x, enum section s, const void *base, const char *indent, bool flow)
{
    void *plain = arena_zalloc(&x->arena, 4096);
    if (!plain)
        return;
    options_defaults(&x->reader, s, plain);
    for (size_t i = 0; i < option_count; i++) {
        const struct option *o = &options[i];
        size_t n;
        if (o->section != s || o->type <= TYPE_LATER || !differs(o, base, plain))
            continue;
        if (flow)
            buf_puts(x->out, x->members++ ? ", " : "");
        else
            buf_puts(x->out, indent);
        buf_printf(x->out, "%s: ", o->key);
        if (o->type == TYPE_LIST) {
            const struct str *list = list_of(base, o, &n);
            export_list(x->out, list, n);
        } else if (is_text(o)) {
            export_text(x->out, load_text(base, o));
        } else {
            put_number(x->out, o, load_int(base, o));
        }
        buf_puts(x->out, flow ? "" : "\n");
    }
}

/* "name: { … }" when the section says anything. */
static void put_part(struct exporter *x, const char *name, enum section s, const void *base,
    const char *indent)
{
    size_t start = x->out->n;
    buf_printf(x->out, "%s%s: { ", indent, name);
    x->members = 0;
    export_options(x, s, base, "", true);
    if (x->members)
        buf_puts(x->out, " }\n");
    else
        x->out->n = start;
}

void export_budget(struct buf *out, const struct budget_limit *limits, size_t n)
{
    static const char *const windows[] = {"minute", "hour", "day", "week", "month", "total"};
    buf_puts(out, "{ ");
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "%s%s: ", i ? ", " : "", windows[limits[i].window]);
        unit_put_money(out, limits[i].limit_nano);
    }
    buf_puts(out, " }");
}

static void put_capture_mode(struct buf *out, int mode, int percent)
{
    static const char *const names[] = {"off", "errors", "sample:", "all"};
    buf_puts(out, names[mode]);
    if (mode == CAPTURE_SAMPLE)
        buf_printf(out, "%d%%", percent);
}

static void put_secret(struct buf *out, struct str reference, const char *kind, struct str name,
    size_t index)
{
    if (!str_eq(reference, STR("literal"))) {
        export_text(out, reference);
        return;
    }
    /* a value never leaves: name a variable that the reader has to fill */
    buf_printf(out, "env:POINTSMAN_%s_", kind);
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        buf_putc(out, c >= 'a' && c <= 'z' ? (char)(c - 32) : letter ? c : '_');
    }
    if (index)
        buf_printf(out, "_%zu", index + 1);
}

static void put_provider_keys(struct buf *out, const struct provider *p)
{
    if (p->client_login) {
        buf_puts(out, "    api_key: client\n");
    } else if (p->key_count == 1) {
        buf_puts(out, "    api_key: ");
        put_secret(out, p->keys[0].name, "PROVIDER", p->name, 0);
        buf_putc(out, '\n');
    } else if (p->key_count) {
        buf_puts(out, "    api_keys:\n");
        for (size_t i = 0; i < p->key_count; i++) {
            buf_puts(out, "      - { key: ");
            put_secret(out, p->keys[i].name, "PROVIDER", p->name, i);
            buf_printf(out, ", weight: %u }\n", p->keys[i].weight);
        }
    }
}

static const struct drained *live_drained(const struct config_live *live, struct str name)
{
    for (size_t i = 0; live && i < live->drained_count; i++)
        if (str_eq(live->drained[i].name, name))
            return &live->drained[i];
    return NULL;
}

static void put_provider(
    struct exporter *x, const struct provider *p, const struct config_live *live)
{
    struct buf *out = x->out;
    buf_puts(out, "  ");
    export_text(out, p->name);
    buf_puts(out, ":\n    dialect: ");
    put_choice(out, "openai|openai_responses|anthropic|gemini|azure", p->dialect);
    buf_putc(out, '\n');
    put_provider_keys(out, p);
    struct provider rest = *p;
    rest.dialect = DIALECT_OPENAI; /* written above, also where it is the default */
    const struct drained *drained = live_drained(live, p->name);
    rest.drained = p->drained || drained;
    rest.drained_to = drained ? drained->to : p->drained_to;
    export_options(x, SECTION_PROVIDER, &rest, "    ", false);
    put_part(x, "timeouts", SECTION_TIMEOUTS, p, "    ");
    if (p->header_count) {
        buf_puts(out, "    headers: { ");
        for (size_t i = 0; i < p->header_count; i++) {
            buf_puts(out, i ? ", " : "");
            export_text(out, p->headers[i].name);
            buf_puts(out, ": ");
            export_text(out, p->headers[i].value);
        }
        buf_puts(out, " }\n");
    }
    if (p->http2)
        buf_puts(out, "    http: 2\n");
    buf_printf(out, "    ask_usage: %s\n", p->ask_usage ? "yes" : "no");
}

static void put_key(struct exporter *x, const struct key *k)
{
    struct buf *out = x->out;
    buf_puts(out, "  ");
    export_text(out, k->name);
    buf_puts(out, ":\n    secret: ");
    put_secret(out, k->reference, "KEY", k->name, 0);
    buf_putc(out, '\n');
    export_options(x, SECTION_KEY, k, "    ", false);
    if (k->tags.n) {
        struct str rest = k->tags, one;
        buf_puts(out, "    tags: [");
        for (bool first = true; str_cut(&rest, ',', &one); first = false) {
            buf_puts(out, first ? "" : ", ");
            export_text(out, one);
        }
        buf_puts(out, "]\n");
    }
    if (k->budget_count) {
        buf_puts(out, "    budget: ");
        export_budget(out, k->budgets, k->budget_count);
        buf_putc(out, '\n');
    }
    if (k->capture >= 0) {
        buf_puts(out, "    capture: ");
        put_capture_mode(out, k->capture, k->capture_percent);
        buf_putc(out, '\n');
    }
}

static void put_groups(
    struct exporter *x, const char *name, enum section s, const struct group_limits *g, size_t n)
{
    if (n)
        buf_printf(x->out, "\n%s:\n", name);
    for (size_t i = 0; i < n; i++) {
        buf_puts(x->out, "  ");
        export_text(x->out, g[i].name);
        buf_puts(x->out, ": { ");
        x->members = 0;
        if (g[i].budget_count) {
            buf_puts(x->out, "budget: ");
            export_budget(x->out, g[i].budgets, g[i].budget_count);
            x->members++;
        }
        export_options(x, s, &g[i], "", true);
        buf_puts(x->out, " }\n");
    }
}

static void put_access(struct exporter *x, const struct config *c)
{
    static const char *const names[] = {"", "viewer", "operator", "admin"};
    if (!c->access.group.n && !c->access.role_count && c->access.bodies == BODIES_OWN)
        return;
    buf_puts(x->out, "access:\n");
    export_options(x, SECTION_ACCESS, c, "  ", false);
    if (c->access.role_count)
        buf_puts(x->out, "  roles:\n");
    for (int role = ROLE_ADMIN; role > ROLE_NONE; role--) {
        bool any = false;
        for (size_t i = 0; i < c->access.role_count; i++) {
            if ((int)c->access.roles[i].role != role)
                continue;
            buf_printf(x->out, any ? ", " : "    %s: [", names[role]);
            export_text(x->out, c->access.roles[i].who);
            any = true;
        }
        buf_puts(x->out, any ? "]\n" : "");
    }
}

static void put_settings(struct exporter *x, const struct config *c)
{
    export_options(x, SECTION_TOP, c, "", false);
    put_access(x, c);
    size_t start = x->out->n;
    buf_puts(x->out, "capture: { ");
    x->members = 0;
    if (c->capture.mode_given) {
        buf_puts(x->out, "bodies: ");
        put_capture_mode(x->out, c->capture.mode, c->capture.sample_percent);
        x->members++;
    }
    export_options(x, SECTION_CAPTURE, c, "", true);
    if (x->members)
        buf_puts(x->out, " }\n");
    else
        x->out->n = start;
    put_part(x, "limits", SECTION_LIMITS, c, "");
    put_part(x, "alarms", SECTION_ALARMS, c, "");
    put_part(x, "notify", SECTION_NOTIFY, c, "");
}

static void put_keys(struct exporter *x, const struct config *c, const struct config_live *live)
{
    if (c->key_count)
        buf_puts(x->out, "\nkeys:\n");
    for (size_t i = 0; i < c->key_count; i++)
        put_key(x, &c->keys[i]);
    for (size_t i = 0; live && i < live->key_count; i++)
        if (!live->keys[i]->from_file)
            buf_printf(x->out,
                "# key " STR_FMT " (" STR_FMT ") was made live and is kept in the store\n",
                STR_ARG(live->keys[i]->name), STR_ARG(live->keys[i]->shown));
}

void config_export(const struct config *c, const struct config_live *live, struct buf *out)
{
    struct exporter *x = calloc(1, sizeof *x);
    if (!x) {
        out->err = -ERR_NOMEM;
        return;
    }
    struct config_request none = {0};
    arena_init(&x->arena, 16 << 10, 64 << 20);
    x->out = out;
    x->reader = (struct reader){.q = &none, .a = &x->arena, .complaints = config_complaints_new(),
        .home = getenv("HOME") ? getenv("HOME") : "/"};
    buf_puts(out, "# The present state of the gateway, as a configuration file.\n");
    put_settings(x, c);
    buf_puts(out, c->provider_count ? "\nproviders:\n" : "");
    for (size_t i = 0; i < c->provider_count; i++)
        if (!c->providers[i].demo)
            put_provider(x, &c->providers[i], live);
    export_routes(x, c, live);
    put_keys(x, c, live);
    put_groups(x, "teams", SECTION_TEAM, c->teams, c->team_count);
    put_groups(x, "tags", SECTION_TAG, c->tags, c->tag_count);
    export_prices(x, c);
    config_complaints_free(x->reader.complaints);
    arena_fini(&x->arena);
    free(x);
}
