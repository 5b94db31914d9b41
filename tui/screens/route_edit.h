/* route_edit.h: editing a route's rules: staged in $EDITOR, checked, shown as a diff, applied by
 * Enter.
 *
 * The revision that the edit began with goes along: when somebody changed the route meanwhile, the
 * gateway refuses and nothing is lost (the text stays in the file that is named). */
#ifndef POINTSMAN_ROUTE_EDIT_H
#define POINTSMAN_ROUTE_EDIT_H

#include "tui/screen.h"

/* `object` is the route as JSON, as it stands in the configuration; empty or null: a new one. */
void route_edit(struct app *a, const char *name, struct str object, int64_t revision);

#endif
