/* run.c: `pointsman run -- CMD`: a child with base URLs and a key of its own.
 *
 * The key lives as long as one request of ours: POST run answers with an event stream, and when that
 * connection closes (we end, or are killed) the gateway ends the key. Signals go to the child, its exit
 * status is ours, and one line on stderr says what it used. */
#include "tui/run.h"

#include "store/base/clock.h"
#include "store/base/json_span.h"
#include "tui/cli_ask.h"
#include "tui/cli_verbs.h"
#include "tui/format.h"
#include "tui/link.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGES_MAX = 50, ASK_AGAIN_MS = 500 };
enum recipe_kind { ENV, ARG };

static const struct {
    const char *program;
    enum recipe_kind kind;
    const char *name, *value;
} recipes[] = {
#define X(program, what, name, value) {program, what, name, value},
#include "tui/recipes.def"
#undef X
};

/* ---- recipes ---- */

const char *run_recipe(const char *command)
{
    const char *slash = strrchr(command, '/'), *name = slash ? slash + 1 : command;
    for (size_t i = 0; i < ARRAY_LEN(recipes); i++)
        if (strcmp(recipes[i].program, name) == 0)
            return recipes[i].program;
    return "*";
}

static char *fill_in(const char *value, const char *url, const char *key, const char *session)
{
    struct buf b;
    buf_init(&b, 1 << 16);
    for (; *value; value++) {
        const char *with = value[0] != '%' ? NULL : value[1] == 'u' ? url : value[1] == 'k' ? key
            : value[1] == 's' ? session : NULL;
        if (with) {
            buf_puts(&b, with);
            value++;
        } else {
            buf_putc(&b, *value);
        }
    }
    size_t n;
    char *out = buf_take(&b, &n);
    buf_fini(&b);
    return out;
}

static int take_row(struct run_setup *s, size_t row, char *value)
{
    if (!value)
        return -ERR_NOMEM;
    if (recipes[row].kind == ENV) {
        s->variables[s->variable_count].name = recipes[row].name;
        s->variables[s->variable_count++].value = value;
        return 0;
    }
    s->owned[s->owned_count++] = value;
    s->argv[s->argc++] = (char *)(uintptr_t)recipes[row].name;
    s->argv[s->argc++] = value;
    return 0;
}

int run_setup_make(struct run_setup *s, char *const *argv, const char *url, const char *key,
    const char *session)
{
    *s = (struct run_setup){0};
    const char *recipe = run_recipe(argv[0]);
    s->argv[s->argc++] = argv[0];
    for (size_t i = 0; i < ARRAY_LEN(recipes); i++)
        if (strcmp(recipes[i].program, recipe) == 0) {
            int rc = take_row(s, i, fill_in(recipes[i].value, url, key, session));
            if (rc < 0)
                return rc;
        }
    for (size_t i = 1; argv[i]; i++) {
        if (s->argc >= RUN_WORDS_MAX)
            return -ERR_LIMIT;
        s->argv[s->argc++] = argv[i];
    }
    return 0;
}

void run_setup_free(struct run_setup *s)
{
    for (size_t i = 0; i < s->variable_count; i++)
        free(s->variables[i].value);
    for (size_t i = 0; i < s->owned_count; i++)
        free(s->owned[i]);
}

/* ---- the key ---- */

struct run {
    struct cli *cli;
    struct buf stream;  /* what came of the event stream */
    struct json *key;   /* {key, secret, base_url} */
    struct err why;
    int64_t asked_ms;   /* when we last asked to go on */
    bool failed;        /* the stream has ended: the gateway has gone, or was restarted */
};

static bool on_piece(void *arg, struct str piece)
{
    struct run *r = arg;
    if (r->key)
        return true; /* pings */
    buf_put_str(&r->stream, piece);
    struct str all = buf_str(&r->stream);
    ptrdiff_t data = str_find(all, STR("data: "));
    ptrdiff_t end = data < 0 ? -1 : str_find(str_from(all, (size_t)data), STR("\n\n"));
    if (end >= 0)
        r->key = json_parse(str_first(str_from(all, (size_t)data + 6), (size_t)end - 6), &r->why);
    return true;
}

static void on_done(void *arg, int status, struct str reply, const struct err *why)
{
    struct run *r = arg;
    r->failed = true;
    if (status == 0 && why)
        r->why = *why;
    else if (status != 200)
        (void)link_error(reply, status, &r->why);
    else
        err_set(&r->why, ERR_NETWORK, "the gateway closed the connection");
}

static int read_budget(struct cli *c, struct json_writer *w)
{
    int64_t nano;
    const char *text = cli_option(c, "budget");
    if (!text)
        return CLI_DONE;
    if (!cli_amount(text, &nano) || nano < 0) {
        cli_complain("--budget: \"%s\" is no amount above zero: 5 or 0.5 (in a shell $5 is a variable "
            "and becomes nothing)", text);
        return CLI_USAGE;
    }
    json_put_int(w, "budget_nano", nano);
    return CLI_DONE;
}

static const char *run_name(const struct cli *c)
{
    const char *slash = strrchr(c->child[0], '/');
    return cli_option(c, "name") ? cli_option(c, "name") : slash ? slash + 1 : c->child[0];
}

static bool send_run(struct run *r, struct str body)
{
    struct link_request q = {.method = "POST", .path = "run", .body = body, .timeout_ms = -1,
        .arg = r, .done = on_done, .piece = on_piece};
    r->failed = false;
    return link_send(r->cli->link, &q) != 0;
}

/* The gateway was restarted: ask it to go on with the key that the child has. */
static void ask_again(struct run *r)
{
    struct buf body;
    int64_t now = clock_wall_ms();
    if (now - r->asked_ms < ASK_AGAIN_MS)
        return;
    r->asked_ms = now;
    buf_init(&body, 1024);
    struct json_writer w = json_writer(&body);
    json_object_begin(&w, NULL);
    json_put_c(&w, "secret", json_string(r->key, "secret", ""));
    json_object_end(&w);
    (void)send_run(r, buf_str(&body));
    buf_fini(&body);
}

/* Asks for the key and waits for it; the request goes on for the life of the child. */
static int get_key(struct run *r)
{
    struct cli *c = r->cli;
    struct buf body;
    buf_init(&body, 4096);
    struct json_writer w = json_writer(&body);
    json_object_begin(&w, NULL);
    json_put_c(&w, "name", run_name(c));
    json_put_int(&w, "pid", getpid());
    if (cli_option(c, "model"))
        json_put_c(&w, "model", cli_option(c, "model"));
    int status = read_budget(c, &w);
    json_object_end(&w);
    if (status == CLI_DONE && !send_run(r, buf_str(&body)))
        status = CLI_FAILED;
    while (status == CLI_DONE && !r->key && !r->failed)
        (void)link_wait(c->link, 100);
    buf_fini(&body);
    if (status == CLI_DONE && r->failed)
        status = cli_fail(&r->why);
    return status;
}

/* ---- what it used ---- */

struct totals {
    int64_t requests, input, cached, output, cost, retries;
};

static void add_page(struct totals *t, const struct json *rows)
{
    for (const struct json *r = json_first(rows); r; r = json_following(r)) {
        size_t attempts = json_size(json_member(r, "attempts"));
        t->requests++;
        t->input += json_int(r, "input_tokens", 0);
        t->cached += json_int(r, "cached_tokens", 0);
        t->output += json_int(r, "output_tokens", 0);
        t->cost += json_int(r, "cost_nano", 0);
        t->retries += attempts > 1 ? (int64_t)attempts - 1 : 0;
    }
}

static void add_up(struct cli *c, const char *key, struct totals *t)
{
    char cursor[80] = "", filter[120];
    snprintf(filter, sizeof filter, "key=%s", key);
    for (int page = 0; page < PAGES_MAX; page++) {
        struct buf path, reply;
        struct err e = {0};
        int status = 0;
        buf_init(&path, 1024);
        buf_init(&reply, LINK_REPLY_MAX);
        buf_puts(&path, "exchanges?limit=1000");
        cli_query(&path, "filter", filter);
        cli_query(&path, "before", cursor[0] ? cursor : NULL);
        int rc = link_call(c->link, "GET", buf_c(&path), STR_NULL, &status, &reply, &e);
        struct json *j = rc == 0 && status == 200 ? json_parse(buf_str(&reply), &e) : NULL;
        add_page(t, json_member(j, "rows"));
        snprintf(cursor, sizeof cursor, "%s", json_string(j, "cursor", ""));
        json_free(j);
        buf_fini(&path);
        buf_fini(&reply);
        if (!cursor[0])
            return;
    }
}

static void say_totals(struct cli *c, const char *key, int64_t began_ms)
{
    struct totals t = {0};
    char took[FORMAT_MAX], in[FORMAT_MAX], out[FORMAT_MAX], cost[FORMAT_MAX];
    add_up(c, key, &t);
    fprintf(stderr, "%s: %s, %lld request%s, %s in (%d %% cached), %s out, %s, %lld retr%s\n",
        run_name(c), format_duration(took, clock_wall_ms() - began_ms), (long long)t.requests,
        t.requests == 1 ? "" : "s", format_count(in, t.input),
        t.input > 0 ? (int)(t.cached * 100 / t.input) : 0, format_count(out, t.output),
        format_dollars(cost, t.cost), (long long)t.retries, t.retries == 1 ? "y" : "ies");
}

/* ---- the child ---- */

static volatile sig_atomic_t child_pid;

static void pass_on(int sig)
{
    if (child_pid > 0)
        kill((pid_t)child_pid, sig);
}

/* The terminal sends SIGINT and SIGQUIT to the child itself: we only must survive them. */
static void watch_signals(void)
{
    static const int passed[] = {SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH};
    struct sigaction pass = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
    for (size_t i = 0; i < ARRAY_LEN(passed); i++)
        sigaction(passed[i], &pass, NULL);
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
}

static void become(const struct run_setup *s)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    for (size_t i = 0; i < s->variable_count; i++)
        setenv(s->variables[i].name, s->variables[i].value, 1);
    execvp(s->argv[0], s->argv);
    cli_complain("%s: %s", s->argv[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

static int wait_for_child(struct run *r, pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) != pid) {
        if (!link_wait(r->cli->link, 100))
            usleep(100000);
        if (r->failed)
            ask_again(r);
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run_child(struct run *r, const struct run_setup *s)
{
    int64_t began = clock_wall_ms();
    const char *key = json_string(r->key, "key", "");
    watch_signals();
    pid_t pid = fork();
    if (pid == 0)
        become(s);
    if (pid < 0) {
        perror("pointsman: fork");
        return CLI_FAILED;
    }
    child_pid = pid;
    int status = wait_for_child(r, pid);
    child_pid = 0;
    if (!r->cli->quiet && !r->failed)
        say_totals(r->cli, key, began);
    return status;
}

/* As a shell takes it back: quoted where it must be. */
static void print_word(const char *word, const char *after)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    if (word[0] && !word[strcspn(word, " \t\n'\"\\$`&|;<>()[]{}*?!#~")])
        buf_puts(&out, word);
    else
        cli_shell_quote(&out, word);
    printf("%s%s", out.err ? word : buf_c(&out), after);
    buf_fini(&out);
}

/* What the child would be given. No key is made for that: its place shows how one looks. */
static int print_setup(struct cli *c)
{
    char session[100];
    struct buf unused;
    struct reply r;
    struct run_setup s;
    buf_init(&unused, 4096);
    struct json_writer w = json_writer(&unused);
    json_object_begin(&w, NULL);
    int status = read_budget(c, &w);
    buf_fini(&unused);
    if (status != CLI_DONE || (status = cli_get(c, &r, "status")) != CLI_DONE)
        return status;
    const char *url = json_item_string(json_first(json_member(r.json, "listen")), "");
    snprintf(session, sizeof session, "run-%.80s", run_name(c));
    if (run_setup_make(&s, c->child, url, "sk-pm-…", session) < 0) {
        cli_complain("too many arguments");
        status = CLI_USAGE;
    }
    for (size_t i = 0; status == CLI_DONE && i < s.variable_count; i++) {
        printf("%s=", s.variables[i].name);
        print_word(s.variables[i].value, "\n");
    }
    for (size_t i = 0; status == CLI_DONE && i < s.argc; i++)
        print_word(s.argv[i], i + 1 < s.argc ? " " : "\n");
    run_setup_free(&s);
    reply_free(&r);
    return status;
}

int cli_run(struct cli *c)
{
    struct run r = {.cli = c};
    struct run_setup setup = {0};
    if (cli_option(c, "print"))
        return print_setup(c);
    buf_init(&r.stream, 1 << 20);
    int status = get_key(&r);
    if (status == CLI_DONE) {
        const char *name = json_string(r.key, "key", "run");
        if (run_setup_make(&setup, c->child, json_string(r.key, "base_url", ""),
                json_string(r.key, "secret", ""), name) < 0) {
            cli_complain("too many arguments");
            status = CLI_USAGE;
        } else {
            status = run_child(&r, &setup);
        }
    }
    run_setup_free(&setup);
    json_free(r.key);
    buf_fini(&r.stream);
    return status;
}
