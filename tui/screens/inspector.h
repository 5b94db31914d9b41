/* inspector.h: everything about one request, in tabs: beside the list, below it, or over the
 * screen.
 *
 * Why: the Requests screen owns it and tells it which row is looked at; what is not in the row
 * (bodies, headers, messages, the running stream) is asked for when the cursor has rested a moment.
 *
 * Follow (F): the pane steps to the newest request of the same session as it starts and rests on
 * the last; moving or scrolling stops that. */
#ifndef POINTSMAN_INSPECTOR_H
#define POINTSMAN_INSPECTOR_H

#include "tui/screens/transcript.h"
#include "tui/widgets/edit.h"
#include "tui/widgets/text.h"

enum inspect_tab {
    TAB_SUMMARY,
    TAB_REQUEST,
    TAB_MESSAGES,
    TAB_STREAM,
    TAB_RESPONSE,
    TAB_HEADERS,
    TAB_TIMING,
    TAB_ATTEMPTS,
    TAB_RAW,
    TAB_COUNT
};

/* How the Messages tab shows a conversation. */
enum messages_form {
    MESSAGES_READ, /* one form whatever the dialect */
    MESSAGES_RAW,  /* as the client wrote it and read it */
    MESSAGES_SENT, /* beside what the provider was told, where it speaks another dialect */
    MESSAGES_FORMS
};

struct inspector {
    struct app *app;
    char id[40];
    struct row *row; /* counted; NULL until known */
    enum inspect_tab tab;
    enum transcript_form form;
    enum messages_form said;
    int width; /* of the pane: what is laid in two columns depends on it */
    struct text text;
    struct transcript stream;
    struct buf detail, messages; /* answers of the gateway, JSON */
    struct buf wire;             /* of the running stream, not yet whole events */
    bool detail_asked, messages_asked;
    bool laid;     /* the text is that of this tab and row */
    bool unfolded; /* Messages: what was there before, thinking, and what is the same, too */
    bool follow;   /* the session's newest turn */
    bool streaming;
    int64_t set_us; /* when this row was put here */
    struct edit search;
    bool searching;
};

/* NULL: nothing is selected. A row already shown is only brought up to date. */
void inspector_set(struct inspector *i, struct app *a, struct row *row);
/* A request that is in no list (any more): asked for by its id. */
void inspector_ask(struct inspector *i, struct app *a, struct str id);
void inspector_first_tab(struct inspector *i, bool live);
bool inspector_follow_session(struct inspector *i, struct app *a, struct str session);

void inspector_draw(struct inspector *i, struct app *a, struct rect r, bool focused);
bool inspector_action(struct inspector *i, struct app *a, enum action action);
bool inspector_key(struct inspector *i, struct app *a, int key);
bool inspector_back(struct inspector *i);
bool inspector_typing(const struct inspector *i);
void inspector_data(struct inspector *i, struct app *a);
int inspector_tick(struct inspector *i, struct app *a);
void inspector_fini(struct inspector *i, struct app *a);

/* inspect_tabs.c: lays the tab's content into the text. */
void inspect_lay(struct inspector *i, struct app *a);
bool inspect_have_detail(struct inspector *i); /* else the text says why not */
void inspect_lay_body(struct inspector *i, const char *side, bool pretty);
/* inspect_messages.c */
void inspect_lay_messages(struct inspector *i);

#endif
