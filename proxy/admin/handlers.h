/* handlers.h: one function a row of commands.def. Private to this room. */
#ifndef POINTSMAN_ADMIN_HANDLERS_H
#define POINTSMAN_ADMIN_HANDLERS_H

#include "proxy/admin/call.h"

#define X(method, path, role, handler) call_fn handler;
#include "proxy/admin/commands.def"
#undef X

#endif
