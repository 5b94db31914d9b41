/* requests.h: what the inspector and the other screens may ask of the Requests screen. */
#ifndef POINTSMAN_REQUESTS_H
#define POINTSMAN_REQUESTS_H

#include "tui/screen.h"

/* Shows the screen with this filter ("model:gpt-5"). */
void requests_filter(struct app *a, const char *filter);

/* Ids of the marked requests, oldest mark first; how many. */
size_t requests_marked(struct app *a, char ids[][40]);

/* The filter that is there, in force or not; "": none. */
const char *requests_filter_text(struct app *a);

/* requests_filter() for what a row of another list is called: requests_of(a, row, "key:=", "name").
 * Nothing happens where the row has no such member. */
void requests_of(struct app *a, struct str row, const char *term, const char *member);

/* Shows the screen with the cursor on this request and its inspector open. The request may be older
 * than what the list holds. */
void requests_open(struct app *a, struct str id);

/* What the keys of a request mean for this row: what s switches, X cancels, y copies. */
void requests_subject(const struct row *row, struct subject *out);

/* Shows the newest request of a session and steps to the next turn as it starts. */
void requests_follow(struct app *a, struct str session);

#endif
