/* The configuration reader on any bytes: it must end, in bounds, with a config or with complaints,
 * and what it accepted must export to a file that it accepts again. So with imported files. */
#include "proxy/config/config.h"

#include <stdio.h>
#include <stdlib.h>

static char *environment[] = {"OPENAI_API_KEY=sk-live-openai", "LAB_KEY_A=lab-a", NULL};

/* `again`: the text is an export; the only thing it may lack are variables for literal secrets. */
static struct config *load(struct str text, bool again)
{
    struct config_request q = {.path = "fuzz.yaml", .text = text, .environment = environment};
    struct config_complaints *faults = config_complaints_new();
    struct config *c = NULL;
    char line[700];
    if (!faults)
        return NULL;
    int rc = config_load(&q, &c, faults);
    if ((rc == 0) != (config_fault_count(faults) == 0) || (rc == 0) != (c != NULL))
        abort();
    for (size_t i = 0; i < config_complaint_count(faults); i++) {
        config_complaint_text(faults, i, line, sizeof line);
        if (again && !config_complaint_is_warning(faults, i) &&
            !strstr(line, "the environment variable POINTSMAN_")) {
            fprintf(stderr, "%s\n" STR_FMT "\n", line, STR_ARG(text));
            abort();
        }
    }
    config_complaints_free(faults);
    return c;
}

static void import(struct str text)
{
    struct buf yaml, left;
    buf_init(&yaml, 4 << 20);
    buf_init(&left, 4 << 20);
    if (config_import_litellm(&(struct config_foreign){.text = text}, &yaml, &left, NULL) == 0) {
        struct config *c = load(buf_str(&yaml), false); /* faults are told, nothing breaks */
        if (c)
            config_put(c);
    }
    buf_fini(&yaml);
    buf_fini(&left);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* no file of this machine is opened on behalf of the fuzzer, and no text may hold the secret */
    if (memmem(data, size, "file:", 5) || memmem(data, size, "sk-live-openai", 14))
        return 0;
    import(str_n((const char *)data, size));
    struct config *c = load(str_n((const char *)data, size), false);
    if (!c)
        return 0;
    struct buf out;
    buf_init(&out, 4 << 20);
    config_export(c, NULL, &out);
    if (out.err || memmem(out.p, out.n, "sk-live-openai", 14))
        abort();
    struct config *back = load(buf_str(&out), true);
    if (back)
        config_put(back);
    buf_reset(&out);
    config_diff(c, c, &out);
    if (out.n)
        abort();
    buf_fini(&out);
    config_put(c);
    return 0;
}
