/* capture.c: the kept copy of what passed, for the inspector and the body store. Bounded; shed first
 * when memory is short; its secrets are cut out before it is written (the writer does that). */
#include "proxy/exchange/exchange.h"

#include "proxy/access/key.h"
#include "proxy/event/event.h"
#include "proxy/event/watch.h"
#include "proxy/worker.h"
#include "store/base/clock.h"
#include "store/base/secret.h"
#include "store/store.h"

#include <stdlib.h>

/* The key's own mode, else the configured one; where none is: everything for one person, errors
 * alone once keys are given out. */
static enum capture_mode mode_of(const struct exchange *x, int *percent)
{
    const struct config *config = x->snapshot->config;
    if (x->key && x->key->capture >= 0) {
        *percent = x->key->capture_percent;
        return (enum capture_mode)x->key->capture;
    }
    *percent = (int)config->capture.sample_percent;
    if (config->capture.mode_given)
        return config->capture.mode;
    return key_table_demands(x->snapshot->keys) ? CAPTURE_ERRORS : CAPTURE_ALL;
}

static bool wanted(const struct exchange *x)
{
    int percent;
    enum capture_mode mode = mode_of(x, &percent);
    if (mode == CAPTURE_SAMPLE)
        return id_random(&x->worker->ids) % 100 < (uint64_t)percent;
    return mode != CAPTURE_OFF;
}

void capture_begin(struct exchange *x)
{
    x->capture.on = wanted(x);
    buf_init(&x->capture.answer, (size_t)x->snapshot->config->capture.max_bytes);
    buf_init(&x->capture.times, 1 << 20);
}

void capture_answer(struct exchange *x, struct str bytes)
{
    int64_t since_us = clock_mono_us() - x->head_us;
    if (x->watch)
        watch_put(x->watch, since_us, bytes);
    if (!x->capture.on)
        return;
    uint32_t mark[2] = {(uint32_t)(since_us / 100), (uint32_t)x->capture.answer.n};
    size_t room = x->capture.answer.max - x->capture.answer.n;
    if (bytes.n > room) {
        x->capture.cut = true;
        bytes = str_first(bytes, room);
    }
    if (bytes.n == 0 || !memory_charge(x->worker->shared, (int64_t)bytes.n)) {
        x->capture.cut = true;
        return;
    }
    x->charged_memory += (int64_t)bytes.n;
    buf_put(&x->capture.times, mark, sizeof mark);
    buf_put_str(&x->capture.answer, bytes);
}

/* What a header is called that carries a secret, known to us or not. */
static bool is_credential(struct str name)
{
    static const char *const within[] = {"authorization", "cookie", "secret", "password", "credential",
        "api-key", "apikey", "api_key", "sec-websocket-protocol"};
    static const char *const at_end[] = {"-key", "-token", "-auth", "-jwt", "-signature"};
    for (size_t i = 0; i < ARRAY_LEN(within); i++)
        if (str_find_nocase(name, str_c(within[i])) >= 0)
            return true;
    for (size_t i = 0; i < ARRAY_LEN(at_end); i++) {
        size_t n = strlen(at_end[i]);
        if (name.n > n && str_eq_nocase(str_from(name, name.n - n), str_c(at_end[i])))
            return !str_eq_nocase(name, STR("idempotency-key"));
    }
    return false;
}

/* Headers as a JSON object, credentials left out: a body store is read by people. */
static struct str headers_json(const struct http_header *h, size_t n)
{
    struct buf b;
    buf_init(&b, 256 << 10);
    struct json_writer w = json_writer(&b);
    json_object_begin(&w, NULL);
    for (size_t i = 0; i < n; i++) {
        json_put_key(&w, h[i].name);
        json_put_str(&w, NULL, is_credential(h[i].name) ? STR("…") : h[i].value);
    }
    json_object_end(&w);
    size_t len = 0;
    char *text = buf_take(&b, &len);
    buf_fini(&b);
    return str_n(text, text ? len : 0);
}

/* Its first four letters stay. A text may have been cut within the word. */
static void cover(struct str text, struct str word)
{
    enum { LEFT = 4 };
    for (ptrdiff_t at; (at = str_find(text, word)) >= 0; text = str_from(text, (size_t)at + word.n))
        memset((char *)(uintptr_t)text.p + at + LEFT, '*', word.n - LEFT);
    for (size_t n = MIN(word.n, text.n); n > LEFT; n--)
        if (str_ends(text, str_first(word, n))) {
            memset((char *)(uintptr_t)text.p + text.n - n + LEFT, '*', n - LEFT);
            return;
        }
}

/* A caller's own login is no secret that we know by value; a provider may repeat it in an error, also
 * one that was asked before the last. */
void capture_cover_login(const struct exchange *x, char *p, size_t n)
{
    if (!x->login_given)
        return;
    for (size_t i = 0; i < x->client_header_count; i++) {
        struct str login = x->client_headers[i].value, word;
        if (!is_credential(x->client_headers[i].name))
            continue;
        if (str_starts_nocase(login, STR("bearer ")))
            (void)str_cut(&login, ' ', &word);
        login = str_trim(login);
        if (login.n >= SECRET_VALUE_MIN)
            cover(str_n(p, n), login);
    }
}

/* [[µs since the head, offset in the answer], …] */
static struct str times_json(const struct buf *times)
{
    struct buf b;
    buf_init(&b, 4 << 20);
    struct json_writer w = json_writer(&b);
    json_array_begin(&w, NULL);
    for (size_t i = 0; i + 8 <= times->n; i += 8) {
        uint32_t mark[2];
        memcpy(mark, times->p + i, sizeof mark);
        json_array_begin(&w, NULL);
        json_put_int(&w, NULL, (int64_t)mark[0] * 100);
        json_put_int(&w, NULL, mark[1]);
        json_array_end(&w);
    }
    json_array_end(&w);
    size_t len = 0;
    char *text = buf_take(&b, &len);
    buf_fini(&b);
    return str_n(text, text ? len : 0);
}

static bool worth_keeping(const struct exchange *x)
{
    int percent;
    return x->capture.on && x->slot &&
           (mode_of(x, &percent) != CAPTURE_ERRORS || x->outcome != OUTCOME_OK);
}

/* Hands request and answer to the body store without a copy of the request. */
void capture_end(struct exchange *x)
{
    if (x->watch) {
        watch_end(x->watch);
        x->watch = NULL;
    }
    if (!worth_keeping(x) || x->call)
        return;
    x->capture.on = false;
    size_t max = (size_t)x->snapshot->config->capture.max_bytes;
    struct store_body body = {.time_ms = x->time_ms, .response_cut = x->capture.cut,
        .request_cut = x->body.n > max};
    struct buf *answer = x->capture.answer.n ? &x->capture.answer : &x->held;
    size_t n = 0;
    body.request_headers = headers_json(x->client_headers, x->client_header_count);
    body.response_headers = headers_json(x->answer_headers, x->answer_header_count);
    if (x->mode == ANSWER_EVENTS)
        body.events = times_json(&x->capture.times);
    char *request = buf_take(&x->body, &n);
    body.request = str_n(request, request ? MIN(n, max) : 0);
    if (body.request_cut)
        body.request.n = secret_whole(body.request); /* half a secret would not be known as one */
    char *response = buf_take(answer, &n);
    body.response = str_n(response, response ? n : 0);
    if (x->status >= 400 || x->outcome != OUTCOME_OK)
        capture_cover_login(x, response, body.response.n);
    if (body.response_cut)
        body.response.n = secret_whole(body.response);
    if (store_put_body(x->worker->shared->store, str_c(x->id), &body) < 0) {
        free((char *)body.request.p);
        free((char *)body.response.p);
        free((char *)body.request_headers.p);
        free((char *)body.response_headers.p);
        free((char *)body.events.p);
        counter_add(COUNTER_bodies_shed, 1);
    }
}

void exchange_watch(struct exchange *x, struct watch *watch)
{
    if (x->watch || x->step >= STEP_SETTLE) {
        watch_end(watch); /* one at a time; the admin thread fans out */
        return;
    }
    x->watch = watch;
    if (x->capture.answer.n) /* what came before somebody looked */
        watch_put(watch, 0, buf_str(&x->capture.answer));
}
