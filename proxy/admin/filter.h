/* filter.h: the filter language of lists: one line, words that must all hold, over records.
 *
 *     model:claude* st:>=400 dur:>2s -route:fallback "rate limit"   a | b     cost:>0.01 in:>10k
 *
 * `field:op value` compares one field (filter_fields lists them with aliases); a plain word is a
 * part of any of the visible texts; `-` in front negates; `|` between words means either (it binds
 * tighter than "and"); quotes keep blanks together. Text values are patterns (`*`, `?`) that stand
 * for the whole field, or plain text that stands for a part of it; `key=ci` or `key:=ci` asks for the
 * whole. Numbers take < <= > >= = and a..b, with units: dur:>2s 300ms, in:>10k, size:>1MiB, cost:>0.01.
 * Letter case matters only where the whole is asked for.
 *
 * PURE: no memory but the filter itself, no clock but the `now` passed to filter_parse (for
 * age:<10m = of the last ten minutes). Limits: 1,024 bytes, 32 terms.
 *
 *     struct filter f;
 *     if (filter_parse(&f, text, now_ms, &e) < 0)     // e.text says "column 7: …"
 *     if (filter_match(&f, &record))
 *     filter_equal(&f, "key", &value)               // an equality that an index can serve */
#ifndef POINTSMAN_FILTER_H
#define POINTSMAN_FILTER_H

#include "store/record.h"

enum { FILTER_TEXT_MAX = 1024, FILTER_TERMS_MAX = 32 };

enum filter_op { FILTER_HAS, FILTER_IS, FILTER_GLOB, FILTER_EQ, FILTER_NE, FILTER_LT, FILTER_LE,
    FILTER_GT, FILTER_GE, FILTER_BETWEEN };

struct filter_term {
    const struct filter_field *field; /* NULL: a plain word */
    enum filter_op op;
    bool negated;
    bool either;              /* joined by `|` to the term before it */
    struct str text;          /* into struct filter's own copy */
    int64_t low, high;
    unsigned column;          /* from 1 */
};

struct filter {
    char text[FILTER_TEXT_MAX + 1];
    struct filter_term terms[FILTER_TERMS_MAX];
    size_t count;
};

enum filter_kind { FILTER_KIND_TEXT, FILTER_KIND_COUNT, FILTER_KIND_DURATION, FILTER_KIND_SIZE,
    FILTER_KIND_MONEY, FILTER_KIND_STATUS, FILTER_KIND_OUTCOME, FILTER_KIND_STATE,
    FILTER_KIND_BOOL, FILTER_KIND_AGE };

/* The table of fields: names, what they compare, help. Readers: parser, completion, help, docs. */
struct filter_field {
    const char *name, *alias; /* "st", "status" */
    enum filter_kind kind;
    size_t offset;            /* into struct record; text or int64 */
    const char *column;       /* database column where an equality can use an index, or NULL */
    const char *help;
};
extern const struct filter_field filter_fields[];
extern const size_t filter_field_count;

/* 0 (an empty text matches everything), -ERR_SYNTAX, -ERR_UNKNOWN, -ERR_RANGE, -ERR_LIMIT; the text of
 * *e starts with "column N: ". */
int filter_parse(struct filter *f, struct str text, int64_t now_ms, struct err *e) MUST_CHECK;
bool filter_match(const struct filter *f, const struct record *r);

/* Is `column` required to equal one text, whatever else holds? For the store's indexed pages. */
bool filter_equal(const struct filter *f, const char *column, struct str *value);
/* Are all terms such equalities (or there are none)? Then no scan is needed. */
bool filter_is_indexed(const struct filter *f);

#endif
