/* request_list.h: the rows of the Requests screen: which, in what order, marked, under the cursor.
 *
 * Why: an array of counted rows and of lines that tell of switches, built anew when the model, the
 * filter or the order changes. Paused, it is simply not built. The cursor stays on its request,
 * whatever comes or goes around it; following keeps it on the newest.
 *
 *     request_list_init(&l, a);
 *     request_list_data(&l);                         // the model changed
 *     request_list_draw(&l, r);
 *     if (request_list_action(&l, action)) …         // moved, marked, ordered, filtered, paused …
 *     struct row *row = request_list_row(&l);        // borrowed; NULL: none, or a line
 *
 * Ownership: holds counted rows until the next build; request_list_fini() frees. */
#ifndef POINTSMAN_REQUEST_LIST_H
#define POINTSMAN_REQUEST_LIST_H

#include "tui/screens/columns.h"
#include "tui/screens/filter_line.h"
#include "tui/screens/history.h"

enum { REQUEST_MARKS_MAX = 64 };

struct request_item { /* a request, or a line between them */
    struct row *row;
    int marker; /* index into the model's markers when row is NULL */
};

struct request_list {
    struct app *app;
    struct table table;
    struct filter_line filter;
    struct history older; /* from the store: before what the model holds */
    struct request_item *items;
    size_t count, room;
    char selected[40];
    char marks[REQUEST_MARKS_MAX][40];
    size_t mark_count;
    bool marks_only, paused, stale; /* stale: to be built again */
    size_t paused_count;
    unsigned generation; /* of the filter that was built with */
    uint64_t seen_version;
    unsigned seen_missed; /* the picture was taken anew: what is older is asked for again */
    int64_t sorted_us, now_ms;
    enum time_form time_form;
};

void request_list_init(struct request_list *l, struct app *a);
void request_list_fini(struct request_list *l);

void request_list_data(struct request_list *l);
void request_list_refresh(struct request_list *l); /* builds it, when there is a reason to */
int request_list_tick(struct request_list *l);     /* ms until it counts up; -1: it does not */

void request_list_draw(struct request_list *l, struct rect r);
void request_list_draw_counts(struct request_list *l, int y, int width); /* filter, counts, state */

bool request_list_action(struct request_list *l, enum action action);
bool request_list_click(struct request_list *l, int y); /* false: no row is there */
bool request_list_columns(struct request_list *l, struct str names, struct str *unknown);
struct row *request_list_row(const struct request_list *l);
void request_list_select(struct request_list *l, struct str id);
void request_list_step(struct request_list *l, int by);
bool request_list_stop(struct request_list *l);       /* a search that runs; false: none does */
bool request_list_none(const struct request_list *l); /* there is no request at all yet */

#endif
