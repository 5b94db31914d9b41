/* http_header.h: a name and a value: the shape that both sides of the gateway speak. */
#ifndef POINTSMAN_HTTP_HEADER_H
#define POINTSMAN_HTTP_HEADER_H

#include "store/base/str.h"

struct http_header {
    struct str name, value;
};

#endif
