/* arguments.h: follows the JSON of a tool call's arguments as its fragments pass, to know when it is
 * whole. Nothing is kept but a few bits.
 *
 *     struct arguments_scan s = {0};
 *     arguments_feed(&s, fragment);        // the text (escaped) of one fragment
 *     if (s.whole) …                       // the outermost value is closed
 */
#ifndef POINTSMAN_ARGUMENTS_H
#define POINTSMAN_ARGUMENTS_H

#include "store/base/str.h"

struct arguments_scan {
    unsigned depth;
    bool begun, whole, in_string, escaped;
};

/* Returns how many bytes of the fragment belong to the value: less than its length when something
 * follows a whole one (some servers send all arguments once more). */
size_t arguments_feed(struct arguments_scan *s, struct str fragment);

#endif
