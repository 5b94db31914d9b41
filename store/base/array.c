/* array.c: see array.h. */
#include "store/base/array.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST = 64 };

bool array_room(void *items, size_t *room, size_t count, size_t each)
{
    void *old, *fresh;
    if (count < *room)
        return true;
    size_t more = *room ? *room * 2 : FIRST;
    if (more > SIZE_MAX / each)
        return false;
    memcpy(&old, items, sizeof old); /* any pointer to an object: all are alike here */
    fresh = realloc(old, more * each);
    if (!fresh)
        return false;
    memcpy(items, &fresh, sizeof fresh);
    *room = more;
    return true;
}
