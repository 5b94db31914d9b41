/* pick.h: the list inside a sheet: one is selected with arrows or found by typing; Enter takes it.
 *
 *     switch (pick_key(&p, key, count)) {
 *     case PICK_TYPED: refill(p.edit.text); break;
 *     case PICK_TAKEN: apply(p.selected); break; ...
 *     pick_draw(&p, r, count, draw_item, me, a);
 *
 * With `typed` false letters are left to the sheet, and j and k move too. With it true the focus tells
 * letters from commands: the field has it at first, moving down gives it to the list, typing or moving
 * up past the first row gives it back. A sheet's own letters count while `in_list` only; its keys with
 * Alt always. */
#ifndef POINTSMAN_PICK_H
#define POINTSMAN_PICK_H

#include "tui/widgets/edit.h"

enum pick_did { PICK_NOTHING, PICK_MOVED, PICK_TYPED, PICK_TAKEN };

struct pick {
    size_t selected, top;
    bool typed;
    bool in_list; /* of a typed one: the list has the focus, not the field */
    bool idle;    /* nothing is chosen yet: no row is marked */
    struct edit edit;
    int page;
};

enum pick_did pick_key(struct pick *p, int key, size_t count);

/* Paints the rows that fit; draw_item gets a row already on the right background. */
void pick_draw(struct pick *p, struct rect r, size_t count,
    void (*draw_item)(void *ctx, size_t i, int y, int x, int width), void *ctx, struct app *a);

#endif
