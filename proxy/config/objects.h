/* objects.h: the text of each thing that a file says, so that applying it touches only what changed.
 * Private to this room; read through config_objects(). */
#ifndef POINTSMAN_CONFIG_OBJECTS_H
#define POINTSMAN_CONFIG_OBJECTS_H

#include "proxy/config/options.h"

void objects_from_file(struct reader *r, const struct yaml *root);
void objects_from_environment(struct reader *r);

#endif
