/* raw.h: the little that is read of bodies that are not ours to understand: uploads. Pure. */
#ifndef POINTSMAN_RAW_H
#define POINTSMAN_RAW_H

#include "store/base/arena.h"

/* Value of a field (up to 40 characters) of a multipart/form-data body, wherever it stands; empty when
 * absent, given twice with different values, or broken. */
struct str raw_multipart_field(struct str body, struct str content_type, struct str field,
    struct arena *a) MUST_CHECK;

#endif
