/* fill.c: fills a store with N made-up records and times what a console asks of it.
 *
 *     build/tests/bench/fill 10000000 DIR [MS [GIB]]  # DIR is made when it is not there; filled up to N,
 *                                                    # MS of clock time between two records (250),
 *                                                    # GIB of bodies for the newest (0)
 *
 * Prints rows per second, bytes per row, and the time of newest-first pages by each filter, of
 * facets, percentiles and a filter without an index: first with nothing of the file in memory (as
 * far as the system lets go of it), then again. */
#include "store/base/clock.h"
#include "store/spool_file.h"
#include "store/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BODY_REQUEST = 24000, BODY_ANSWER = 8000 };

static uint64_t seed = 88172645463325252u;

static unsigned dice(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 11) % n;
}

static void name(char out[32], const char *kind, unsigned n)
{
    snprintf(out, 32, "%s-%u", kind, n);
}

/* Rare things are rare: squares of a die. */
static unsigned skewed(unsigned n)
{
    return dice(n) * dice(n) / n;
}

static void append(struct spool *w, int64_t n, int64_t time_ms)
{
    char id[32], key[32], team[32], model[32], route[32], session[32], peer[32], attempts[200];
    unsigned k = skewed(200), m = skewed(40);
    snprintf(id, sizeof id, "01jd%022llx", (unsigned long long)n);
    name(key, "key", k);
    name(team, "team", k % 12);
    name(model, "model", m);
    name(route, "route", m % 9);
    name(session, "session", (unsigned)(n / 400) + dice(40));
    snprintf(peer, sizeof peer, "10.0.%u.%u:%u", dice(4), dice(250), 20000 + dice(30000));
    snprintf(attempts, sizeof attempts, "[{\"target\":\"provider-%u/%s\",\"status\":200,"
        "\"outcome\":\"ok\",\"reason\":\"\",\"ms\":%u}]", m % 6, model, dice(9000));
    char provider[32], upstream[40];
    name(provider, "provider", m % 6);
    snprintf(upstream, sizeof upstream, "req_%016llx", (unsigned long long)seed);
    bool bad = dice(50) == 0;
    struct record r = {.id = str_c(id), .key = str_c(key), .team = str_c(team),
        .session = str_c(session), .tags = STR("env:prod"), .user_agent = STR("bench/1"),
        .peer = str_c(peer), .endpoint = STR("/v1/chat/completions"), .dialect = STR("openai"),
        .model_asked = str_c(route), .route = str_c(route), .provider = str_c(provider),
        .model = str_c(model), .model_served = str_c(model), .finish_reason = STR("stop"),
        .upstream_request_id = str_c(upstream), .attempts = str_c(attempts), .time_ms = time_ms,
        .price_key = str_c(model), .stream = 1, .state = STATE_DONE, .status = bad ? 429 : 200,
        .outcome = bad ? OUTCOME_UPSTREAM_ERROR : OUTCOME_OK, .input_tokens = dice(60000),
        .cached_tokens = dice(20000), .output_tokens = 1 + dice(3000),
        .usage_source = USAGE_MEASURED, .cost_nano = dice(30000000),
        .cost_source = COST_MEASURED, .reserve_nano = 40000000, .request_bytes = dice(200000),
        .response_bytes = dice(60000), .connect_us = dice(900), .ttft_us = 1 + dice(4000000),
        .max_gap_us = dice(90000), .overhead_us = dice(400), .total_us = 4000000 + dice(9000000),
        .client_uid = -1, .slot = -1};
    while (spool_append(w, SPOOL_END, &r) < 0)
        usleep(2000);
}

static int64_t stored(struct store *s)
{
    struct store_query q = {.kind = STORE_ASK_SUMS, .budget_ms = 60000};
    struct store_answer *a = store_ask_now(s, &q);
    int64_t n = a && a->rc == 0 && a->n ? a->sums->requests : 0;
    store_answer_free(a);
    return n;
}

static int fill(struct store *s, int64_t from, int64_t until, int64_t every_ms)
{
    struct err e = {0};
    struct spool *w = store_spool(s, 0, &e);
    if (!w || store_start(s, &e) < 0) {
        fprintf(stderr, "fill: %s\n", e.text);
        return 1;
    }
    int64_t began = clock_mono_us(), start_ms = clock_wall_ms() - (until - from) * every_ms;
    for (int64_t n = from; n < until; n++) {
        append(w, n, start_ms + (n - from) * every_ms + dice((unsigned)every_ms + 1));
        while (spool_behind(w) > 40000)
            usleep(5000);
        if (n % 1000000 == 0 && n > from)
            fprintf(stderr, "%lld rows, %.0f/s\n", (long long)n,
                (double)(n - from) * 1e6 / (double)(clock_mono_us() - began));
    }
    store_stop(s);
    double seconds = (double)(clock_mono_us() - began) / 1e6;
    if (until > from)
        printf("%-34s %12.0f rows/s\n", "stored", (double)(until - from) / seconds);
    return 0;
}

static struct str some_noise(const char *noise, size_t from_most, size_t n)
{
    char *copy = malloc(n);
    if (copy)
        memcpy(copy, noise + dice((unsigned)(from_most - n)), n);
    return str_n(copy, copy ? n : 0);
}

/* Noise, so that a gibibyte put in is one on the disk: the newest records' bodies, oldest first. */
static int fill_bodies(struct store *s, int64_t rows, int64_t bytes, struct err *e)
{
    static char noise[2 << 20];
    int64_t count = MIN(bytes / (BODY_REQUEST + BODY_ANSWER), rows), began = clock_mono_us();
    if (count == 0)
        return 0;
    if (store_start(s, e) < 0)
        return 1;
    for (size_t i = 0; i + 8 <= sizeof noise; i += 8) {
        dice(2);
        memcpy(noise + i, &seed, 8);
    }
    for (int64_t n = rows - count; n < rows; n++) {
        char id[32];
        snprintf(id, sizeof id, "01jd%022llx", (unsigned long long)n);
        struct store_body b = {.time_ms = clock_wall_ms(),
            .request = some_noise(noise, sizeof noise, BODY_REQUEST),
            .response = some_noise(noise, sizeof noise, BODY_ANSWER)};
        while (store_put_body(s, str_c(id), &b) < 0)
            usleep(5000);
    }
    store_stop(s);
    double seconds = (double)(clock_mono_us() - began) / 1e6;
    printf("%-34s %12.0f bodies/s\n", "bodies stored", (double)count / seconds);
    return 0;
}

static bool never(void *ctx, const struct record *r)
{
    (void)ctx;
    return r->input_tokens == 60001;
}

static void count(void *ctx, const struct store_step *s)
{
    *(int64_t *)ctx += s->cost_nano;
}

/* What a replay of everything reads, in the slices that the gateway asks for. */
static void walk_all(struct store *s)
{
    int64_t nano = 0, rows = 0, slowest = 0, began = clock_mono_us();
    struct store_query q = {.kind = STORE_ASK_WALK, .walk = count, .walk_ctx = &nano};
    for (bool done = false; !done;) {
        int64_t from = clock_mono_us();
        struct store_answer *a = store_ask_now(s, &q);
        done = !a || a->rc < 0 || a->done;
        rows += a ? (int64_t)a->n : 0;
        q.cursor = a ? a->cursor : q.cursor;
        slowest = MAX(slowest, clock_mono_us() - from);
        store_answer_free(a);
    }
    printf("%-34s %8.2f ms in all,  %5.1f ms the longest slice, %lld rows\n", "walk of all rows (what if)",
        (double)(clock_mono_us() - began) / 1000, (double)slowest / 1000, (long long)rows);
}

static const char *database;

static void forget_file(void)
{
    int fd = open(database, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    fdatasync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

static void timed(struct store *s, const char *what, const struct store_query *q)
{
    int64_t best = INT64_MAX, worst = 0;
    size_t n = 0;
    forget_file();
    for (int i = 0; i < 5; i++) {
        int64_t began = clock_mono_us();
        struct store_answer *a = store_ask_now(s, q);
        int64_t took = clock_mono_us() - began;
        best = MIN(best, took);
        worst = MAX(worst, took);
        n = a ? a->n : 0;
        if (!a || (a->rc < 0 && a->rc != -ERR_NOT_FOUND))
            printf("%s: %s\n", what, a ? a->err.text : "no memory");
        store_answer_free(a);
    }
    printf("%-34s %8.2f ms first, %8.2f ms again, %zu rows\n", what, (double)worst / 1000,
        (double)best / 1000, n);
}

static void ask_all(struct store *s, int64_t rows)
{
    const int64_t now = clock_wall_ms();
    char last[32];
    snprintf(last, sizeof last, "01jd%022llx", (unsigned long long)rows - 1);
    const struct {
        const char *what;
        struct store_query q;
    } asks[] = {
        {"newest", {.limit = 200}},
        {"from a time on", {.limit = 200, .to_ms = now - 3600000}},
        {"by key (common)", {.limit = 200, .key = STR("key-1")}},
        {"by key (rare)", {.limit = 200, .key = STR("key-197")}},
        {"by team", {.limit = 200, .team = STR("team-3")}},
        {"by model", {.limit = 200, .model = STR("model-7")}},
        {"by route", {.limit = 200, .route = STR("route-2")}},
        {"by status class", {.limit = 200, .status_class = 4}},
        {"by session", {.limit = 200, .session = STR("session-77")}},
        {"by key and model", {.limit = 200, .key = STR("key-3"), .model = STR("model-2")}},
        {"by key, with none of that class", {.limit = 200, .key = STR("key-3"), .status_class = 5}},
        {"no index, no match (partial)", {.limit = 200, .keep = never}},
        {"one id", {.kind = STORE_ASK_RECORD, .id = STR("01jd0000000000000000000100")}},
        {"one body", {.kind = STORE_ASK_BODY, .id = str_c(last)}},
        {"facets of models, all time", {.kind = STORE_ASK_FACETS, .dimension = STORE_BY_MODEL}},
        {"facets of keys, all time", {.kind = STORE_ASK_FACETS, .dimension = STORE_BY_KEY}},
        {"models, percentiles of 24 h", {.kind = STORE_ASK_SUMS, .dimension = STORE_BY_MODEL,
            .from_ms = now - 86400000, .to_ms = now}},
        {"keys, cost of 30 days", {.kind = STORE_ASK_SUMS, .dimension = STORE_BY_KEY,
            .from_ms = now - 30 * 86400000LL, .to_ms = now}},
        {"sessions", {.kind = STORE_ASK_SESSIONS, .limit = 200}},
        {"ledger of a key", {.kind = STORE_ASK_LEDGER, .key = STR("key-1"), .limit = 200}},
    };
    for (size_t i = 0; i < ARRAY_LEN(asks); i++)
        timed(s, asks[i].what, &asks[i].q);
    walk_all(s);
}

int main(int argc, char **argv)
{
    uint64_t rows, every_ms = 250, gib = 0;
    struct store *s;
    struct err e = {0};
    if (argc < 3 || argc > 5 || !str_to_u64(str_c(argv[1]), &rows) ||
        (argc > 3 && !str_to_u64(str_c(argv[3]), &every_ms)) || every_ms > 3600000 ||
        (argc > 4 && !str_to_u64(str_c(argv[4]), &gib)) || gib > 1024) {
        fprintf(stderr, "usage: fill ROWS DIR [MS [GIB]]\n");
        return 2;
    }
    struct store_config c = {.dir = argv[2], .workers = 1, .slots = 16,
        .body_keep_ms = 365 * 86400000LL, .body_keep_bytes = (int64_t)MAX(gib, 1) << 30};
    if (store_open(&s, &c, &e) < 0 || store_recover(s, clock_wall_ms(), NULL, &e) < 0) {
        fprintf(stderr, "fill: %s\n", e.text);
        return 1;
    }
    int64_t have = stored(s);
    int rc = fill(s, have, MAX((int64_t)rows, have), (int64_t)every_ms);
    rc = rc ? rc : fill_bodies(s, MAX((int64_t)rows, have), (int64_t)gib << 30, &e);
    char path[600];
    struct stat st;
    snprintf(path, sizeof path, "%s/pointsman.db", argv[2]);
    if (rc == 0 && stat(path, &st) == 0 && rows)
        printf("%-34s %12.0f bytes\n", "a row, with indexes and ledger",
            (double)st.st_size / (double)MAX((int64_t)rows, have));
    database = path;
    if (rc == 0)
        ask_all(s, MAX((int64_t)rows, have));
    store_close(s);
    return rc;
}
