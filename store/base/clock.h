/* clock.h: the two clocks, both replaceable in tests.
 *
 * Why: timeouts and latencies follow the monotonic clock, records and calendars the wall clock;
 * a test that moves either must not need a special build. Pure rooms (route, meter, access,
 * dialect) never call these: the time is passed to them. */
#ifndef POINTSMAN_CLOCK_H
#define POINTSMAN_CLOCK_H

#include <stdint.h>

int64_t clock_mono_us(void);
int64_t clock_wall_ms(void);

struct clock_source {
    int64_t (*mono_us)(void);
    int64_t (*wall_ms)(void);
};

/* NULL brings the real clocks back. Not while other threads run. */
void clock_replace(const struct clock_source *source);

/* "2026-11-23T14:02:09.123Z" (RFC 3339, ms, UTC): 24 characters and a NUL. */
void clock_rfc3339(int64_t wall_ms, char out[32]);

#endif
