/* note.c: see note.h. */
#include "tui/widgets/note.h"

#include "tui/widgets/menu.h"

struct state {
    struct text text; /* first: text_sheet_close(), text_sheet_action() */
    char title[100];
    int height, width;
};

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

static const struct screen sheet_note = {.name = "note",
    .size = sizeof(struct state),
    .contexts = text_place,
    .open = open,
    .close = text_sheet_close,
    .draw = draw,
    .key = key,
    .action = text_sheet_action,
    .line = "↑↓ scroll  Enter or Esc close"};

void note_open(struct app *a, const struct note_arg *arg)
{
    app_push(a, &sheet_note, arg);
}
