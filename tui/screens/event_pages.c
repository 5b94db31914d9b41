/* event_pages.c: see event_pages.h. */
#include "tui/screens/event_pages.h"

#include "store/base/array.h"

#include <stdlib.h>

enum { PAGE_ROWS = 200, PAGES_MAX = 20 };

static void on_page(struct app *a, void *state, int status, struct str reply)
{
    struct event_pages *p = state;
    struct json_iter it = json_iter(json_get(reply, STR("events")).raw);
    struct json_span k, v;
    struct arena mem;
    (void)a;
    p->asked = false;
    p->fresh = true;
    if (status != 200) {
        p->done = true;
        return;
    }
    while (json_next(&it, &k, &v) && array_room(&p->rows, &p->room, p->count, sizeof *p->rows))
        event_read(v.raw, &p->rows[p->count++]);
    arena_init(&mem, 512, 8192);
    str_copy(p->cursor, sizeof p->cursor, json_get_str(reply, STR("cursor"), &mem));
    arena_fini(&mem);
    p->done = json_is_true(json_get(reply, STR("done"))) || !p->cursor[0] ||
              p->count >= (size_t)PAGE_ROWS * PAGES_MAX;
}

void event_pages_ask(struct event_pages *p, int64_t before_ms, bool severe)
{
    struct buf path;
    if (p->asked || p->done)
        return;
    buf_init(&path, 1000);
    buf_printf(&path, "events?limit=%d&level=%s", PAGE_ROWS, severe ? "warn" : "info");
    if (p->cursor[0]) {
        buf_puts(&path, "&before=");
        link_path(&path, str_c(p->cursor));
    } else if (before_ms) {
        buf_printf(&path, "&before=t%lld", (long long)before_ms);
    }
    p->asked = !path.err && app_ask_quiet(p->app, p, "GET", buf_c(&path), STR_NULL, on_page);
    p->done = !p->asked;
    buf_fini(&path);
}

void event_pages_forget(struct event_pages *p)
{
    app_forget(p->app, p);
    free(p->rows);
    *p = (struct event_pages){.app = p->app};
}
