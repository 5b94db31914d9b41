/* canaries.c: canaries that were taken back, kept in the live state.
 *
 * The planner takes a canary back the moment it fails, in memory and without asking anybody. Within a
 * second it becomes an object of the live state: audited, drawn on every console, undone with `u`, and
 * still true after a restart. When that object goes (undone, the route edited, `config apply --reset`)
 * the canary is tried anew. */
#include "proxy/admin/clockwork.h"
#include "proxy/admin/live.h"

#include "proxy/admin/handlers.h"
#include "proxy/route/health.h"
#include "store/base/log.h"

#include <stdio.h>

static void note(struct admin *a, const struct route *r, const char *why, int64_t now_ms)
{
    char object[LIVE_NAME_MAX + 1], text[400];
    struct buf doc;
    struct err e = {0};
    buf_init(&doc, 4096);
    struct json_writer w = json_writer(&doc);
    snprintf(object, sizeof object, "canary/" STR_FMT, STR_ARG(str_first(r->name, 150)));
    snprintf(text, sizeof text, STR_FMT "/" STR_FMT, STR_ARG(r->canary.to.provider->name),
        STR_ARG(r->canary.to.model));
    json_object_begin(&w, NULL);
    json_put_c(&w, "to", text);
    json_put_int(&w, "share_ppm", r->canary.share_ppm);
    json_put_c(&w, "why", why);
    json_put_int(&w, "when_ms", now_ms);
    json_object_end(&w);
    snprintf(text, sizeof text, "canary of " STR_FMT " %s", STR_ARG(r->name), why);
    struct live_part part = {.object = str_c(object), .after = buf_str(&doc)};
    struct live_who us = {-1, STR("pointsman"), STR_NULL};
    if (doc.err || live_apply(a->live, &us, &part, 1, str_c(text), -1, NULL, &e) < 0)
        log_warn("admin: %s, which could not be kept: %s", text, e.text);
    health_canary_noted(a->start.health, r);
    buf_fini(&doc);
}

static bool is_kept(struct admin *a, const struct route *r)
{
    char object[LIVE_NAME_MAX + 1];
    snprintf(object, sizeof object, "canary/" STR_FMT, STR_ARG(str_first(r->name, 150)));
    return live_get(a->live, str_c(object)).n > 0;
}

void admin_note_canaries(struct admin *a, int64_t now_ms)
{
    struct health *h = a->start.health;
    const struct config *c = live_config(a->live);
    for (size_t i = 0; h && i < c->route_count; i++) {
        const struct route *r = &c->routes[i];
        if (!r->canary.share_ppm || !r->canary.to.provider)
            continue;
        const char *why = health_canary_news(h, r);
        if (why)
            note(a, r, why, now_ms);
        else if (health_canary_is_noted(h, r) && !is_kept(a, r))
            health_canary_again(h, r);
    }
}
