/* demo.h: providers that exist nowhere: for the first look, without a key and without a network.
 *
 * Why: whoever tries pointsman wants to see every screen alive within a minute. The demo listens on
 * loopback in a thread of its own, speaks OpenAI's dialect with believable latencies, failures, tool
 * calls and usage, and can drive itself: a bounded synthetic load of agents and scripts goes through
 * the gateway's real listener. Nothing is written to disk; everything repeats with the same seed.
 *
 *     struct demo *d;
 *     demo_start(&d, seed, &e);
 *     request.demo_url = demo_base_url(d);          // `pointsman` without any key: one provider
 *     request.demo_models = demo_models(d, &request.demo_model_count);
 *     demo_prices(d, &json); request.demo_prices = buf_str(&json);
 * or, for `pointsman demo`:
 *     demo_config(d, listen, &yaml);                // providers, routes, keys, prices
 *     request.text = buf_str(&yaml);
 *     demo_load_start(d, "http://127.0.0.1:4141", &e);  // when the gateway listens
 *     …
 *     demo_stop(d);                                 // ends both threads, frees
 *
 * Models are called demo/…, and answers carry `x-pointsman-demo: 1`. Knows loop, http and base; the
 * load is an ordinary client with plain sockets. */
#ifndef POINTSMAN_DEMO_H
#define POINTSMAN_DEMO_H

#include "store/base/buf.h"
#include "store/base/err.h"

struct demo;

int demo_start(struct demo **out, uint64_t seed, struct err *e) MUST_CHECK;
/* "http://127.0.0.1:43121/v1"; valid until demo_stop(). */
const char *demo_base_url(const struct demo *d);
/* Model names of that base URL, static. */
const struct str *demo_models(const struct demo *d, size_t *n);
/* What they cost: JSON for request.demo_prices. */
void demo_prices(const struct demo *d, struct buf *json);

/* A whole configuration for `pointsman demo`: three simulated providers, routes with policies,
 * rules and fallbacks, keys with budgets, prices. */
void demo_config(const struct demo *d, struct str listen, struct buf *yaml);

/* Starts the synthetic clients against the gateway: at most DEMO_CLIENTS at once, two to four
 * requests a second. Call it once. */
enum { DEMO_CLIENTS = 16 };
int demo_load_start(struct demo *d, const char *gateway_url, struct err *e) MUST_CHECK;

/* For tests. */
struct demo_counts {
    int64_t asked, answered, failed, hung_up; /* by the load; answered: 2xx to the end */
    int64_t served;                           /* by the simulated providers */
};
struct demo_counts demo_counts(const struct demo *d);

void demo_stop(struct demo *d);

#endif
