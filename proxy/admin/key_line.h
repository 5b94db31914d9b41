/* key_line.h: a key's limits as people type them, and as the API takes them.
 *
 *     20/week 5/day 100 models:fast,claude-* rpm:60 tpm:200k concurrent:4 expires:90d
 *     owner:bob team:ops tags:env:prod,project:search sources:10.0.0.0/8 raw:files,batches capture:off
 *
 *     +5/day                   5 more until this day is over, then the limit is what it was
 *
 * Amounts are USD: `20/week`, `20usd/week`, `$20/week`; without a window it is for the key's whole
 * life. `none` takes a limit away (week:none rpm:none). An empty or zero amount is an error that
 * speaks of the shell's `$`, never "no limit". PURE: text in, members of a "key/NAME" object out. */
#ifndef POINTSMAN_ADMIN_KEY_LINE_H
#define POINTSMAN_ADMIN_KEY_LINE_H

#include "store/base/json.h"
#include "store/base/json_span.h"

/* Lays `words` over the object `base` (JSON; empty: none) and writes the new object to `out`. 0 or
 * -ERR_X with the word that is wrong in *e. */
int key_line_apply(struct str base, struct str words, int64_t wall_ms, struct buf *out,
    struct err *e) MUST_CHECK;
/* The same from members of an API request: owner, team, tags, models, sources, raw, budgets, rpm, tpm,
 * concurrent, expires_ms, capture. Others are left alone. */
int key_members_apply(struct str base, const struct json *members, struct buf *out,
    struct err *e) MUST_CHECK;
/* What it means, in words: "$20.00 a week, 60 requests a minute, routes fast and cheap, until …" */
void key_meaning(struct str object, struct buf *out);

/* 1 to 64 of letters, digits, '.', '-', '_'. */
bool key_name_ok(struct str name);

#endif
