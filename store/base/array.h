/* array.h: a plain array that grows by halves of what it will be: the one way to write that.
 *
 *     struct row **rows = NULL; size_t count = 0, room = 0;
 *     if (!array_room(&rows, &room, count, sizeof *rows))
 *         return -ERR_NOMEM;                                  // as it was, count elements long
 *     rows[count++] = row;
 *
 * The caller names the ceiling before it asks. Ownership: the array is the caller's, free()d as any. */
#ifndef POINTSMAN_BASE_ARRAY_H
#define POINTSMAN_BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/* Makes room for one more behind `count` elements of `each` bytes. `items` is the address of the
 * pointer to them (NULL at first), `room` how many it holds. False: no memory, nothing has changed. */
bool array_room(void *items, size_t *room, size_t count, size_t each);

#endif
