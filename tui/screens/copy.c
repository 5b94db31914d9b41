/* copy.c: the copy menu: body, curl, headers, response text, id, base URL; on the first screen its
 * blocks.
 *
 * What the row does not hold is asked for when it is chosen; its forms are export_forms.c. */
#include "tui/app.h"

#include "tui/screens/export_forms.h"
#include "tui/screens/sheets.h"
#include "tui/screens/transcript.h"
#include "tui/screens/welcome.h"
#include "tui/widgets/menu.h"
#include "tui/widgets/pick.h"

#include <stdio.h>

enum what {
    COPY_BODY,
    COPY_CURL,
    COPY_HEADERS,
    COPY_RESPONSE,
    COPY_ID,
    COPY_URL,
    COPY_SESSION,
    COPY_BLOCK
};

struct option {
    enum what what;
    int key;
    size_t block;
    char text[64];
};

struct state {
    struct subject subject;
    struct option options[12];
    size_t count;
    struct pick pick;
    enum what asked;
};

static void add(struct state *s, enum what what, int key, const char *text)
{
    struct option *o = &s->options[s->count++];
    *o = (struct option){.what = what, .key = key};
    str_copy(o->text, sizeof o->text, str_c(text));
}

static void open(struct app *a, void *state, const void *arg)
{
    struct state *s = state;
    (void)arg;
    bool some = app_subject(a, &s->subject);
    if (some && s->subject.kind == SUBJECT_REQUEST) {
        add(s, COPY_BODY, 'y', "request body");
        add(s, COPY_RESPONSE, 'r', "response text");
        add(s, COPY_CURL, 'c', "the request as a curl command");
        add(s, COPY_HEADERS, 'h', "headers");
        add(s, COPY_ID, 'i', "request id");
    }
    if (s->subject.session[0])
        add(s, COPY_SESSION, 's', "session name");
    for (size_t n = 0; !some && welcome_title(n); n++) {
        add(s, COPY_BLOCK, '1' + (int)n, welcome_title(n));
        s->options[s->count - 1].block = n;
    }
    add(s, COPY_URL, 'b', "base URL of this gateway");
}

static void draw_option(void *ctx, size_t i, int y, int x, int width)
{
    const struct option *o = &((const struct state *)ctx)->options[i];
    ui_printf(y, x, 2, ROLE_BAR_KEY, "%c", (char)o->key);
    ui_put(y, x + 3, width - 3, ROLE_TEXT, o->text);
}

static void draw(struct app *a, void *state, struct rect r)
{
    struct state *s = state;
    struct rect box = sheet_rect(r, (int)s->count + 2, 44);
    ui_box(box, "Copy");
    pick_draw(&s->pick, (struct rect){box.y + 1, box.x + 2, box.h - 2, box.w - 4}, s->count,
        draw_option, s, a);
}

static void on_detail(struct app *a, void *state, int status, struct str reply)
{
    struct state *s = state;
    struct arena mem;
    struct buf out;
    arena_init(&mem, 65536, (size_t)80 << 20);
    buf_init(&out, (size_t)80 << 20);
    if (status == 200) {
        if (s->asked == COPY_BODY)
            buf_put_str(&out, json_text(json_path(reply, "request.body"), &mem));
        else if (s->asked == COPY_RESPONSE)
            form_response(&out, reply, &mem);
        else if (s->asked == COPY_CURL)
            form_curl(&out, reply, app_model(a)->gateway.listen, &mem);
        else {
            form_headers(&out, reply, "request", &mem);
            form_headers(&out, reply, "response", &mem);
        }
        app_copy(a, buf_str(&out),
            s->asked == COPY_BODY       ? "body"
            : s->asked == COPY_RESPONSE ? "response"
            : s->asked == COPY_CURL     ? "curl command"
                                        : "headers");
    }
    buf_fini(&out);
    arena_fini(&mem);
    app_pop(a, s);
}

static void copy_block(struct app *a, struct state *s, size_t block)
{
    struct buf out;
    buf_init(&out, 65536);
    welcome_text(a, block, &out);
    app_copy(a, buf_str(&out), "block");
    buf_fini(&out);
    app_pop(a, s);
}

static void choose(struct app *a, struct state *s, const struct option *o)
{
    char path[96], text[200];
    switch (o->what) {
    case COPY_ID:
    case COPY_SESSION:
        app_copy(a, str_c(o->what == COPY_ID ? s->subject.id : s->subject.session),
            o->what == COPY_ID ? "id" : "name");
        app_pop(a, s);
        return;
    case COPY_URL:
        snprintf(text, sizeof text, "%s/v1", app_model(a)->gateway.listen);
        app_copy(a, str_c(text), "base URL");
        app_pop(a, s);
        return;
    case COPY_BLOCK:
        copy_block(a, s, o->block);
        return;
    default:
        s->asked = o->what;
        snprintf(path, sizeof path, "exchanges/%s", s->subject.id);
        app_ask(a, s, "GET", path, STR_NULL, on_detail);
    }
}

static bool key(struct app *a, void *state, int key)
{
    struct state *s = state;
    for (size_t i = 0; i < s->count; i++)
        if (s->options[i].key == keymap_latin(key)) {
            choose(a, s, &s->options[i]);
            return true;
        }
    enum pick_did did = pick_key(&s->pick, key, s->count);
    if (did == PICK_TAKEN)
        choose(a, s, &s->options[s->pick.selected]);
    return did != PICK_NOTHING;
}

const struct screen sheet_copy = {.name = "copy",
    .size = sizeof(struct state),
    .open = open,
    .draw = draw,
    .key = key,
    .line = "a letter, or ↑↓ and Enter  Esc close"};
