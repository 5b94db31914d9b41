/* source.c: see source.h. */
#include "proxy/admin/source.h"

#include "proxy/access/key.h"
#include "proxy/meter/price.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 4 << 20 };

struct source {
    struct source_options options;
    char path[1024];   /* "" when there is no file */
    struct buf text, before; /* before: to go back to, while `trying` */
    bool trying;
    struct buf prices; /* imported, as given */
};

static int read_file(const char *path, struct buf *out, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    ssize_t n = 0;
    do {
        char *to = buf_reserve(out, 65536);
        n = to ? read(fd, to, 65536) : -1;
        out->n += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    int why = errno;
    close(fd);
    if (out->err)
        return err_set(e, ERR_LIMIT, "%s: larger than %d MiB", path, FILE_MAX_BYTES >> 20);
    return n < 0 ? err_set(e, ERR_IO, "%s: %s", path, strerror(why)) : 0;
}

static void try_text(struct source *s, struct buf fresh)
{
    source_settle(s, false);
    s->before = s->text;
    s->text = fresh;
    s->trying = true;
}

void source_settle(struct source *s, bool accept)
{
    if (!s->trying)
        return;
    struct buf gone = accept ? s->before : s->text;
    if (!accept)
        s->text = s->before;
    buf_fini(&gone);
    s->trying = false;
}

int source_reread(struct source *s, struct err *e)
{
    struct buf fresh;
    if (!s->path[0])
        return 0;
    buf_init(&fresh, FILE_MAX_BYTES);
    int rc = read_file(s->path, &fresh, e);
    if (rc == 0)
        try_text(s, fresh);
    else
        buf_fini(&fresh);
    return rc;
}

int source_set_text(struct source *s, struct str text, struct err *e)
{
    struct buf fresh;
    buf_init(&fresh, FILE_MAX_BYTES);
    buf_put_str(&fresh, text);
    if (fresh.err) {
        buf_fini(&fresh);
        return err_set(e, ERR_LIMIT, "the text is larger than %d MiB", FILE_MAX_BYTES >> 20);
    }
    try_text(s, fresh);
    return 0;
}

int source_new(struct source **out, const struct source_options *options, struct err *e)
{
    struct source *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "out of memory");
    s->options = *options;
    buf_init(&s->text, FILE_MAX_BYTES);
    buf_init(&s->prices, (size_t)64 << 20);
    if (options->path)
        str_copy(s->path, sizeof s->path, str_c(options->path));
    else if (!options->demo_always && !config_default_path(s->path, sizeof s->path))
        s->path[0] = 0;
    int rc = source_reread(s, e);
    if (rc < 0) {
        source_free(s);
        return rc;
    }
    source_settle(s, true);
    *out = s;
    return 0;
}

void source_free(struct source *s)
{
    if (!s)
        return;
    source_settle(s, true);
    buf_fini(&s->text);
    buf_fini(&s->prices);
    free(s);
}

const char *source_path(const struct source *s)
{
    return s->path;
}

/* ---- prices ---- */

static void copy_rates(struct price_rates *to, const struct price_rates_override *from)
{
#define X(name, key, word) to->name = from->key;
#include "proxy/config/price_rates.def"
#undef X
}

static int put_override(struct price_list *l, const struct price_override *o, struct err *e)
{
    struct price_step steps[CONFIG_PRICE_STEPS];
    struct price p;
    _Static_assert((int)CONFIG_PRICE_TIERS == (int)TIER_COUNT, "same tiers");
    price_init(&p, o->key);
    p.per_request = o->per_request;
    p.per_search = o->per_search;
    memcpy(p.unit, o->unit, sizeof p.unit);
    memcpy(p.factor_ppm, o->factor_ppm, sizeof p.factor_ppm);
    p.discount_ppm = o->discount_ppm;
    p.context_tokens = o->context_tokens;
    p.max_output_tokens = o->max_output_tokens;
    for (size_t t = 0; t < TIER_COUNT; t++)
        copy_rates(&p.base[t], &o->base[t]);
    for (size_t i = 0; i < CONFIG_PRICE_STEPS && o->step[i].above_tokens > 0; i++) {
        steps[i].above_tokens = o->step[i].above_tokens;
        for (size_t t = 0; t < TIER_COUNT; t++)
            copy_rates(&steps[i].rates[t], &o->step[i].rates[t]);
        p.steps = (unsigned)i + 1;
    }
    p.step = steps;
    return price_list_put(l, &p, e);
}

static int import_into(struct source *s, struct price_list *l, struct err *e)
{
    struct price_import done;
    return s->prices.n ? price_import(l, buf_str(&s->prices), &done, e) : 0;
}

int source_set_prices(struct source *s, struct str json, struct err *e)
{
    struct price_import done;
    struct price_list *trial = price_list_new(price_list_builtin());
    int rc = trial ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0 && json.n)
        rc = price_import(trial, json, &done, e);
    price_list_free(trial);
    if (rc < 0)
        return rc;
    buf_reset(&s->prices);
    buf_put_str(&s->prices, json);
    return s->prices.err ? err_set(e, ERR_LIMIT, "the price list is too large") : 0;
}

static int lay_prices(struct source *s, struct config *c, struct err *e)
{
    struct price_list *l = price_list_new(price_list_builtin());
    if (!l)
        return err_set(e, ERR_NOMEM, "out of memory");
    int rc = import_into(s, l, e);
    for (size_t i = 0; rc == 0 && i < c->price_override_count; i++)
        rc = put_override(l, &c->price_overrides[i], e);
    if (rc < 0) {
        price_list_free(l);
        return rc;
    }
    config_set_prices(c, l, price_list_free);
    return 0;
}

/* ---- loading ---- */

static void tell(const struct config_complaints *faults, struct buf *lines, struct err *e)
{
    char text[700], first[440] = "";
    for (size_t i = 0; i < config_complaint_count(faults); i++) {
        bool warning = config_complaint_is_warning(faults, i);
        config_complaint_text(faults, i, text, sizeof text);
        if (lines)
            buf_printf(lines, "%s%s\n", warning ? "warning: " : "", text);
        if (!warning && !first[0])
            str_copy(first, sizeof first, str_c(text));
    }
    size_t n = config_fault_count(faults);
    if (n > 1)
        err_set(e, ERR_SYNTAX, "%s (and %zu more: pointsman config check)", first, n - 1);
    else if (n == 1)
        err_set(e, ERR_SYNTAX, "%s", first);
}

struct config *source_load(struct source *s, struct str overlay, struct buf *lines, struct err *e)
{
    struct config_complaints *faults = config_complaints_new();
    struct config *c = NULL;
    if (!faults) {
        err_set(e, ERR_NOMEM, "out of memory");
        return NULL;
    }
    const struct source_options *o = &s->options;
    struct config_request q = {.path = s->path[0] ? s->path : NULL,
        .text = buf_str(&s->text), .overlay = overlay, .listen = o->listen, .data = o->data,
        .socket = o->socket,
        .demo_url = o->demo_url, .demo_always = o->demo_always, .demo_models = o->demo_models,
        .demo_model_count = o->demo_model_count, .demo_prices = o->demo_prices};
    if (s->path[0] && s->text.n == 0)
        q.text = STR(" "); /* an empty file is a text, not "read it again" */
    int rc = config_load(&q, &c, faults);
    tell(faults, lines, rc < 0 ? e : NULL);
    config_complaints_free(faults);
    if (rc < 0)
        return NULL;
    config_digest_keys(c, key_digest);
    if (lay_prices(s, c, e) == 0)
        return c;
    config_put(c);
    return NULL;
}
