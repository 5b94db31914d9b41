/* usage_object.h: the two steps behind usage_object(), for usage.c alone: read what is said into a
 * struct usage_parts (again and again, where a stream says it in parts), then normalise. */
#ifndef POINTSMAN_USAGE_OBJECT_H
#define POINTSMAN_USAGE_OBJECT_H

#include "proxy/meter/usage.h"
#include "store/base/json_span.h"

/* Lays the members of a usage object over *seen; absent and null members leave what was there.
 * Returns the service tier that stands among them, type JSON_NONE when there is none. */
struct json_span usage_parts_read(struct usage_parts *seen, struct str object);
/* A cost beside the usage: a number of USD, or {"usd":…} / {"total_cost":…}. */
void usage_parts_cost(struct usage_parts *seen, struct json_span cost);
/* What a raw body says beside `usage`: the duration of what was heard, pages, search units. */
void usage_parts_raw(struct usage_parts *seen, struct str body);
/* False when nothing that counts tokens was seen. */
bool usage_parts_normalise(const struct usage_parts *seen, unsigned quirks, struct usage *u);

/* A number clamped to 0 … 2^40; false when the span is none. */
bool usage_number(struct json_span v, int64_t *out);

#endif
