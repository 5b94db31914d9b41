/* config.c: the way from a path (or nothing) to a checked struct config: read the file, build the
 * tree, let the table walk it, look at the whole, note each object's text. */
#include "proxy/config/check.h"
#include "proxy/config/environment.h"
#include "proxy/config/objects.h"
#include "proxy/config/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Unix users, @groups or *. */
static void add_roles(struct reader *r, const struct yaml *n, struct str path, enum role role,
    struct role_entry *to, size_t *count, size_t most)
{
    const struct str *names = NULL;
    size_t n_names = 0;
    read_texts(r, n, path, &names, &n_names);
    for (size_t i = 0; i < n_names && *count < most; i++) {
        if (!names[i].n || str_eq(names[i], STR("@")))
            complain(r, n, path, ERR_SYNTAX, "expected a user's name, @group or *");
        else
            to[(*count)++] = (struct role_entry){names[i], role};
    }
}

void parse_access_roles(struct reader *r, const struct yaml *map, struct str path)
{
    static const struct {
        const char *name;
        enum role role;
    } roles[] = {{"admin", ROLE_ADMIN}, {"operator", ROLE_OPERATOR}, {"viewer", ROLE_VIEWER}};
    size_t count = 0, most = map->weight;
    struct role_entry *to = arena_zalloc(r->a, most * sizeof *to + 1);
    if (map->kind != YAML_MAP || !to) {
        complain(r, map, path, ERR_TYPE, "expected { admin: [alice], viewer: [\"*\"] }");
        return;
    }
    for (const struct yaml *c = map->first; c; c = c->next) {
        struct nearest near = {.asked = c->key};
        struct str at = path_join(r, path, c->key);
        char guess[96];
        size_t i = 0;
        while (i < ARRAY_LEN(roles) && !str_eq(str_c(roles[i].name), c->key))
            nearest_offer(&near, str_c(roles[i++].name));
        if (i == ARRAY_LEN(roles))
            complain_key(r, c, at, ERR_UNKNOWN, "unknown role; known are admin, operator, viewer%s",
                nearest_text(&near, guess));
        else if (c->kind != YAML_NULL)
            add_roles(r, c, at, roles[i].role, to, &count, most);
    }
    r->c->access.roles = to;
    r->c->access.role_count = count;
}

static void part_special(struct reader *r, const struct option *o, const struct yaml *n,
    struct str path, void *ctx)
{
    (void)ctx;
    int mode = CAPTURE_ALL;
    if (o->section == SECTION_ACCESS) {
        parse_access_roles(r, n, path);
        return;
    }
    read_capture(r, n, path, &mode, &r->c->capture.sample_percent); /* capture.bodies */
    r->c->capture.mode = (enum capture_mode)mode;
    r->c->capture.mode_given = true;
}

static void top_special(
    struct reader *r, const struct option *o, const struct yaml *n, struct str path, void *ctx)
{
    (void)ctx;
    struct config *c = r->c;
    static const struct {
        const char *key;
        enum section section;
    } parts[] = {{"access", SECTION_ACCESS}, {"capture", SECTION_CAPTURE},
        {"limits", SECTION_LIMITS}, {"alarms", SECTION_ALARMS}, {"notify", SECTION_NOTIFY}};
    struct str key = str_c(o->key);
    if (str_eq(key, STR("capture")) && n->kind == YAML_TEXT) { /* a word alone sets bodies */
        static const struct option bodies = {.section = SECTION_CAPTURE, .key = "bodies"};
        part_special(r, &bodies, n, path, NULL);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (str_eq(key, str_c(parts[i].key)))
            options_read(r, n, path, parts[i].section, c, part_special, NULL);
    if (str_eq(key, STR("teams")))
        parse_groups(r, n, "teams", SECTION_TEAM, &c->teams, &c->team_count);
    else if (str_eq(key, STR("tags")))
        parse_groups(r, n, "tags", SECTION_TAG, &c->tags, &c->tag_count);
    else if (str_eq(key, STR("prices")))
        parse_prices(r, n);
    /* providers, routes, keys follow in the order that they need each other */
}

static void set_defaults(struct reader *r)
{
    static const enum section of_config[] = {SECTION_TOP, SECTION_ACCESS, SECTION_CAPTURE,
        SECTION_LIMITS, SECTION_ALARMS, SECTION_NOTIFY};
    for (size_t i = 0; i < ARRAY_LEN(of_config); i++)
        options_defaults(r, of_config[i], r->c);
    r->c->capture.mode = CAPTURE_ALL;
}

static void override_from_argv(struct reader *r)
{
    struct config *c = r->c;
    if (r->q->listen.n)
        c->listen = arena_str(r->a, r->q->listen);
    if (r->q->data.n)
        c->data = arena_str(r->a, r->q->data);
    if (r->q->socket.n)
        c->socket = arena_str(r->a, r->q->socket);
    if (!c->socket.n)
        c->socket = arena_printf(r->a, STR_FMT "/control.sock", STR_ARG(c->data));
}

static bool zone_exists(struct str name)
{
    char path[160];
    if (str_eq(name, STR("UTC")))
        return true;
    if (!name.n || name.n > 64 || *name.p == '/' || str_find(name, STR("..")) >= 0)
        return false;
    snprintf(path, sizeof path, "/usr/share/zoneinfo/" STR_FMT, STR_ARG(name));
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static void walk_file(struct reader *r, const struct yaml *root)
{
    struct config *c = r->c;
    options_read(r, root, STR(""), SECTION_TOP, c, top_special, NULL);
    override_from_argv(r);
    r->listen = c->listen;
    if (c->credits_per_dollar && 1000000000 % c->credits_per_dollar)
        complain(r, yaml_get(root, "credits_per_dollar"), STR("credits_per_dollar"), ERR_RANGE,
            "is %lld; a credit must be a whole number of nano-dollars: 1, 100, 1000, 500000 …",
            (long long)c->credits_per_dollar);
    if (yaml_get(root, "timezone") && !zone_exists(c->timezone))
        complain(r, yaml_get(root, "timezone"), STR("timezone"), ERR_UNKNOWN,
            "no time zone is called \"" STR_FMT "\"; expected a name such as Europe/Berlin",
            STR_ARG(str_first(c->timezone, 60)));
    check_addresses(r, yaml_get(root, "trusted_proxies"), STR("trusted_proxies"),
        c->trusted_proxies, c->trusted_proxy_count);
    if (yaml_get(root, "providers"))
        parse_providers(r, yaml_get(root, "providers"));
    if (yaml_get(root, "routes"))
        parse_routes(r, yaml_get(root, "routes"));
    if (yaml_get(root, "keys"))
        parse_keys(r, yaml_get(root, "keys"));
    check_config(r, root);
}

/* The whole file into the arena; STR_NULL after a complaint. */
static struct str read_whole(struct reader *r, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || S_ISDIR(st.st_mode)) {
        complain(r, NULL, STR(""), ERR_IO, "can't read the configuration: %s",
            fd >= 0 ? "it is a folder" : strerror(errno));
        if (fd >= 0)
            close(fd);
        return STR_NULL;
    }
    r->file_mode = st.st_mode & 0777;
    char *bytes = arena_alloc(r->a, YAML_BYTES_MAX + 2);
    size_t n = 0;
    ssize_t got = 0;
    while (bytes && n < YAML_BYTES_MAX + 1 &&
           (got = read(fd, bytes + n, YAML_BYTES_MAX + 1 - n)) > 0)
        n += (size_t)got;
    close(fd);
    if (got < 0 || !bytes)
        complain(r, NULL, STR(""), ERR_IO, "can't read the configuration: %s", strerror(errno));
    return got < 0 || !bytes ? STR_NULL : str_n(bytes, n);
}

/* `root` with what was edited live laid over it; NULL after a complaint. */
static const struct yaml *with_overlay(struct reader *r, const struct yaml *root)
{
    struct yaml_fault f;
    if (!r->q->overlay.n)
        return root;
    struct yaml *over = yaml_read(r->q->overlay, r->a, &f);
    if (!over) {
        complain(r, NULL, STR("live edit"), ERR_SYNTAX, "%s", f.text);
        return NULL;
    }
    root = overlay_lay(root, over, r->a);
    if (!root)
        complain(r, NULL, STR(""), ERR_NOMEM, "out of memory");
    return root;
}

static void load_file(struct reader *r)
{
    const struct config_request *q = r->q;
    struct yaml_fault f;
    r->c->file = arena_str(r->a, str_c(q->path ? q->path : ""));
    complaints_name_file(r->complaints, r->c->file);
    struct str text = q->text.p ? q->text : read_whole(r, q->path);
    struct stat st;
    if (q->text.p && q->path && stat(q->path, &st) == 0)
        r->file_mode = st.st_mode & 0777;
    if (!text.p)
        return;
    const struct yaml *root = yaml_read(text, r->a, &f);
    if (!root) {
        complain_at(r->complaints, f.line, f.column, "%s", f.text);
        return;
    }
    objects_from_file(r, root);
    root = with_overlay(r, root);
    if (root)
        walk_file(r, root);
}

static void load_environment(struct reader *r)
{
    struct config *c = r->c;
    override_from_argv(r);
    r->listen = c->listen;
    struct provider *to = arena_zalloc(r->a, provider_row_count * sizeof *to);
    if (!to)
        return;
    c->provider_count = environment_providers(r, to);
    c->providers = to;
    for (size_t i = 0; i < c->provider_count; i++)
        to[i].id = config_stable_id(CONFIG_ID_PROVIDER, to[i].name);
    objects_from_environment(r);
    static const struct yaml nothing = {.kind = YAML_MAP, .weight = 1};
    const struct yaml *root = r->q->overlay.n ? with_overlay(r, &nothing) : NULL;
    if (root)
        walk_file(r, root);
}

static void add_demo_prices(struct reader *r)
{
    struct yaml_fault f;
    const struct yaml *map = r->q->demo_prices.n ? yaml_read(r->q->demo_prices, r->a, &f) : NULL;
    if (map && !r->c->price_override_count) /* a file that names prices says them all */
        parse_prices(r, map);
}

static void add_demo(struct reader *r)
{
    const struct config_request *q = r->q;
    struct config *c = r->c;
    if (!q->demo_url || (c->provider_count && !q->demo_always))
        return;
    struct provider *to = arena_zalloc(r->a, (c->provider_count + 1) * sizeof *to);
    struct str *models = arena_zalloc(r->a, q->demo_model_count * sizeof *models + 1);
    if (!to || !models)
        return;
    if (c->provider_count)
        memcpy(to, c->providers, c->provider_count * sizeof *to);
    struct provider *p = &to[c->provider_count];
    p->name = STR("demo");
    p->id = config_stable_id(CONFIG_ID_PROVIDER, p->name);
    options_defaults(r, SECTION_PROVIDER, p);
    options_defaults(r, SECTION_TIMEOUTS, p);
    p->base_url = arena_str(r->a, str_c(q->demo_url));
    p->demo = p->ask_usage = true;
    for (size_t i = 0; i < q->demo_model_count; i++)
        models[i] = arena_str(r->a, q->demo_models[i]);
    p->models = models;
    p->model_count = q->demo_model_count;
    c->providers = to;
    c->provider_count++;
    add_demo_prices(r);
}

int config_load(
    const struct config_request *q, struct config **out, struct config_complaints *faults)
{
    struct config_owner *o = config_owner_new();
    struct reader r = {.q = q, .owner = o, .complaints = faults};
    *out = NULL;
    if (!o) {
        complain(&r, NULL, STR(""), ERR_NOMEM, "out of memory");
        return -ERR_NOMEM;
    }
    r.c = &o->config;
    r.a = &o->arena;
    r.home = getenv("HOME") ? getenv("HOME") : "/";
    set_defaults(&r);
    if (q->path || q->text.p)
        load_file(&r);
    else
        load_environment(&r);
    add_demo(&r);
    complaints_sort(faults);
    if (config_fault_count(faults)) {
        config_put(&o->config);
        return -ERR_SYNTAX;
    }
    *out = &o->config;
    return 0;
}

static struct str place_of(struct reader *r, const struct yaml *root, const char *key)
{
    const struct yaml *n = yaml_get(root, key);
    return n && n->kind == YAML_TEXT ? expand_home(r, n->text) : STR_NULL;
}

bool config_where(const struct config_request *q, char *data, size_t data_size, char *socket,
    size_t socket_size)
{
    struct arena a;
    struct yaml_fault f;
    struct config_complaints *ignored = config_complaints_new();
    arena_init(&a, 16 << 10, 64 << 20);
    struct reader r = {.q = q, .a = &a, .complaints = ignored, .home = getenv("HOME")};
    r.home = r.home ? r.home : "/";
    struct str text = q->text.p ? q->text : q->path && ignored ? read_whole(&r, q->path) : STR_NULL;
    const struct yaml *root = text.p ? yaml_read(text, &a, &f) : NULL;
    struct str at = q->data.n ? q->data : place_of(&r, root, "data");
    at = at.n ? at : expand_home(&r, STR("~/.local/share/pointsman"));
    struct str sock = q->socket.n ? q->socket : place_of(&r, root, "socket");
    int n = snprintf(data, data_size, STR_FMT, STR_ARG(at));
    int m = sock.n ? snprintf(socket, socket_size, STR_FMT, STR_ARG(sock))
                   : snprintf(socket, socket_size, "%s/control.sock", data);
    config_complaints_free(ignored);
    arena_fini(&a);
    return n >= 0 && (size_t)n < data_size && m >= 0 && (size_t)m < socket_size;
}

bool config_default_path(char *out, size_t size)
{
    const char *named = getenv("POINTSMAN_CONFIG"), *home = getenv("HOME");
    if (named && *named) {
        snprintf(out, size, "%s", named);
        return true; /* named: a file that is not there is an error, not a reason to look elsewhere
                      */
    }
    snprintf(out, size, "%s/.config/pointsman/pointsman.yaml", home ? home : "");
    return home && access(out, F_OK) == 0;
}
