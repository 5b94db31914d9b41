/* source.h: where configurations come from: the file (or the environment) as it was last applied, the
 * objects edited live laid over it, keys hashed, prices in layers.
 *
 * Why: an edit of one route must not let in what somebody is just typing into the file: the text that
 * was applied is kept, and only source_reread() reads the file again.
 *
 *     source_new(&s, &options, &e);
 *     struct config *c = source_load(s, STR_NULL, &lines, &e);     // at start
 *     source_reread(s, &e); c = source_load(s, overlay, …);        // SIGHUP, config apply
 *
 * Prices: built-in list ← imported list (kept in the store) ← `prices:` of the file.
 * Used at start by the main thread, then by the admin thread alone. */
#ifndef POINTSMAN_ADMIN_SOURCE_H
#define POINTSMAN_ADMIN_SOURCE_H

#include "proxy/config/config.h"

struct source;
struct price_list;

struct source_options {
    const char *path;               /* --config; NULL: the default places, else the environment */
    struct str listen, data, socket; /* of the command line: win over the file */
    const char *demo_url;           /* see struct config_request */
    bool demo_always;
    const struct str *demo_models;
    size_t demo_model_count;
    struct str demo_prices;
};

/* Texts of the options must outlive it. Reads the file. */
int source_new(struct source **out, const struct source_options *options, struct err *e) MUST_CHECK;
void source_free(struct source *s);

/* Reads the file again, or takes another text instead. What source_load() then makes of it counts
 * only after source_settle(true); source_settle(false) goes back to the text applied before. */
int source_reread(struct source *s, struct err *e) MUST_CHECK;
int source_set_text(struct source *s, struct str text, struct err *e) MUST_CHECK;
void source_settle(struct source *s, bool accept);
/* The imported price list (LiteLLM's or models.dev's form); empty: none. */
int source_set_prices(struct source *s, struct str json, struct err *e) MUST_CHECK;

/* A checked configuration (one reference), or NULL: *e says the first fault and how many there are.
 * All faults and warnings are appended to `lines` (may be NULL), one a line. */
struct config *source_load(struct source *s, struct str overlay, struct buf *lines, struct err *e);

const char *source_path(const struct source *s); /* "" when there is no file */

#endif
