/* cli_status.c: is it up, end it, start it anew; the console's front door. */
#include "proxy/admin/api.h"
#include "tui/cli_ask.h"
#include "tui/cli_verbs.h"
#include "tui/format.h"
#include "tui/launch.h"
#include "tui/link.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { END_WAIT_MS = 10000 };

int cli_serve(struct cli *c)
{
    return c->hooks->serve(c, false);
}

static int enter(struct cli *c, bool readonly)
{
    if (!c->hooks->console) {
        fputs("pointsman: this build has no console; use ps, tail and show\n", stderr);
        return CLI_FAILED;
    }
    return c->hooks->console(c, c->socket_path, readonly);
}

int cli_attach(struct cli *c)
{
    link_free(c->link);
    c->link = NULL;
    return enter(c, cli_option(c, "readonly") != NULL);
}

int cli_open_console(struct cli *c)
{
    if (!isatty(0) || !isatty(1)) {
        fputs("pointsman: the console needs a terminal; without one use: pointsman serve, status, "
              "ps, tail (see: pointsman help)\n",
            stderr);
        return CLI_USAGE;
    }
    int status = cli_connect(c, true);
    if (status != CLI_DONE)
        return status;
    link_free(c->link);
    c->link = NULL;
    return enter(c, false);
}

int cli_version(struct cli *c)
{
    if (c->json)
        printf("{\"version\":\"%s\",\"api\":%d}\n", POINTSMAN_VERSION, ADMIN_API_VERSION);
    else
        puts("pointsman " POINTSMAN_VERSION);
    return CLI_DONE;
}

/* ---- status ---- */

static void join(const struct json *list, char *out, size_t size)
{
    size_t at = 0;
    out[0] = 0;
    for (const struct json *i = json_first(list); i && at + 2 < size; i = json_following(i)) {
        int n = snprintf(out + at, size - at, "%s%s", at ? ", " : "", json_item_string(i, ""));
        at = MIN(at + (size_t)MAX(n, 0), size - 1);
    }
}

static void print_line(const struct cli *c, const struct json *j)
{
    char rate[FORMAT_MAX], spend[FORMAT_MAX], errors[FORMAT_MAX];
    cli_say(c, "%s/s %lldlive %s%%err %s", format_rate(rate, json_double(j, "req_per_s", 0)),
        (long long)json_int(j, "live", 0), format_share(errors, json_int(j, "err_ppm", 0)),
        format_dollars(spend, json_int(j, "spend_today_nano", 0)));
}

static void print_status(const struct cli *c, const struct json *j)
{
    char text[400], a[FORMAT_MAX], b[FORMAT_MAX];
    const struct json *you = json_member(j, "you"), *capture = json_member(j, "capture");
    join(json_member(j, "listen"), text, sizeof text);
    cli_say(c, "pointsman %s up %s, pid %lld, of %s", json_string(j, "version", "?"),
        format_duration(a, json_int(j, "uptime_s", 0) * 1000), (long long)json_int(j, "pid", 0),
        json_string(j, "owner", "?"));
    cli_say(c, "listening  %s%s", text,
        strcmp(json_string(j, "open_to", ""), "any") == 0 ? "  OPEN TO ANY USER" : "");
    cli_say(c, "socket     %s (you: %s, %s)", json_string(j, "socket", ""),
        json_string(you, "user", ""), json_string(you, "role", ""));
    cli_say(c, "data       %s", json_string(j, "data", ""));
    cli_say(c, "config     %s%s",
        json_string(j, "config_file", "")[0] ? json_string(j, "config_file", "")
                                             : "none (providers from the environment)",
        json_int(j, "drift", 0) ? ", changed live: see pointsman config diff" : "");
    join(json_member(j, "providers"), text, sizeof text);
    cli_say(c, "providers  %s", text[0] ? text : "none");
    cli_say(c, "requests   %lld, %lld live", (long long)json_int(j, "requests", 0),
        (long long)json_int(j, "live", 0));
    cli_say(c, "spend      %s today, %s in the last hour",
        format_dollars(a, json_int(j, "spend_today_nano", 0)),
        format_dollars(b, json_int(j, "spend_hour_nano", 0)));
    cli_say(c, "bodies     %s, kept %s, %s", json_string(capture, "mode", "?"),
        format_duration(a, json_int(capture, "keep_ms", 0)),
        format_bytes(b, json_int(capture, "bytes", 0)));
    for (const struct json *w = json_first(json_member(j, "warnings")); w; w = json_following(w))
        cli_say(c, "warning    %s", json_item_string(w, ""));
}

int cli_status(struct cli *c)
{
    struct reply r;
    int status = cli_get(c, &r, "status");
    if (status != CLI_DONE)
        return status;
    if (cli_option(c, "line"))
        print_line(c, r.json);
    else if (!cli_json(c, &r))
        print_status(c, r.json);
    reply_free(&r);
    return CLI_DONE;
}

/* ---- ending ---- */

static bool socket_answers(struct cli *c)
{
    struct err e = {0};
    struct buf reply;
    int status;
    buf_init(&reply, 1 << 20);
    int rc = link_call(c->link, "GET", "status", STR_NULL, &status, &reply, &e);
    buf_fini(&reply);
    return rc == 0;
}

/* The socket goes before the lock of the data folder: whoever starts another one next needs that. */
static void wait_for_end(int process)
{
    struct pollfd p = {.fd = process, .events = POLLIN};
    if (process < 0)
        return;
    (void)poll(&p, 1, END_WAIT_MS);
    close(process);
}

int cli_down(struct cli *c)
{
    struct reply r;
    int status = cli_post(c, &r, "down", cli_option(c, "now") ? STR("{\"now\":true}") : STR("{}"));
    if (status != CLI_DONE)
        return status;
    int64_t pid = json_int(r.json, "pid", 0), live = json_int(r.json, "live", 0);
    if (!c->quiet && !c->json && live)
        cli_say(c, "%lld requests are still running; waiting for them (Ctrl-C leaves them be)",
            (long long)live);
    int process = pid > 0 ? (int)syscall(SYS_pidfd_open, (pid_t)pid, 0) : -1;
    while (socket_answers(c))
        usleep(100000);
    wait_for_end(process);
    if (!cli_json(c, &r) && !c->quiet)
        cli_say(c, "gateway %lld has ended", (long long)pid);
    reply_free(&r);
    return CLI_DONE;
}

int cli_restart(struct cli *c)
{
    struct reply r;
    int status = cli_get(c, &r, "status");
    if (status != CLI_DONE)
        return status;
    char before[64];
    snprintf(before, sizeof before, "%s", json_string(r.json, "started", ""));
    reply_free(&r);
    status = cli_post(c, &r, "restart", STR("{}"));
    if (status != CLI_DONE)
        return status;
    reply_free(&r);
    for (int i = 0; i < 6000; i++) {
        usleep(100000);
        struct buf text;
        struct err e = {0};
        int code = 0;
        buf_init(&text, 1 << 20);
        bool up = link_call(c->link, "GET", "status", STR_NULL, &code, &text, &e) == 0;
        struct json *j = up ? json_parse(buf_str(&text), NULL) : NULL;
        bool fresh = j && code == 200 && strcmp(json_string(j, "started", ""), before) != 0;
        if (fresh && c->json)
            printf("%s\n", buf_c(&text));
        else if (fresh && !c->quiet)
            cli_say(c, "restarted: pointsman %s, pid %lld", json_string(j, "version", ""),
                (long long)json_int(j, "pid", 0));
        json_free(j);
        buf_fini(&text);
        if (fresh)
            return CLI_DONE;
    }
    fputs("pointsman: the new gateway does not answer; see gateway.log\n", stderr);
    return CLI_FAILED;
}
