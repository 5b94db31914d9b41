/* link.c: see link.h. curl's multi socket interface behind one epoll descriptor of our own, so that
 * the console's poll() watches a single number.
 *
 * A transfer is freed only after curl has let go of it: callbacks mark, link_run() sweeps. */
#include "tui/link.h"

#include "proxy/admin/api.h"
#include "store/base/clock.h"
#include "store/base/json_span.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { LINK_DEFAULT_TIMEOUT_MS = 15000, LINK_CONNECT_TIMEOUT_MS = 3000 };

struct transfer {
    struct transfer *next;
    CURL *easy;
    struct curl_slist *headers;
    struct link_request request;
    uint64_t id;
    struct buf reply;
    bool gone;    /* cancelled: no callback any more */
    bool stopped; /* `piece` said enough */
    bool finished;
    CURLcode result;
};

struct link {
    long patience_ms; /* of blocking calls; 0: the default */
    CURLM *multi;
    int epoll;
    int64_t timer_us; /* when curl wants to run, -1: not */
    uint64_t next_id;
    unsigned depth; /* inside link_run(): nothing may be freed */
    struct transfer *transfers;
    char socket_path[256];
};

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct link *l = arg;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL);
        curl_multi_assign(l->multi, fd, NULL);
        return 0;
    }
    struct epoll_event ev = {.data.fd = fd};
    if (what & CURL_POLL_IN)
        ev.events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        ev.events |= EPOLLOUT;
    if (epoll_ctl(l->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) < 0 && errno == EEXIST)
        epoll_ctl(l->epoll, EPOLL_CTL_MOD, fd, &ev);
    curl_multi_assign(l->multi, fd, l);
    return 0;
}

static int set_timer(CURLM *multi, long wait_ms, void *arg)
{
    struct link *l = arg;
    (void)multi;
    l->timer_us = wait_ms < 0 ? -1 : clock_mono_us() + wait_ms * 1000;
    return 0;
}

struct link *link_new(const char *socket_path)
{
    struct link *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    str_copy(l->socket_path, sizeof l->socket_path, str_c(socket_path));
    l->timer_us = -1;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    l->multi = curl_multi_init();
    if (l->epoll < 0 || !l->multi) {
        link_free(l);
        return NULL;
    }
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
    return l;
}

static void transfer_free(struct link *l, struct transfer *t)
{
    if (t->easy) {
        curl_multi_remove_handle(l->multi, t->easy);
        curl_easy_cleanup(t->easy);
    }
    curl_slist_free_all(t->headers);
    buf_fini(&t->reply);
    free(t);
}

void link_free(struct link *l)
{
    if (!l)
        return;
    while (l->transfers) {
        struct transfer *t = l->transfers;
        l->transfers = t->next;
        transfer_free(l, t);
    }
    if (l->multi)
        curl_multi_cleanup(l->multi);
    if (l->epoll >= 0)
        close(l->epoll);
    free(l);
}

static size_t take_body(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    long status = 0;
    n *= size;
    if (t->gone)
        return 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (t->request.piece && status == 200) {
        t->stopped = !t->request.piece(t->request.arg, str_n(p, n));
        return t->stopped || t->gone ? 0 : n;
    }
    buf_put(&t->reply, p, n);
    return t->reply.err ? 0 : n;
}

static bool set_up(struct link *l, struct transfer *t)
{
    const struct link_request *r = &t->request;
    char url[2048];
    int n = snprintf(url, sizeof url, "http://pointsman" ADMIN_PREFIX "%s", r->path);
    if (n < 0 || (size_t)n >= sizeof url || !(t->easy = curl_easy_init()))
        return false;
    CURL *c = t->easy;
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, l->socket_path);
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)LINK_CONNECT_TIMEOUT_MS);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_PRIVATE, t);
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, r->method ? r->method : "GET");
    if (r->timeout_ms >= 0)
        curl_easy_setopt(
            c, CURLOPT_TIMEOUT_MS, r->timeout_ms ? r->timeout_ms : (long)LINK_DEFAULT_TIMEOUT_MS);
    if (r->body.n) {
        t->headers = curl_slist_append(t->headers, "Content-Type: application/json");
        t->headers = curl_slist_append(t->headers, "Expect:");
        curl_easy_setopt(c, CURLOPT_HTTPHEADER, t->headers);
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
        curl_easy_setopt(c, CURLOPT_COPYPOSTFIELDS, r->body.p);
    } else if (r->method && strcmp(r->method, "POST") == 0) {
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
        curl_easy_setopt(c, CURLOPT_COPYPOSTFIELDS, "");
    }
    return curl_multi_add_handle(l->multi, c) == CURLM_OK;
}

uint64_t link_send(struct link *l, const struct link_request *r)
{
    struct transfer *t = calloc(1, sizeof *t);
    if (!t)
        return 0;
    t->request = *r;
    t->id = ++l->next_id;
    buf_init(&t->reply, LINK_REPLY_MAX);
    if (!set_up(l, t)) {
        transfer_free(l, t);
        return 0;
    }
    t->request.path = NULL; /* borrowed: not ours to look at any more */
    t->request.body = STR_NULL;
    t->next = l->transfers;
    l->transfers = t;
    return t->id;
}

/* Frees what is cancelled or done; never while curl is on the stack. */
static void sweep(struct link *l)
{
    if (l->depth)
        return;
    for (struct transfer **at = &l->transfers; *at;) {
        struct transfer *t = *at;
        if (!t->gone) {
            at = &t->next;
            continue;
        }
        *at = t->next;
        transfer_free(l, t);
    }
}

void link_cancel_owner(struct link *l, const void *owner)
{
    for (struct transfer *t = l->transfers; t; t = t->next)
        if (t->request.owner == owner)
            t->gone = true;
    sweep(l);
}

unsigned link_running(const struct link *l)
{
    unsigned n = 0;
    for (const struct transfer *t = l->transfers; t; t = t->next)
        n += !t->gone;
    return n;
}

int link_fd(const struct link *l)
{
    return l->epoll;
}

int link_timeout_ms(const struct link *l)
{
    if (l->timer_us < 0)
        return -1;
    int64_t left = l->timer_us - clock_mono_us();
    return left <= 0 ? 0 : (int)(left / 1000 + 1);
}

static void report(struct transfer *t)
{
    struct err e = {0};
    long status = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (t->reply.err)
        status = 0, err_set(&e, ERR_LIMIT, "the gateway's answer is too long or memory is short");
    else if (t->result == CURLE_OPERATION_TIMEDOUT)
        status = 0, err_set(&e, ERR_TIMEOUT, "the gateway did not answer in time");
    else if (t->result != CURLE_OK && !t->stopped)
        status = 0, err_set(&e, ERR_NETWORK, "no gateway answers on its socket (%s)",
                        curl_easy_strerror(t->result));
    t->gone = true;
    if (t->request.done)
        t->request.done(t->request.arg, (int)status, buf_str(&t->reply), &e);
}

/* Answers are handed out after curl is off the stack, so that callbacks may send at once. */
static void reap(struct link *l)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(l->multi, &left));) {
        struct transfer *t = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        t->finished = true;
        t->result = m->data.result;
    }
    for (struct transfer *t = l->transfers; t; t = t->next)
        if (t->finished && !t->gone)
            report(t);
}

void link_run(struct link *l)
{
    struct epoll_event ev[16];
    int running, n = epoll_wait(l->epoll, ev, ARRAY_LEN(ev), 0);
    l->depth++;
    for (int i = 0; i < n; i++) {
        int what = (ev[i].events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
                   (ev[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (ev[i].events & EPOLLERR ? CURL_CSELECT_ERR : 0);
        curl_multi_socket_action(l->multi, ev[i].data.fd, what, &running);
    }
    if (l->timer_us >= 0 && clock_mono_us() >= l->timer_us) {
        l->timer_us = -1;
        curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    reap(l);
    l->depth--;
    sweep(l);
}

bool link_wait(struct link *l, int wait_ms)
{
    struct epoll_event ev;
    int own = link_timeout_ms(l);
    if (!link_running(l))
        return false;
    if (own >= 0 && (wait_ms < 0 || own < wait_ms))
        wait_ms = own;
    if (epoll_wait(l->epoll, &ev, 1, wait_ms) < 0 && errno != EINTR)
        return false;
    link_run(l);
    return true;
}

void link_set_patience(struct link *l, long ms)
{
    l->patience_ms = ms;
}

struct blocking {
    bool done;
    int *status;
    struct buf *reply;
    struct err *e;
    int rc;
};

static void blocking_done(void *arg, int status, struct str reply, const struct err *why)
{
    struct blocking *b = arg;
    b->done = true;
    *b->status = status;
    buf_put_str(b->reply, reply);
    if (!status)
        b->rc = err_set(b->e, why->code, "%s", why->text);
    else if (b->reply->err)
        b->rc = err_set(b->e, ERR_LIMIT, "the gateway's answer is too long or memory is short");
}

int link_call(struct link *l, const char *method, const char *path, struct str body, int *status,
    struct buf *reply, struct err *e)
{
    int ignored;
    struct blocking b = {.status = status ? status : &ignored, .reply = reply, .e = e};
    struct link_request r = {.method = method,
        .path = path,
        .body = body,
        .done = blocking_done,
        .arg = &b,
        .owner = &b,
        .timeout_ms = l->patience_ms};
    if (!link_send(l, &r))
        return err_set(e, ERR_NOMEM, "the request could not be built (path too long or no memory)");
    while (!b.done)
        if (!link_wait(l, 1000) && !b.done) {
            link_cancel_owner(l, &b);
            return err_set(e, ERR_NETWORK, "waiting for the gateway failed");
        }
    return b.rc;
}

int link_error(struct str reply, int status, struct err *e)
{
    static const struct {
        int status;
        enum err_code code;
    } codes[] = {{400, ERR_SYNTAX}, {401, ERR_DENIED}, {403, ERR_DENIED}, {404, ERR_NOT_FOUND},
        {409, ERR_CONFLICT}, {501, ERR_UNSUPPORTED}, {503, ERR_BUSY}};
    enum err_code code = ERR_IO;
    struct arena a;
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i].status == status)
            code = codes[i].code;
    arena_init(&a, 1024, 65536);
    struct str text = json_text(json_path(reply, "error.message"), &a);
    int rc = text.n ? err_set(e, code, STR_FMT, STR_ARG(text))
                    : err_set(e, code, "the gateway answered %d without a reason", status);
    arena_fini(&a);
    return rc;
}

void link_path(struct buf *out, struct str segment)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < segment.n; i++) {
        unsigned char c = (unsigned char)segment.p[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '-' || c == '_' || c == '.' || c == '~') {
            buf_putc(out, (char)c);
        } else {
            char esc[3] = {'%', hex[c >> 4], hex[c & 15]};
            buf_put(out, esc, 3);
        }
    }
}
