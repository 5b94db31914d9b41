/* objects.c: see objects.h. A literal secret is replaced by a short fingerprint: long enough to see
 * that it changed, too short to say anything about it. */
#include "proxy/config/objects.h"
#include "store/base/json_span.h"

#include <sodium.h>

static void put_secret(struct buf *out, struct str text)
{
    static const char *const references[] = {"env:", "file:", "sealed:"};
    for (size_t i = 0; i < ARRAY_LEN(references); i++) {
        if (str_starts(text, str_c(references[i]))) {
            json_quote(out, text);
            return;
        }
    }
    if (str_eq(text, STR("client"))) {
        json_quote(out, text);
        return;
    }
    unsigned char hash[crypto_generichash_BYTES_MIN];
    crypto_generichash(hash, sizeof hash, (const unsigned char *)text.p, text.n, NULL, 0);
    buf_printf(out, "\"literal:%02x%02x\"", hash[0], hash[1]);
}

/* `key` is a secret below api_keys and a pattern in a rule's conditions. */
static bool is_secret(struct str inside, struct str above)
{
    return str_eq(inside, STR("secret")) || str_eq(inside, STR("api_key")) ||
           str_eq(inside, STR("api_keys")) ||
           (str_eq(inside, STR("key")) && str_eq(above, STR("api_keys")));
}

/* One line of JSON, secrets hidden. `inside` and `above` are the nearest member names. */
static void put(struct buf *out, const struct yaml *n, struct str inside, struct str above)
{
    if (n->kind == YAML_NULL) {
        buf_puts(out, "null");
    } else if (n->kind == YAML_TEXT) {
        if (is_secret(inside, above))
            put_secret(out, n->text);
        else
            json_quote(out, n->text);
    } else {
        bool map = n->kind == YAML_MAP;
        buf_putc(out, map ? '{' : '[');
        for (const struct yaml *c = n->first; c; c = c->next) {
            if (map) {
                json_quote(out, c->key);
                buf_putc(out, ':');
            }
            put(out, c, map ? c->key : inside, map ? inside : above);
            buf_puts(out, c->next ? "," : "");
        }
        buf_putc(out, map ? '}' : ']');
    }
}

static void add(struct reader *r, const char *kind, struct str name, struct str text)
{
    struct config_owner *o = r->owner;
    o->objects[o->object_count++] =
        (struct config_object){str_c(kind), name, arena_str(r->a, text)};
}

static void add_node(struct reader *r, const char *kind, const struct yaml *n)
{
    struct buf b;
    buf_init(&b, YAML_BYTES_MAX * 8);
    put(&b, n, n->key, STR_NULL);
    add(r, kind, n->key, buf_str(&b));
    buf_fini(&b);
}

void objects_from_file(struct reader *r, const struct yaml *root)
{
    static const struct {
        const char *section, *kind;
    } kinds[] = {{"providers", "provider"}, {"routes", "route"}, {"keys", "key"}, {"teams", "team"},
        {"tags", "tag"}, {"prices", "price"}};
    r->owner->objects = arena_zalloc(r->a, root->weight * sizeof *r->owner->objects);
    for (const struct yaml *n = root->first; n && r->owner->objects; n = n->next) {
        size_t i = 0;
        while (i < ARRAY_LEN(kinds) && !str_eq(str_c(kinds[i].section), n->key))
            i++;
        if (i == ARRAY_LEN(kinds)) {
            add_node(r, "setting", n);
            continue;
        }
        for (const struct yaml *c = n->kind == YAML_MAP ? n->first : NULL; c; c = c->next)
            add_node(r, kinds[i].kind, c);
    }
}

void objects_from_environment(struct reader *r)
{
    const struct config *c = r->c;
    r->owner->objects = arena_zalloc(r->a, c->provider_count * sizeof *r->owner->objects + 1);
    for (size_t i = 0; r->owner->objects && i < c->provider_count; i++) {
        const struct provider *p = &c->providers[i];
        struct buf b;
        buf_init(&b, 4096);
        buf_puts(&b, "{\"base_url\":");
        json_quote(&b, p->base_url);
        buf_puts(&b, ",\"api_key\":");
        json_quote(&b, p->keys[0].name);
        buf_putc(&b, '}');
        add(r, "provider", p->name, buf_str(&b));
        buf_fini(&b);
    }
}
