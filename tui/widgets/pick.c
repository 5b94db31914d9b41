/* pick.c: see pick.h. */
#include "tui/widgets/pick.h"

static enum pick_did move(struct pick *p, long by, size_t count)
{
    long at = (long)p->selected + by;
    if (!count)
        return PICK_NOTHING;
    p->in_list = at >= 0;
    p->selected = (size_t)MAX(0, MIN(at, (long)count - 1));
    return PICK_MOVED;
}

enum pick_did pick_key(struct pick *p, int key, size_t count)
{
    if (key == '\r')
        return count ? PICK_TAKEN : PICK_NOTHING;
    if (key == KEY_N_DOWN || key == 14 || key == KEY_N_WHEEL_DOWN || (!p->typed && key == 'j'))
        return move(p, 1, count);
    if (key == KEY_N_UP || key == 16 || key == KEY_N_WHEEL_UP || (!p->typed && key == 'k'))
        return move(p, -1, count);
    if (key == KEY_N_PGDN)
        return move(p, MAX(p->page - 1, 1), count);
    if (key == KEY_N_PGUP)
        return move(p, -MAX(p->page - 1, 1), count);
    if (!p->typed || !edit_key(&p->edit, key))
        return PICK_NOTHING;
    p->selected = p->top = 0;
    p->in_list = false;
    return PICK_TYPED;
}

void pick_draw(struct pick *p, struct rect r, size_t count,
    void (*draw_item)(void *ctx, size_t i, int y, int x, int width), void *ctx, struct app *a)
{
    size_t page = (size_t)MAX(r.h, 1);
    p->page = r.h;
    if (p->selected >= count)
        p->selected = count ? count - 1 : 0;
    if (p->selected < p->top)
        p->top = p->selected;
    if (p->selected >= p->top + page)
        p->top = p->selected - page + 1;
    for (size_t i = p->top; i < count && i < p->top + page; i++) {
        int y = r.y + (int)(i - p->top);
        bool on = i == p->selected && !p->idle;
        ui_under(on ? ROLE_SELECTED : ROLE_NONE);
        if (on)
            ui_fill((struct rect){y, r.x, 1, r.w}, ROLE_TEXT);
        ui_put(y, r.x, 1, ROLE_ACCENT, on ? "»" : " ");
        draw_item(ctx, i, y, r.x + 2, r.w - 2);
        ui_under(ROLE_NONE);
        if (on)
            app_cursor(a, y, r.x);
    }
}
