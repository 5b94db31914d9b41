/* log.h: one line a message on stderr (or gateway.log), for the operator.
 *
 * Why: a gateway is debugged by people who read. A line is
 * `2026-11-23T14:02:09.123Z warn  upstream lab: connect refused`; control bytes are replaced, and
 * the redactor (secret.h) runs over each line, so that no secret known to the process can appear.
 * Lines go out with one write(2); any thread may call. Data from outside is never the format. */
#ifndef POINTSMAN_LOG_H
#define POINTSMAN_LOG_H

#include "store/base/compiler.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* For tests: what is logged, and where to (stderr). */
void log_set_level(enum log_level least);
void log_set_fd(int fd);

/* Called on each finished line before it is written (secret.h installs itself here). */
void log_set_filter(void (*filter)(char *line, unsigned long size));

void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)

#endif
