/* people.c: :people: who is attached, from where, since when. */
#include "tui/app.h"

#include "tui/format.h"
#include "tui/screens/list_screen.h"
#include "tui/widgets/menu.h"

static const struct listing_column columns[] = {
    {{"user", "Who", 12, 1, false, 24}, "user", CELL_ACCENT},
    {{"role", "Role", 9, 2, false, 0}, "role", CELL_TEXT},
    {{"from", "From", 15, 3, false, 30}, "from", CELL_TEXT},
    {{"terminal", "Terminal", 14, 5, false, 24}, "terminal", CELL_TEXT},
    {{"size", "Size", 7, 6, false, 0}, "size", CELL_TEXT},
    {{"since", "Since", 5, 4, true, 0}, "since_ms", CELL_AGE},
    {{"seen", "Seen", 5, 7, true, 0}, "seen_ms", CELL_AGE},
};

static const struct list_frame frame = {.def = {.path = "people",
                                            .member = "people",
                                            .id = "user",
                                            .columns = columns,
                                            .count = ARRAY_LEN(columns),
                                            .empty = "nobody but you"}};

static const enum context place[] = {CONTEXT_LIST, CONTEXT_SORT, CONTEXT_END};

static void draw(struct app *a, void *state, struct rect r)
{
    const struct listing *l = state;
    struct rect box = sheet_rect(r, MAX((int)l->count + 4, 6), MIN(r.w, 96));
    ui_box(box, "People");
    list_draw(a, state, (struct rect){box.y + 1, box.x + 1, box.h - 2, box.w - 2});
}

const struct screen sheet_people = {LIST_SCREEN_BUT_DRAW,
    .draw = draw,
    .list = &frame,
    .name = "people",
    .size = sizeof(struct listing),
    .contexts = place,
    .line = "each has a filter, order and cursor of their own   x CSV   Esc close"};
