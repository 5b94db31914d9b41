/* note.c: see note.h. */
#include "tui/widgets/note.h"

#include "tui/widgets/menu.h"

struct state {
    char title[100];
    int height, width;
    struct text text;
};

static const enum context place[] = {CONTEXT_TEXT, CONTEXT_END};

static void open(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    const struct note_arg *n = arg;
    (void)a;
    str_copy(s->title, sizeof s->title, str_c(n->title));
    s->height = n->height ? n->height : 1000;
    s->width = n->width ? n->width : 110;
    text_reset(&s->text);
    s->text.stay = true;
    n->fill(&s->text, n->ctx);
}

static void close(struct app *a, void *state)
{
    (void)a;
    text_fini(&((struct state *)state)->text);
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    struct rect box = sheet_rect(r, MIN(s->height, MAX((int)s->text.line_count + 2, 5)), s->width);
    if (s->text.piece_count + 2 > (size_t)box.h)
        box = sheet_rect(r, MIN(s->height, (int)s->text.piece_count + 2), s->width);
    ui_box(box, s->title);
    text_draw(&s->text, (struct rect){box.y + 1, box.x + 2, box.h - 2, box.w - 4}, a);
}

static bool key(struct app *a, void *state, int key)
{
    if (key != '\r')
        return false;
    app_pop(a, state);
    return true;
}

static bool action(struct app *a, void *state, enum action action)
{
    (void)a;
    return text_action(&((struct state *)state)->text, action);
}

static const char *hint(struct app *a, void *state)
{
    (void)a;
    (void)state;
    return "↑↓ scroll  Enter or Esc close";
}

static const struct screen sheet_note = {.name = "note",
    .size = sizeof(struct state),
    .contexts = place,
    .open = open,
    .close = close,
    .draw = draw,
    .key = key,
    .action = action,
    .hint = hint};

void note_open(struct app *a, const struct note_arg *arg)
{
    app_push(a, &sheet_note, arg);
}
