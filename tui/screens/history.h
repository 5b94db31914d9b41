/* history.h: requests from the store, older than those that the model holds.
 *
 *     struct history h = {.app = a};
 *     history_ask(&h, filter_text);        // one page further back; nothing while one is asked for
 *     if (h.fresh) rebuild();              // rows[0..count), oldest first
 *
 * With a filter the gateway searches in slices and says how far it got: asked again while on
 * screen, it goes on from there. Bounded; history_forget() frees and starts anew (another filter).
 */
#ifndef POINTSMAN_HISTORY_H
#define POINTSMAN_HISTORY_H

#include "tui/screen.h"

struct history {
    struct app *app;
    struct row **rows;
    size_t count, room;
    char cursor[128], searched_back[40];
    bool asked, done, fresh, stopped;
};

void history_ask(struct history *h, const char *filter);
void history_stop(struct history *h); /* what runs; not asked again before history_resume() */
void history_resume(struct history *h);
void history_forget(struct history *h);

#endif
