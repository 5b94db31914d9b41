/* history.c: see history.h. */
#include "tui/screens/history.h"

#include "store/base/array.h"

#include <stdlib.h>

enum { OLDER_MAX = 5000, PAGE_ROWS = 200 };

static void put_older(struct history *h, struct row *row)
{
    const struct model *m = app_model(h->app);
    if ((m->row_count && str_cmp(row->r.id, m->rows[0]->r.id) >= 0) ||
        (h->count && str_cmp(row->r.id, h->rows[0]->r.id) >= 0) || h->count == OLDER_MAX ||
        !array_room(&h->rows, &h->room, h->count, sizeof(struct row *))) {
        row_put(row);
        return;
    }
    memmove(h->rows + 1, h->rows, h->count++ * sizeof(struct row *));
    h->rows[0] = row;
}

void history_stop(struct history *h)
{
    app_forget(h->app, h);
    h->asked = false;
    h->stopped = true;
}

void history_resume(struct history *h)
{
    h->stopped = false;
}

void history_forget(struct history *h)
{
    app_forget(h->app, h);
    h->asked = false;
    for (size_t i = 0; i < h->count; i++)
        row_put(h->rows[i]);
    free(h->rows);
    h->rows = NULL;
    h->count = h->room = 0;
    h->cursor[0] = h->searched_back[0] = '\0';
    h->done = h->stopped = false;
}

static void on_older(struct app *a, void *state, int status, struct str reply)
{
    struct history *h = state;
    struct json_iter it = json_iter(json_get(reply, STR("rows")).raw);
    struct json_span k, v;
    struct arena mem;
    (void)a;
    h->asked = false;
    if (status != 200) {
        h->done = true;
        return;
    }
    while (json_next(&it, &k, &v)) {
        struct row *row = row_new(v.raw);
        if (row)
            put_older(h, row);
    }
    arena_init(&mem, 512, 8192);
    str_copy(h->cursor, sizeof h->cursor, json_get_str(reply, STR("cursor"), &mem));
    str_copy(h->searched_back, sizeof h->searched_back,
        json_get_str(reply, STR("searched_back_to"), &mem));
    arena_fini(&mem);
    h->done = json_is_true(json_get(reply, STR("done"))) || !h->cursor[0] || h->count >= OLDER_MAX;
    h->fresh = true;
}

void history_ask(struct history *h, const char *filter)
{
    const struct model *m = app_model(h->app);
    struct buf path;
    if (h->asked || h->done || h->stopped)
        return;
    buf_init(&path, 2000);
    buf_printf(&path, "exchanges?limit=%d", PAGE_ROWS);
    if (*filter) {
        buf_puts(&path, "&filter=");
        link_path(&path, str_c(filter));
    }
    if (h->cursor[0]) {
        buf_puts(&path, "&before=");
        link_path(&path, str_c(h->cursor));
    } else if (m->row_count) {
        buf_printf(&path, "&until=%lld", (long long)m->rows[0]->r.time_ms + 1);
    }
    const char *text = buf_c(&path);
    h->asked = text && app_ask_quiet(h->app, h, "GET", text, STR_NULL, on_older);
    h->done = !h->asked;
    buf_fini(&path);
}
