/* menu.h: a sheet with a list of things to choose from: j k and Enter, or the letter in front.
 *
 *     static const struct menu_item items[] = {{'y', "body"}, {'c', "curl"}};
 *     menu_open(a, &(struct menu_arg){"Copy", items, 2, 0, on_choice, me});
 *
 * Items and title are copied; `ctx` must be the state of a screen, or outlive the menu. The menu is
 * closed before the callback runs, so that it may open another sheet. */
#ifndef POINTSMAN_MENU_H
#define POINTSMAN_MENU_H

#include "tui/screen.h"

enum { MENU_ITEMS_MAX = 40 };

struct menu_item {
    int key;          /* 0: none */
    const char *text; /* borrowed until menu_open() returns */
};

struct menu_arg {
    const char *title;
    const struct menu_item *items;
    size_t count, selected;
    void (*chosen)(struct app *a, void *ctx, size_t i);
    void *ctx;
};

void menu_open(struct app *a, const struct menu_arg *arg);

/* A box of this size in the middle of r, never larger than r. */
struct rect sheet_rect(struct rect r, int h, int w);

#endif
