/* recover.c: brings in what earlier lives left behind, before a listener opens.
 *
 * Spools first, then the tables of running exchanges: a slot whose end record made it into the
 * spool finds its id stored. What is still running became `interrupted`. It is charged what was
 * measured; else, when the request had gone upstream, input plus output seen at its own prices, and
 * what attempts before had cost: never zero silently. */
#include "store/store_internal.h"

struct recovering {
    struct store *s;
    struct store_recovered *out;
    int64_t now_ms;
};

static struct spool_position position(void *ctx, unsigned worker)
{
    struct recovering *r = ctx;
    return worker < STORE_WORKERS_MAX ? r->s->positions[worker] : (struct spool_position){0};
}

static int on_record(void *ctx, unsigned worker, uint32_t kind, struct str packed)
{
    struct recovering *r = ctx;
    struct record x;
    (void)worker;
    if (record_unpack(packed, &x) < 0 || x.id.n == 0) {
        store_notify(r->s, STORE_NOTICE_FAULT, "a damaged record was left out");
        return 0;
    }
    r->out->records++;
    return commit_record(&r->s->commit, kind, &x);
}

static int on_segment_end(void *ctx, unsigned worker, struct spool_position at)
{
    struct recovering *r = ctx;
    if (worker < STORE_WORKERS_MAX)
        r->s->positions[worker] = at;
    int rc = commit_position(&r->s->commit, worker, at);
    rc = rc ? rc : commit_end(&r->s->commit);
    return rc ? rc : commit_begin(&r->s->commit);
}

/* tokens × femto-USD, summed, to nano-USD half-even. */
static int64_t charge(const struct slot *x, int64_t input, int64_t output)
{
    int64_t cached = MIN(MAX(x->cached_tokens, 0), input);
    __int128 femto = (__int128)(input - cached) * x->rate_input +
                     (__int128)cached * (x->rate_cached ? x->rate_cached : x->rate_input) +
                     (__int128)output * x->rate_output;
    __int128 nano = femto / 1000000, rest = femto % 1000000;
    if (rest > 500000 || (rest == 500000 && nano % 2))
        nano++;
    return nano > INT64_MAX ? INT64_MAX : (int64_t)nano;
}

static void settle_interrupted(const struct slot *x, struct record *r)
{
    bool measured = x->usage_source == USAGE_MEASURED || x->usage_source == USAGE_PROVIDER;
    if (!x->body_sent) {
        r->cost_nano = x->earlier_nano;
        r->cost_source = x->earlier_nano ? COST_ESTIMATED : COST_NONE;
        r->usage_source = USAGE_NONE;
        return;
    }
    r->usage_source = USAGE_INTERRUPTED;
    if (measured && x->cost_nano > 0) {
        r->cost_source = x->usage_source == USAGE_PROVIDER ? COST_PROVIDER : COST_MEASURED;
        return;
    }
    /* four bytes a token where nothing was counted */
    int64_t input = x->input_tokens > 0 ? x->input_tokens : (x->request_bytes + 3) / 4;
    int64_t output = MAX(x->output_tokens, measured ? 0 : (x->content_bytes + 3) / 4);
    r->input_tokens = input;
    r->output_tokens = output;
    r->cost_nano = MAX(charge(x, input, output) + x->earlier_nano, x->cost_nano);
    r->cost_source = r->cost_nano > 0 ? COST_ESTIMATED : COST_NONE;
}

static int on_slot(void *ctx, const struct slot *x)
{
    struct recovering *r = ctx;
    struct record record;
    slot_record(x, 0, &record);
    record.time_ms = x->time_ms > 0 ? x->time_ms : r->now_ms; /* a slot that was half written */
    record.state = STATE_DONE;
    record.outcome = OUTCOME_INTERRUPTED;
    record.error_code = STR("interrupted");
    record.error_message = STR("the gateway ended while this exchange was running");
    record.total_us = record.ttft_us;
    record.slot = -1;
    settle_interrupted(x, &record);
    int64_t rows = r->s->commit.rows;
    int rc = commit_record(&r->s->commit, SPOOL_END, &record);
    if (rc == 0 && r->s->commit.rows > rows) {
        r->out->interrupted++;
        r->out->charged_nano += record.cost_nano;
    }
    return rc;
}

int store_recover(struct store *s, int64_t now_ms, struct store_recovered *out, struct err *e)
{
    struct store_recovered own;
    struct recovering r = {s, out ? out : &own, now_ms};
    struct spool_recovery files = {.position = position, .record = on_record,
        .segment_end = on_segment_end, .slot = on_slot, .ctx = &r};
    *r.out = (struct store_recovered){0};
    int rc = commit_begin(&s->commit);
    if (rc == 0) {
        rc = spool_recover(s->spool_fd, &files, e);
        if (rc == 0 && (rc = commit_end(&s->commit)) < 0)
            err_set(e, (enum err_code)-rc, "%s: %s", s->main_path,
                s->main->backend->error(s->main));
        else if (rc < 0)
            commit_abandon(&s->commit);
    }
    if (rc == 0)
        rc = spool_remove_files(s->spool_fd, e);
    if (rc < 0)
        return rc;
    if (files.damaged)
        store_notify(s, STORE_NOTICE_FAULT, "%llu spool segments had a damaged end",
            (unsigned long long)files.damaged);
    if (r.out->records || r.out->interrupted)
        store_notify(s, STORE_NOTICE_RECOVERED, "%llu records and %llu interrupted exchanges of an "
            "earlier life were brought in", (unsigned long long)r.out->records,
            (unsigned long long)r.out->interrupted);
    return 0;
}
