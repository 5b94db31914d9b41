/* export.h: what the two halves of the exporter share. Private to this room. */
#ifndef POINTSMAN_CONFIG_EXPORT_H
#define POINTSMAN_CONFIG_EXPORT_H

#include "proxy/config/options.h"

struct exporter {
    struct buf *out;
    struct arena arena;   /* of the defaults that are compared with */
    struct reader reader; /* reads them */
    size_t members;       /* written so far in the map on this line */
};

/* A text as YAML needs it: plain where that is safe, else quoted. */
void export_text(struct buf *out, struct str s);
void export_options(
    struct exporter *x, enum section s, const void *base, const char *indent, bool flow);
void export_budget(struct buf *out, const struct budget_limit *limits, size_t n);
void export_routes(struct exporter *x, const struct config *c, const struct config_live *live);
void export_prices(struct exporter *x, const struct config *c);

#endif
