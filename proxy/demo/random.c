/* random.c: see random.h (splitmix64; Box and Muller for the normal). */
#include "proxy/demo/random.h"

#include <math.h>

uint64_t demo_random_next(struct demo_random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

double demo_random_unit(struct demo_random *r)
{
    return (double)(demo_random_next(r) >> 11) / 9007199254740992.0;
}

bool demo_random_chance(struct demo_random *r, double share)
{
    return demo_random_unit(r) < share;
}

unsigned demo_random_below(struct demo_random *r, unsigned n)
{
    return (unsigned)(demo_random_next(r) % n);
}

double demo_random_lognormal(struct demo_random *r, double median, double spread)
{
    double u = 1.0 - demo_random_unit(r), v = demo_random_unit(r);
    double normal = sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
    return median * exp(spread * normal);
}
