/* doctor.c: looks for what is wrong here and says how to mend it: configuration, data folder, socket and
 * its group, descriptors, providers, variables that lead in a circle. Changes nothing. */
#include "proxy/admin/source.h"
#include "proxy/config/config.h"
#include "proxy/offline.h"
#include "store/base/json.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { FILES_ENOUGH = 4096, FREE_ENOUGH_MIB = 512 };
enum verdict { GOOD, WORRY, WRONG };

struct doctor {
    const struct offline *o;
    unsigned wrong;
};

static void say(struct doctor *d, enum verdict v, const char *what, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

static void say(struct doctor *d, enum verdict v, const char *what, const char *fmt, ...)
{
    static const char *const names[] = {"ok", "warn", "wrong"};
    static const char *const signs[] = {"✓ ok   ", "! warn ", "✗ wrong"};
    char text[700];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    d->wrong += v == WRONG;
    if (!d->o->json) {
        if (v != GOOD || !d->o->quiet)
            printf("%s  %-10s %s\n", signs[v], what, text);
        return;
    }
    struct buf out;
    buf_init(&out, 1 << 16);
    struct json_writer w = json_writer(&out);
    json_object_begin(&w, NULL);
    json_put_c(&w, "verdict", names[v]);
    json_put_c(&w, "what", what);
    json_put_c(&w, "text", text);
    json_object_end(&w);
    printf("%s\n", buf_c(&out));
    buf_fini(&out);
}

static struct config *look_at_config(struct doctor *d)
{
    struct source *s = NULL;
    struct err e = {0};
    struct source_options q = {.path = d->o->config, .data = str_c(d->o->data),
        .socket = str_c(d->o->socket)};
    if (source_new(&s, &q, &e) < 0) {
        say(d, WRONG, "config", "%s", e.text);
        return NULL;
    }
    struct config *c = source_load(s, STR_NULL, NULL, &e);
    const char *path = source_path(s);
    if (c)
        say(d, GOOD, "config", "%s", path[0] ? path : "no file: providers from the environment");
    else
        say(d, WRONG, "config", "%s", e.text);
    source_free(s);
    return c;
}

static void look_at_folder(struct doctor *d, const char *dir)
{
    struct stat st;
    struct statvfs fs;
    if (lstat(dir, &st) < 0) {
        say(d, errno == ENOENT ? GOOD : WRONG, "data", "%s: %s", dir,
            errno == ENOENT ? "not there yet; it is made at the first start" : strerror(errno));
        return;
    }
    if (!S_ISDIR(st.st_mode))
        say(d, WRONG, "data", "%s is no folder: move it away or choose another with --data", dir);
    else if (st.st_uid != geteuid())
        say(d, WRONG, "data", "%s belongs to uid %u: chown it, or run as that user", dir,
            (unsigned)st.st_uid);
    else if (st.st_mode & 077)
        say(d, WRONG, "data", "%s can be entered by others (%03o): chmod 700 %s", dir,
            (unsigned)(st.st_mode & 0777), dir);
    else
        say(d, GOOD, "data", "%s", dir);
    if (statvfs(dir, &fs) == 0) {
        unsigned long long mib = (unsigned long long)fs.f_bavail * fs.f_frsize >> 20;
        say(d, mib < FREE_ENOUGH_MIB ? WORRY : GOOD, "disk", "%llu MiB free%s", mib,
            mib < FREE_ENOUGH_MIB ? ": records wait in the spool when it is full; make room" : "");
    }
}

static void look_at_gateway(struct doctor *d, const char *socket_path)
{
    struct stat st;
    if (d->o->socket_in_use)
        say(d, GOOD, "gateway", "answers at %s", d->o->socket_in_use);
    else
        say(d, WORRY, "gateway", "none answers; start one: pointsman serve");
    if (lstat(socket_path, &st) < 0)
        return;
    if (!S_ISSOCK(st.st_mode))
        say(d, WRONG, "socket", "%s is no socket: move it away", socket_path);
    else if (st.st_mode & 007)
        say(d, WRONG, "socket", "%s is open to everybody (%03o): chmod o-rwx", socket_path,
            (unsigned)(st.st_mode & 0777));
    else
        say(d, GOOD, "socket", "%s (%03o)", socket_path, (unsigned)(st.st_mode & 0777));
}

static void look_at_group(struct doctor *d, struct str group)
{
    char name[64];
    gid_t mine[128];
    if (group.n == 0)
        return;
    str_copy(name, sizeof name, group);
    const struct group *g = getgrnam(name);
    if (!g) {
        say(d, WRONG, "group", "access.group: there is no group \"%s\": groupadd %s", name, name);
        return;
    }
    int n = getgroups((int)ARRAY_LEN(mine), mine);
    bool member = getegid() == g->gr_gid;
    for (int i = 0; i < n; i++)
        member = member || mine[i] == g->gr_gid;
    say(d, member ? GOOD : WORRY, "group", member ? "%s: you are in it"
        : "%s: you are not in it in this login: usermod -aG, then log in anew", name);
}

static void look_at_limits(struct doctor *d)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    say(d, files.rlim_max < FILES_ENOUGH ? WORRY : GOOD, "files",
        files.rlim_max < FILES_ENOUGH ? "%llu may be open; a stream takes two: raise ulimit -n"
                                      : "%llu may be open", (unsigned long long)files.rlim_max);
}

static void look_at_providers(struct doctor *d, const struct config *c)
{
    if (c->provider_count == 0)
        say(d, WORRY, "providers", "none: set OPENAI_API_KEY or another provider's key, or write a "
            "configuration");
    for (size_t i = 0; i < c->provider_count; i++) {
        const struct provider *p = &c->providers[i];
        say(d, GOOD, "provider", STR_FMT " at " STR_FMT ", %zu key%s", STR_ARG(p->name),
            STR_ARG(p->base_url), p->key_count, p->key_count == 1 ? "" : "s");
    }
}

/* A provider's variable that leads back to us is a circle. */
static void look_at_variables(struct doctor *d, const struct config *c)
{
    static const char *const names[] = {"OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_BASE_URL",
        "GOOGLE_GEMINI_BASE_URL"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *value = getenv(names[i]);
        if (value && str_find(str_c(value), c->listen) >= 0)
            say(d, GOOD, "clients", "%s leads to this gateway", names[i]);
    }
    static const char *const keys[] = {"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const char *value = getenv(keys[i]);
        if (value && strncmp(value, "sk-pm-", 6) == 0)
            say(d, WORRY, "variables", "%s holds one of our own keys: a gateway started from this "
                "shell finds no provider by it", keys[i]);
    }
}

int offline_doctor(const struct offline *o)
{
    struct doctor d = {o, 0};
    char dir[4096], socket_path[4096];
    struct config *c = look_at_config(&d);
    if (c) {
        str_copy(dir, sizeof dir, c->data);
        str_copy(socket_path, sizeof socket_path, c->socket);
        look_at_folder(&d, dir);
        look_at_gateway(&d, socket_path);
        look_at_group(&d, c->access.group);
        look_at_providers(&d, c);
        look_at_variables(&d, c);
        config_put(c);
    }
    look_at_limits(&d);
    return d.wrong ? 1 : 0;
}
