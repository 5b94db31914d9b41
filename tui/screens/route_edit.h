/* route_edit.h: editing a route: staged, checked, shown as a diff, applied by Enter.
 *
 *     rules_open(a, "fast", object, revision);   // rows to change, move, add: rules.c
 *
 * The revision that the edit began with goes along: when somebody changed the route meanwhile, the
 * gateway refuses and names them; the staged edits stay where they are and can be laid over what is
 * there now. `object` is the route as JSON, as it stands in the configuration; empty or null: a new
 * one. */
#ifndef POINTSMAN_ROUTE_EDIT_H
#define POINTSMAN_ROUTE_EDIT_H

#include "tui/screen.h"

void rules_open(struct app *a, const char *name, struct str object, int64_t revision);

struct route_stage {
    const char *name;
    struct str before, after;
    int64_t revision;
    const void *below; /* state of the sheet below, closed too when it is applied; NULL: none */
};
/* The diff, validated by the gateway; Enter applies. */
void route_stage(struct app *a, const struct route_stage *stage);
/* The same after the person's editor has changed `after`. */
void route_edit(struct app *a, const struct route_stage *stage);

#endif
