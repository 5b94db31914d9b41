/* price_text.h: shared by the readers of prices (built-in rows, imports). */
#ifndef POINTSMAN_PRICE_TEXT_H
#define POINTSMAN_PRICE_TEXT_H

#include "proxy/meter/price.h"

/* The rates of a tier, at the base (above = 0) or from an input size on; makes the step where it is
 * new and keeps `steps` (PRICE_STEPS places) rising. NULL when there are too many. */
struct price_rates *price_rates_at(struct price *p, struct price_step *steps, int64_t above,
    enum price_tier tier);

#endif
