/* check.h: faults that show only when the whole file is read. Private to this room. */
#ifndef POINTSMAN_CONFIG_CHECK_H
#define POINTSMAN_CONFIG_CHECK_H

#include "proxy/config/options.h"

void check_config(struct reader *r, const struct yaml *root);

#endif
