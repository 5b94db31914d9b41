/* id.c: see id.h. */
#include "store/base/id.h"

#include <sys/random.h>
#include <time.h>

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

void id_source_init(struct id_source *s)
{
    *s = (struct id_source){0};
    if (getrandom(s->random, sizeof s->random, GRND_NONBLOCK) != (ssize_t)sizeof s->random) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        s->random[0] = (uint64_t)t.tv_nsec * 0x9e3779b97f4a7c15u;
        s->random[1] = (uint64_t)(uintptr_t)s ^ (uint64_t)t.tv_sec;
    }
    s->random[0] |= 1; /* xoroshiro must not start at all zeros */
}

uint64_t id_random(struct id_source *s)
{
    /* xoroshiro128+ */
    uint64_t a = s->random[0], b = s->random[1], sum = a + b;
    b ^= a;
    s->random[0] = (a << 24 | a >> 40) ^ b ^ b << 16;
    s->random[1] = b << 37 | b >> 27;
    return sum;
}

void id_make(struct id_source *s, int64_t wall_ms, char out[ID_LENGTH + 1])
{
    if (wall_ms > s->last_ms) {
        s->last_ms = wall_ms;
        s->high = (uint16_t)id_random(s);
        s->low = id_random(s);
    } else if (++s->low == 0) { /* same ms, or the clock went back: count on */
        s->high++;
    }
    /* 130 bits of digits hold 128 of content: 48 time, 16 high, 64 low; the first digit is 0–7. */
    unsigned __int128 v = (unsigned __int128)(uint64_t)s->last_ms << 80 |
                          (unsigned __int128)s->high << 64 | s->low;
    for (int i = ID_LENGTH - 1; i >= 0; i--) {
        out[i] = digits[v & 31];
        v >>= 5;
    }
    out[ID_LENGTH] = '\0';
}
