/* doctor.c: looks for what is wrong here and says how to mend it: configuration, data folder and its
 * files, disk, socket and its group, port, clock, terminal, descriptors, providers, variables that lead
 * in a circle. Changes nothing. Whether the providers take their keys is asked of the running gateway
 * (tui/cli_config.c): only it has them. */
#include "proxy/admin/source.h"
#include "proxy/config/config.h"
#include "proxy/config/sealed.h"
#include "proxy/http/http.h"
#include "proxy/offline.h"
#include "store/base/clock.h"
#include "store/base/json.h"
#include "store/base/secret.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
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

static bool names_sealed(const struct config *c)
{
    for (size_t i = 0; i < c->provider_count; i++)
        for (size_t k = 0; k < c->providers[i].key_count; k++)
            if (str_starts(c->providers[i].keys[k].name, STR("sealed:")))
                return true;
    return false;
}

/* What lies in the folder holds prompts and what they cost: nobody else's, for nobody else. */
static void look_at_files(struct doctor *d, const char *dir)
{
    DIR *folder = opendir(dir);
    unsigned files = 0, bad = 0;
    for (struct dirent *e; folder && (e = readdir(folder));) {
        struct stat st;
        if (e->d_name[0] == '.' || fstatat(dirfd(folder), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            S_ISSOCK(st.st_mode))
            continue;
        files++;
        bad += st.st_uid != geteuid() || (st.st_mode & 077);
        if (st.st_uid != geteuid())
            say(d, WRONG, "store", "%s/%s belongs to uid %u: chown it, or run as that user", dir,
                e->d_name, (unsigned)st.st_uid);
        else if (st.st_mode & 077)
            say(d, WRONG, "store", "%s/%s can be read or written by others (%03o): chmod go= %s/%s",
                dir, e->d_name, (unsigned)(st.st_mode & 0777), dir, e->d_name);
    }
    if (folder)
        closedir(folder);
    if (files && !bad)
        say(d, GOOD, "store", "%u files in the data folder, closed to others", files);
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
    look_at_files(d, dir);
    if (statvfs(dir, &fs) == 0) {
        unsigned long long mib = (unsigned long long)fs.f_bavail * fs.f_frsize >> 20;
        say(d, mib < FREE_ENOUGH_MIB ? WORRY : GOOD, "disk", "%llu MiB free%s", mib,
            mib < FREE_ENOUGH_MIB ? ": records wait in the spool when it is full; make room" : "");
    }
}

/* Sealed provider keys are worth what their master key's place is worth. How many there are, and do they
 * open, only the store's user knows: a running gateway is asked (tui/cli_config.c). */
static void look_at_master_key(struct doctor *d, const struct config *c)
{
    struct secret_sources q = {.variable = str_c(getenv("POINTSMAN_MASTER_KEY"))};
    struct secret_box *box = NULL;
    struct err e = {0};
    char path[4096], inside[4200];
    const char *from = "";
    sealed_key_file(c, path, sizeof path);
    q.key_file = path;
    int rc = secret_box_new(&box, &q, &from, &e);
    secret_box_free(box);
    snprintf(inside, sizeof inside, STR_FMT "/", STR_ARG(c->data));
    if (rc == -ERR_MISSING && names_sealed(c))
        say(d, WRONG, "secrets", "%s, and the configuration names sealed keys: bring it back, or seal "
            "them (pointsman provider seal NAME)", e.text);
    else if (rc == -ERR_MISSING)
        return; /* nothing is sealed here, as far as one sees */
    else if (rc < 0)
        say(d, WRONG, "secrets", "%s", e.text);
    else if (str_starts(str_c(from), str_c(inside)))
        say(d, WORRY, "secrets", "master key %s lies beside the store: whoever copies the folder has both; move "
            "it and say `master_key: PATH`", from);
    else
        say(d, GOOD, "secrets", "master key %s", from);
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

/* With no gateway of ours running the port must be free. */
static void look_at_port(struct doctor *d, struct str listen)
{
    struct err e = {0};
    int port = 0, fd = d->o->socket_in_use ? -1 : http_listen_tcp(listen, false, &port, &e);
    if (fd >= 0) {
        close(fd);
        say(d, GOOD, "port", STR_FMT " is free", STR_ARG(listen));
    } else if (!d->o->socket_in_use) {
        say(d, WRONG, "port", "%s", e.text);
    }
}

/* Budget windows, keys that end and TLS certificates stand on it. */
static void look_at_clock(struct doctor *d)
{
    static const int64_t built_ms = 1767225600000; /* 2026-01-01 */
    struct timex t = {0};
    int state = adjtimex(&t);
    if (clock_wall_ms() < built_ms)
        say(d, WRONG, "clock", "it stands before 2026: set it, or budgets and certificates go wrong");
    else if (state >= 0 && (t.status & STA_UNSYNC))
        say(d, WORRY, "clock", "nothing keeps it right: timedatectl set-ntp true");
    else
        say(d, GOOD, "clock", "set");
}

static void look_at_terminal(struct doctor *d)
{
    static const char *const places[] = {"/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo",
        "/usr/lib/terminfo", "/usr/local/share/terminfo"};
    const char *term = getenv("TERM"), *home = getenv("HOME"), *own = getenv("TERMINFO");
    char path[512], mine[300];
    snprintf(mine, sizeof mine, "%.280s/.terminfo", home ? home : "");
    if (!term || !*term || strchr(term, '/')) {
        say(d, WORRY, "terminal", "TERM is not set: the console takes it for xterm-256color");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(places) + 2; i++) {
        const char *place = i == 0 ? (own ? own : mine) : i == 1 ? mine : places[i - 2];
        for (int hex = 0; hex < 2; hex++) {
            snprintf(path, sizeof path, hex ? "%.300s/%02x/%.100s" : "%.300s/%c/%.100s", place, *term,
                term);
            if (access(path, R_OK) == 0) {
                say(d, GOOD, "terminal", "%s", term);
                return;
            }
        }
    }
    say(d, WORRY, "terminal", "\"%s\" is described nowhere here: install ncurses-term, or export "
        "TERM=xterm-256color", term);
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
    if (d->o->socket_in_use && !d->o->config)
        return; /* it found its own in its environment, not in ours, and is asked for them */
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
        look_at_master_key(&d, c);
        look_at_gateway(&d, socket_path);
        look_at_port(&d, c->listen);
        look_at_group(&d, c->access.group);
        look_at_providers(&d, c);
        look_at_variables(&d, c);
        config_put(c);
    }
    look_at_limits(&d);
    look_at_clock(&d);
    look_at_terminal(&d);
    return d.wrong ? 1 : 0;
}
