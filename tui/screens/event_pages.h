/* event_pages.h: events that happened before this console was attached, asked of the gateway page by page.
 *
 *     event_pages_ask(&p, before_ms, false);    // the next older page; at first what is older than that
 *     p.rows[0] … p.rows[p.count - 1]           // newest first; p.done: there are no older ones
 *
 * Bounded: after some thousand it says done. Ownership: the rows are the pages'; event_pages_forget()
 * frees them and begins anew. Zeroed memory with `app` set is an empty one. */
#ifndef POINTSMAN_EVENT_PAGES_H
#define POINTSMAN_EVENT_PAGES_H

#include "tui/screen.h"

struct event_pages {
    struct app *app;
    struct console_event *rows;
    size_t count, room;
    char cursor[120];
    bool asked, done;
    bool fresh; /* a page came; whoever lays the rows out sets it back */
};

/* severe: only what is more than an information. */
void event_pages_ask(struct event_pages *p, int64_t before_ms, bool severe);
void event_pages_forget(struct event_pages *p);

#endif
