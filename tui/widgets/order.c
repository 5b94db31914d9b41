/* order.c: see order.h. */
#include "tui/widgets/order.h"

#include "tui/widgets/menu.h"

static struct order_arg pending; /* one menu at a time: its callback is called through here */

static void chosen(struct app *a, void *ctx, size_t i)
{
    (void)ctx;
    pending.chosen(pending.ctx, (int)i);
    app_dirty(a);
}

void order_menu(struct app *a, const struct order_arg *arg)
{
    struct menu_item items[TABLE_COLUMNS_MAX];
    pending = *arg;
    size_t count = MIN(arg->view->column_count, ARRAY_LEN(items));
    for (size_t i = 0; i < count; i++)
        items[i] = (struct menu_item){0, table_column(arg->view, i)->name};
    menu_open(a,
        &(struct menu_arg){arg->title, items, count, (size_t)MAX(arg->current, 0), chosen, NULL});
}
