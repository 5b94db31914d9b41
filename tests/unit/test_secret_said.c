/* Units of store/base/secret_said: every shape of secret, in every way to cut it into events, said in
 * every dialect, its letters plain or escaped: covered where it lies, and all else as it was. */
#include "store/base/buf.h"
#include "store/base/secret.h"
#include "store/base/secret_said.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

enum { LETTERS = 160 };

/* ---- a text as pieces, beside what is to become of them ------------------------------------- */

enum spelling { PLAIN, ESCAPED, TWICE, SPELLINGS };

/* One letter as it stands in a JSON string. */
static void spell(struct buf *b, char c, enum spelling spelling, bool covered)
{
    char text[16];
    if (spelling == PLAIN)
        snprintf(text, sizeof text, "%c", c);
    else
        snprintf(text, sizeof text, spelling == ESCAPED ? "\\u%04x" : "\\\\u%04x", (unsigned)c);
    for (size_t i = 0; covered && text[i]; i++)
        text[i] = '*';
    buf_puts(b, text);
}

struct piece {
    char in[LETTERS * 8], out[LETTERS * 8]; /* as strings; and as it is to become */
    char bytes_in[LETTERS * 5], bytes_out[LETTERS * 5];
};

/* text[from, from + n); its letters in [cover, cover_end) are to be covered. */
static void piece_make(struct piece *p, const char *text, size_t from, size_t n, size_t cover,
    size_t cover_end, enum spelling spelling)
{
    struct buf in, out, numbers, numbers_out;
    buf_init(&in, sizeof p->in);
    buf_init(&out, sizeof p->out);
    buf_init(&numbers, sizeof p->bytes_in);
    buf_init(&numbers_out, sizeof p->bytes_out);
    for (size_t i = from; i < from + n; i++) {
        bool covered = i >= cover && i < cover_end;
        spell(&in, text[i], spelling, false);
        spell(&out, text[i], spelling, covered);
        buf_printf(&numbers, "%s%d", i > from ? "," : "", text[i]);
        buf_printf(&numbers_out, "%s%-*d", i > from ? "," : "", text[i] > 99 ? 3 : 2, covered ? '*' : text[i]);
    }
    str_copy(p->in, sizeof p->in, buf_str(&in));
    str_copy(p->out, sizeof p->out, buf_str(&out));
    str_copy(p->bytes_in, sizeof p->bytes_in, buf_str(&numbers));
    str_copy(p->bytes_out, sizeof p->bytes_out, buf_str(&numbers_out));
    buf_fini(&in);
    buf_fini(&out);
    buf_fini(&numbers);
    buf_fini(&numbers_out);
}

/* ---- the ways to say it --------------------------------------------------------------------- */

/* %1$s: the piece. Between two events of a kind others pass. */
static const struct way {
    const char *head, *event, *end;
    bool arguments; /* JSON within a string: the only place where letters are escaped twice */
} ways[] = {
    {"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
     "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%1$s\"},\"finish_reason\":null}]}\n\n",
     "data: [DONE]\n\n", false},
    {"", "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"%1$s\"},\"index\":0},{\"delta\":{\"content\":\"of another\"},\"index\":1}]}\r\n\r\n", "", false},
    {"", "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"%1$s\"}},{\"index\":1,\"function\":{\"arguments\":\"x\"}}]}}]}\n\n", "", true},
    {"", "data: {\"choices\":[{\"text\":\"%1$s\",\"index\":0}]}\r\r", "data: [DONE]\r\r", false},
    {"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"content\":[]}}\n\n",
     "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"%1$s\"}}\n\n: a comment\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n",
     "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", false},
    {"", "event: content_block_delta\ndata: {\"delta\":{\"partial_json\":\"%1$s\",\"type\":\"input_json_delta\"},\"index\":1,\"type\":\"content_block_delta\"}\n\n", "", true},
    {"", "data: {\"type\":\"content_block_delta\",\"index\":0,\ndata:   \"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"%1$s\"}}\n\n", "", false},
    {"", "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\"%1$s\",\"obfuscation\":\"aXbY\"}\n\n"
         "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"msg_2\",\"output_index\":1,\"content_index\":0,\"delta\":\"other\"}\n\n", "", false},
    {"", "data: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":0,\"delta\":\"%1$s\"}\n\n", "", true},
    {"\xef\xbb\xbf", "data:{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"%1$s\"}],\"role\":\"model\"},\"index\":0},{\"content\":{\"parts\":[{\"text\":\"b\"}]},\"index\":1}],\"modelVersion\":\"g\"}\n\n", "", false},
    {"[", "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"%1$s\"}]}}],\"usageMetadata\":{\"promptTokenCount\":1}}\n,\r\n", "{}]", false},
    {"", "{\"message\":{\"role\":\"assistant\",\"content\":\"%1$s\"},\"done\":false}\n", "", false},
    {"{\"choices\":[{\"index\":0,\"logprobs\":{\"content\":[", "{\"token\":\"%1$s\",\"logprob\":-0.1,\"bytes\":[%2$s],\"top_logprobs\":[{\"token\":\"%1$s\",\"bytes\":[%2$s]},{\"token\":\"no\",\"bytes\":null}]},",
     "{}]}}]}", false},
    {"{\"choices\":[{\"logprobs\":{\"tokens\":[", "\"%1$s\",", "\"\"]}}]}", false},
    {"{\"choices\":[{\"logprobs\":{\"top_logprobs\":[", "{\"%1$s\":-0.1,\"no\":-3},", "{}]}}]}", false},
    {"{\"candidates\":[{\"logprobsResult\":{\"topCandidates\":[", "{\"candidates\":[{\"token\":\"%1$s\"},{\"token\":\"x\"}]},", "{}]}}]}", false},
    {"{\n  \"content\": [\n", "    {\"type\": \"text\", \"text\": \"%1$s\"},\n", "    {\"type\": \"text\"}\n  ]\n}", false},
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void say(struct buf *b, const struct way *way, const struct piece *pieces, size_t n, bool out)
{
    char text[LETTERS * 16 + 1024];
    buf_puts(b, way->head);
    for (size_t i = 0; i < n; i++) {
        const struct piece *p = &pieces[i];
        snprintf(text, sizeof text, way->event, out ? p->out : p->in, out ? p->bytes_out : p->bytes_in);
        buf_puts(b, text);
    }
    buf_puts(b, way->end);
}
#pragma GCC diagnostic pop

static const char *const secrets[] = {"sk-abcdefghijklmnopqrst", "sk-proj-Ab_9-Ab_9-Ab_9-Ab_9",
    "gsk_abcdefghijklmnopqrst", "xai-abcdefghijklmnopqrst", "AIzaSyA-bcdefghijklmnopqrstuvwxyz012345",
    "AKIAIOSFODNN7EXAMPLE", "virtual key of the staff!"};

static struct buf given, wanted, shown;

static void ready(void)
{
    buf_reset(&given);
    buf_reset(&wanted);
    buf_reset(&shown);
}

/* What may be shown while it comes in chunks of `chunk` bytes, all of it in the end. */
static void pass(const struct buf *text, size_t chunk)
{
    struct buf held;
    buf_init(&held, 1 << 20);
    for (size_t at = 0; at < text->n; at += chunk) {
        buf_put_str(&held, str_first(str_from(buf_str(text), at), chunk));
        size_t n = secret_redact_passing(held.p, held.n);
        buf_put_str(&shown, str_n(held.p, n));
        buf_drop(&held, n);
    }
    assert_true(secret_redact_said(held.p, held.n, false) >= 0);
    buf_put_str(&shown, buf_str(&held));
    buf_fini(&held);
}

static void equal(const struct buf *got, const struct buf *want, const char *what, size_t size)
{
    if (str_eq(buf_str(got), buf_str(want)))
        return;
    size_t at = 0;
    while (at < got->n && at < want->n && got->p[at] == want->p[at])
        at++;
    fail_msg("%s, pieces of %zu, at %zu: %.*s", what, size, at, (int)MIN(got->n - at, (size_t)300), got->p + at);
}

/* `text` holds a secret at `at`; said in pieces: the first of `first` letters, then of `size`. */
static void try_pieces(const struct way *way, const char *text, size_t at, size_t end, size_t first,
    size_t size, enum spelling spelling, size_t chunk)
{
    static struct piece pieces[LETTERS];
    size_t n = 0, letters = strlen(text);
    for (size_t from = 0, step = first; from < letters; from += step, step = size) {
        step = MIN(step, letters - from);
        piece_make(&pieces[n++], text, from, step, at + 4, end, spelling);
    }
    ready();
    say(&given, way, pieces, n, false);
    say(&wanted, way, pieces, n, true);
    if (chunk) {
        pass(&given, chunk);
        equal(&shown, &wanted, text, size);
    }
    assert_true(secret_redact_said(given.p, given.n, false) > 0);
    equal(&given, &wanted, text, size);
}

static void a_secret_in_pieces_is_covered_in_every_dialect(void **state)
{
    (void)state;
    char text[LETTERS];
    for (size_t i = 0; i < ARRAY_LEN(ways); i++)
        for (size_t k = 0; k < ARRAY_LEN(secrets); k++) {
            size_t n = strlen(secrets[k]);
            snprintf(text, sizeof text, "Is %s. it", secrets[k]);
            for (int spelling = PLAIN; spelling <= (ways[i].arguments ? TWICE : ESCAPED); spelling++) {
                for (size_t first = 1; first < n + 6; first++) /* in two, at every letter */
                    try_pieces(&ways[i], text, 3, 3 + n, first, LETTERS, spelling, 0);
                for (size_t size = 1; size < n; size += 1 + size / 4)
                    try_pieces(&ways[i], text, 3, 3 + n, size, size, spelling, 0);
            }
        }
}

static void nor_is_it_shown_while_it_runs(void **state)
{
    (void)state;
    char text[LETTERS];
    for (size_t i = 0; i < ARRAY_LEN(ways); i++)
        for (size_t k = 0; k < ARRAY_LEN(secrets); k++) {
            size_t n = strlen(secrets[k]);
            snprintf(text, sizeof text, "Is %s. it", secrets[k]);
            for (size_t size = 1; size < n; size += 6)
                for (size_t chunk = k ? 13 : 1; chunk < 1000; chunk = chunk * 9 + 4)
                    try_pieces(&ways[i], text, 3, 3 + n, size, size,
                        (enum spelling)(size / 6 % (ways[i].arguments ? 3 : 2)), chunk);
        }
}

static void escaped_letters_hide_nothing_in_one_piece(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"{\"a\":\"\\u0073k-abcdefghijklmnopqrst\"}", "{\"a\":\"\\u0073k-a*******************\"}"},
        {"{\"a\":\"sk-abcdefghijklmnopqrst\\u0061bc\"}", "{\"a\":\"sk-a***************************\"}"},
        {"{\"a\":\"{\\\"b\\\":\\\"\\\\u0073k-abcdefghijklmnopqrst\\\"}\"}", "{\"a\":\"{\\\"b\\\":\\\"\\\\u0073k-a*******************\\\"}\"}"},
        {"{\"a\":\"\\\\\\u0075\\u0030073k-abcdefghijklmnopqrst\"}", "{\"a\":\"\\\\\\u0075\\u0030073k-a*******************\"}"},
        {"{\"sk\\u002dabcdefghijklmnopqrst\":1}", "{\"sk\\u002da*******************\":1}"},
        {"say \\u0061\\u0020virtual\\u0020key of the staff!", "say \\u0061\\u0020virt**************************"},
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char copy[200];
        str_copy(copy, sizeof copy, str_c(texts[i][0]));
        assert_true(secret_redact(copy, strlen(copy)) > 0);
        assert_string_equal(copy, texts[i][1]);
        str_copy(copy, sizeof copy, str_c(texts[i][0]));
        if (secret_redact_said(copy, strlen(copy), false) <= 0)
            fail_msg("not found: %s", texts[i][0]);
        assert_string_equal(copy, texts[i][1]);
        ready();
        buf_puts(&given, texts[i][0]);
        buf_puts(&wanted, texts[i][1]);
        for (size_t chunk = 1; chunk < 9; chunk += 3) {
            buf_reset(&shown);
            pass(&given, chunk);
            equal(&shown, &wanted, "passing", chunk);
        }
    }
}

static void what_belongs_to_others_is_not_joined(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"sk-abcdefgh\"}}]}\n\ndata: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"ijklmnopqrstuvwxyz\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"ta\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"sk-abcdefgh\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"ijklmnopqrstuvwxyz\"}}]}\n\n",
        "data: {\"a\":\"sk-abcdefgh\",\"b\":\"ijklmnopqrstuvwxyz\"}\n\n",
        "data: {\"content\":\"sk-abcdefgh \"}\n\ndata: {\"content\":\"ijklmnopqrstuvwxyz\"}\n\n",
        "{\"usage\":{\"bytes\":[1,2,3]},\"content\":[{\"text\":\"keyboard_inter\"},{\"text\":\"rupt_handler\"}]}",
        "}}}}]]]]\"\"\"{{{[[[\\\\\"", "data: \n\ndata", "{\"a", "[[[[[[[[[[[[[\"\\",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char copy[400];
        str_copy(copy, sizeof copy, str_c(texts[i]));
        assert_int_equal(secret_redact_said(copy, strlen(copy), false), 0);
        assert_string_equal(copy, texts[i]);
    }
}

static void an_end_that_was_cut_off_hides_half_a_secret(void **state)
{
    (void)state;
    char text[] = "data: {\"content\":\"a sk-abc\"}\n\ndata: {\"content\":\"defg\"}\n\ndata: {\"content\":\"hij";
    assert_int_equal(secret_redact_said(text, strlen(text), true), 1);
    assert_string_equal(text, "data: {\"content\":\"a sk-a**\"}\n\ndata: {\"content\":\"****\"}\n\ndata: {\"content\":\"***");
    char plain[] = "data: {\"content\":\"an ordinary\"}\n\ndata: {\"content\":\" end";
    assert_int_equal(secret_redact_said(plain, strlen(plain), true), 0);
}

static void who_watches_waits_for_no_more_than_a_word(void **state)
{
    (void)state;
    static const struct { const char *text; size_t now; } t[] = {
        {"data: {\"content\":\"Hello\"}\n\n", 27},
        {"data: {\"content\":\"ask\"}\n\n", 25},          /* no word starts with its sk */
        {"data: {\"content\":\"a sk\"}\n\n", 0},
        {"data: {\"content\":\"a sk\"}\n\ndata: {\"content\":\"y\"}\n\n", 49},
        {"data: {\"content\":\"Hello\"}\n\ndata: {\"content\":\" the virtual\"}\n\n", 27},
        {"{\"content\":\"Hello\"}", 19}, {"Hello gsk", 6}, {"Hello \\u00", 6},
    };
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        char copy[200];
        str_copy(copy, sizeof copy, str_c(t[i].text));
        size_t now = secret_redact_passing(copy, strlen(copy));
        if (now != t[i].now)
            fail_msg("%zu of %s", now, t[i].text);
    }
    /* a word's end that nobody goes on with */
    ready();
    buf_puts(&given, "data: {\"index\":0,\"content\":\"a sk\"}\n\n");
    size_t before = given.n;
    for (int i = 0; i < 40; i++)
        buf_puts(&given, "data: {\"index\":1,\"content\":\"more of it. \"}\n\n");
    assert_int_equal(secret_redact_passing(given.p, before), 0);
    assert_int_equal(secret_redact_passing(given.p, given.n), given.n);
}

/* Of this thread alone: a busy machine changes nothing. */
static int64_t own_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* A long answer, a secret in it again and again, over the ends of what is held together. */
static void long_answers_are_looked_through_to_their_end(void **state)
{
    (void)state;
    ready();
    for (int i = 0; given.n < 3 << 20; i++) {
        bool secret = i % 97 == 13;
        for (const char *c = secret ? " sk-abcdefghijklmnopqrst " : "ordinary, words\\n"; *c; c += 2) {
            char two[3] = {c[0], c[1], 0};
            bool escape = c[0] == '\\' || c[1] == '\\';
            buf_printf(&given, "data: {\"id\":\"chatcmpl-%d\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"}}]}\n\n", i,
                escape ? "\\n" : two);
            if (!c[1])
                break;
        }
    }
    int64_t start = own_us();
    int found = secret_redact_said(given.p, given.n, false);
    int64_t us = own_us() - start;
    print_message("# joins: %.0f MB/s\n", (double)given.n / (double)us);
    assert_true(found > 30);
    assert_true(str_find(buf_str(&given), STR("\"content\":\"jk\"")) < 0);
    assert_true(str_find(buf_str(&given), STR("\"content\":\"or\"")) > 0);
    assert_true(us < 3000000);
}

static void line_ends_alone_are_read_once(void **state)
{
    (void)state;
    ready();
    for (int i = 0; i < 4 << 20; i++)
        buf_putc(&given, '\r');
    int64_t start = own_us();
    assert_int_equal(secret_redact_said(given.p, given.n, false), 0);
    assert_true(own_us() - start < 3000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_ends_alone_are_read_once),
        cmocka_unit_test(a_secret_in_pieces_is_covered_in_every_dialect),
        cmocka_unit_test(nor_is_it_shown_while_it_runs),
        cmocka_unit_test(escaped_letters_hide_nothing_in_one_piece),
        cmocka_unit_test(what_belongs_to_others_is_not_joined),
        cmocka_unit_test(an_end_that_was_cut_off_hides_half_a_secret),
        cmocka_unit_test(who_watches_waits_for_no_more_than_a_word),
        cmocka_unit_test(long_answers_are_looked_through_to_their_end),
    };
    buf_init(&given, 8 << 20);
    buf_init(&wanted, 8 << 20);
    buf_init(&shown, 8 << 20);
    secret_add(STR("virtual key of the staff!"));
    int rc = cmocka_run_group_tests_name("secret_said", tests, NULL, NULL);
    buf_fini(&given);
    buf_fini(&wanted);
    buf_fini(&shown);
    return rc;
}
