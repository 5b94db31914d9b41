/* Units of proxy/access/key: secrets, digests, the table, and what a key may. */
#include "proxy/access/key.h"
#include "store/base/clock.h"
#include "store/base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static int setup(void **state)
{
    (void)state;
    static const unsigned char pepper[32] = "a pepper of the store, 32 bytes";
    key_set_pepper(pepper);
    return 0;
}

static void a_made_secret_has_its_form_and_checks_itself(void **state)
{
    (void)state;
    char secret[80], again[80], shown[32];
    for (int round = 0; round < 200; round++) {
        key_make_secret(secret, shown);
        assert_int_equal(strlen(secret), 55);
        assert_true(str_starts(str_c(secret), STR("sk-pm-")));
        assert_true(key_well_formed(str_c(secret)));
        assert_memory_equal(shown, "sk-pm-\xe2\x80\xa6", 9);
        assert_string_equal(shown + 9, secret + 51);
        for (size_t i = 6; i < 55; i++) { /* any single mistyped character is seen */
            char was = secret[i];
            secret[i] = was == 'x' ? 'y' : 'x';
            assert_false(key_well_formed(str_c(secret)));
            secret[i] = was;
        }
        key_make_secret(again, shown);
        assert_string_not_equal(secret, again);
    }
    assert_false(key_well_formed(STR("sk-pm-short")));
    assert_false(key_well_formed(STR("")));
}

static void only_the_secret_itself_opens(void **state)
{
    (void)state;
    char secret[80], shown[32], hex[65] = "";
    struct key a = {.name = STR("alice")}, b = {.name = STR("bob"), .paused = true};
    key_make_secret(secret, shown);
    key_digest(str_c(secret), a.digest);
    key_digest(STR("any text of sixteen"), b.digest);
    struct key_table *t = key_table_new((const struct key *[]){&a, &b}, 2);
    assert_ptr_equal(key_find(t, str_c(secret), 0), &a);
    assert_ptr_equal(key_find(t, STR("any text of sixteen"), 0), &b); /* paused: the caller looks */
    assert_null(key_find(t, STR("any text of sixteeN"), 0));
    assert_null(key_find(t, STR(""), 0));
    /* the stored hash is never accepted, neither raw nor spelled */
    assert_null(key_find(t, str_n((const char *)a.digest, 32), 0));
    for (int i = 0; i < 32; i++) {
        static const char digits[] = "0123456789abcdef";
        hex[2 * i] = digits[a.digest[i] >> 4];
        hex[2 * i + 1] = digits[a.digest[i] & 15];
    }
    assert_null(key_find(t, str_c(hex), 0));
    assert_ptr_equal(key_by_name(t, STR("bob")), &b);
    assert_null(key_by_name(t, STR("carol")));
    assert_int_equal(key_table_count(t), 2);
    assert_ptr_equal(key_table_at(t, 1), &b);
    assert_null(key_table_at(t, 2));
    key_table_free(t);
    assert_null(key_find(NULL, str_c(secret), 0));
}

static void both_secrets_work_during_the_grace_time(void **state)
{
    (void)state;
    struct key k = {.name = STR("ci"), .old_until_ms = 1000};
    key_digest(STR("the new secret text"), k.digest);
    key_digest(STR("the old secret text"), k.old_digest);
    struct key_table *t = key_table_new((const struct key *[]){&k}, 1);
    assert_ptr_equal(key_find(t, STR("the old secret text"), 999), &k);
    assert_null(key_find(t, STR("the old secret text"), 1000));
    assert_ptr_equal(key_find(t, STR("the new secret text"), 1000), &k);
    key_table_free(t);
}

static void many_keys_are_all_found(void **state)
{
    (void)state;
    enum { N = 5000 };
    struct key *keys = calloc(N, sizeof *keys);
    const struct key **pointers = calloc(N, sizeof *pointers);
    char text[40];
    for (int i = 0; i < N; i++) {
        snprintf(text, sizeof text, "secret number %06d", i);
        key_digest(str_c(text), keys[i].digest);
        pointers[i] = &keys[i];
    }
    struct key_table *t = key_table_new(pointers, N);
    for (int i = 0; i < N; i++) {
        snprintf(text, sizeof text, "secret number %06d", i);
        assert_ptr_equal(key_find(t, str_c(text), 0), &keys[i]);
    }
    assert_null(key_find(t, STR("secret number 005000"), 0));
    key_table_free(t);
    free(keys);
    free(pointers);
}

static void models_are_patterns(void **state)
{
    (void)state;
    static const struct str models[] = {{"fast", 4}, {"claude-*", 8}, {"openai/*", 8}};
    struct key k = {.models = models, .model_count = 3}, open = {0};
    assert_true(key_allows(&k, STR("fast")));
    assert_true(key_allows(&k, STR("claude-haiku-4-5")));
    assert_true(key_allows(&k, STR("openai/gpt-5")));
    assert_false(key_allows(&k, STR("faster")));
    assert_false(key_allows(&k, STR("gpt-5")));
    assert_true(key_allows(&open, STR("anything")));
    assert_true(key_allows(NULL, STR("anything")));
}

static void sources_are_addresses_and_networks(void **state)
{
    (void)state;
    static const struct str sources[] = {{"10.1.0.0/16", 11}, {"192.168.7.9", 11},
        {"2001:db8::/33", 13}, {"fe80::1", 7}};
    struct key k = {.sources = sources, .source_count = 4};
    static const struct { const char *address; bool may; } cases[] = {
        {"10.1.2.3", true}, {"10.2.0.1", false}, {"192.168.7.9", true}, {"192.168.7.10", false},
        {"::ffff:10.1.2.3", true}, {"2001:db8:7fff::1", true}, {"2001:db8:8000::1", false},
        {"[2001:db8::5]", true}, {"fe80::1%eth0", true}, {"fe80::2", false}, {"localhost", false},
        {"", false}, {"10.1.2.3.4", false}, {"010.1.2.3", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(key_allows_source(&k, str_c(cases[i].address)), cases[i].may);
    static const struct str all[] = {{"0.0.0.0/0", 9}}, bad[] = {{"10.0.0.0/33", 11}, {"x/8", 3}};
    struct key v4 = {.sources = all, .source_count = 1}, b = {.sources = bad, .source_count = 2};
    assert_true(key_allows_source(&v4, STR("8.8.8.8")));
    assert_false(key_allows_source(&v4, STR("2001:db8::1")));
    assert_false(key_allows_source(&b, STR("10.0.0.1")));
    assert_true(key_allows_source(&(struct key){0}, STR("8.8.8.8")));
}

/* A right prefix and a wrong one must take the same time: Welch's t over alternating rounds, each
 * with another secret. The bound is wide of the statistic's 4.5, since the machine is shared. */
static void a_right_prefix_is_not_faster_or_slower(void **state)
{
    (void)state;
    enum { N = 20000 };
    char secret[80], shown[32], near[80], far[80];
    struct key k = {.name = STR("alice")};
    key_make_secret(secret, shown);
    key_digest(str_c(secret), k.digest);
    struct key_table *t = key_table_new((const struct key *[]){&k}, 1);
    memcpy(near, secret, sizeof near);
    near[54] = near[54] == 'x' ? 'y' : 'x';
    memcpy(far, secret, sizeof far);
    memset(far, 'q', 55);
    double sum[2] = {0}, squares[2] = {0}, count[2] = {0};
    for (int i = 0; i < 2 * N; i++) {
        char *offered = i & 1 ? near : far;
        int64_t start = clock_mono_us();
        for (int inner = 0; inner < 8; inner++) {
            offered[50] = (char)('a' + i / 2 % 26);
            offered[51] = (char)('a' + i / 52 % 26);
            offered[52] = (char)('a' + inner);
            assert_null(key_find(t, str_c(offered), 0));
        }
        double us = (double)(clock_mono_us() - start);
        if (us > 100)
            continue; /* another process ran */
        sum[i & 1] += us;
        squares[i & 1] += us * us;
        count[i & 1]++;
    }
    double mean[2], variance[2];
    for (int i = 0; i < 2; i++) {
        assert_true(count[i] > N / 4);
        mean[i] = sum[i] / count[i];
        variance[i] = squares[i] / count[i] - mean[i] * mean[i];
    }
    double d = mean[0] - mean[1], v = variance[0] / count[0] + variance[1] / count[1];
    assert_true(d * d <= 30 * 30 * (v + 1e-9));
    key_table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_made_secret_has_its_form_and_checks_itself),
        cmocka_unit_test(only_the_secret_itself_opens),
        cmocka_unit_test(both_secrets_work_during_the_grace_time),
        cmocka_unit_test(many_keys_are_all_found),
        cmocka_unit_test(models_are_patterns),
        cmocka_unit_test(sources_are_addresses_and_networks),
        cmocka_unit_test(a_right_prefix_is_not_faster_or_slower),
    };
    return cmocka_run_group_tests_name("key", tests, setup, NULL);
}
