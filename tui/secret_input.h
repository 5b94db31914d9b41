/* secret_input.h: a secret from standard input: typed without an echo on a terminal, else read to its
 * end. Never from argv: that is seen by everybody in /proc, and kept in the shell's history. */
#ifndef POINTSMAN_SECRET_INPUT_H
#define POINTSMAN_SECRET_INPUT_H

#include "store/base/buf.h"
#include "store/base/err.h"

/* Blanks and line ends around it are cut off. The caller wipes and frees *out. -ERR_CANCELLED: Ctrl-C
 * or Ctrl-D; -ERR_MISSING: nothing came; -ERR_LIMIT: more than the buffer's ceiling. */
int secret_input(const char *prompt, struct buf *out, struct err *e) MUST_CHECK;

#endif
