/* Units of proxy/upstream/address: which addresses are dialled, whatever the URL looks like. */
#include "proxy/upstream/call.h"
#include "tests/unit/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

static bool forbidden(const char *text, bool allow_private, bool written)
{
    struct sockaddr_storage a = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&a;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
        a.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
        a.ss_family = AF_INET6;
    else
        fail_msg("%s is no address", text);
    return upstream_address_forbidden((struct sockaddr *)&a, allow_private, written);
}

static void private_addresses_must_be_meant(void **state)
{
    (void)state;
    static const char *const privates[] = {"127.0.0.1", "127.255.255.255", "10.0.0.1", "172.16.0.1",
        "172.31.255.255", "192.168.1.1", "100.64.0.1", "198.18.0.1", "::1", "fc00::1", "fd12::1",
        "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::ffff:10.1.2.3", "fec0::1"};
    for (size_t i = 0; i < ARRAY_LEN(privates); i++) {
        assert_true(forbidden(privates[i], false, false));
        assert_false(forbidden(privates[i], true, false));
        assert_false(forbidden(privates[i], false, true));
    }
}

static void some_addresses_are_never_dialled(void **state)
{
    (void)state;
    static const char *const never[] = {"169.254.169.254", "169.254.0.1", "0.0.0.0", "0.1.2.3",
        "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "fd00:ec2::254", "ff02::1",
        "fe80::1", "::", "::ffff:169.254.169.254", "::169.254.169.254", "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::", "100.100.100.200", "168.63.129.16", "192.0.0.192"};
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        assert_true(forbidden(never[i], true, true));
    struct sockaddr local = {.sa_family = AF_UNIX};
    assert_true(upstream_address_forbidden(&local, true, true));
}

static void public_addresses_are_dialled(void **state)
{
    (void)state;
    static const char *const public[] = {"1.1.1.1", "104.18.7.192", "172.15.0.1", "172.32.0.1",
        "100.63.0.1", "100.128.0.1", "128.0.0.1", "126.255.255.255", "2606:4700::6812:7c0",
        "64:ff9b::101:101", "2002:101:101::", "192.0.1.1", "223.255.255.255"};
    for (size_t i = 0; i < ARRAY_LEN(public); i++)
        assert_false(forbidden(public[i], false, false));
}

static void only_plain_literals_and_localhost_count_as_written(void **state)
{
    (void)state;
    static const char *const yes[] = {"http://127.0.0.1/", "http://127.0.0.1:8080/v1",
        "https://[::1]:1/", "http://LOCALHOST:11434/v1", "http://10.0.0.9", "http://[fd00::1]"};
    static const char *const no[] = {"http://127.1/", "http://0x7f000001/", "http://2130706433/",
        "http://0177.0.0.1/", "http://api.openai.com/", "https://api.openai.com@127.0.0.1/",
        "http://localhost.evil.example/", "http://127.0.0.1.nip.io/", "http://127.0.0.1%00.evil/",
        "http:/127.0.0.1/", "127.0.0.1", "", "http://", "http://[::1", "http://[127.0.0.1]/"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        if (!address_written(str_c(yes[i])))
            fail_msg("%s is written out", yes[i]);
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        if (address_written(str_c(no[i])))
            fail_msg("%s is not written out", no[i]);
}

/* False where no number is read from it, which is for the resolver then. */
static bool is_numeric_and_forbidden(struct str line)
{
    char text[512], host[256], *part = NULL;
    bool judged = false;
    CURLU *url = curl_url();
    str_copy(text, sizeof text, line);
    if (curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_HOST, &part, 0) == CURLUE_OK) {
        str_copy(host, sizeof host, str_c(part + (part[0] == '[')));
        host[strcspn(host, "]")] = '\0';
        struct addrinfo hints = {.ai_flags = AI_NUMERICHOST}, *found = NULL;
        if (getaddrinfo(host, NULL, &hints, &found) == 0) {
            judged = true;
            if (!upstream_address_forbidden(found->ai_addr, false, false))
                fail_msg("%s would be dialled", text);
            freeaddrinfo(found);
        }
    }
    curl_free(part);
    curl_url_cleanup(url);
    return judged;
}

/* Every form of the torture list, as a name that resolves would be: no URL of it may lead to a
 * loopback, private or metadata address unless it is written out plainly. */
static void no_spelling_of_the_torture_list_gets_through(void **state)
{
    (void)state;
    const char *dir;
    for (int i = 0; (dir = data_dir(i, "torture/ssrf")) != NULL; i++) {
        struct str all = shared_read(dir, "urls.txt"), rest = all, line;
        unsigned judged = 0;
        while (str_cut(&rest, '\n', &line))
            judged += is_numeric_and_forbidden(line);
        free((char *)all.p);
        assert_true(judged >= 12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(private_addresses_must_be_meant),
        cmocka_unit_test(some_addresses_are_never_dialled),
        cmocka_unit_test(public_addresses_are_dialled),
        cmocka_unit_test(only_plain_literals_and_localhost_count_as_written),
        cmocka_unit_test(no_spelling_of_the_torture_list_gets_through),
    };
    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
