/* notices.c: see notices.h. */
#include "tui/app.h"

#include "store/base/clock.h"
#include "tui/format.h"

#include <stdio.h>
#include <unistd.h>

enum { TITLE_US = 1000000, LOOK_BACK_MS = 120000, SESSIONS_MAX = 32 };

static void notify(struct app *a, const char *text)
{
    bool quiet = a->model.gateway.demo;
    char line[300];
    snprintf(line, sizeof line, "pointsman: %.250s", text);
    terminal_notify(line, !quiet && settings_on(&a->settings, SETTING_NOTIFY),
        !quiet && settings_on(&a->settings, SETTING_BELL));
}

/* ---- events ---- */

/* Was this said lately? If not, it counts as said now. */
static bool alarm_was_told(struct notices *n, const struct console_event *e)
{
    char about[100];
    snprintf(about, sizeof about, "%s %.*s", e->kind, (int)strcspn(e->text, ":"), e->text);
    for (size_t i = 0; i < ALARMS_TOLD; i++)
        if (strcmp(n->alarms[i].about, about) == 0) {
            bool lately = e->time_ms - n->alarms[i].time_ms < ALARM_AGAIN_MS;
            if (!lately)
                n->alarms[i].time_ms = e->time_ms;
            return lately;
        }
    struct alarm_told *told = &n->alarms[n->alarm_next++ % ALARMS_TOLD];
    told->time_ms = e->time_ms;
    str_copy(told->about, sizeof told->about, str_c(about));
    return false;
}

static void tell_events(struct app *a)
{
    static const char *const kinds[] = {
        "budget_near", "budget_hit", "looping", "spend_anomaly", "store_full"};
    struct notices *n = &a->notices;
    const struct model *m = &a->model;
    int64_t seen = n->seen_event;
    for (size_t i = m->event_count; i-- > 0 && m->events[i].seq > seen;) {
        const struct console_event *e = &m->events[i];
        n->seen_event = MAX(n->seen_event, e->seq);
        for (size_t k = 0; seen && k < ARRAY_LEN(kinds); k++) {
            if (!str_eq_nocase(str_c(e->kind), str_c(kinds[k])) || alarm_was_told(n, e))
                continue;
            bool loops = strcmp(kinds[k], "looping") == 0; /* what to do follows its colon */
            app_news(a, ROLE_WARN, "%.*s   (8 shows it%s)",
                (int)(loops ? strcspn(e->text, ":") : strlen(e->text)), e->text,
                loops ? ", X there ends it" : "");
            notify(a, e->text);
        }
    }
    n->seen_event = MAX(n->seen_event, 1);
}

/* The header shows every provider in trouble; a new one is worth a word. */
static void tell_trouble(struct app *a, bool first)
{
    const struct model *m = &a->model;
    struct notices *n = &a->notices;
    char line[200], share[FORMAT_MAX];
    if (!m->trouble_count) {
        n->trouble[0] = '\0';
        return;
    }
    const struct trouble *t = &m->trouble[0];
    if (strcmp(t->provider, n->trouble) == 0)
        return;
    str_copy(n->trouble, sizeof n->trouble, str_c(t->provider));
    if (first)
        return; /* the header shows it to who comes */
    bool named = strcmp(t->state, "errors") != 0; /* the share says that already */
    snprintf(line, sizeof line, "%s is in trouble: %s%s%s %% errors", t->provider,
        named ? t->state : "", named ? ", " : "", format_share(share, t->err_ppm));
    app_news(a, ROLE_WARN, "%s   (! shows it)", line);
    notify(a, line);
}

/* ---- sessions ---- */

static bool asks_nothing_more(struct str finish)
{
    static const char *const words[] = {"stop", "end_turn", "completed", "stop_sequence"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq_nocase(finish, str_c(words[i])))
            return true;
    return false;
}

static bool was_told(const struct notices *n, struct str id)
{
    for (size_t i = 0; i < NOTICES_TOLD; i++)
        if (str_eq(str_c(n->told[i]), id))
            return true;
    return false;
}

/* One of several: a single request with a session's name is no agent at work. */
static bool has_earlier(const struct model *m, size_t at)
{
    for (size_t i = at; i-- > 0;)
        if (str_eq(m->rows[i]->r.session, m->rows[at]->r.session))
            return true;
    return false;
}

/* The newest request of its session: is it the last for now? */
static void look_at(struct app *a, size_t at, int64_t now)
{
    const struct record *r = &a->model.rows[at]->r;
    struct notices *n = &a->notices;
    int64_t ended = r->time_ms + r->total_us / 1000;
    char line[200];
    if (row_is_live(a->model.rows[at]) || r->client_uid != (int64_t)getuid() ||
        ended < n->started_ms || !asks_nothing_more(r->finish_reason) || was_told(n, r->id) ||
        !has_earlier(&a->model, at))
        return;
    if (now - ended < NOTICE_QUIET_MS) {
        int64_t due = ended + NOTICE_QUIET_MS;
        n->due_ms = n->due_ms ? MIN(n->due_ms, due) : due;
        return;
    }
    str_copy(n->told[n->told_next++ % NOTICES_TOLD], sizeof n->told[0], r->id);
    snprintf(line, sizeof line, "session " STR_FMT " is done and waits for you",
        STR_ARG(str_first(r->session, 80)));
    app_news(a, ROLE_OK, "%s   (2 shows it)", line);
    notify(a, line);
}

static void look_at_sessions(struct app *a)
{
    const struct model *m = &a->model;
    struct str seen[SESSIONS_MAX];
    size_t count = 0;
    int64_t now = app_now_ms(a);
    a->notices.due_ms = 0;
    for (size_t i = m->row_count; i-- > 0 && count < SESSIONS_MAX;) {
        struct str session = m->rows[i]->r.session;
        bool known = !session.n;
        if (m->rows[i]->r.time_ms < now - LOOK_BACK_MS)
            break;
        for (size_t k = 0; k < count && !known; k++)
            known = str_eq(seen[k], session);
        if (known)
            continue;
        seen[count++] = session;
        look_at(a, i, now);
    }
}

/* ---- title ---- */

static void set_title(struct app *a)
{
    const struct model *m = &a->model;
    struct notices *n = &a->notices;
    char line[160] = "", live[FORMAT_MAX], spent[FORMAT_MAX];
    if (!settings_on(&a->settings, SETTING_TITLE))
        return;
    if (!a->connected)
        snprintf(line, sizeof line, "pointsman: no gateway");
    else
        snprintf(line, sizeof line, "pointsman: %s live, %s today%s%s",
            format_count(live, m->now.live), format_dollars(spent, m->now.today_nano),
            m->trouble_count ? ", in trouble: " : "",
            m->trouble_count ? m->trouble[0].provider : "");
    if (strcmp(line, n->title) == 0)
        return;
    str_copy(n->title, sizeof n->title, str_c(line));
    terminal_title(line);
    n->titled_us = clock_mono_us();
}

void notices_title(struct app *a)
{
    a->notices.title[0] = '\0';
    if (settings_on(&a->settings, SETTING_TITLE))
        set_title(a);
    else
        terminal_title(NULL);
}

void notices_data(struct app *a)
{
    bool first = !a->notices.started_ms;
    if (first)
        a->notices.started_ms = app_now_ms(a);
    tell_events(a);
    tell_trouble(a, first);
    if (!a->model.gateway.demo)
        look_at_sessions(a);
    if (clock_mono_us() - a->notices.titled_us >= TITLE_US)
        set_title(a);
}

int notices_tick(struct app *a)
{
    int64_t due = a->notices.due_ms, now;
    if (!due)
        return -1;
    now = app_now_ms(a);
    if (now >= due)
        look_at_sessions(a);
    due = a->notices.due_ms;
    return due ? (int)MAX(due - now, 50) : -1;
}
