/* people.c: :people: who is attached, from where, since when. */
#include "tui/app.h"

#include "tui/format.h"
#include "tui/widgets/listing.h"
#include "tui/widgets/menu.h"

struct state {
    struct listing list; /* first: listing_close(), listing_tick() */
};

static const struct listing_column columns[] = {
    {{"user", "Who", 12, 1, false, 24}, "user", CELL_ACCENT},
    {{"role", "Role", 9, 2, false, 0}, "role", CELL_TEXT},
    {{"from", "From", 15, 3, false, 30}, "from", CELL_TEXT},
    {{"terminal", "Terminal", 14, 5, false, 24}, "terminal", CELL_TEXT},
    {{"size", "Size", 7, 6, false, 0}, "size", CELL_TEXT},
    {{"since", "Since", 5, 4, true, 0}, "since_ms", CELL_AGE},
    {{"seen", "Seen", 5, 7, true, 0}, "seen_ms", CELL_AGE},
};

static const struct listing_def def = {.path = "people",
    .member = "people",
    .id = "user",
    .columns = columns,
    .count = ARRAY_LEN(columns),
    .empty = "nobody but you"};

static const enum context place[] = {CONTEXT_LIST, CONTEXT_END};

static void open(struct app *a, void *state, const void *arg)
{
    (void)arg;
    listing_init(state, a, &def);
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    struct rect box = sheet_rect(r, MAX((int)s->list.count + 4, 6), MIN(r.w, 96));
    (void)a;
    ui_box(box, "People");
    listing_draw(&s->list, (struct rect){box.y + 1, box.x + 1, box.h - 2, box.w - 2});
}

static bool action(struct app *a, void *state, enum action action)
{
    (void)a;
    return listing_action(state, action);
}

const struct screen sheet_people = {.name = "people",
    .size = sizeof(struct state),
    .contexts = place,
    .open = open,
    .close = listing_close,
    .draw = draw,
    .action = action,
    .columns = listing_columns,
    .key = listing_key,
    .typing = listing_typing,
    .tick = listing_tick,
    .line = "each has a filter, order and cursor of their own   Esc close"};
