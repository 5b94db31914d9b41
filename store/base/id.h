/* id.h: ids of exchanges: 26 characters, lower-case Crockford base32: 48 bits of wall-clock ms and 80
 * random bits. They sort by time as text, and two of one process in one ms still sort in order. */
#ifndef POINTSMAN_ID_H
#define POINTSMAN_ID_H

#include "store/base/str.h"

enum { ID_LENGTH = 26 };

struct id_source { /* one per thread */
    uint64_t random[2];
    int64_t last_ms;
    uint16_t high;
    uint64_t low;
};
void id_source_init(struct id_source *s); /* seeds from the kernel */
void id_make(struct id_source *s, int64_t wall_ms, char out[ID_LENGTH + 1]);

/* A random number from the same source: for policies and jitter, never for secrets. */
uint64_t id_random(struct id_source *s);

#endif
