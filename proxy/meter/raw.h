/* raw.h: the little that is read of bodies that are not ours to understand: uploads. Pure. */
#ifndef POINTSMAN_RAW_H
#define POINTSMAN_RAW_H

#include "store/base/arena.h"

/* Value of a field of a multipart/form-data body, wherever it stands; empty when absent, broken, or
 * given twice with different values (then *twice is set: nobody knows which one counts). */
struct str raw_multipart_field(struct str body, struct str content_type, struct str field,
    bool *twice, struct arena *a) MUST_CHECK;

/* -ERR_DENIED: the form has a field of one of these names (it is *denied). -ERR_SYNTAX: it can't be
 * read, or not in one way only, and might hide a field: a name escaped, said twice in one head or
 * without a value; a head that doesn't end; a form that doesn't. 0: what it says is plain. */
int raw_multipart_check(struct str body, struct str content_type, const char *const *names,
    size_t n, const char **denied, struct arena *a) MUST_CHECK;

#endif
