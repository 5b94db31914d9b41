/* inspector.c: see inspector.h: which request, what is asked for it, keys; the contents of the tabs
 * are in inspect_tabs.c. */
#include "tui/screens/inspector.h"

#include "store/base/clock.h"
#include "store/base/utf8.h"
#include "tui/format.h"
#include "tui/screens/columns.h"

#include <stdio.h>

enum { REST_US = 120000, DETAIL_MAX = 80 << 20, AGAIN_US = 500000, KEPT_WITHIN_MS = 5000 };

static const char *const tab_titles[] = {
    "Summary", "Request", "Messages", "Stream", "Response", "Headers", "Timing", "Why", "Raw"};
static const char *const form_names[] = {"text", "events", "raw"};
static const char *const said_names[] = {"readable", "raw", "beside what was sent"};

static void forget(struct inspector *i, struct app *a)
{
    i->app = a;
    app_forget(a, i);
    if (!i->detail.max) {
        buf_init(&i->detail, DETAIL_MAX);
        buf_init(&i->messages, DETAIL_MAX);
        buf_init(&i->wire, TRANSCRIPT_BYTES_MAX);
    }
    buf_reset(&i->detail);
    buf_reset(&i->messages);
    buf_reset(&i->wire);
    transcript_reset(&i->stream);
    i->detail_asked = i->messages_asked = i->streaming = i->unfolded = false;
    i->laid = false;
}

static void to_top(struct inspector *i)
{
    i->text.top = 0;
    i->text.stay = i->tab != TAB_STREAM || !i->row || !row_is_live(i->row);
}

static void take_row(struct inspector *i, struct row *row)
{
    bool ended = i->row && row_is_live(i->row) && !row_is_live(row);
    row_get(row);
    row_put(i->row);
    i->row = row;
    if (ended) {
        i->detail_asked = i->messages_asked = false;
        i->set_us = clock_mono_us();
    }
    if (i->tab != TAB_STREAM && i->tab != TAB_MESSAGES)
        i->laid = false;
}

void inspector_set(struct inspector *i, struct app *a, struct row *row)
{
    if (row && str_eq(row->r.id, str_c(i->id))) {
        if (i->row != row)
            take_row(i, row);
        return;
    }
    forget(i, a);
    row_put(i->row);
    i->row = row ? row_get(row) : NULL;
    str_copy(i->id, sizeof i->id, row ? row->r.id : STR(""));
    i->set_us = clock_mono_us();
    to_top(i);
}

void inspector_ask(struct inspector *i, struct app *a, struct str id)
{
    forget(i, a);
    row_put(i->row);
    i->row = NULL;
    str_copy(i->id, sizeof i->id, id);
    i->set_us = clock_mono_us() - REST_US;
    i->tab = TAB_SUMMARY;
    to_top(i);
}

void inspector_first_tab(struct inspector *i, bool live)
{
    i->tab = live ? TAB_STREAM : TAB_SUMMARY;
    i->laid = false;
    to_top(i);
}

bool inspector_follow_session(struct inspector *i, struct app *a, struct str session)
{
    const struct model *m = app_model(a);
    i->follow = true;
    for (size_t n = m->row_count; n-- > 0;)
        if (str_eq(m->rows[n]->r.session, session)) {
            inspector_set(i, a, m->rows[n]);
            inspector_first_tab(i, row_is_live(m->rows[n]));
            return true;
        }
    inspector_set(i, a, NULL);
    return false;
}

/* ---- what is asked for ---- */

/* Bodies are kept a moment after the end: what just ended is asked for again until they are there.
 */
static void look_again(struct inspector *i, struct app *a)
{
    const struct row *row = i->row;
    bool denied = json_get(buf_str(&i->detail), STR("denied")).type == JSON_STRING;
    if (!denied && i->messages.n <= 2) /* asked for before they were there */
        i->messages_asked = false;
    if (!denied || !row || row_is_live(row) ||
        app_now_ms(a) - row->r.time_ms - row->r.total_us / 1000 > KEPT_WITHIN_MS)
        return;
    i->detail_asked = false;
    i->set_us = clock_mono_us() + AGAIN_US;
}

static void on_detail(struct app *a, void *state, int status, struct str reply)
{
    struct inspector *i = state;
    buf_reset(&i->detail);
    i->laid = false;
    if (status != 200) {
        struct err e = {0};
        if (status)
            link_error(reply, status, &e);
        else
            str_copy(e.text, sizeof e.text, reply);
        buf_puts(&i->detail, "{\"denied\":");
        json_quote(&i->detail, str_c(e.text));
        buf_puts(&i->detail, "}");
        return;
    }
    buf_put_str(&i->detail, reply);
    struct row *row = row_new(reply);
    if (row) {
        if (!i->row || !row_is_live(row) || row_is_live(i->row)) {
            row_put(i->row);
            i->row = row_get(row);
        }
        row_put(row);
    }
    look_again(i, a);
}

static void on_messages(struct app *a, void *state, int status, struct str reply)
{
    struct inspector *i = state;
    (void)a;
    buf_reset(&i->messages);
    if (status == 200)
        buf_put_str(&i->messages, reply);
    else
        buf_puts(&i->messages, "{}");
    i->laid = false;
}

/* ---- the running stream ---- */

/* One event of ours: `event: chunk` with {us, text}, or `event: done`. */
static void take_block(struct inspector *i, struct str block)
{
    struct str line, name = STR_NULL, data = STR_NULL;
    struct arena mem;
    int64_t us = 0;
    while (str_cut(&block, '\n', &line)) {
        if (str_starts(line, STR("event:")))
            name = str_trim(str_from(line, 6));
        else if (str_starts(line, STR("data:")))
            data = str_trim(str_from(line, 5));
    }
    if (!str_eq(name, STR("chunk")))
        return;
    arena_init(&mem, 4096, TRANSCRIPT_BYTES_MAX);
    if (json_i64(json_get(data, STR("us")), &us) < 0)
        us = i->stream.last_us;
    transcript_feed(&i->stream, us, json_get_str(data, STR("text"), &mem));
    arena_fini(&mem);
}

static bool on_piece(void *arg, struct str piece)
{
    struct inspector *i = arg;
    ptrdiff_t end;
    buf_put_str(&i->wire, piece);
    while ((end = str_find(buf_str(&i->wire), STR("\n\n"))) >= 0) {
        take_block(i, str_first(buf_str(&i->wire), (size_t)end + 1));
        buf_drop(&i->wire, (size_t)end + 2);
    }
    app_dirty(i->app);
    return !i->wire.err;
}

static void on_stream_end(void *arg, int status, struct str reply, const struct err *why)
{
    struct inspector *i = arg;
    (void)status;
    (void)reply;
    (void)why;
    i->detail_asked = false; /* the end record and the kept answer are asked for once more */
    i->set_us = clock_mono_us();
}

static void path_of(const struct inspector *i, const char *what, char *out, size_t size)
{
    snprintf(out, size, "exchanges/%s%s", i->id, what);
}

static void ask_stream(struct inspector *i, struct app *a)
{
    char path[96];
    path_of(i, "/stream", path, sizeof path);
    i->streaming = link_send(app_link(a), &(struct link_request){.path = path,
                                              .timeout_ms = -1,
                                              .owner = i,
                                              .arg = i,
                                              .piece = on_piece,
                                              .done = on_stream_end}) != 0;
}

/* Called while on show: asks for what the tab needs, once the cursor has rested. */
static void ask(struct inspector *i, struct app *a)
{
    char path[96];
    if (!i->id[0] || clock_mono_us() - i->set_us < REST_US)
        return;
    if (!i->detail_asked) {
        path_of(i, "", path, sizeof path);
        i->detail_asked = app_ask_quiet(a, i, "GET", path, STR_NULL, on_detail);
    }
    if (i->tab == TAB_MESSAGES && !i->messages_asked) {
        path_of(i, "/messages", path, sizeof path);
        i->messages_asked = app_ask_quiet(a, i, "GET", path, STR_NULL, on_messages);
    }
    if (i->tab == TAB_STREAM && !i->streaming && i->row && row_is_live(i->row))
        ask_stream(i, a);
}

static bool waits(const struct inspector *i)
{
    return i->id[0] && (!i->detail_asked || (i->tab == TAB_MESSAGES && !i->messages_asked));
}

int inspector_tick(struct inspector *i, struct app *a)
{
    ask(i, a);
    return waits(i) ? 50 : -1;
}

/* The newest request of the session that is followed. */
static void follow(struct inspector *i, struct app *a)
{
    const struct model *m = app_model(a);
    struct str session = i->row ? i->row->r.session : STR_NULL;
    for (size_t n = m->row_count; session.n && n-- > 0;)
        if (str_eq(m->rows[n]->r.session, session)) {
            inspector_set(i, a, m->rows[n]);
            return;
        }
}

void inspector_data(struct inspector *i, struct app *a)
{
    struct row *row = model_row(app_model(a), str_c(i->id));
    if (i->follow)
        follow(i, a);
    else if (row)
        inspector_set(i, a, row);
}

/* ---- drawing ---- */

/* The address without its port. */
static struct str host_of(struct str peer)
{
    size_t n = peer.n;
    while (n > 0 && peer.p[n - 1] != ':')
        n--;
    return n > 1 ? str_first(peer, n - 1) : peer;
}

static void draw_title(const struct inspector *i, struct app *a, struct rect r)
{
    char state[16] = "", target[280], dur[FORMAT_MAX];
    int x = r.x + 1;
    ui_hline(r.y, r.x, r.w, ROLE_RULE);
    if (!i->row) {
        ui_printf(r.y, x, r.w - 2, ROLE_TITLE, " %s ", i->id[0] ? i->id : "nothing selected");
        return;
    }
    const struct record *q = &i->row->r;
    enum role role = request_state(i->row, state);
    struct str to = row_target(i->row, target);
    char right[96];
    snprintf(right, sizeof right, " %s  %s s%s ", state,
        format_seconds(dur, row_total_us(i->row, app_now_ms(a))), i->follow ? "  FOLLOW" : "");
    struct str name = q->route.n ? q->route : q->model_asked;
    bool same = str_eq(name, to); /* asked for by its own name */
    int taken = (int)utf8_columns(str_c(right));
    ui_printf(r.y, x, MAX(r.w - taken - 3, 10), ROLE_TITLE,
        " " STR_FMT " ─ " STR_FMT "%s" STR_FMT " ─ " STR_FMT "%s" STR_FMT " ",
        STR_ARG(str_first(q->endpoint, 60)), STR_ARG(q->key), q->key.n && q->peer.n ? "@" : "",
        STR_ARG(host_of(q->peer)), STR_ARG(name), same || !to.n ? "" : " → ",
        STR_ARG(same ? STR_NULL : to));
    ui_put_right(r.y, r.x + r.w - taken - 1, taken, role, right);
}

static void draw_tabs(const struct inspector *i, struct rect r)
{
    int x = r.x + 1;
    bool brief = r.w < 90;
    for (int n = 0; n < TAB_COUNT && x < r.x + r.w; n++) {
        char label[32];
        bool on = n == (int)i->tab;
        bool live = n == TAB_STREAM && i->row && row_is_live(i->row);
        snprintf(
            label, sizeof label, "%.*s%s", brief && !on ? 4 : 12, tab_titles[n], live ? "▸" : "");
        x += ui_put(r.y, x, r.x + r.w - x, on ? ROLE_TAB_ON : ROLE_TAB, label) + 1;
    }
    if (i->tab == TAB_MESSAGES && r.x + r.w - x > 12) {
        char label[40];
        snprintf(label, sizeof label, "t: %s", said_names[i->said]);
        ui_put_right(r.y, x, r.x + r.w - x - 1, ROLE_DIM, label);
    }
    if (i->tab == TAB_STREAM && r.x + r.w - x > 18) {
        char label[200], gap[FORMAT_MAX], rate[FORMAT_MAX];
        int n = 0, room = r.x + r.w - x;
        if (i->row && i->row->tps10 && room > 72)
            n = snprintf(label, sizeof label, "%s tok  %s tok/s  ",
                format_count(gap, i->row->r.output_tokens),
                format_rate(rate, (double)i->row->tps10 / 10));
        if (i->stream.max_gap_us && room > 48)
            n += snprintf(label + n, sizeof label - (size_t)n, "%zu events  gap max %s  ",
                i->stream.count, format_duration(gap, i->stream.max_gap_us / 1000));
        snprintf(label + n, sizeof label - (size_t)n, "%st: %s", i->text.stay ? "" : "following  ",
            form_names[i->form]);
        ui_put_right(r.y, x, r.x + r.w - x - 1, ROLE_DIM, label);
    }
}

void inspector_draw(struct inspector *i, struct app *a, struct rect r, bool focused)
{
    ask(i, a);
    draw_title(i, a, r);
    draw_tabs(i, (struct rect){r.y + 1, r.x, 1, r.w});
    struct rect body = {r.y + 2, r.x + 1, r.h - 2, r.w - 2};
    if (i->width != body.w && (i->tab == TAB_MESSAGES || i->tab == TAB_TIMING))
        i->laid = false;
    i->width = body.w;
    if (!i->laid || i->tab == TAB_STREAM ||
        (i->row && row_is_live(i->row) && i->tab == TAB_SUMMARY))
        inspect_lay(i, a);
    if (i->searching) {
        body.h--;
        ui_put(r.y + r.h - 1, r.x + 1, 1, ROLE_BAR_KEY, "/");
    }
    text_draw(&i->text, body, a);
    if (i->searching)
        edit_draw(&i->search, r.y + r.h - 1, r.x + 3, MIN(40, r.w - 4), ROLE_INPUT, a);
    else if (focused)
        app_cursor(a, body.y, body.x);
}

/* ---- keys ---- */

static void set_tab(struct inspector *i, int tab)
{
    i->tab = (enum inspect_tab)((tab + TAB_COUNT) % TAB_COUNT);
    i->laid = false;
    transcript_again(&i->stream);
    i->text.find[0] = '\0';
    to_top(i);
}

bool inspector_action(struct inspector *i, struct app *a, enum action action)
{
    switch (action) {
    case ACTION_TAB_NEXT:
    case ACTION_TAB_BEFORE:
        set_tab(i, (int)i->tab + (action == ACTION_TAB_NEXT ? 1 : -1));
        return true;
    case ACTION_OPEN:
        i->unfolded = !i->unfolded;
        i->laid = false;
        return true;
    case ACTION_STREAM_FORM:
        if (i->tab == TAB_MESSAGES)
            i->said = (i->said + 1) % MESSAGES_FORMS;
        else
            i->form = (i->form + 1) % FORM_COUNT;
        i->laid = false;
        transcript_again(&i->stream);
        return true;
    case ACTION_FOLLOW:
        i->follow = !i->follow && i->row && i->row->r.session.n;
        if (i->row && !i->row->r.session.n)
            app_say(a, ROLE_WARN, "this request belongs to no session");
        return true;
    case ACTION_SEARCH:
        i->searching = true;
        edit_offer(&i->search, i->text.find);
        return true;
    case ACTION_SCROLL_UP:
    case ACTION_SCROLL_DOWN:
    case ACTION_PAGE_UP:
    case ACTION_PAGE_DOWN:
    case ACTION_HALF_UP:
    case ACTION_HALF_DOWN:
    case ACTION_TOP:
        i->follow = false; /* reading: the next turn must not take the page away */
        return text_action(&i->text, action);
    default:
        return text_action(&i->text, action);
    }
}

bool inspector_key(struct inspector *i, struct app *a, int key)
{
    if (!i->searching)
        return false;
    if (key == '\r' || key == 27) {
        i->searching = false;
        if (key == 27)
            i->text.find[0] = '\0';
        return true;
    }
    if (!edit_key(&i->search, key))
        return key != 3;
    if (!text_find(&i->text, i->search.text, false) && i->search.n)
        app_say(a, ROLE_WARN, "not found: %s", i->search.text);
    return true;
}

bool inspector_back(struct inspector *i)
{
    i->follow = false;
    return false;
}

bool inspector_typing(const struct inspector *i)
{
    return i->searching;
}

void inspector_fini(struct inspector *i, struct app *a)
{
    app_forget(a, i);
    row_put(i->row);
    text_fini(&i->text);
    transcript_fini(&i->stream);
    buf_fini(&i->detail);
    buf_fini(&i->messages);
    buf_fini(&i->wire);
}
