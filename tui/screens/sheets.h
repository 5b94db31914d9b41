/* sheets.h: sheets that other screens open themselves, with what they want as `arg` of app_push().
 *
 *     app_push(a, &sheet_switch, &subject);      // NULL: the screen's own subject */
#ifndef POINTSMAN_SHEETS_H
#define POINTSMAN_SHEETS_H

#include "tui/screen.h"

extern const struct screen sheet_switch; /* arg: const struct subject *, or NULL */
extern const struct screen sheet_undo;
extern const struct screen sheet_cancel; /* arg: const struct subject *, or NULL */
extern const struct screen sheet_copy;   /* arg: NULL */

extern const struct screen sheet_drain; /* arg: const char *provider, or NULL */
extern const struct screen sheet_explain;

/* What recorded requests of a name would do under a proposal, given as members of the question:
 * "to":"lab/m"  or  "set":{…a whole route…} */
struct whatif_arg {
    const char *name;
    struct str proposal;
};
extern const struct screen sheet_whatif;

/* Shows the Providers screen with the cursor on this one. */
void providers_select(struct app *a, const char *provider);

/* A variable of this environment with a provider key that the gateway lacks; NULL: none. */
const char *handover_variable(struct app *a);

#endif
