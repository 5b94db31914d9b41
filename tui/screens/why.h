/* why.h: the planner's steps as sentences: what was looked at, in that order, and why each target
 * was taken or left. For the inspector and for T. */
#ifndef POINTSMAN_WHY_H
#define POINTSMAN_WHY_H

#include "tui/widgets/text.h"

/* `steps`: the JSON array of a record's "why" or of an explained plan. What is no step that this
 * console knows is shown as it came. */
void why_lay(struct text *t, struct str steps);

#endif
