/* Fuzzes the whole front: bytes as a client would send them, through the real libmicrohttpd, gate,
 * body and answer paths. The first byte picks where the input is cut into two sends and how the
 * application answers. Each run is one connection on a unix socket. */
#include "tests/unit/http_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct sockaddr_un address = {.sun_family = AF_UNIX};

static void remove_socket(void)
{
    unlink(address.sun_path);
}

static void start_once(void)
{
    static bool started;
    if (started)
        return;
    started = true;
    struct http_config config = app_config();
    config.request_bytes = 4096;
    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/pointsman-fuzz-%d", (int)getpid());
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (app_start(&config) < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, 10) < 0 || http_server_listen(app.s, fd, NULL) < 0)
        abort();
    atexit(remove_socket);
}

static void answer_by(unsigned how)
{
    if (!app.q)
        return;
    if (how & 1) {
        http_reply(app.q, 200, NULL, 0, STR("held"));
    } else if (http_stream_begin(app.q, 200, NULL, 0, how & 2 ? 6 : -1) == 0) {
        http_stream_write(app.q, STR("stream"));
        http_stream_end(app.q, !(how & 4));
    }
    app.q = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    start_once();
    unsigned how = data[0];
    size_t cut = 1 + (size_t)(how >> 3) * (n - 1) / 32;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        abort();
    send(fd, data + 1, cut - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    turns(1);
    send(fd, data + cut, n - cut, MSG_NOSIGNAL | MSG_DONTWAIT);
    for (int i = 0; i < 3; i++) {
        turns(1);
        answer_by(how);
    }
    close(fd);
    turns(2);
    if (app.closes != app.heads && http_stats(app.s).connections == 0)
        abort(); /* closed() exactly once for every head() */
    return 0;
}
