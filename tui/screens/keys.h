/* keys.h: sheets around a key, opened from the Keys screen. */
#ifndef POINTSMAN_TUI_KEYS_H
#define POINTSMAN_TUI_KEYS_H

#include "tui/screen.h"

/* One line with live check: "bob 20/week models:fast,cheap rpm:60 expires:90d". `name` NULL: a new
 * key; else its limits, the line begins after the name. Enter makes it; a new secret is shown once.
 */
void key_form_open(struct app *a, const char *name);

/* Asks for something that needs the key's name typed (revoke) or an amount (grant). */
void key_revoke_open(struct app *a, const char *name);
void key_grant_open(struct app *a, const char *name);

/* Shows a secret once, with the lines that its owner needs; y copies them. `reply` is the answer to
 * a new or rotated key. */
void key_secret_open(struct app *a, struct str reply);

#endif
