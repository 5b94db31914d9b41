/* handlers.h: one function a row of commands.def. Private to this room. */
#ifndef POINTSMAN_ADMIN_HANDLERS_H
#define POINTSMAN_ADMIN_HANDLERS_H

#include "proxy/admin/call.h"

struct provider;

#define X(method, path, role, handler) call_fn handler;
#include "proxy/admin/commands.def"
#undef X

/* providers.c: the provider of the path; NULL: a 404 was sent. */
const struct provider *call_provider(struct call *c);

#endif
