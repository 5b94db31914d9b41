/* cli_sealed.h: what main.c shares with the verbs for sealed provider keys where no gateway runs. */
#ifndef POINTSMAN_CLI_SEALED_H
#define POINTSMAN_CLI_SEALED_H

#include "store/base/buf.h"
#include "tui/cli.h"

/* The key from standard input or the terminal, checked; the caller wipes and frees it whatever comes
 * back. An exit status: it has been said why. */
int cli_read_provider_key(const struct cli *c, struct buf *value);

/* Answers of the gateway, or of offline.h, for people or as they came (--json). */
void cli_print_sealed(const struct cli *c, struct str json);
void cli_print_sealed_change(const struct cli *c, struct str json);
void cli_print_resealed(const struct cli *c, struct str json);

#endif
