/* Units of proxy/admin/live: changes, undo, automatic return, keys; without sockets or a store. */
#include "proxy/admin/live.h"

#include "proxy/access/key.h"
#include "proxy/config/owner.h"
#include "store/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct live_who alice = {1000, STR("alice"), STR("pts/1")};
static const struct live_who bob = {1001, STR("bob"), STR("pts/2")};

struct world {
    struct live *live;
    struct snapshot *now; /* the last one published */
    int published, kept, changes;
    char last_kept[200], last_text[200];
    bool refuse_rules;
    struct buf overlay;
};

static void on_publish(void *ctx, struct snapshot *next)
{
    struct world *w = ctx;
    snapshot_put(w->now);
    w->now = next;
    w->published++;
}

static void on_keep(void *ctx, struct str object, struct str json, int64_t revision)
{
    struct world *w = ctx;
    (void)revision;
    w->kept++;
    snprintf(w->last_kept, sizeof w->last_kept, STR_FMT "=" STR_FMT, STR_ARG(object),
        STR_ARG(json));
}

static void on_changed(void *ctx, const struct live_change *c)
{
    struct world *w = ctx;
    w->changes++;
    str_copy(w->last_text, sizeof w->last_text, c->text);
}

static struct config *on_configure(void *ctx, struct str overlay, struct err *e)
{
    struct world *w = ctx;
    buf_reset(&w->overlay);
    buf_put_str(&w->overlay, overlay);
    if (w->refuse_rules) {
        err_set(e, ERR_SYNTAX, "routes.fast.polcy: unknown field");
        return NULL;
    }
    return &config_owner_new()->config;
}

static int open_world(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    unsigned char pepper[32] = {7};
    key_set_pepper(pepper);
    buf_init(&w->overlay, 1 << 20);
    struct live_hooks hooks = {w, on_publish, on_keep, on_changed, on_configure};
    struct err e = {0};
    if (!w || live_open(&w->live, &hooks, &config_owner_new()->config, NULL, &e) < 0 ||
        live_publish(w->live, &e) < 0)
        return -1;
    *state = w;
    return 0;
}

static int close_world(void **state)
{
    struct world *w = *state;
    live_close(w->live);
    snapshot_put(w->now);
    buf_fini(&w->overlay);
    free(w);
    clock_replace(NULL);
    return 0;
}

static int64_t change(struct world *w, const struct live_who *who, const char *object,
    const char *json)
{
    struct live_part part = {.object = str_c(object), .after = str_c(json)};
    struct err e = {0};
    int64_t revision = 0;
    if (live_apply(w->live, who, &part, 1, str_c(object), -1, &revision, &e) < 0)
        fail_msg("%s: %s", object, e.text);
    return revision;
}

#define FAST "override/everyone//fast"

static void a_switch_is_in_the_next_snapshot(void **state)
{
    struct world *w = *state;
    int before = w->published;
    int64_t r = change(w, &alice, FAST, "{\"to\":\"openai/gpt-5\",\"who\":\"alice\",\"until_ms\":5}");
    assert_int_equal(w->published, before + 1);
    assert_int_equal(w->now->override_count, 1);
    const struct override *o = w->now->overrides;
    assert_true(str_eq(o->name, STR("fast")) && str_eq(o->to, STR("openai/gpt-5")));
    assert_int_equal(o->scope, SCOPE_EVERYONE);
    assert_int_equal(o->until_ms, 5);
    assert_int_equal(o->revision, r);
    assert_int_equal(w->now->revision, r);
    assert_true(w->kept == 1 && w->changes == 1);
    change(w, &alice, "override/key/ci-bot/anthropic/claude-x", "{\"to\":\"cheap\"}");
    o = w->now->overrides; /* newest first; an asked name may hold slashes */
    assert_int_equal(o->scope, SCOPE_KEY);
    assert_true(str_eq(o->scope_name, STR("ci-bot")));
    assert_true(str_eq(o->name, STR("anthropic/claude-x")));
}

static void undo_puts_back_what_was(void **state)
{
    struct world *w = *state;
    struct err e = {0};
    int64_t first = change(w, &alice, FAST, "{\"to\":\"a/1\"}");
    int64_t second = change(w, &alice, FAST, "{\"to\":\"b/2\"}"), now = 0;
    assert_int_equal(live_undo(w->live, &alice, 0, &now, &e), 0);
    assert_true(now > second);
    assert_true(str_eq(w->now->overrides[0].to, STR("a/1")));
    assert_int_equal(live_undo(w->live, &alice, second, &now, &e), -ERR_STATE);
    assert_int_equal(live_undo(w->live, &alice, first, &now, &e), 0);
    assert_int_equal(w->now->override_count, 0);
    assert_int_equal(live_undo(w->live, &alice, 0, &now, &e), -ERR_NOT_FOUND);
}

static void undo_of_an_overwritten_change_names_the_newer(void **state)
{
    struct world *w = *state;
    struct err e = {0};
    int64_t first = change(w, &alice, FAST, "{\"to\":\"a/1\"}");
    int64_t second = change(w, &bob, FAST, "{\"to\":\"b/2\"}");
    assert_int_equal(live_undo(w->live, &alice, first, NULL, &e), -ERR_CONFLICT);
    char named[40];
    snprintf(named, sizeof named, "revision %lld (bob", (long long)second);
    assert_non_null(strstr(e.text, named));
    assert_true(str_eq(w->now->overrides[0].to, STR("b/2")));
}

static void undo_without_a_change_of_ones_own_lists_the_last(void **state)
{
    struct world *w = *state;
    struct err e = {0};
    change(w, &alice, FAST, "{\"to\":\"a/1\"}");
    assert_int_equal(live_undo(w->live, &bob, 0, NULL, &e), -ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "alice: " FAST));
}

static void several_objects_change_and_return_as_one(void **state)
{
    struct world *w = *state;
    struct err e = {0};
    struct live_part parts[] = {
        {.object = STR("drain/openai"), .after = STR("{\"until_ms\":1000}")},
        {.object = STR(FAST), .after = STR("{\"to\":\"b/2\",\"until_ms\":1000}")},
    };
    int before = w->published;
    assert_int_equal(live_apply(w->live, &alice, parts, 2, STR("drain openai"), -1, NULL, &e), 0);
    assert_int_equal(w->published, before + 1);
    assert_true(w->now->drained_count == 1 && w->now->override_count == 1);
    assert_int_equal(live_due_ms(w->live), 1000);
    live_tick(w->live, 999);
    assert_int_equal(w->now->drained_count, 1);
    live_tick(w->live, 1000);
    assert_true(w->now->drained_count == 0 && w->now->override_count == 0);
    assert_int_equal(w->published, before + 2);
    assert_string_equal(w->last_text, "returned: drain openai");
    assert_int_equal(live_due_ms(w->live), INT64_MAX);
    assert_string_equal(w->last_kept, FAST "=");
}

static void a_bad_value_changes_nothing(void **state)
{
    struct world *w = *state;
    struct err e = {0};
    struct live_part bad[] = {
        {.object = STR(FAST), .after = STR("{\"to\":\"a/1\"}")},
        {.object = STR("drain/x"), .after = STR("{oops")},
    };
    int before = w->published;
    assert_true(live_apply(w->live, &alice, bad, 2, STR("x"), -1, NULL, &e) < 0);
    struct live_part unknown = {.object = STR("themes/x"), .after = STR("{}")};
    assert_int_equal(live_apply(w->live, &alice, &unknown, 1, STR("x"), -1, NULL, &e),
        -ERR_UNKNOWN);
    assert_int_equal(w->published, before);
    assert_int_equal(live_get(w->live, STR(FAST)).n, 0);
    assert_int_equal(live_revision(w->live), 0);
}

static void edited_rules_are_checked_before_they_count(void **state)
{
    struct world *w = *state;
    struct err e = {0};
    struct live_part rule = {.object = STR("route/fast"), .after = STR("{\"polcy\":\"x\"}")};
    w->refuse_rules = true;
    assert_int_equal(live_apply(w->live, &alice, &rule, 1, STR("set"), -1, NULL, &e), -ERR_SYNTAX);
    assert_non_null(strstr(e.text, "polcy"));
    assert_int_equal(live_get(w->live, STR("route/fast")).n, 0);
    w->refuse_rules = false;
    assert_int_equal(live_apply(w->live, &alice, &rule, 1, STR("set"), -1, NULL, &e), 0);
    assert_string_equal(buf_c(&w->overlay), "{\"routes\":{\"fast\":{\"polcy\":\"x\"}}}");
    assert_ptr_equal(w->now->config, live_config(w->live));
    assert_int_equal(live_undo(w->live, &alice, 0, NULL, &e), 0);
    assert_int_equal(w->overlay.n, 0);
}

static void two_editors_lose_nothing(void **state)
{
    struct world *w = *state;
    struct err e = {0};
    int64_t seen = live_revision(w->live);
    change(w, &bob, "route/fast", "{\"a\":1}");
    struct live_part mine = {.object = STR("route/fast"), .after = STR("{\"b\":2}")};
    assert_int_equal(live_apply(w->live, &alice, &mine, 1, STR("set"), seen, NULL, &e),
        -ERR_CONFLICT);
    assert_non_null(strstr(e.text, "bob"));
    struct live_part other = {.object = STR("route/cheap"), .after = STR("{}")};
    assert_int_equal(live_apply(w->live, &alice, &other, 1, STR("set"), seen, NULL, &e), 0);
    assert_int_equal(live_apply(w->live, &alice, &mine, 1, STR("set"), live_revision(w->live), NULL,
        &e), 0);
}

static void trying_leaves_no_trace(void **state)
{
    struct world *w = *state;
    struct err e = {0};
    int before = w->published;
    struct live_part parts[] = {{.object = STR(FAST), .after = STR("{\"to\":\"a/1\"}")},
        {.object = STR("key/bob"), .after = STR("{\"rpm\":1}")}};
    assert_int_equal(live_try(w->live, parts, 2, &e), 0);
    assert_int_equal(w->published, before);
    assert_int_equal(live_get(w->live, STR(FAST)).n, 0);
    assert_int_equal(live_revision(w->live), 0);
}

static void hex(const unsigned char digest[32], char out[65])
{
    for (size_t i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static void keys_made_live_are_found_and_limited(void **state)
{
    struct world *w = *state;
    struct err e = {0};
    char secret[80], shown[32], digits[65], json[200];
    unsigned char digest[32];
    key_make_secret(secret, shown);
    key_digest(str_c(secret), digest);
    hex(digest, digits);
    snprintf(json, sizeof json, "{\"digest\":\"%s\",\"shown\":\"%s\"}", digits, shown);
    struct live_part parts[] = {
        {.object = STR("key/bob"), .after = STR("{\"team\":\"ops\",\"models\":[\"fast\"],\"rpm\":60,"
                                                "\"budgets\":{\"week\":20000000000}}")},
        {.object = STR("secret/bob"), .after = str_c(json)},
    };
    int64_t made = 0;
    assert_int_equal(live_apply(w->live, &alice, parts, 2, STR("key bob"), -1, &made, &e), 0);
    const struct key *k = key_find(w->now->keys, str_c(secret), 1);
    assert_non_null(k);
    assert_true(str_eq(k->name, STR("bob")) && k->rpm == 60 && k->model_count == 1);
    assert_true(k->budget_count == 1 && k->budgets[0].window == WINDOW_WEEK);
    assert_null(key_find(w->now->keys, str_c(digits), 1)); /* the stored form is no key */
    change(w, &alice, "key/bob", "{\"team\":\"ops\",\"rpm\":5,\"paused\":true}");
    k = key_find(w->now->keys, str_c(secret), 1);
    assert_true(k && k->rpm == 5 && k->paused);
    assert_int_equal(live_undo(w->live, &alice, 0, NULL, &e), 0);
    assert_int_equal(key_find(w->now->keys, str_c(secret), 1)->rpm, 60);
    assert_int_equal(live_undo(w->live, &alice, made, NULL, &e), -ERR_STATE);
}

static void state_and_history_come_back_after_a_restart(void **state)
{
    struct world *w = *state;
    struct err e = {0};
    assert_int_equal(live_load(w->live, STR(FAST), STR("{\"to\":\"b/2\"}"), 7), 0);
    struct live_part part = {.object = STR(FAST), .before = STR("{\"to\":\"a/1\"}"),
        .after = STR("{\"to\":\"b/2\"}")};
    struct live_change c = {.revision = 7, .uid = 1000, .user = STR("alice"), .text = STR("fast"),
        .parts = &part, .part_count = 1};
    assert_int_equal(live_load_change(w->live, &c), 0);
    assert_int_equal(live_publish(w->live, &e), 0);
    assert_true(str_eq(w->now->overrides[0].to, STR("b/2")));
    assert_int_equal(live_undo(w->live, &alice, 0, NULL, &e), 0);
    assert_true(str_eq(w->now->overrides[0].to, STR("a/1")));
    assert_int_equal(live_revision(w->live), 8);
}

static void what_is_gone_is_forgotten_in_time(void **state)
{
    struct world *w = *state;
    char name[40];
    for (int i = 0; i < 3 * LIVE_HISTORY; i++) {
        snprintf(name, sizeof name, "override/session/s%d/fast", i);
        change(w, &alice, name, "{\"to\":\"a/1\"}");
        change(w, &alice, name, "");
    }
    assert_int_equal(w->now->override_count, 0);
    assert_int_equal(live_object_revision(w->live, STR("override/session/s1/fast")), 0);
}

int main(void)
{
#define IN_A_WORLD(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(a_switch_is_in_the_next_snapshot),
        IN_A_WORLD(undo_puts_back_what_was),
        IN_A_WORLD(undo_of_an_overwritten_change_names_the_newer),
        IN_A_WORLD(undo_without_a_change_of_ones_own_lists_the_last),
        IN_A_WORLD(several_objects_change_and_return_as_one),
        IN_A_WORLD(a_bad_value_changes_nothing),
        IN_A_WORLD(edited_rules_are_checked_before_they_count),
        IN_A_WORLD(two_editors_lose_nothing),
        IN_A_WORLD(trying_leaves_no_trace),
        IN_A_WORLD(keys_made_live_are_found_and_limited),
        IN_A_WORLD(state_and_history_come_back_after_a_restart),
        IN_A_WORLD(what_is_gone_is_forgotten_in_time),
    };
    return cmocka_run_group_tests_name("live", tests, NULL, NULL);
}
