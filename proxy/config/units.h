/* units.h: the spellings of quantities that people write: sizes, times, money, shares, rates.
 *
 * Why: "64MiB", "10m" and "$0.02" are read in the configuration, by its check and in tests; exact,
 * with integers, and with a reason when refused. All take the whole text, allow no blanks inside,
 * and return 0, -ERR_SYNTAX or -ERR_RANGE with a sentence that starts after the path: "needs a
 * unit, for example 30s". Pure. */
#ifndef POINTSMAN_CONFIG_UNITS_H
#define POINTSMAN_CONFIG_UNITS_H

#include "store/base/buf.h"
#include "store/base/err.h"

/* "12", "150k", "1.5M": k = 1,000. */
int unit_count(struct str text, int64_t *out, struct err *e) MUST_CHECK;
/* "512", "64MiB", "200k", "1GB": bytes; k, M, G = powers of 1,000, Ki, Mi, Gi of 1,024. */
int unit_size(struct str text, int64_t *bytes, struct err *e) MUST_CHECK;
/* "500ms", "2s", "1h30m", "7d", "2w" → µs. A number without a unit is refused; "0" is 0. */
int unit_duration(struct str text, int64_t *us, struct err *e) MUST_CHECK;
/* "$5", "5", "0.02usd" → nano-USD; more than 9 decimals are refused, not rounded. */
int unit_money(struct str text, int64_t *nano, struct err *e) MUST_CHECK;
/* USD per million units, "0.25" or "$3" → femto-USD (1e-15) per unit, exact or refused. */
int unit_rate(struct str text, int64_t *femto, struct err *e) MUST_CHECK;
/* USD for one unit, "0.01" → femto-USD, exact or refused. */
int unit_fee(struct str text, int64_t *femto, struct err *e) MUST_CHECK;
/* "80%", "2.5%" → parts per million. */
int unit_percent(struct str text, int64_t *ppm, struct err *e) MUST_CHECK;
/* "2026-12-31" (the end of that day, UTC) or RFC 3339 "2026-12-31T10:00:00Z" → wall ms. */
int unit_date(struct str text, int64_t *wall_ms, struct err *e) MUST_CHECK;
/* yes, no, true, false, on, off. */
int unit_bool(struct str text, bool *out, struct err *e) MUST_CHECK;

/* Decimal text (digits, one point, an exponent) × 10^scale as an exact integer. */
int unit_decimal(struct str text, int scale, int64_t *out, struct err *e) MUST_CHECK;

/* The shortest spelling that reads back the same: "64MiB", "10m", "$0.02", "2.5%", "0.25" (rate). */
void unit_put_size(struct buf *out, int64_t bytes);
void unit_put_duration(struct buf *out, int64_t us);
void unit_put_money(struct buf *out, int64_t nano);
void unit_put_percent(struct buf *out, int64_t ppm);
void unit_put_rate(struct buf *out, int64_t femto);
void unit_put_fee(struct buf *out, int64_t femto);
void unit_put_date(struct buf *out, int64_t wall_ms);

#endif
