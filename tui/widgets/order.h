/* order.h: the menu that chooses the ordering column of a table.
 *
 *     order_menu(a, &(struct order_arg){"Order by", &view, table.sort, on_order, me});
 *
 * The callback runs before the menu closes; `ctx` must be the state of the screen below. */
#ifndef POINTSMAN_ORDER_H
#define POINTSMAN_ORDER_H

#include "tui/widgets/table.h"

struct order_arg {
    const char *title;
    const struct table_view *view; /* used during the call only */
    int current;
    void (*chosen)(void *ctx, int column);
    void *ctx;
};

void order_menu(struct app *a, const struct order_arg *arg);

#endif
