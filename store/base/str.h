/* str.h: a borrowed piece of text: pointer and length, not ended by NUL.
 *
 * Why: bodies, headers and JSON values are looked at where they lie. A struct str never owns; its
 * bytes live as long as what they were taken from (a request's arena, a snapshot, a literal).
 *
 *     struct str model = json_get_str(body, STR("model"), arena);
 *     if (str_eq(model, STR("gpt-5")))
 *
 * Numbers are parsed strictly: no blanks, no sign unless said, no overflow, whole text used. */
#ifndef POINTSMAN_STR_H
#define POINTSMAN_STR_H

#include "store/base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

#define STR(lit) ((struct str){"" lit, sizeof(lit) - 1})
#define STR_NULL ((struct str){NULL, 0})
#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct str str_c(const char *c)
{
    return (struct str){c, c ? strlen(c) : 0};
}

static inline struct str str_n(const char *p, size_t n)
{
    return (struct str){p, n};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

/* From byte `from` on; empty when from is past the end. */
static inline struct str str_from(struct str s, size_t from)
{
    return from >= s.n ? (struct str){s.p ? s.p + s.n : NULL, 0}
                       : (struct str){s.p + from, s.n - from};
}

static inline struct str str_first(struct str s, size_t n)
{
    return (struct str){s.p, n < s.n ? n : s.n};
}

/* ASCII only; locale never matters. */
bool str_starts_nocase(struct str s, struct str prefix);
static inline bool str_eq_nocase(struct str a, struct str b)
{
    return a.n == b.n && str_starts_nocase(a, b);
}
int str_cmp(struct str a, struct str b);

/* Offset of the first `c` or of `needle`, or -1. */
ptrdiff_t str_chr(struct str s, char c);
ptrdiff_t str_find(struct str s, struct str needle);
ptrdiff_t str_find_nocase(struct str s, struct str needle);

/* What HTTP takes as a name (a token), and as a value: no control bytes but the tab. */
bool str_is_token(struct str s);
bool str_is_field(struct str s);

/* Without blanks and tabs at both ends. */
struct str str_trim(struct str s);
struct str str_after_bom(struct str s); /* without a byte order mark before it */

/* Cuts at the first `sep`: returns what is before it and leaves the rest in *s. False at the end. */
bool str_cut(struct str *s, char sep, struct str *piece);

/* `*` stands for any run of bytes, `?` for one byte; everything else for itself. Linear time. */
bool str_glob(struct str pattern, struct str s);
bool str_glob_nocase(struct str pattern, struct str s); /* ASCII letters in either case */

bool str_to_u64(struct str s, uint64_t *out);
bool str_to_i64(struct str s, int64_t *out);

/* A number as text, written to `memory`; no format is parsed. */
enum { STR_I64_SIZE = 24 };
struct str str_of_i64(int64_t v, char memory[STR_I64_SIZE]);

/* Copies into a fixed buffer, always ended by NUL, cut where a UTF-8 sequence ends. */
void str_copy(char *dst, size_t size, struct str s);

/* A heap copy ended by NUL; NULL when out of memory. The caller frees. */
char *str_dup(struct str s);

/* Edit distance up to `max` (then max + 1); for "did you mean". Compares the first 64 bytes. */
unsigned str_distance(struct str a, struct str b, unsigned max);

uint64_t str_hash(struct str s);
/* Spreads every bit of h over all of them: for picking by hash. Not for secrets. */
static inline uint64_t mix_bits(uint64_t h)
{
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdu;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 33;
}

#endif
