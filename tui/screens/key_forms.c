/* key_forms.c: see keys.h: one line, checked by the gateway as it is typed; Enter applies it.
 *
 * A secret is on the screen once, in a sheet of this console alone. It is kept in no list, message
 * or file; when the sheet closes its bytes are wiped and the screen is painted anew. */
#include "tui/screens/keys.h"

#include "store/base/clock.h"
#include "tui/widgets/edit.h"
#include "tui/widgets/listing.h"
#include "tui/widgets/menu.h"

#include <stdio.h>

enum { CHECK_REST_US = 150000 };

enum form_kind { FORM_NEW, FORM_LIMITS, FORM_REVOKE, FORM_GRANT };

struct form_arg {
    enum form_kind kind;
    const char *name;
};

struct form {
    enum form_kind kind;
    char name[80];
    struct edit edit;
    int64_t typed_us;
    bool checked, valid, sending;
    char meaning[480];
};

static const struct {
    const char *title, *label, *example;
} forms[] = {
    [FORM_NEW] = {"New key", "name and limits",
        "bob 20/week models:fast,cheap rpm:60 concurrent:4 expires:90d team:dev"},
    [FORM_LIMITS] = {"Limits of", "limits",
        "20/week 5/day rpm:60 models:fast  (none takes one away)"},
    [FORM_REVOKE] = {"Revoke", "type its name",
        "this can't be undone: its requests are refused at once"},
    [FORM_GRANT] = {"Grant credit to", "amount",
        "20usd, 2.50, or credits; -5 takes back; it stays in the ledger, undo is another grant"},
};

static void write_body(const struct form *f, bool dry, struct buf *out)
{
    struct json_writer w = json_writer(out);
    json_object_begin(&w, NULL);
    if (f->kind == FORM_GRANT)
        json_put_c(&w, "amount", f->edit.text);
    else if (f->kind != FORM_REVOKE)
        json_put_c(&w, "line", f->edit.text);
    if (dry)
        json_put_bool(&w, "dry_run", true);
    json_object_end(&w);
}

static void send(struct app *a, struct form *f, bool dry, app_answer done)
{
    static const char *const verbs[] = {"", "/limit", "/revoke", "/grant"};
    struct buf path, body;
    buf_init(&path, 400);
    buf_init(&body, 4000);
    buf_puts(&path, "keys");
    if (f->kind != FORM_NEW) {
        buf_putc(&path, '/');
        link_path(&path, str_c(f->name));
        buf_puts(&path, verbs[f->kind]);
    }
    write_body(f, dry, &body);
    if (!path.err && !body.err)
        app_ask_quiet(a, f, "POST", buf_c(&path), buf_str(&body), done);
    buf_fini(&path);
    buf_fini(&body);
}

static void say(struct form *f, int status, struct str reply)
{
    struct err e = {0};
    if (status == 200) {
        listing_text(reply, "meaning", f->meaning, sizeof f->meaning);
        return;
    }
    if (status)
        link_error(reply, status, &e);
    else
        str_copy(e.text, sizeof e.text, reply);
    str_copy(f->meaning, sizeof f->meaning, str_c(e.text));
}

static void on_checked(struct app *a, void *state, int status, struct str reply)
{
    struct form *f = state;
    (void)a;
    f->valid = status == 200;
    say(f, status, reply);
}

static void on_applied(struct app *a, void *state, int status, struct str reply)
{
    struct form *f = state;
    f->sending = false;
    if (status != 200) {
        f->valid = false;
        say(f, status, reply);
        return;
    }
    if (json_get(reply, STR("secret")).type == JSON_STRING)
        key_secret_open(a, reply);
    else
        app_say(a, ROLE_MESSAGE, "done: %s", f->name);
    app_pop(a, f);
}

static void form_open(struct app *a, void *state, const void *arg)
{
    struct form *f = state;
    const struct form_arg *given = arg;
    (void)a;
    f->kind = given->kind;
    str_copy(f->name, sizeof f->name, str_c(given->name ? given->name : ""));
}

static void form_draw(struct app *a, void *state, struct rect r)
{
    struct form *f = state;
    struct rect box = sheet_rect(r, 8, 90);
    char title[140];
    snprintf(title, sizeof title, "%s%s%s", forms[f->kind].title, f->name[0] ? " " : "", f->name);
    ui_box(box, title);
    ui_put(box.y + 1, box.x + 2, box.w - 4, ROLE_HEADING, forms[f->kind].label);
    ui_put(box.y + 3, box.x + 2, box.w - 4, ROLE_DIM, forms[f->kind].example);
    ui_put(box.y + 5, box.x + 2, box.w - 4, f->valid ? ROLE_OK : ROLE_WARN, f->meaning);
    edit_draw(&f->edit, box.y + 2, box.x + 2, box.w - 4,
        f->checked && !f->valid && f->meaning[0] ? ROLE_INPUT_BAD : ROLE_INPUT, a);
}

static bool may_apply(const struct form *f)
{
    if (f->kind == FORM_REVOKE)
        return strcmp(f->edit.text, f->name) == 0;
    return f->edit.n > 0;
}

static bool form_key(struct app *a, void *state, int key)
{
    struct form *f = state;
    if (key == 27 || key == 3) {
        app_pop(a, f);
    } else if (key == '\r') {
        if (!may_apply(f)) {
            str_copy(f->meaning, sizeof f->meaning, str_c(forms[f->kind].example));
        } else if (!f->sending && app_may_change(a)) {
            app_forget(a, f);
            f->sending = true;
            send(a, f, false, on_applied);
        }
    } else if (edit_key(&f->edit, key)) {
        f->typed_us = clock_mono_us();
        f->checked = false;
    }
    return true;
}

/* Keys and limits are checked by the gateway itself, when the typing rests. */
static int form_tick(struct app *a, void *state)
{
    struct form *f = state;
    int64_t rest = clock_mono_us() - f->typed_us;
    if (f->checked || !f->edit.n || f->kind >= FORM_REVOKE)
        return -1;
    if (rest < CHECK_REST_US)
        return (int)((CHECK_REST_US - rest) / 1000) + 1;
    f->checked = true;
    send(a, f, true, on_checked);
    return -1;
}

static bool form_typing(struct app *a, void *state)
{
    (void)a;
    (void)state;
    return true;
}

static const char *form_hint(struct app *a, void *state)
{
    (void)a;
    (void)state;
    return "Enter do it  Esc close";
}

static const struct screen sheet_form = {.name = "form",
    .size = sizeof(struct form),
    .open = form_open,
    .draw = form_draw,
    .key = form_key,
    .tick = form_tick,
    .typing = form_typing,
    .hint = form_hint};

void key_form_open(struct app *a, const char *name)
{
    app_push(a, &sheet_form, &(struct form_arg){name ? FORM_LIMITS : FORM_NEW, name});
}

void key_revoke_open(struct app *a, const char *name)
{
    app_push(a, &sheet_form, &(struct form_arg){FORM_REVOKE, name});
}

void key_grant_open(struct app *a, const char *name)
{
    app_push(a, &sheet_form, &(struct form_arg){FORM_GRANT, name});
}

/* ---- the secret ---- */

struct once {
    char name[80], secret[160], meaning[480];
    char lines[4][400];
    size_t count;
};

static void once_open(struct app *a, void *state, const void *arg)
{
    struct once *o = state;
    struct str reply = *(const struct str *)arg;
    struct json_iter it = json_iter(json_get(reply, STR("lines")).raw);
    struct json_span k, v;
    struct arena mem;
    (void)a;
    listing_text(reply, "key", o->name, sizeof o->name);
    listing_text(reply, "secret", o->secret, sizeof o->secret);
    listing_text(reply, "meaning", o->meaning, sizeof o->meaning);
    arena_init(&mem, 1024, 16384);
    while (o->count < ARRAY_LEN(o->lines) && json_next(&it, &k, &v))
        str_copy(o->lines[o->count++], sizeof o->lines[0], json_text(v, &mem));
    arena_fini(&mem);
}

static void once_close(struct app *a, void *state)
{
    (void)a;
    explicit_bzero(state, sizeof(struct once));
    terminal_redraw();
}

static void once_draw(struct app *a, void *state, struct rect r)
{
    struct once *o = state;
    struct rect box = sheet_rect(r, (int)o->count * 2 + 8, 100);
    char title[120];
    int y = box.y + 1, w = box.w - 4;
    snprintf(title, sizeof title, "Key %s: shown once", o->name);
    ui_box(box, title);
    ui_put(y++, box.x + 2, w, ROLE_OK, o->meaning);
    y++;
    ui_put(y++, box.x + 2, w, ROLE_ACCENT, o->secret);
    y++;
    for (size_t i = 0; i < o->count && y < box.y + box.h - 2; i++, y += 2) {
        int n = ui_text_from(y, box.x + 2, w, ROLE_TEXT, str_c(o->lines[i]), 0);
        if (n == w)
            ui_text_from(y + 1, box.x + 4, w - 2, ROLE_TEXT, str_c(o->lines[i]), n);
    }
    app_cursor(a, box.y + 3, box.x + 2);
}

static void once_copy(struct app *a, const struct once *o)
{
    struct buf out;
    buf_init(&out, 4096);
    for (size_t i = 0; i < o->count; i++)
        buf_printf(&out, "%s\n", o->lines[i]);
    if (!o->count)
        buf_printf(&out, "%s\n", o->secret);
    app_copy(a, buf_str(&out), "lines");
    if (out.p)
        explicit_bzero(out.p, out.cap);
    buf_fini(&out);
}

static bool once_key(struct app *a, void *state, int key)
{
    if (keymap_latin(key) == 'y')
        once_copy(a, state);
    else if (key == '\r' || key == 27)
        app_pop(a, state);
    return true;
}

static const char *once_hint(struct app *a, void *state)
{
    (void)a;
    (void)state;
    return "y copy the lines  Enter or Esc close: it can't be shown again";
}

static const struct screen sheet_once = {.name = "secret",
    .size = sizeof(struct once),
    .open = once_open,
    .close = once_close,
    .draw = once_draw,
    .key = once_key,
    .hint = once_hint};

void key_secret_open(struct app *a, struct str reply)
{
    app_push(a, &sheet_once, &reply);
}
