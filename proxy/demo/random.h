/* random.h: a small repeatable generator for the demo. Never for anything that must be secret. */
#ifndef POINTSMAN_DEMO_RANDOM_H
#define POINTSMAN_DEMO_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct demo_random {
    uint64_t state;
};

uint64_t demo_random_next(struct demo_random *r);
double demo_random_unit(struct demo_random *r);               /* 0 ≤ x < 1 */
bool demo_random_chance(struct demo_random *r, double share); /* true for that share */
unsigned demo_random_below(struct demo_random *r, unsigned n);
/* Log-normal around a median, as waiting times are: spread is the sigma of the logarithm. */
double demo_random_lognormal(struct demo_random *r, double median, double spread);

#endif
