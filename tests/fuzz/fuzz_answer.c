/* fuzz_answer.c: any head and body that a provider may send, as curl hands them over. What is passed
 * on has token names and values without control bytes, one head at most, and gzip stays in its caps. */
#include "proxy/upstream/call.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DECODED_MAX ((size_t)1 << 20)

struct seen {
    unsigned heads;
    size_t bytes;
};

static void require(bool right)
{
    if (!right)
        abort();
}

static void on_head(void *ctx, int status, const struct http_header *h, size_t n)
{
    struct seen *s = ctx;
    s->heads++;
    require(status >= 200 && status <= 599);
    for (size_t i = 0; i < n; i++) {
        require(h[i].name.n > 0);
        for (size_t k = 0; k < h[i].name.n; k++)
            require(h[i].name.p[k] > ' ' && h[i].name.p[k] < 0x7f && h[i].name.p[k] != ':');
        for (size_t k = 0; k < h[i].value.n; k++)
            require((unsigned char)h[i].value.p[k] >= ' ' || h[i].value.p[k] == '\t');
    }
}

static void on_data(void *ctx, struct str bytes)
{
    ((struct seen *)ctx)->bytes += bytes.n;
}

/* Lines up to the blank one go to the header callback, as curl cuts them; the rest is body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static CURL *easy;
    if (!easy)
        easy = curl_easy_init();
    struct upstream u = {.config = {.answer_head_bytes = 4096, .decoded_ratio = 50,
        .decoded_bytes = DECODED_MAX}};
    struct seen seen = {0};
    struct upstream_call c = {.u = &u, .easy = easy, .ctx = &seen, .events = {on_head, on_data, NULL}};
    buf_init(&c.head, 4097);
    char *copy = malloc(size + 1);
    memcpy(copy, data, size);
    size_t at = 0;
    bool more = true;
    while (more && at < size && !c.headed) {
        const char *lf = memchr(copy + at, '\n', size - at);
        size_t n = lf ? (size_t)(lf - copy) + 1 - at : size - at;
        more = answer_header(copy + at, 1, n, &c) == n;
        at += n;
    }
    while (more && at < size) {
        size_t n = MIN(size - at, (size_t)1000);
        more = answer_write(copy + at, 1, n, &c) == n;
        at += n;
    }
    require(seen.heads <= 1 && (more || c.fail != UPSTREAM_OK || !c.headed));
    require(!c.coding || seen.bytes <= DECODED_MAX + 65536);
    answer_reset(&c);
    buf_fini(&c.head);
    free(u.headers);
    free(copy);
    return 0;
}
