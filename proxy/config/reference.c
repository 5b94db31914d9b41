/* reference.c: what options.def says, for people: the tables of the README, the same as JSON, and a
 * sample file. Nothing about a setting is written down anywhere else. */
#include "proxy/config/options.h"
#include "store/base/json.h"

static const char *type_text(const struct option *o)
{
    switch (o->type) {
    case TYPE_SPECIAL: return o->choices;
    case TYPE_LIST: return "list";
    case TYPE_BOOL: return "yes or no";
    case TYPE_COUNT: return "number";
    case TYPE_SIZE: return "size";
    case TYPE_TIME_US:
    case TYPE_TIME_MS: return "time";
    case TYPE_PERCENT: return "share";
    case TYPE_RATE: return "USD per million";
    case TYPE_DATE: return "date";
    case TYPE_URL:
    case TYPE_CURL: return "URL";
    case TYPE_ADDRESS: return "host:port";
    case TYPE_PATH:
    case TYPE_CPATH: return "path";
    default: return "text";
    }
}

static bool has_choices(const struct option *o)
{
    return o->type == TYPE_ENUM || o->type == TYPE_TEXT_OF;
}

/* "a, b or auto", "size, 1KiB to 1GiB", "list of model name" */
static void put_values(struct buf *out, const struct option *o)
{
    if (has_choices(o)) {
        struct str rest = str_c(option_choices(o)), one;
        for (bool first = true; str_cut(&rest, '|', &one); first = false)
            buf_printf(out, "%s" STR_FMT, first ? "" : ", ", STR_ARG(one));
        return;
    }
    buf_puts(out, type_text(o));
    if (o->type == TYPE_LIST)
        buf_printf(out, " of %s", o->choices);
    if (o->type > TYPE_LIST && (o->least || o->most)) {
        buf_puts(out, ", ");
        option_put_range(out, o);
    }
    if (o->type > TYPE_ADDRESS && *o->choices && strcmp(o->choices, o->fallback) != 0)
        buf_printf(out, ", or %s", o->choices);
}

/* A cell of a Markdown table: bars inside would end it. */
static void put_cell(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '|')
            buf_putc(out, '\\');
        buf_putc(out, text.p[i]);
    }
}

static void put_row(struct buf *out, const struct option *o)
{
    struct buf values;
    buf_init(&values, 1024);
    put_values(&values, o);
    buf_printf(out, "| `%s`%s | ", o->key, o->flags & NEED ? " (needed)" : "");
    put_cell(out, buf_str(&values));
    buf_puts(out, " | ");
    if (*o->fallback)
        buf_printf(out, "%s%s%s", o->type == TYPE_SPECIAL ? "" : "`", o->fallback,
            o->type == TYPE_SPECIAL ? "" : "`");
    buf_puts(out, " | ");
    put_cell(out, str_c(o->help));
    buf_printf(out, "%s |\n", o->flags & START ? " (at start)" : "");
    buf_fini(&values);
}

static void put_section(struct buf *out, enum section s)
{
    if (s == SECTION_TOP)
        buf_printf(out, "### Top level\n\n%s.\n\n", section_help(s));
    else
        buf_printf(out, "### `%s`\n\n%s.\n\n", section_path(s), section_help(s));
    buf_puts(out, "| Key | Value | Default | Meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < option_count; i++)
        if (options[i].section == s && options[i].type != TYPE_LATER)
            put_row(out, &options[i]);
    bool any = false;
    for (size_t i = 0; i < option_count; i++) {
        if (options[i].section != s || options[i].type != TYPE_LATER)
            continue;
        buf_printf(out, "%s`%s` (%s)", any ? ", " : "\nNot in this version, and refused by name: ",
            options[i].key, options[i].help);
        any = true;
    }
    buf_puts(out, any ? ".\n\n" : "\n");
}

void config_reference(struct buf *out)
{
    buf_puts(out,
        "Sizes are written `64MiB`, `200k`; times `500ms`, `30s`, `10m`, `7d`; money `$5`, "
        "`0.02`; shares `10%`; yes and no. \"At start\" takes effect when the gateway is started "
        "again, everything else with `config apply` or SIGHUP.\n\n");
    for (int s = 0; s < SECTION_COUNT; s++)
        put_section(out, (enum section)s);
    buf_puts(out, "### Conditions of a rule\n\n| Condition | Takes |\n|---|---|\n");
#define X(name, text, help) buf_puts(out, "| `" text "` | " help " |\n");
#include "proxy/config/conditions.def"
#undef X
    buf_puts(out, "\n### Policies of a route\n\n| Policy | A request goes to |\n|---|---|\n");
#define X(name, text, help) buf_puts(out, "| `" text "` | " help " |\n");
#include "proxy/config/policies.def"
#undef X
}

void config_options_json(struct buf *out)
{
    struct json_writer w = json_writer(out);
    struct buf values;
    buf_init(&values, 1024);
    json_object_begin(&w, NULL);
    json_array_begin(&w, "options");
    for (size_t i = 0; i < option_count; i++) {
        const struct option *o = &options[i];
        buf_reset(&values);
        put_values(&values, o);
        json_object_begin(&w, NULL);
        json_put_c(&w, "section", section_path(o->section));
        json_put_c(&w, "key", o->key);
        json_put_str(&w, "value", buf_str(&values));
        json_put_c(&w, "default", o->fallback);
        json_put_bool(&w, "needed", (o->flags & NEED) != 0);
        json_put_bool(&w, "secret", (o->flags & HIDE) != 0);
        json_put_bool(&w, "available", o->type != TYPE_LATER);
        json_put_c(&w, "takes_effect", o->flags & START ? "start" : "live");
        json_put_c(&w, "help", o->help);
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    buf_fini(&values);
}

static void sample_options(struct buf *out, enum section s, const char *indent)
{
    for (size_t i = 0; i < option_count; i++) {
        const struct option *o = &options[i];
        if (o->section == s && o->type > TYPE_LIST && *o->fallback)
            buf_printf(out, "# %s%s: %s%*s# %s\n", indent, o->key, o->fallback,
                (int)MAX(2, 34 - (int)(strlen(indent) + strlen(o->key) + strlen(o->fallback))), "",
                o->help);
    }
}

void config_sample(struct buf *out)
{
    static const enum section parts[] = {SECTION_CAPTURE, SECTION_LIMITS, SECTION_ALARMS};
    buf_puts(out,
        "# pointsman.yaml: every line below is optional; a commented one shows the default.\n"
        "# `pointsman config options` lists everything, `pointsman config check` finds "
        "mistakes.\n\n");
    sample_options(out, SECTION_TOP, "");
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        buf_printf(out, "# %s:\n", section_path(parts[i]));
        sample_options(out, parts[i], "  ");
    }
    buf_puts(out,
        "\nproviders:\n"
        "  lab:                       # a local server; add the ones that you use\n"
        "    base_url: http://127.0.0.1:11434/v1\n"
        "#   models: [qwen3]\n"
        "# openai: { api_key: env:OPENAI_API_KEY }\n"
        "# anthropic: { api_key: env:ANTHROPIC_API_KEY }\n"
        "# gemini: { api_key: env:GEMINI_API_KEY }\n"
        "\nroutes:\n"
        "  fast:                      # clients say model: \"fast\"\n"
        "    targets: [lab/qwen3]\n"
        "#   fallback: [openai/gpt-5-mini]\n"
        "# \"claude-*\":                # a pattern: what clients ask for can be sent elsewhere\n"
        "#   rules:\n"
        "#     - { if: { prompt_tokens: \">150k\" }, use: anthropic/claude-sonnet-4-5 }\n"
        "#   targets: [anthropic/$model]\n"
        "\n# keys:\n"
        "#   ci-bot: { secret: env:CI_BOT_KEY, models: [fast], budget: { day: $5, total: $200 }, "
        "rpm: 60 }\n"
        "\n# prices:                     # USD per million tokens\n"
        "#   lab/qwen3: { input: 0, output: 0 }\n");
}
