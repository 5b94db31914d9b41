/* welcome.c: see welcome.h. */
#include "tui/screens/welcome.h"

#include "tui/app.h"
#include "tui/format.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void put_path(struct buf *out, struct str path)
{
    bool plain = str_chr(path, ' ') < 0 && str_chr(path, '\'') < 0;
    buf_printf(out, plain ? STR_FMT : "\"" STR_FMT "\"", STR_ARG(path));
}

/* What a shell runs us by: the plain name where that is found, else the path, so that the block works
 * before anything was installed. */
static void put_own_name(struct buf *out)
{
    struct str folders = str_c(getenv("PATH")), folder;
    char path[PATH_MAX];
    while (str_cut(&folders, ':', &folder)) {
        snprintf(path, sizeof path, STR_FMT "/pointsman", STR_ARG(folder));
        if (folder.n && access(path, X_OK) == 0) {
            buf_puts(out, "pointsman");
            return;
        }
    }
    ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    put_path(out, n > 0 && n < (ssize_t)sizeof path ? str_n(path, (size_t)n) : STR("pointsman"));
}

static void put_run(struct app *a, struct buf *out)
{
    put_own_name(out);
    buf_puts(out, " run ");
    if (a->options.socket_named) {
        buf_puts(out, "--socket ");
        put_path(out, str_c(a->options.socket));
        buf_puts(out, " ");
    }
    buf_puts(out, "-- claude\n");
}

/* The key is the one that the first block puts there. */
static void put_curl(const struct gateway *g, const char *base, struct buf *out)
{
    buf_printf(out, "curl %s/v1/chat/completions \\\n", base);
    if (g->keys)
        buf_puts(out, "  -H \"authorization: Bearer $OPENAI_API_KEY\" \\\n");
    buf_printf(out,
        "  -H 'content-type: application/json' \\\n"
        "  -d '{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}'\n",
        g->try_model[0] ? g->try_model : "MODEL");
}

static const char *const titles[] = {"OpenAI clients", "Anthropic clients", "an agent", "curl"};

const char *welcome_title(size_t n)
{
    return n < ARRAY_LEN(titles) ? titles[n] : NULL;
}

void welcome_text(struct app *a, size_t n, struct buf *out)
{
    const struct gateway *g = &app_model(a)->gateway;
    const char *base = g->listen[0] ? g->listen : "http://127.0.0.1:4141";
    const char *key = g->keys ? "sk-pm-…" : "none";
    if (n == 0)
        buf_printf(out, "export OPENAI_BASE_URL=%s/v1\nexport OPENAI_API_KEY=%s\n", base, key);
    else if (n == 1)
        buf_printf(out, "export ANTHROPIC_BASE_URL=%s\nexport ANTHROPIC_API_KEY=%s\n", base, key);
    else if (n == 2)
        put_run(a, out);
    else
        put_curl(g, base, out);
}

/* One block; returns the line below it. */
static int draw_block(struct app *a, size_t n, int y, struct rect r)
{
    struct buf text;
    struct str rest, line;
    buf_init(&text, 4096);
    welcome_text(a, n, &text);
    ui_printf(y++, r.x + 2, r.w - 3, ROLE_HEADING, "%zu  %s", n + 1, titles[n]);
    rest = buf_str(&text);
    while (str_cut(&rest, '\n', &line) && line.n && y < r.y + r.h)
        ui_text(y++, r.x + 5, r.w - 6, ROLE_TEXT, line);
    buf_fini(&text);
    return y;
}

/* Two lines: what is kept of bodies, and how to stop it. */
static int draw_kept(struct app *a, int y, struct rect r)
{
    const struct gateway *g = &app_model(a)->gateway;
    char keep[FORMAT_MAX], bytes[FORMAT_MAX];
    if (y + 1 >= r.y + r.h)
        return y;
    if (strcmp(g->capture, "off") == 0) {
        ui_put(y++, r.x + 2, r.w - 3, ROLE_DIM, "Kept: figures of every request, no bodies.");
        return y;
    }
    ui_printf(y++, r.x + 2, r.w - 3, ROLE_DIM,
        "Kept: figures of every request; bodies (%s) for %s, at most %s.",
        g->capture[0] ? g->capture : "all", format_duration(keep, g->keep_ms),
        format_bytes(bytes, g->keep_bytes));
    ui_put(y++, r.x + 2, r.w - 3, ROLE_DIM,
        "capture: { bodies: off } in the configuration stops that.");
    return y;
}

static int draw_refused(struct app *a, int y, struct rect r)
{
    const struct model *m = app_model(a);
    char clock[FORMAT_MAX];
    if (!m->refused_count || y + 1 >= r.y + r.h)
        return y;
    ui_put(y++, r.x + 2, r.w - 3, ROLE_WARN, "Refused in the last minute:");
    for (size_t i = 0; i < m->refused_count && y < r.y + r.h; i++) {
        const struct refused *f = &m->refused[i];
        ui_printf(y++, r.x + 2, r.w - 3, ROLE_BAD, "%s  %lld  %s  %s",
            format_clock(clock, f->time_ms), (long long)f->status, f->peer, f->reason);
    }
    return y;
}

/* Blank lines between the parts only where there is room for them. */
void welcome_draw(struct app *a, struct rect r)
{
    const struct model *m = app_model(a);
    const struct gateway *g = &m->gateway;
    int need =
        17 + g->demo + (g->keys ? 2 : 0) + (g->warning[0] != 0) + (m->refused_count ? (int)m->refused_count + 1 : 0);
    int gap = r.h >= need + 6, y = r.y + gap;
    ui_printf(y++, r.x + 2, r.w - 3, ROLE_TITLE,
        "No request yet. Point a client at %s:", g->listen[0] ? g->listen : "the gateway");
    if (g->demo)
        ui_put(y++, r.x + 2, r.w - 3, ROLE_WARN,
            "No provider key was found: models demo/… answer from a simulated provider.");
    if (g->keys)
        ui_put(y++, r.x + 2, r.w - 3, ROLE_WARN,
            "Callers need a key: a on screen 5 makes one (pointsman key add bob).");
    if (g->warning[0])
        ui_put(y++, r.x + 2, r.w - 3, ROLE_WARN, g->warning);
    y = draw_refused(a, y, r);
    for (size_t n = 0; n < ARRAY_LEN(titles) && y < r.y + r.h - 2; n++)
        y = draw_block(a, n, y + gap, r);
    y = draw_kept(a, y + gap, r);
    if (y < r.y + r.h)
        ui_put(y++, r.x + 2, r.w - 3, ROLE_DIM,
            "y copies a block. This turns into the list with the first request.");
}
