/* raw.h: the little that is read of bodies that are not ours to understand: uploads. Pure. */
#ifndef POINTSMAN_RAW_H
#define POINTSMAN_RAW_H

#include "store/base/arena.h"

/* Value of the field `model` of a multipart/form-data body, wherever it stands; empty when absent,
 * given twice with different values, or broken. */
struct str raw_multipart_model(struct str body, struct str content_type, struct arena *a);

#endif
