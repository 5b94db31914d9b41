/* transcript.h: the events of one streamed answer, as they come or as they were kept.
 *
 * Why: the inspector shows an answer while it runs: as text, as events with the time since the one
 * before, or as raw bytes. Bytes may come cut anywhere.
 *
 *     transcript_feed(&s, us, bytes);            // live: what the provider sent, at that time
 *     transcript_add(&s, us, name, data);        // kept: one event
 *     transcript_text(&s, &text, FORM_TEXT);     // lays what is new into the pane
 *
 * Bounded by TRANSCRIPT_BYTES_MAX and TRANSCRIPT_EVENTS_MAX: then it stops and says so.
 * transcript_fini() frees. */
#ifndef POINTSMAN_TRANSCRIPT_H
#define POINTSMAN_TRANSCRIPT_H

#include "tui/widgets/text.h"

enum { TRANSCRIPT_BYTES_MAX = 4 << 20, TRANSCRIPT_EVENTS_MAX = 50000 };

enum transcript_form { FORM_TEXT, FORM_EVENTS, FORM_RAW, FORM_COUNT };

struct transcript_event {
    int64_t us;
    size_t name_at, name_n, data_at, data_n; /* in bytes */
};

struct transcript {
    struct buf bytes; /* as received, then names and data of kept events */
    struct transcript_event *events;
    size_t count, room;
    size_t parsed; /* bytes up to the last whole event */
    size_t shown;  /* events (or bytes, raw) already laid into the pane */
    int64_t last_us, max_gap_us;
    char kind[48]; /* of the text shown last: text, thinking, tool */
    bool full, ended;
};

void transcript_reset(struct transcript *s);
void transcript_fini(struct transcript *s);
void transcript_feed(struct transcript *s, int64_t us, struct str bytes);
void transcript_add(struct transcript *s, int64_t us, struct str name, struct str data);
void transcript_text(struct transcript *s, struct text *t, enum transcript_form form);
/* The whole body of a kept answer, when it is a stream of events: times are not known. False: it is
 * none. */
bool transcript_body(struct transcript *s, struct str body);
/* What was said, without headings, tools and thinking. */
void transcript_plain(const struct transcript *s, struct buf *out);
void transcript_again(struct transcript *s); /* the pane was emptied: lay everything in anew */

#endif
