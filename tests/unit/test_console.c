/* Units of the console that need no terminal: sanitizer, figures, keys, themes, columns. */
#include "store/base/buf.h"
#include "store/base/utf8.h"
#include "tui/clean.h"
#include "tui/format.h"
#include "tui/keymap.h"
#include "tui/model.h"
#include "tui/terminal.h"
#include "tui/settings.h"
#include "tui/theme.h"
#include "tui/typed.h"
#include "tui/widgets/sift.h"
#include "tui/widgets/table.h"
#include "tests/unit/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <dirent.h>
#include <unistd.h>

/* ---- sanitizer ---- */

static void cleaned_is(struct str in, bool ascii, const char *wanted)
{
    struct buf out;
    buf_init(&out, 65536);
    clean_put(&out, in, ascii);
    assert_string_equal(buf_c(&out), wanted);
    buf_fini(&out);
}

static void control_bytes_become_visible(void **state)
{
    (void)state;
    cleaned_is(STR("\033[31mred"), false, "␛[31mred");
    cleaned_is(STR("\033[31mred"), true, "^[[31mred");
    cleaned_is(STR("a\nb\rc\td"), false, "a␊b␍c d");
    cleaned_is(STR("\x7f"), false, "\\x7f");
    cleaned_is(STR("\xc2\x9b" "31m"), false, "\\x9b31m");
    cleaned_is(STR("\xff\xfe"), false, "\xef\xbf\xbd\xef\xbf\xbd");
    cleaned_is(STR("\xff"), true, "?");
}

static void what_hides_or_turns_text_is_marked_or_left_out(void **state)
{
    (void)state;
    cleaned_is(STR("\xe2\x80\xaegnp.exe"), false, "·gnp.exe");
    cleaned_is(STR("a\xe2\x80\x8b" "b"), false, "a·b");
    cleaned_is(STR("x\xf3\xa0\x81\xa1y"), false, "xy");     /* tag characters */
    cleaned_is(STR("\xe2\x9d\xa4\xef\xb8\x8f"), false, "\xe2\x9d\xa4"); /* variation selector */
    cleaned_is(STR("\xf0\x9f\x87\xab\xf0\x9f\x87\xb7"), false, "FR");   /* a flag */
    cleaned_is(STR("e\xcc\x81\xcc\x81\xcc\x81\xcc\x81z"), false, "e\xcc\x81\xcc\x81z");
}

static void marks_become_plain_where_the_terminal_has_no_better_ones(void **state)
{
    (void)state;
    clean_plain_marks(true);
    cleaned_is(STR("→ ✓ ▸ … \xd0\x96 你"), false, "> + > ~ \xd0\x96 你"); /* texts stay */
    clean_plain_marks(false);
    cleaned_is(STR("→ ✓"), false, "→ ✓");
    cleaned_is(STR("→ \xd0\x96"), true, "> ?");
}

static void remove_folder(const char *dir)
{
    char command[200];
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

static void what_was_typed_is_there_again(void **state)
{
    static struct typed one, two;
    char dir[] = "/tmp/pointsman-typed-XXXXXX", text[32];
    (void)state;
    assert_non_null(mkdtemp(dir));
    setenv("XDG_STATE_HOME", dir, 1);
    typed_open(&one, "filters");
    typed_open(&two, "filters");
    assert_null(typed_step(&one, true));
    typed_put(&one, "st:>=400");
    typed_put(&two, "key:ci"); /* another console: neither is lost */
    typed_put(&one, "two\nlines");
    typed_put(&one, "");
    typed_open(&one, "filters");
    assert_int_equal(one.count, 2);
    assert_string_equal(typed_step(&one, true), "key:ci");
    assert_string_equal(typed_step(&one, true), "st:>=400");
    assert_null(typed_step(&one, true));
    typed_put(&one, "st:>=400"); /* to the top, once */
    assert_string_equal(typed_step(&one, true), "st:>=400");
    assert_string_equal(typed_step(&one, true), "key:ci");
    assert_string_equal(typed_step(&one, false), "st:>=400");
    assert_string_equal(typed_step(&one, false), "");
    typed_rewind(&one, "st:>=400");
    assert_string_equal(typed_step(&one, true), "key:ci");
    for (int i = 0; i < 3 * TYPED_MAX; i++) {
        snprintf(text, sizeof text, "dur:>%d", i);
        typed_put(&one, text);
    }
    assert_int_equal(one.count, TYPED_MAX);
    unsetenv("XDG_STATE_HOME");
    remove_folder(dir);
}

static void type_into(struct sift *s, const char *text)
{
    for (; *text; text++)
        assert_int_equal(sift_key(s, *text), SIFT_CHANGED);
}

static void plain_lists_keep_the_rows_with_all_words(void **state)
{
    struct sift s = {0};
    (void)state;
    assert_int_equal(sift_key(&s, 'x'), SIFT_NOTHING); /* not typing: the list's own key */
    assert_int_equal(sift_key(&s, 27), SIFT_NOTHING);
    assert_true(sift_passes(&s, STR("anything")));
    sift_open(&s);
    type_into(&s, "ci -web BOT");
    assert_true(sift_passes(&s, STR("ci-bot of ci")));
    assert_false(sift_passes(&s, STR("ci-bot of web")));
    assert_false(sift_passes(&s, STR("ci")));
    assert_int_equal(sift_key(&s, KEY_N_DOWN), SIFT_NOTHING); /* the cursor moves while typing */
    assert_int_equal(sift_key(&s, '\r'), SIFT_TAKEN);
    assert_int_equal(sift_key(&s, 'x'), SIFT_NOTHING);
    assert_false(sift_passes(&s, STR("ci")));
    assert_int_equal(sift_key(&s, 27), SIFT_CHANGED);
    assert_true(sift_passes(&s, STR("ci")));
}

static void the_hostile_corpus_leaves_only_printable_characters(void **state)
{
    const char *dir;
    (void)state;
    for (int turn = 0; (dir = data_dir(turn, "torture/ansi/inject")) != NULL; turn++) {
        DIR *d = opendir(dir);
        size_t seen = 0;
        assert_non_null(d);
        for (struct dirent *entry; (entry = readdir(d));) {
            struct str bytes = entry->d_name[0] == '.' ? STR_NULL : shared_read(dir, entry->d_name);
            struct clean c = clean(bytes, false);
            struct glyph g;
            while (bytes.p && clean_next(&c, &g)) {
                assert_in_range(g.width, 1, 2);
                assert_int_equal(utf8_class(g.cp[0]), UTF8_PRINT);
                for (unsigned i = 1; i < g.n; i++)
                    assert_int_equal(utf8_class(g.cp[i]), UTF8_COMBINING);
            }
            seen += bytes.p != NULL;
            free((char *)bytes.p);
        }
        closedir(d);
        assert_true(seen >= 10);
    }
}

static void texts_are_cut_at_whole_characters(void **state)
{
    size_t used;
    (void)state;
    assert_int_equal(clean_fit(STR("你好"), false, 3, &used), 3);
    assert_int_equal(used, 2);
    assert_int_equal(clean_columns(STR("a\033b"), false), 3);
    struct buf out;
    buf_init(&out, 100);
    clean_put_lines(&out, STR("a\nb\033]0;x\007\tc\xff\r\n"));
    assert_string_equal(buf_c(&out), "a\nb\\x1b]0;x\\x07\tc\\xff\n");
    buf_fini(&out);
}

/* ---- figures ---- */

static void figures_are_short(void **state)
{
    char b[FORMAT_MAX];
    int64_t ms;
    (void)state;
    assert_string_equal(format_count(b, 0), "0");
    assert_string_equal(format_count(b, 999), "999");
    assert_string_equal(format_count(b, 1234), "1.2k");
    assert_string_equal(format_count(b, 9949), "9.9k");
    assert_string_equal(format_count(b, 22100), "22k");
    assert_string_equal(format_count(b, 999499), "999k");
    assert_string_equal(format_count(b, 2100000), "2.1M");
    assert_string_equal(format_seconds(b, 0), "-");
    assert_string_equal(format_seconds(b, 410000), "0.41");
    assert_string_equal(format_seconds(b, 3100000), "3.1");
    assert_string_equal(format_seconds(b, 121000000), "121");
    assert_string_equal(format_money(b, 0), "0.00");
    assert_string_equal(format_money(b, 1100000), "0.0011");
    assert_string_equal(format_money(b, 1), "<0.0001");
    assert_string_equal(format_dollars(b, 4310000000), "$4.31");
    assert_string_equal(format_dollars(b, 1), "<$0.0001");
    assert_string_equal(format_share(b, 8000), "0.8");
    assert_string_equal(format_share(b, 410000), "41");
    assert_string_equal(format_bytes(b, 222298112), "212M");
    assert_string_equal(format_duration(b, 250), "250ms");
    assert_string_equal(format_duration(b, 604800000), "7d");
    assert_string_equal(format_age(b, 100), "now");
    assert_true(format_read_duration("15m", &ms) && ms == 900000);
    assert_false(format_read_duration("15", &ms));
    assert_false(format_read_duration("m", &ms));
    assert_false(format_read_duration("999999d", &ms));
}

/* ---- keys ---- */

static void keys_lead_to_actions_in_their_context(void **state)
{
    const enum context list[] = {CONTEXT_REQUESTS, CONTEXT_SUBJECT, CONTEXT_LIST, CONTEXT_END};
    (void)state;
    assert_int_equal(keymap_action(list, 'j'), ACTION_DOWN);
    assert_int_equal(keymap_action(list, KEY_N_DOWN), ACTION_DOWN);
    assert_int_equal(keymap_action(list, 's'), ACTION_SWITCH);
    assert_int_equal(keymap_action(list, 4), ACTION_HALF_DOWN);
    assert_int_equal(keymap_action(list, KEY_N_F0 + 1), ACTION_HELP);
    assert_int_equal(keymap_action(NULL, 'q'), ACTION_QUIT);
    assert_int_equal(keymap_action(NULL, 'j'), ACTION_NONE);
    assert_int_equal(keymap_action(list, 0x43e), ACTION_DOWN); /* Cyrillic letter on the j key */
    assert_int_equal(keymap_action(list, KEY_N_BACKSPACE), ACTION_NONE);
    assert_int_equal(keymap_action(list, KEY_N_DELETE), ACTION_NONE);
}

static void no_key_means_two_things_in_one_context(void **state)
{
    (void)state;
    for (size_t i = 0; i < key_row_count; i++)
        for (size_t k = i + 1; k < key_row_count; k++) {
            struct str all = str_c(key_rows[i].keys), one;
            if (key_rows[i].context != key_rows[k].context)
                continue;
            while (str_cut(&all, ' ', &one)) {
                struct str others = str_c(key_rows[k].keys), other;
                while (one.n && str_cut(&others, ' ', &other))
                    if (str_eq(one, other))
                        fail_msg("%.*s is both %s and %s", (int)one.n, one.p, key_rows[i].name,
                            key_rows[k].name);
            }
        }
}

static void every_key_has_a_name_that_is_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < key_row_count; i++) {
        struct str all = str_c(key_rows[i].keys), one;
        while (str_cut(&all, ' ', &one))
            if (one.n && keymap_parse(one.p, one.n) == 0)
                fail_msg("%s: no key is called %.*s", key_rows[i].name, (int)one.n, one.p);
        assert_true(strlen(key_rows[i].help) > 3);
    }
}

/* ---- themes ---- */

static void built_in_themes_name_every_role(void **state)
{
    struct err e = {0};
    struct theme t;
    (void)state;
    for (size_t i = 0; theme_built_in(i); i++)
        if (theme_load(&t, theme_built_in(i), &e) < 0)
            fail_msg("%s: %s", theme_built_in(i), e.text);
    assert_int_equal(theme_load(&t, "term16", &e), 0);
    for (int role = 0; role < ROLE_COUNT; role++)
        for (int depth = 0; depth < DEPTH_COUNT; depth++) {
            assert_in_range(t.style[role][depth].fg + 1, 0, 16);
            assert_true(depth != DEPTH_MONO || t.style[role][depth].fg == -1);
        }
    assert_true(t.style[ROLE_SELECTED][DEPTH_MONO].flags & STYLE_REVERSE);
}

static void theme_files_are_read_with_their_errors(void **state)
{
    struct err e = {0};
    struct theme t = {0};
    (void)state;
    setenv("HOME", "/nonexistent", 1);
    assert_int_equal(theme_load(&t, "dark", &e), 0);
    assert_int_equal(theme_parse(&t, STR("[roles]\naccent = #ff0000 bold, 9 on 0, red, underline\n"), &e), 0);
    assert_int_equal(t.style[ROLE_ACCENT][DEPTH_256].fg, 9);
    assert_int_equal(t.style[ROLE_ACCENT][DEPTH_256].bg, 0);
    assert_int_equal(t.style[ROLE_ACCENT][DEPTH_16].fg, 1);
    assert_int_equal(t.style[ROLE_ACCENT][DEPTH_MONO].flags, STYLE_UNDERLINE);
    assert_int_equal(theme_parse(&t, STR("[roles]\nok = #00ff00\n"), &e), 0);
    assert_int_equal(t.style[ROLE_OK][DEPTH_256].fg, 46);
    assert_int_equal(t.style[ROLE_OK][DEPTH_16].fg, 10);
    assert_true(theme_parse(&t, STR("[roles]\n\nshiny = red\n"), &e) < 0);
    assert_non_null(strstr(e.text, "line 3"));
    assert_true(theme_parse(&t, STR("[roles]\nok = loud\n"), &e) < 0);
    assert_true(theme_parse(&t, STR("[base]\ninherit = nothing-like-it\n"), &e) < 0);
    assert_true(theme_load(&t, "../../etc/passwd", &e) < 0);
}

/* ---- what a person sets ---- */

static void keys_conf_changes_keys_and_names_its_faults(void **state)
{
    static const enum context list[] = {CONTEXT_LIST, CONTEXT_END};
    struct err e = {0};
    (void)state;
    assert_int_equal(keymap_read(STR("; mine\nlist.page-down = PgDn M-n\r\n\nLIST.HALF_UP = -\n"),
        "keys.conf", &e), 0);
    assert_int_equal(keymap_action(list, KEY_ALT + 'n'), ACTION_PAGE_DOWN);
    assert_int_equal(keymap_action(list, 6), ACTION_NONE); /* ^F was taken away */
    assert_int_equal(keymap_action(list, 21), ACTION_NONE);
    assert_int_not_equal(keymap_read(STR("list.page_down = PgDn C-f\nlist.up = j\nfoo\n"), "keys.conf", &e), 0);
    assert_string_equal(e.text, "keys.conf line 2: j already means DOWN here: change that first");
    assert_int_not_equal(keymap_read(STR("list.nothing = x"), "keys.conf", &e), 0);
    assert_non_null(strstr(e.text, "line 1: there is no \"list.nothing\""));
    assert_int_not_equal(keymap_read(STR("list.up = Hyper"), "keys.conf", &e), 0);
    assert_non_null(strstr(e.text, "\"Hyper\" is no key"));
    assert_int_not_equal(keymap_read(STR("list.up"), "keys.conf", &e), 0);
    assert_int_equal(keymap_read(STR("list.half_up = C-u"), "keys.conf", &e), 0);
    assert_int_equal(keymap_action(list, 21), ACTION_HALF_UP);
}

static void settings_keep_what_else_is_in_the_file(void **state)
{
    char dir[] = "/tmp/pointsman-settings-XXXXXX", path[200];
    struct settings s;
    struct err e = {0};
    struct buf text;
    (void)state;
    assert_non_null(mkdtemp(dir));
    setenv("XDG_CONFIG_HOME", dir, 1);
    assert_int_equal(settings_load(&s, &e), 0); /* no file */
    assert_true(settings_on(&s, SETTING_BELL));
    assert_int_equal(settings_put(&s, "filter slow", "dur:>10s | ttft:>2s", &e), 0);
    settings_fini(&s);
    assert_true(settings_path(path, sizeof path, "console.conf"));
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    fputs("; of mine\nbell = off\nmouse = maybe\nbogus\n", f);
    fclose(f);
    assert_int_not_equal(settings_load(&s, &e), 0);
    assert_non_null(strstr(e.text, "line 4: mouse is on or off, not \"maybe\""));
    assert_false(settings_on(&s, SETTING_BELL));
    assert_string_equal(settings_text(&s, "filter slow"), "dur:>10s | ttft:>2s");
    assert_string_equal(settings_find(&s, "filter ", 0)->key, "filter slow");
    assert_null(settings_find(&s, "filter ", 1));
    assert_int_equal(settings_put(&s, "bell", "on", &e), 0);
    assert_int_equal(settings_put(&s, "filter slow", "", &e), 0);
    assert_int_not_equal(settings_put(&s, "nothing", "on", &e), 0);
    assert_int_not_equal(settings_put(&s, "filter x", "a\nb = c", &e), 0);
    buf_init(&text, 4096);
    assert_int_equal(settings_read(path, &text), 0);
    assert_string_equal(buf_c(&text), "; of mine\nbell = on\nmouse = maybe\nbogus\n");
    buf_fini(&text);
    settings_fini(&s);
    unsetenv("XDG_CONFIG_HOME");
    remove_folder(dir);
}

static void note_role(void *ctx, enum role role, double contrast)
{
    (void)contrast;
    ((bool *)ctx)[role] = true;
}

static void weak_contrast_is_found(void **state)
{
    bool weak[ROLE_COUNT] = {false};
    struct theme t;
    struct err e = {0};
    size_t checked;
    (void)state;
    assert_int_equal(theme_load(&t, "term16", &e), 0);
    assert_int_equal(theme_parse(&t, STR("[roles]\ntext = #eeeeee\nwarn = #333333\nbad = #111111 on #ffffff\n"), &e), 0);
    assert_true(theme_check(&t, note_role, weak, &checked) >= 1);
    assert_true(weak[ROLE_WARN]);
    assert_false(weak[ROLE_BAD]);
    assert_false(weak[ROLE_TEXT]);
    for (size_t i = 0; theme_built_in(i); i++) { /* what we ship can be read */
        assert_int_equal(theme_load(&t, theme_built_in(i), &e), 0);
        memset(weak, 0, sizeof weak);
        if (strncmp(theme_built_in(i), "high-contrast", 13) == 0)
            assert_int_equal(theme_check(&t, note_role, weak, &checked), 0);
    }
}

/* ---- columns ---- */

static void narrow_tables_drop_the_least_important_columns(void **state)
{
    static const struct table_column c[] = {{"time", "Time", 8, 3, false, 0},
        {"state", "St", 6, 1, false, 0}, {"model", "Model", 10, 2, false, 20}};
    const struct table_view v = {.columns = c, .column_count = 3};
    struct table t = {.sort = -1};
    struct table_fit f;
    struct str unknown;
    (void)state;
    table_fit(&t, &v, 30, &f);
    assert_int_equal(f.count, 3);
    assert_int_equal(f.width[2], 14);
    assert_false(f.more);
    table_fit(&t, &v, 20, &f);
    assert_int_equal(f.count, 2);
    assert_int_equal(f.index[0], 1);
    assert_true(f.more);
    table_fit(&t, &v, 6, &f);
    assert_int_equal(f.count, 1);
    assert_int_equal(f.index[0], 1);
    table_fit(&t, &v, 2, &f);
    assert_int_equal(f.count, 1);
    assert_int_equal(f.width[0], 2);
    /* chosen: these, in this order, dropped from the right */
    assert_true(table_choose(&t, &v, STR("model, Time"), &unknown));
    table_fit(&t, &v, 30, &f);
    assert_int_equal(f.count, 2);
    assert_int_equal(f.index[0], 2);
    table_fit(&t, &v, 12, &f);
    assert_int_equal(f.count, 1);
    assert_int_equal(f.index[0], 2);
    assert_true(f.more);
    assert_false(table_choose(&t, &v, STR("model nosuch"), &unknown));
    assert_true(str_eq(unknown, STR("nosuch")));
    assert_true(table_choose(&t, &v, STR(""), &unknown));
    assert_int_equal(t.chosen_count, 0);
}

static void sideways_what_names_a_row_stays(void **state)
{
    static const struct table_column c[] = {{"model", "Model", 8, 1, false, 0},
        {"in", "In", 4, 3, true, 0}, {"out", "Out", 4, 4, true, 0}, {"cost", "Cost", 4, 5, true, 0}};
    const struct table_view v = {.columns = c, .column_count = 4};
    struct table t = {.sort = -1};
    struct table_fit f;
    (void)state;
    table_fit(&t, &v, 14, &f);
    assert_int_equal(f.count, 2);
    assert_int_equal(f.index[1], 1);
    t.more = f.more;
    assert_true(table_action(&t, &v, ACTION_COLUMN_RIGHT));
    table_fit(&t, &v, 14, &f);
    assert_int_equal(f.index[0], 0);
    assert_int_equal(f.index[1], 2);
    t.shift = 2;
    table_fit(&t, &v, 14, &f);
    assert_int_equal(f.index[1], 3);
    assert_false(f.more);
    t.more = f.more;
    assert_true(table_action(&t, &v, ACTION_COLUMN_RIGHT)); /* the end: no further */
    assert_int_equal(t.shift, 2);
    assert_true(table_action(&t, &v, ACTION_COLUMN_LEFT));
    assert_int_equal(t.shift, 1);
}

/* ---- the model ---- */

static void snapshots_become_rows_in_order(void **state)
{
    struct model m;
    struct err e = {0};
    (void)state;
    model_init(&m);
    assert_int_equal(model_take(&m, STR("{\"seq\":7,\"time_ms\":1000,\"counters\":{\"req_per_s\":1.5,"
        "\"live\":1},\"live\":[{\"id\":\"b\",\"state\":\"streaming\",\"client\":{\"peer\":\"p\"}}],"
        "\"recent\":[{\"id\":\"c\",\"state\":\"done\",\"status\":200,\"outcome\":\"ok\",\"target\":\"x/y/z\"},"
        "{\"id\":\"a\",\"time\":\"2026-11-23T14:02:11.500Z\",\"state\":\"done\"}]}"), &e), 0);
    assert_int_equal(m.row_count, 3);
    assert_true(str_eq(m.rows[0]->r.id, STR("a")));
    assert_int_equal(m.rows[0]->r.time_ms, 1795442531500);
    assert_true(row_is_live(m.rows[1]));
    assert_true(str_eq(m.rows[1]->r.peer, STR("p")));
    assert_true(str_eq(m.rows[2]->r.provider, STR("x")));
    assert_true(str_eq(m.rows[2]->r.model, STR("y/z")));
    /* the end record replaces the row in flight; an older state does not come back */
    assert_int_equal(model_take(&m, STR("{\"seq\":8,\"recent\":[{\"id\":\"b\",\"state\":\"done\"}],"
        "\"live\":[{\"id\":\"b\",\"state\":\"sent\"}]}"), &e), 0);
    assert_int_equal(m.row_count, 3);
    assert_false(row_is_live(m.rows[1]));
    assert_true(model_take(&m, STR("[1,2]"), &e) < 0);
    assert_true(model_take(&m, STR("{\"seq\":"), &e) < 0);
    model_fini(&m);
}

static void running_rows_count_up_and_unknown_ones_are_asked_for(void **state)
{
    struct model m;
    struct err e = {0};
    (void)state;
    model_init(&m);
    assert_int_equal(model_take(&m, STR("{\"seq\":7,\"time_ms\":1000,\"live_at\":50,\"live\":[{\"id\":\"b\","
        "\"state\":\"streaming\",\"stream\":true,\"target\":\"x/y\",\"request_bytes\":77}],\"counts\":[]}"), &e), 0);
    assert_int_equal(m.live_at, 50);
    assert_int_equal(model_take(&m, STR("{\"seq\":7,\"time_ms\":1200,\"live_at\":60,\"live\":[],"
        "\"counts\":[[\"b\",10,4,40,0,900,512,1,1000000,20000,3000000]]}"), &e), 0);
    assert_int_equal(m.live_at, 60);
    assert_int_equal(m.row_count, 1);
    const struct row *row = m.rows[0];
    assert_true(row_is_live(row) && !row->missing_ms);
    assert_true(str_eq(row->r.model, STR("y")));
    assert_int_equal(row->r.request_bytes, 77);
    assert_int_equal(row->r.input_tokens, 10);
    assert_int_equal(row->r.output_tokens, 40);
    assert_int_equal(row->r.cost_nano, 900);
    assert_int_equal(row->r.max_gap_us, 20000);
    assert_int_equal(row->tps10, 200);
    /* counts of a row that is not here: all is asked for anew; broken ones change nothing */
    assert_int_equal(model_take(&m, STR("{\"seq\":7,\"live_at\":70,\"live\":[],"
        "\"counts\":[[\"zz\",1,1,1,1,1,1,1,1,1,1],[\"b\",11],[7],\"b\"]}"), &e), 0);
    assert_int_equal(m.live_at, 0);
    assert_int_equal(m.row_count, 1);
    assert_int_equal(m.rows[0]->r.input_tokens, 10);
    /* counts that come after the end */
    assert_int_equal(model_take(&m, STR("{\"seq\":8,\"live_at\":80,\"recent\":[{\"id\":\"b\",\"state\":\"done\"}],"
        "\"counts\":[[\"b\",1,1,1,1,1,1,1,1,1,1]]}"), &e), 0);
    assert_int_equal(m.live_at, 80);
    assert_false(row_is_live(m.rows[0]));
    model_fini(&m);
}

static void the_model_is_bounded(void **state)
{
    struct model m;
    struct buf b;
    struct err e = {0};
    (void)state;
    model_init(&m);
    buf_init(&b, 64 << 20);
    for (int round = 0; round < 15; round++) {
        buf_reset(&b);
        buf_printf(&b, "{\"seq\":%d,\"recent\":[", round + 1);
        for (int i = 0; i < 1000; i++)
            buf_printf(&b, "%s{\"id\":\"%08d\",\"state\":\"done\"}", i ? "," : "", round * 1000 + i);
        buf_puts(&b, "]}");
        assert_int_equal(model_take(&m, buf_str(&b), &e), 0);
    }
    assert_true(m.row_count <= MODEL_ROWS_MAX);
    assert_true(str_eq(m.rows[m.row_count - 1]->r.id, STR("00014999")));
    assert_true(m.dropped >= 5000);
    buf_fini(&b);
    model_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_bytes_become_visible),
        cmocka_unit_test(what_hides_or_turns_text_is_marked_or_left_out),
        cmocka_unit_test(marks_become_plain_where_the_terminal_has_no_better_ones),
        cmocka_unit_test(what_was_typed_is_there_again),
        cmocka_unit_test(plain_lists_keep_the_rows_with_all_words),
        cmocka_unit_test(the_hostile_corpus_leaves_only_printable_characters),
        cmocka_unit_test(texts_are_cut_at_whole_characters),
        cmocka_unit_test(figures_are_short),
        cmocka_unit_test(keys_lead_to_actions_in_their_context),
        cmocka_unit_test(no_key_means_two_things_in_one_context),
        cmocka_unit_test(every_key_has_a_name_that_is_known),
        cmocka_unit_test(built_in_themes_name_every_role),
        cmocka_unit_test(theme_files_are_read_with_their_errors),
        cmocka_unit_test(keys_conf_changes_keys_and_names_its_faults),
        cmocka_unit_test(settings_keep_what_else_is_in_the_file),
        cmocka_unit_test(weak_contrast_is_found),
        cmocka_unit_test(narrow_tables_drop_the_least_important_columns),
        cmocka_unit_test(sideways_what_names_a_row_stays),
        cmocka_unit_test(snapshots_become_rows_in_order),
        cmocka_unit_test(running_rows_count_up_and_unknown_ones_are_asked_for),
        cmocka_unit_test(the_model_is_bounded),
    };
    return cmocka_run_group_tests_name("console", tests, NULL, NULL);
}
