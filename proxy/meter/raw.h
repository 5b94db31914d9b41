/* raw.h: the little that is read of bodies that are not ours to understand: uploads. Pure. */
#ifndef POINTSMAN_RAW_H
#define POINTSMAN_RAW_H

#include "store/base/arena.h"

/* Value of a field of a multipart/form-data body, wherever it stands; empty when absent, broken, or
 * given twice with different values (then *twice is set: nobody knows which one counts). */
struct str raw_multipart_field(struct str body, struct str content_type, struct str field,
    bool *twice, struct arena *a) MUST_CHECK;

/* The first of these names that the body has a field for; NULL: none. */
const char *raw_multipart_names(struct str body, struct str content_type, const char *const *names,
    size_t n, struct arena *a) MUST_CHECK;

#endif
