/* news.h: what happened lately, under one sequence: finished records, events, markers.
 *
 * Why: a console asks "what is new since N" many times a minute. The workers' spools and the event
 * ring each count for themselves; here they are read into one bounded ring, so that one number says
 * what a console has seen. Only filled while somebody looks; costs nothing else.
 *
 * The number is above every one that an earlier gateway gave, so that a console which lived through a
 * restart is told to take everything again instead of what happens to follow.
 *
 * Bounded by NEWS_ENTRIES and NEWS_BYTES; who falls behind is told to take everything again, unless
 * all that it missed are records, and more of them than anybody can read. */
#ifndef POINTSMAN_ADMIN_NEWS_H
#define POINTSMAN_ADMIN_NEWS_H

#include "proxy/event/event.h"
#include "store/spool.h"

enum { NEWS_ENTRIES = 2048, NEWS_BYTES = 4 << 20, NEWS_MARKER_MAX = 300 };

enum news_kind { NEWS_RECORD, NEWS_EVENT, NEWS_MARKER };

struct news_marker {
    int64_t time_ms, revision; /* revision: what undoes it */
    char text[NEWS_MARKER_MAX], who[64];
};

struct news_entry {
    uint64_t sequence;
    enum news_kind kind;
    struct str bytes; /* NEWS_RECORD: packed; NEWS_EVENT: struct event; NEWS_MARKER: struct news_marker */
    struct str json;  /* of a record, once somebody has been told of it */
};

struct news;
struct news *news_new(struct spool *const *spools, size_t spool_count);
void news_free(struct news *n);

/* Reads what is new. True when there was anything. */
bool news_look(struct news *n);
void news_mark(struct news *n, const struct news_marker *m);
uint64_t news_sequence(const struct news *n);
/* Is everything after `since` still here? */
bool news_covers(const struct news *n, uint64_t since);
/* … all but records, of which a flood leaves the newest only. */
bool news_covers_facts(const struct news *n, uint64_t since);
/* Newest first, those after `since`; fn returns false to stop. */
void news_each(const struct news *n, uint64_t since,
    bool (*fn)(void *ctx, const struct news_entry *e), void *ctx);
/* Keeps the text of an entry, so that it is written once for all who ask. */
void news_keep_json(struct news *n, const struct news_entry *e, struct str json);

#endif
