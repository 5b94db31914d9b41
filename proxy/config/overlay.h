/* overlay.h: edited objects laid over the file's tree. Private to this room. */
#ifndef POINTSMAN_CONFIG_OVERLAY_H
#define POINTSMAN_CONFIG_OVERLAY_H

#include "proxy/config/yaml.h"

/* `over` is a map of sections, each a map of objects; scalars replace. The result shares nodes with
 * both; NULL without memory. */
const struct yaml *overlay_lay(const struct yaml *root, struct yaml *over, struct arena *a);

#endif
