/* json_span.h: finds the byte range of a JSON value without building a tree.
 *
 * Why: bodies pass byte for byte. To route, meter and splice we must know where a few values lie;
 * a tree (and a re-print) would change big integers, key order and duplicates, and costs ten times
 * as much. Strict RFC 8259: what a strict parser refuses is refused here.
 *
 *     struct json_span v = json_get(body, STR("model"));
 *     if (v.type == JSON_STRING) ...       // v.raw is `"gpt-5"` with its quotes, inside body
 *
 * All functions are pure and zero-copy: a span points into the text that it was taken from. They
 * need no validation before: on broken text they return JSON_NONE (getters) or an error
 * (iterators). The time is linear in what is walked over; nesting deeper than JSON_DEPTH_MAX is an
 * error. */
#ifndef POINTSMAN_JSON_SPAN_H
#define POINTSMAN_JSON_SPAN_H

#include "store/base/arena.h"
#include "store/base/buf.h"
#include "store/base/str.h"

enum { JSON_DEPTH_MAX = 128 };

enum json_type {
    JSON_NONE, /* absent or broken */
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL
};

struct json_span {
    enum json_type type;
    struct str raw; /* the value without blanks around it; a string with its quotes */
};

/* Is the whole text one valid JSON value (blanks around allowed, nothing else)? Checks structure,
 * numbers, escapes, control characters and UTF-8. 0, or -ERR_SYNTAX / -ERR_LIMIT (depth) with the
 * offset in *at (may be NULL). */
int json_check(struct str text, size_t *at) MUST_CHECK;

/* The type and extent of the value that `text` starts with (leading blanks allowed). */
struct json_span json_value(struct str text);

/* Member of an object, first match wins; keys are compared after decoding escapes, exact case. */
struct json_span json_get(struct str object, struct str key);

/* `path` is keys and array indices with dots: "usage.prompt_tokens_details.cached_tokens",
 * "choices.0.delta". Keys with dots in them can't be reached this way. */
struct json_span json_path(struct str text, const char *path);

/* Several members of one object in one pass. Each want gets its value and how often it came:
 * duplicates of policy fields are refused by the caller (T30). 0 or -ERR_SYNTAX, -ERR_TYPE. */
struct json_want {
    struct str key;
    struct json_span value; /* the first one */
    unsigned count;
};
int json_scan(struct str object, struct json_want *wants, size_t n) MUST_CHECK;

/* Iteration:
 *     struct json_iter it = json_iter(array_or_object);
 *     struct json_span key, value;
 *     while (json_next(&it, &key, &value)) ...     // key.type == JSON_NONE in arrays
 *     if (it.err) ...                              // -ERR_SYNTAX, -ERR_LIMIT, -ERR_TYPE
 * After the last element `rest` is what follows the closing bracket. */
struct json_iter {
    struct str rest;
    bool object;
    bool started, done;
    int err;
};
struct json_iter json_iter(struct str container);
bool json_next(struct json_iter *it, struct json_span *key, struct json_span *value);

/* Token by token, in one pass whatever the nesting: for those who look into everything.
 *     struct json_walk w = json_walk(body);
 *     struct json_token t;
 *     while (json_walk_next(&w, &t)) ...
 *     if (w.err) ...                               // at byte w.at of the text
 * Without an error the whole text was one valid value. Containers give a token where they begin and
 * one where they end; `depth` is that of the value itself, 0 for the outermost. */
struct json_token {
    enum json_type type;
    bool end;             /* the closing bracket of a container */
    unsigned depth;
    struct json_span key; /* of an object's member; type JSON_NONE in arrays and at ends */
    struct str raw;       /* a scalar; of a container its one bracket */
};
struct json_nest {
    uint64_t bits[JSON_DEPTH_MAX / 64]; /* set for an object */
    unsigned depth;
};
struct json_walk {
    struct str text;
    size_t at;
    struct json_nest open;
    bool started, after_value;
    int err;
};
struct json_walk json_walk(struct str text);
bool json_walk_next(struct json_walk *w, struct json_token *t);

/* Number of elements or members; 0 for anything else. */
size_t json_count(struct json_span v);

/* Values. The integer forms take "12", "12.0" and "1.2e1" alike as long as the value is a whole
 * number in range; anything else is -ERR_TYPE or -ERR_RANGE. Never through a double. */
int json_i64(struct json_span v, int64_t *out) MUST_CHECK;
bool json_is_true(struct json_span v);
bool json_is_false(struct json_span v);

/* Text of a string value. Without escapes the bytes inside the quotes are returned as they lie;
 * else they are decoded into the arena. Lone surrogates become U+FFFD. STR_NULL when it is not a
 * string or the arena is full. U+0000 is kept (text may hold NUL). */
struct str json_text(struct json_span v, struct arena *a);

/* Compares a string value with plain text, decoding on the way; no memory needed. */
bool json_text_eq(struct json_span v, struct str plain);

/* Appends `s` as a JSON string with quotes. Invalid UTF-8 becomes U+FFFD. */
void json_quote(struct buf *out, struct str s);

/* Convenience: json_text(json_get(object, key), a). */
struct str json_get_str(struct str object, struct str key, struct arena *a);

/* Splicing, as tests see it (exchange/body.c sends the pieces without copying them): copies `body` to
 * `out` with the bytes of `at` (a sub-range of body) replaced. */
void json_splice(struct buf *out, struct str body, struct str at, struct str with);

#endif
