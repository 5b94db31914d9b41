/* step.c: see step.h. */
#include "store/step.h"

#define ONE(column) +1
_Static_assert(1 + 10 * (0 STORE_STEP_PACKED(ONE)) <= STEP_BYTES, "a step of large numbers");

static uint8_t *put(uint8_t *p, int64_t number)
{
    uint64_t v = (uint64_t)number;
    for (; v >= 0x80; v >>= 7)
        *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    return p;
}

size_t step_pack(uint8_t out[STEP_BYTES], const struct store_step *s)
{
    uint8_t *p = out;
    *p++ = STEP_FORM;
#define X(column) p = put(p, s->column);
    STORE_STEP_PACKED(X)
#undef X
    return (size_t)(p - out);
}

/* NULL past the end, which then stays NULL. */
static inline const uint8_t *get(const uint8_t *p, const uint8_t *end, int64_t *number)
{
    uint64_t v = 0;
    for (unsigned shift = 0; p && p < end && shift < 64; shift += 7) {
        uint8_t byte = *p++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *number = (int64_t)v;
            return p;
        }
    }
    return NULL;
}

bool step_unpack(struct str packed, struct store_step *s)
{
    const uint8_t *p = (const uint8_t *)packed.p, *end = p + packed.n;
    if (packed.n == 0 || *p++ != STEP_FORM)
        return false;
#define X(column) p = get(p, end, &s->column);
    STORE_STEP_PACKED(X)
#undef X
    return p != NULL;
}
