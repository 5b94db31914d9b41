/* sealed.h: sealed provider keys as people see them: for the API, and for the verbs without a gateway. */
#ifndef POINTSMAN_ADMIN_SEALED_H
#define POINTSMAN_ADMIN_SEALED_H

#include "proxy/config/config.h"
#include "store/base/json.h"

/* Members "master", "master_fault" and "keys"; config (may be NULL): who uses them. Never a value. */
void sealed_report(struct json_writer *w, const struct config *config);

#endif
