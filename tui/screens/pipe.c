/* pipe.c: |: a request's body, or what was answered, into a command of the person's own.
 *
 * The command runs in the shell as the user at this terminal, with the terminal to itself; what it
 * reads is what may be read here, nothing else is handed over. */
#include "tui/app.h"

#include "tui/screens/export_forms.h"
#include "tui/widgets/edit.h"
#include "tui/widgets/menu.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum what { PIPE_REQUEST, PIPE_ANSWER, PIPE_RECORD, PIPE_WHATS };

static const char *const names[PIPE_WHATS] = {"request body", "answer", "whole record"};

struct state {
    char id[40];
    struct edit edit;
    enum what what;
};

static char last_command[EDIT_MAX + 1] = "jq . | less"; /* what was run before is there again */

static void open(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    struct subject subject;
    (void)arg;
    if (!app_subject(a, &subject) || !subject.id[0]) {
        app_say(a, ROLE_WARN, "put the cursor on a request");
        app_pop(a, s);
        return;
    }
    str_copy(s->id, sizeof s->id, str_c(subject.id));
    edit_set(&s->edit, last_command);
}

/* The reader may stop before the end: SIGPIPE is ignored here, so that write() says so. */
static void feed(int fd, struct str text)
{
    while (text.n) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        text = str_from(text, (size_t)n);
    }
}

static void wait_for_enter(int status)
{
    char byte = 0;
    if (status)
        printf("\n[status %d]", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    fputs("\n[Enter: back to the console]", stdout);
    fflush(stdout);
    while (byte != '\n' && read(STDIN_FILENO, &byte, 1) == 1)
        ;
}

static void run(const char *command, struct str text)
{
    int fds[2], status = 0;
    if (pipe(fds) < 0)
        return;
    terminal_leave();
    pid_t pid = fork();
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGPIPE, SIG_DFL);
        dup2(fds[0], STDIN_FILENO);
        close(fds[0]);
        close(fds[1]);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(fds[0]);
    if (pid > 0)
        feed(fds[1], text);
    close(fds[1]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    wait_for_enter(status);
    terminal_return();
}

static void on_detail(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    struct arena mem;
    struct buf out;
    arena_init(&mem, 65536, (size_t)80 << 20);
    buf_init(&out, (size_t)80 << 20);
    if (s->what == PIPE_REQUEST)
        buf_put_str(&out, json_text(json_path(reply, "request.body"), &mem));
    else if (s->what == PIPE_ANSWER)
        form_response(&out, reply, &mem);
    else
        buf_put_str(&out, reply);
    if (status == 200 && !out.n)
        app_say(a, ROLE_WARN, "no %s is kept of this request", names[s->what]);
    else if (status == 200)
        run(s->edit.text, buf_str(&out));
    buf_fini(&out);
    arena_fini(&mem);
    app_pop(a, s);
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    char path[96];
    if (key == '\t') {
        s->what = (s->what + 1) % PIPE_WHATS;
        return true;
    }
    if (key != '\r' || !s->edit.n)
        return edit_key(&s->edit, key);
    str_copy(last_command, sizeof last_command, str_c(s->edit.text));
    snprintf(path, sizeof path, "exchanges/%s", s->id);
    app_ask(a, s, "GET", path, STR_NULL, on_detail);
    return true;
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    struct rect box = sheet_rect(r, 5, 76);
    int n;
    ui_box(box, "Pipe");
    n = ui_printf(box.y + 1, box.x + 2, 20, ROLE_TEXT, "%s |", names[s->what]) + 3;
    edit_draw(&s->edit, box.y + 1, box.x + n, box.w - n - 2, ROLE_INPUT, a);
    ui_put(box.y + 3, box.x + 2, box.w - 4, ROLE_DIM,
        "runs in your shell, as you, with this terminal");
}

static bool typing(struct app *a, void *state)
{
    (void)a;
    (void)state;
    return true;
}

static const char *hint(struct app *a, void *state)
{
    (void)a;
    (void)state;
    return "Tab request, answer or record  Enter run  Esc close";
}

const struct screen sheet_pipe = {.name = "pipe",
    .size = sizeof(struct state),
    .open = open,
    .draw = draw,
    .key = key,
    .typing = typing,
    .hint = hint};
