/* pipe.c: |: a request's body, or what was answered, into a command of the person's own.
 *
 * The command runs in the shell as the user at this terminal, with the terminal to itself; what it
 * reads is what may be read here, nothing else is handed over. */
#include "tui/app.h"

#include "tui/child.h"
#include "tui/screens/export_forms.h"
#include "tui/typed.h"
#include "tui/widgets/edit.h"
#include "tui/widgets/menu.h"

#include <errno.h>
#include <stdio.h>

enum what { PIPE_REQUEST, PIPE_ANSWER, PIPE_RECORD, PIPE_WHATS };

static const char *const names[PIPE_WHATS] = {"request body", "answer", "whole record"};

struct state {
    char id[40];
    struct edit edit;
    struct typed run; /* the newest is there again */
    enum what what;
};

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
    typed_open(&s->run, "pipes");
    s->run.back = s->run.count > 0;
    edit_offer(&s->edit, s->run.count ? s->run.texts[0] : "jq . | less");
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
    else if (status == 200 && child_run(s->edit.text, NULL, &(struct str){out.p, out.n}) < 0)
        app_say(a, ROLE_BAD, "the shell could not be started: %s", strerror(errno));
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
    if (key == KEY_N_UP || key == KEY_N_DOWN) {
        const char *text = typed_step(&s->run, key == KEY_N_UP);
        if (text)
            edit_set(&s->edit, text);
        return true;
    }
    if (key != '\r' || !s->edit.n)
        return edit_key(&s->edit, key);
    typed_put(&s->run, s->edit.text);
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

const struct screen sheet_pipe = {.name = "pipe",
    .size = sizeof(struct state),
    .open = open,
    .draw = draw,
    .key = key,
    .types = true,
    .line = "Tab request, answer or record  ↑ earlier  Enter run  Esc close"};
