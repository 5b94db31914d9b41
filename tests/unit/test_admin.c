/* The admin API over a real unix socket, without workers and without a store: what it answers, who may,
 * and that a change is in force when the answer is there. */
#include "proxy/admin/admin.h"

#include "proxy/access/account.h"
#include "proxy/access/key.h"
#include "proxy/admin/source.h"
#include "proxy/config/config.h"
#include "proxy/route/health.h"
#include "store/base/clock.h"
#include "store/base/json.h"
#include "tui/link.h"

#include "store/spool.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static const char file[] = "providers:\n"
                           "  lab: { dialect: openai, base_url: http://127.0.0.1:9/v1, models: [qwen3, "
                           "llama], api_key: file:/nowhere }\n"
                           "  two: { dialect: openai, base_url: http://127.0.0.1:8/v1, models: [gpt-5] }\n"
                           "routes:\n"
                           "  fast: { targets: [lab/qwen3], fallback: [two/gpt-5] }\n"
                           "  only: { targets: [lab/llama] }\n"
                           "keys:\n"
                           "  ci-bot: { secret: 0123456789abcdef0123, budget: { day: $5 } }\n";

struct world {
    char dir[64], config[100], socket[100];
    struct source *source;
    struct account_set *accounts;
    struct health *health;
    struct live *live;
    struct admin *admin;
    pthread_t thread;
    struct link *link;
    struct spool *spool; /* of a worker that there is not: a test is it */
    int dir_fd;
    _Atomic int downs; /* counted by the admin thread */
};
static struct world w;

static void on_cancel(void *ctx, struct str id)
{
    (void)ctx, (void)id;
}

static void on_down(void *ctx, bool now)
{
    (void)now;
    ((struct world *)ctx)->downs++;
}

static void write_file(const char *text)
{
    FILE *f = fopen(w.config, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void start_admin(struct err *e)
{
    w.dir_fd = open(w.dir, O_RDONLY | O_DIRECTORY);
    struct spool_config spool = {.dir_fd = w.dir_fd, .bytes = 16 << 20, .slots = 8, .first_segment = 1};
    if (spool_open(&w.spool, &spool, 0, e) < 0)
        fail_msg("%s", e->text);
    struct admin_start start = {.socket_path = str_c(w.socket), .data_path = str_c(w.dir),
        .listen_url = STR("http://127.0.0.1:4141"), .owner_uid = (int64_t)getuid(),
        .started_ms = clock_wall_ms(), .health = w.health, .accounts = w.accounts,
        .source = w.source, .live = w.live, .spools = &w.spool, .workers = 1,
        .ops = {.ctx = &w, .cancel = on_cancel, .down = on_down}};
    if (admin_listen(str_c(w.socket), STR_NULL, &start.listen_fd, e) < 0 ||
        admin_new(&w.admin, &start, e) < 0)
        fail_msg("%s", e->text);
    assert_int_equal(pthread_create(&w.thread, NULL, admin_run, w.admin), 0);
    w.link = link_new(w.socket);
}

static int open_world(void **state)
{
    (void)state;
    struct err e = {0};
    struct buf lines;
    unsigned char pepper[32] = {1};
    memset(&w, 0, sizeof w);
    snprintf(w.dir, sizeof w.dir, "/tmp/pm-admin-XXXXXX");
    if (!mkdtemp(w.dir))
        return -1;
    snprintf(w.config, sizeof w.config, "%s/c.yaml", w.dir);
    snprintf(w.socket, sizeof w.socket, "%s/s.sock", w.dir);
    char text[2000];
    snprintf(text, sizeof text, "%s", file);
    char *secret = strstr(text, ", api_key: file:/nowhere");
    memmove(secret, secret + 24, strlen(secret + 24) + 1);
    write_file(text);
    key_set_pepper(pepper);
    buf_init(&lines, 1 << 16);
    struct source_options o = {.path = w.config};
    struct config *c = NULL;
    if (source_new(&w.source, &o, &e) < 0 || !(c = source_load(w.source, STR_NULL, &lines, &e)))
        fail_msg("%s %s", e.text, buf_c(&lines));
    buf_fini(&lines);
    w.health = health_new();
    w.accounts = account_set_new(STR("UTC"));
    if (admin_live_open(&w.live, w.source, c, NULL, w.accounts, &e) < 0)
        fail_msg("%s", e.text);
    start_admin(&e);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    link_free(w.link);
    admin_stop(w.admin);
    pthread_join(w.thread, NULL);
    admin_free(w.admin);
    live_close(w.live);
    snapshot_publish(NULL);
    source_free(w.source);
    account_set_free(w.accounts);
    health_free(w.health);
    spool_close(w.spool);
    close(w.dir_fd);
    unlink(w.socket);
    unlink(w.config);
    rmdir(w.dir);
    return 0;
}

/* Asks; the caller frees. */
static struct json *ask(const char *method, const char *path, const char *body, int expected)
{
    struct buf reply;
    struct err e = {0};
    int status = 0;
    buf_init(&reply, LINK_REPLY_MAX);
    if (link_call(w.link, method, path, str_c(body), &status, &reply, &e) < 0)
        fail_msg("%s %s: %s", method, path, e.text);
    struct json *j = json_parse(buf_str(&reply), &e);
    if (!j || status != expected)
        fail_msg("%s %s: status %d, expected %d: %s", method, path, status, expected, buf_c(&reply));
    buf_fini(&reply);
    return j;
}

static void expect_error(const char *method, const char *path, const char *body, int status,
    const char *says)
{
    struct json *j = ask(method, path, body, status);
    const char *text = json_string(json_member(j, "error"), "message", "");
    if (!strstr(text, says))
        fail_msg("%s: says \"%s\", expected \"%s\"", path, text, says);
    json_free(j);
}

static struct str switched_to(const char *name, char *out, size_t size)
{
    struct snapshot *s = snapshot_current();
    out[0] = 0;
    for (size_t i = 0; i < s->override_count; i++)
        if (str_eq(s->overrides[i].name, str_c(name)))
            str_copy(out, size, s->overrides[i].to);
    snapshot_put(s);
    return str_c(out);
}

static void status_says_whose_it_is(void **state)
{
    (void)state;
    struct json *j = ask("GET", "status", "", 200);
    assert_int_equal(json_int(j, "pid", 0), getpid());
    assert_string_equal(json_string(json_member(j, "you"), "role", ""), "admin");
    assert_string_equal(json_item_string(json_first(json_member(j, "listen")), ""),
        "http://127.0.0.1:4141");
    assert_int_equal(json_size(json_member(j, "providers")), 2);
    assert_int_equal(json_int(j, "keys", 0), 1);
    json_free(j);
}

static void a_switch_is_in_force_when_the_answer_is_there(void **state)
{
    (void)state;
    char to[64];
    struct json *j = ask("POST", "routes/fast/switch", "{\"to\":\"two/gpt-5\"}", 200);
    assert_true(str_eq(switched_to("fast", to, sizeof to), STR("two/gpt-5")));
    assert_string_equal(json_string(j, "marker", ""), "fast → two/gpt-5, everyone");
    json_free(j);
    j = ask("GET", "snapshot", "", 200);
    assert_int_equal(json_size(json_member(j, "markers")), 1);
    json_free(j);
    json_free(ask("POST", "undo", "{}", 200));
    assert_int_equal(switched_to("fast", to, sizeof to).n, 0);
    expect_error("POST", "undo", "{}", 404, "undo");
}

static void a_switch_that_leads_nowhere_is_refused(void **state)
{
    (void)state;
    expect_error("POST", "routes/fast/switch", "{\"to\":\"tow/gpt-5\"}", 404, "two");
    expect_error("POST", "routes/fast/switch", "{\"to\":\"goal:speed\"}", 404, "latency");
    expect_error("POST", "routes/fast/switch", "{\"to\":\"fast\"}", 400, "itself");
    expect_error("POST", "routes/fast/switch", "{\"to\":\"two/gpt-5\",\"scop\":1}", 400, "scop");
    expect_error("POST", "routes/fast/switch", "{\"to\":\"two/gpt-5\",\"scope\":\"key\"}", 400,
        "scope_name");
    expect_error("POST", "routes/fast/switch", "[1]", 400, "object");
    json_free(ask("POST", "routes/fast/switch", "{\"to\":\"two/gpt-5\",\"dry_run\":true}", 200));
    char to[64];
    assert_int_equal(switched_to("fast", to, sizeof to).n, 0);
}

static void a_switch_returns_by_itself(void **state)
{
    (void)state;
    char to[64];
    json_free(ask("POST", "routes/fast/switch", "{\"to\":\"two/gpt-5\",\"for_ms\":300}", 200));
    assert_true(switched_to("fast", to, sizeof to).n > 0);
    for (int i = 0; i < 100 && switched_to("fast", to, sizeof to).n; i++)
        usleep(20000);
    assert_int_equal(switched_to("fast", to, sizeof to).n, 0);
}

static void names_with_slashes_and_scopes(void **state)
{
    (void)state;
    json_free(ask("POST", "routes/lab%2Fllama/switch",
        "{\"to\":\"two/gpt-5\",\"scope\":\"session\",\"scope_name\":\"a/b%c\"}", 200));
    struct snapshot *s = snapshot_current();
    assert_int_equal(s->override_count, 1);
    assert_true(str_eq(s->overrides[0].name, STR("lab/llama")));
    assert_true(str_eq(s->overrides[0].scope_name, STR("a/b%c")));
    snapshot_put(s);
}

static void routes_tell_their_override(void **state)
{
    (void)state;
    json_free(ask("POST", "routes/fast/switch", "{\"to\":\"two/gpt-5\"}", 200));
    json_free(ask("POST", "routes/new-name/switch", "{\"to\":\"two/gpt-5\"}", 200));
    struct json *j = ask("GET", "routes", "", 200);
    size_t live = 0, switched = 0;
    for (struct json *r = json_first(json_member(j, "routes")); r; r = json_following(r)) {
        live += json_bool(r, "live", false);
        switched += json_is_object(json_member(r, "override"));
    }
    assert_int_equal(json_size(json_member(j, "routes")), 3);
    assert_int_equal(live, 1);
    assert_int_equal(switched, 2);
    json_free(j);
    j = ask("POST", "routes/fast/explain", "{}", 200);
    const struct json *first = json_first(json_member(json_member(j, "plan"), "candidates"));
    assert_string_equal(json_string(first, "target", ""), "two/gpt-5");
    json_free(j);
}

static void a_key_is_made_limited_paused_and_revoked(void **state)
{
    (void)state;
    struct json *j = ask("POST", "keys",
        "{\"line\":\"bob 20/week models:fast,only rpm:60 expires:90d\"}", 200);
    char secret[100];
    snprintf(secret, sizeof secret, "%s", json_string(j, "secret", ""));
    assert_non_null(strstr(json_string(j, "meaning", ""), "a week"));
    json_free(j);
    struct snapshot *s = snapshot_current();
    const struct key *k = key_find(s->keys, str_c(secret), clock_wall_ms());
    assert_true(k && k->rpm == 60 && k->model_count == 2 && k->budget_count == 1);
    snapshot_put(s);
    expect_error("POST", "keys", "{\"line\":\"bob 5\"}", 409, "already");
    expect_error("POST", "keys", "{\"line\":\"eve /week\"}", 400, "shell");
    expect_error("POST", "keys", "{\"line\":\"eve rpms:3\"}", 400, "rpms");
    json_free(ask("POST", "keys/bob/limit", "{\"line\":\"30/week rpm:none\"}", 200));
    json_free(ask("POST", "keys/bob/pause", "{}", 200));
    s = snapshot_current();
    k = key_find(s->keys, str_c(secret), clock_wall_ms());
    assert_true(k && k->paused && k->rpm == 0 && k->budgets[0].limit_nano == 30000000000);
    snapshot_put(s);
    json_free(ask("POST", "undo", "{}", 200));
    j = ask("POST", "keys/bob/rotate", "{}", 200);
    s = snapshot_current();
    assert_non_null(key_find(s->keys, str_c(secret), clock_wall_ms()));
    assert_non_null(key_find(s->keys, str_c(json_string(j, "secret", "")), clock_wall_ms()));
    snapshot_put(s);
    json_free(j);
    json_free(ask("POST", "keys/bob/revoke", "{}", 200));
    s = snapshot_current();
    assert_null(key_find(s->keys, str_c(secret), clock_wall_ms()));
    snapshot_put(s);
}

static void a_live_limit_keeps_the_others_of_the_file(void **state)
{
    (void)state;
    json_free(ask("POST", "keys/ci-bot/limit", "{\"line\":\"100\"}", 200));
    struct json *j = ask("GET", "keys?name=ci-bot", "", 200);
    assert_int_equal(json_size(json_member(json_first(json_member(j, "keys")), "windows")), 2);
    json_free(j);
}

static void a_drain_moves_everything_as_one_change(void **state)
{
    (void)state;
    struct json *j = ask("POST", "providers/lab/drain", "{\"to\":\"two/gpt-5\",\"dry_run\":true}", 200);
    assert_int_equal(json_size(json_member(j, "moves")), 2);
    json_free(j);
    json_free(ask("POST", "providers/lab/drain", "{\"to\":\"two/gpt-5\"}", 200));
    struct snapshot *s = snapshot_current();
    assert_int_equal(s->drained_count, 1);
    assert_true(str_eq(s->drained[0].to, STR("two/gpt-5")) && s->override_count == 0);
    snapshot_put(s);
    json_free(ask("POST", "undo", "{}", 200));
    s = snapshot_current();
    assert_true(s->drained_count == 0 && s->override_count == 0);
    snapshot_put(s);
}

static void profiles_save_and_bring_back(void **state)
{
    (void)state;
    char to[64];
    json_free(ask("POST", "routes/fast/switch", "{\"to\":\"two/gpt-5\"}", 200));
    json_free(ask("POST", "profiles", "{\"name\":\"night\"}", 200));
    json_free(ask("POST", "undo", "{\"revision\":1}", 200));
    json_free(ask("POST", "routes/only/switch", "{\"to\":\"two/gpt-5\"}", 200));
    struct json *j = ask("POST", "profiles/night/apply", "{}", 200);
    assert_int_equal(json_int(j, "changes", 0), 2);
    json_free(j);
    assert_true(str_eq(switched_to("fast", to, sizeof to), STR("two/gpt-5")));
    assert_int_equal(switched_to("only", to, sizeof to).n, 0);
    expect_error("POST", "profiles", "{\"name\":\"../x\"}", 400, "a-z");
}

static void edited_rules_are_in_force_and_checked(void **state)
{
    (void)state;
    expect_error("POST", "routes/fast/set", "{\"route\":{\"targtes\":[]}}", 400, "targtes");
    json_free(ask("POST", "routes/fast/set", "{\"route\":{\"targets\":[\"two/gpt-5\"]}}", 200));
    struct snapshot *s = snapshot_current();
    bool found = false;
    for (size_t i = 0; i < s->config->route_count; i++)
        if (str_eq(s->config->routes[i].name, STR("fast")))
            found = str_eq(s->config->routes[i].targets[0].provider->name, STR("two"));
    snapshot_put(s);
    assert_true(found);
    expect_error("POST", "routes/fast/set",
        "{\"revision\":0,\"route\":{\"targets\":[\"lab/qwen3\"]}}", 409, "revision 1");
}

static void a_broken_file_is_refused_and_the_old_one_stays(void **state)
{
    (void)state;
    write_file("routes: { fast: { targets: [nobody/x] } }\n");
    expect_error("POST", "reload", "{}", 400, "nobody");
    struct json *j = ask("GET", "status", "", 200);
    assert_int_equal(json_size(json_member(j, "providers")), 2);
    json_free(j);
    json_free(ask("POST", "routes/fast/set", "{\"route\":{\"targets\":[\"two/gpt-5\"]}}", 200));
}

static void wrong_paths_and_methods(void **state)
{
    (void)state;
    expect_error("GET", "nothing", "", 404, "no such path");
    expect_error("POST", "status", "{}", 405, "method");
    expect_error("GET", "exchanges?filter=st%3A%3Eabc", "", 400, "column 1");
    expect_error("GET", "exchanges/01h000000000000000000000zz", "", 404, "no request");
    expect_error("POST", "exchanges/01h000000000000000000000zz/cancel", "{}", 404, "running");
    expect_error("GET", "exchanges?before=x", "", 400, "cursor");
    json_free(ask("GET", "exchanges", "", 200));
    json_free(ask("GET", "targets", "", 200));
    json_free(ask("GET", "providers", "", 200));
    json_free(ask("GET", "config", "", 200));
    json_free(ask("GET", "config/diff", "", 200));
    json_free(ask("GET", "config/options", "", 200));
    json_free(ask("GET", "prices?part=gpt-5", "", 200));
    json_free(ask("GET", "people", "", 200));
    json_free(ask("GET", "events", "", 200));
}

static void a_long_poll_answers_when_there_is_news(void **state)
{
    (void)state;
    struct json *j = ask("GET", "snapshot", "", 200);
    char path[100];
    snprintf(path, sizeof path, "snapshot?since=%lld&wait_ms=200",
        (long long)json_int(j, "seq", 0));
    json_free(j);
    int64_t began = clock_mono_us();
    j = ask("GET", path, "", 200);
    assert_true(clock_mono_us() - began >= 150000);
    assert_false(json_bool(j, "resynced", true));
    json_free(j);
    json_free(ask("POST", "routes/fast/switch", "{\"to\":\"two/gpt-5\"}", 200));
    began = clock_mono_us();
    j = ask("GET", path, "", 200);
    assert_true(clock_mono_us() - began < 150000);
    assert_int_equal(json_size(json_member(j, "markers")), 1);
    json_free(j);
}

static struct json *snapshot_after(const struct json *before, int64_t live_at)
{
    char path[120];
    snprintf(path, sizeof path, "snapshot?since=%lld&live_at=%lld", (long long)json_int(before, "seq", 0),
        (long long)live_at);
    return ask("GET", path, "", 200);
}

static void a_running_request_is_told_once_and_then_by_its_counts(void **state)
{
    (void)state;
    struct slot *slot = slot_take(w.spool);
    slot_write_begin(slot);
    str_copy(slot->id, sizeof slot->id, STR("id-1"));
    str_copy(slot->model, sizeof slot->model, STR("qwen3"));
    slot->phase = STATE_SENT;
    slot_write_end(slot);
    struct json *first = ask("GET", "snapshot", "", 200);
    int64_t at = json_int(first, "live_at", 0);
    assert_int_equal(json_size(json_member(first, "live")), 1);
    assert_int_equal(json_size(json_member(first, "counts")), 0);
    slot_write_begin(slot);
    slot->output_tokens = 42;
    slot_write_end(slot);
    struct json *then = snapshot_after(first, at);
    assert_int_equal(json_size(json_member(then, "live")), 0);
    const struct json *one = json_first(json_member(then, "counts"));
    assert_string_equal(json_item_string(json_first(one), ""), "id-1");
    assert_int_equal(json_size(one), 11);
    assert_true(json_int(then, "live_at", 0) > at);
    json_free(then);
    then = snapshot_after(first, 0); /* who does not say what it knows is told all */
    assert_int_equal(json_size(json_member(then, "live")), 1);
    assert_int_equal(json_int(json_first(json_member(then, "live")), "output_tokens", 0), 42);
    at = json_int(then, "live_at", 0);
    json_free(then);
    slot_write_begin(slot);
    slot->phase = STATE_STREAMING; /* more than a count */
    slot_write_end(slot);
    then = snapshot_after(first, at);
    assert_int_equal(json_size(json_member(then, "counts")), 0);
    assert_string_equal(json_string(json_first(json_member(then, "live")), "state", ""), "streaming");
    json_free(then);
    json_free(first);
    atomic_store(&slot->state, SLOT_FREE);
}

static void down_reaches_the_server(void **state)
{
    (void)state;
    json_free(ask("POST", "down", "{}", 200));
    assert_int_equal(w.downs, 1);
}

int main(void)
{
#define IN_A_WORLD(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(status_says_whose_it_is),
        IN_A_WORLD(a_switch_is_in_force_when_the_answer_is_there),
        IN_A_WORLD(a_switch_that_leads_nowhere_is_refused),
        IN_A_WORLD(a_switch_returns_by_itself),
        IN_A_WORLD(names_with_slashes_and_scopes),
        IN_A_WORLD(routes_tell_their_override),
        IN_A_WORLD(a_key_is_made_limited_paused_and_revoked),
        IN_A_WORLD(a_live_limit_keeps_the_others_of_the_file),
        IN_A_WORLD(a_drain_moves_everything_as_one_change),
        IN_A_WORLD(profiles_save_and_bring_back),
        IN_A_WORLD(edited_rules_are_in_force_and_checked),
        IN_A_WORLD(a_broken_file_is_refused_and_the_old_one_stays),
        IN_A_WORLD(wrong_paths_and_methods),
        IN_A_WORLD(a_long_poll_answers_when_there_is_news),
        IN_A_WORLD(a_running_request_is_told_once_and_then_by_its_counts),
        IN_A_WORLD(down_reaches_the_server),
    };
    return cmocka_run_group_tests_name("admin", tests, NULL, NULL);
}
