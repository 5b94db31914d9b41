/* compiler.h: the few attributes and macros that the whole tree uses.
 *
 * Why: an ignored error code or a wrong printf format is a compile error here, not a surprise
 * later. Nothing in this file produces code. */
#ifndef POINTSMAN_COMPILER_H
#define POINTSMAN_COMPILER_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
/* For the few inner loops where a call costs as much as what it does. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

/* The struct that holds `member` at address `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
