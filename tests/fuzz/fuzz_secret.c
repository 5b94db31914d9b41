/* fuzz_secret.c: any bytes through the redactors. Nothing but asterisks is written, only where a
 * secret was counted, and a known value never stays. Sealed blobs of any bytes never open. */
#include "store/base/secret.h"
#include "store/base/secret_said.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool right)
{
    if (!right)
        abort();
}

static const char *const values[] = {
    "hunter2hunter2", "eightchr", "aaaaaaaaaaaaaaaa", "sk-pm-0123456789"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct secret_box *box;
    if (!box) {
        static const unsigned char key[SECRET_MASTER_BYTES] = "thirty-two bytes of a fuzzer key";
        for (size_t i = 0; i < ARRAY_LEN(values); i++)
            secret_add(str_c(values[i]));
        require(secret_box_from(&box, key, NULL) == 0);
    }
    char *text = malloc(size + 1);
    if (size)
        memcpy(text, data, size);
    size_t cut = secret_redact(text, size), changed = 0;
    for (size_t i = 0; i < size; i++) {
        changed += text[i] != (char)data[i];
        require(text[i] == (char)data[i] || text[i] == '*');
    }
    require(cut || !changed);
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        require(str_find(str_n(text, size), str_c(values[i])) < 0);
    /* pieces: numbers may become that of an asterisk; nothing that was found stays in one piece */
    if (size)
        memcpy(text, data, size);
    bool cut_off = size && data[0] & 1;
    int said = secret_redact_said(text, size, cut_off);
    require(said >= 0);
    for (size_t i = 0; i < size; i++) {
        bool digit = data[i] >= '0' && data[i] <= '9' && (text[i] == '4' || text[i] == '2' || text[i] == ' ');
        require(text[i] == (char)data[i] || (said && (text[i] == '*' || digit)));
    }
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        require(str_find(str_n(text, size), str_c(values[i])) < 0);
    if (size)
        memcpy(text, data, size);
    require(secret_redact_passing(text, size) <= size);
    struct buf plain;
    buf_init(&plain, 1 << 20);
    require(secret_open(box, STR("row"), str_n((const char *)data, size), &plain, NULL) < 0);
    buf_fini(&plain);
    free(text);
    return 0;
}
