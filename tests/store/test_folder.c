/* The data folder: whose it is, who else may use it, what is refused and how it is said. */
#include "tests/store/room.h"

#include <fcntl.h>
#include <sys/wait.h>

static int try_open(struct room *r, struct err *e)
{
    struct store_config c = {.dir = r->data, .workers = 1};
    struct store *s;
    int rc = store_open(&s, &c, e);
    if (rc == 0)
        store_close(s);
    return rc;
}

static const char *file(struct room *r, const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", r->data, name);
    return path;
}

static void all_that_is_made_is_for_the_owner_alone_even_under_umask_0(void **state)
{
    struct room *r = *state;
    static const char *const names[] = {"", "lock", "pepper", "pointsman.db", "pointsman.db-wal",
        "pointsman.db-shm", "bodies.db", "bodies.db-wal", "spool", "spool/inflight-0",
        "spool/spool-0-00000001"};
    umask(0);
    struct store *s = room_open(r);
    room_start(s);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct stat st;
        assert_int_equal(stat(file(r, names[i]), &st), 0);
        if (st.st_mode & 077)
            fail_msg("%s has mode %o", names[i], st.st_mode & 0777);
    }
    store_stop(s);
    store_close(s);
}

static void folders_and_files_that_others_may_read_are_refused_with_the_remedy(void **state)
{
    struct room *r = *state;
    static const char *const names[] = {"", "lock", "pepper", "pointsman.db", "bodies.db", "spool"};
    struct err e = {0};
    assert_int_equal(try_open(r, &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct stat st;
        assert_int_equal(stat(file(r, names[i]), &st), 0);
        assert_int_equal(chmod(file(r, names[i]), (st.st_mode & 07777) | 040), 0);
        assert_int_equal(try_open(r, &e), -ERR_DENIED);
        assert_non_null(strstr(e.text, "chmod go="));
        assert_non_null(strstr(e.text, names[i]));
        assert_int_equal(chmod(file(r, names[i]), st.st_mode & 07777), 0);
    }
    assert_int_equal(try_open(r, &e), 0);
}

static void what_belongs_to_somebody_else_is_refused(void **state)
{
    struct room *r = *state;
    struct err e = {0};
    if (geteuid() != 0)
        skip();
    assert_int_equal(try_open(r, &e), 0);
    assert_int_equal(chown(file(r, "pointsman.db"), 65534, 65534), 0);
    assert_int_equal(try_open(r, &e), -ERR_DENIED);
    assert_non_null(strstr(e.text, "65534"));
    assert_int_equal(chown(file(r, "pointsman.db"), 0, 0), 0);
    assert_int_equal(chown(file(r, ""), 65534, 65534), 0);
    assert_int_equal(try_open(r, &e), -ERR_DENIED);
}

static void planted_links_are_refused_and_not_followed(void **state)
{
    struct room *r = *state;
    static const char *const names[] = {"lock", "spool", "pointsman.db", "bodies.db", "pepper"};
    struct err e = {0};
    char target[200];
    struct stat st;
    snprintf(target, sizeof target, "%s/elsewhere", r->path);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        mkdir(r->data, 0700);
        assert_int_equal(symlink(target, file(r, names[i])), 0);
        assert_int_equal(try_open(r, &e), -ERR_DENIED);
        assert_non_null(strstr(e.text, names[i]));
        assert_int_equal(lstat(target, &st), -1);
        assert_int_equal(unlink(file(r, names[i])), 0);
    }
    assert_int_equal(try_open(r, &e), 0);
    /* a second name for our file is as bad */
    assert_int_equal(link(file(r, "bodies.db"), target), 0);
    assert_int_equal(try_open(r, &e), -ERR_DENIED);
}

static void a_second_gateway_is_refused_and_told_the_pid_of_the_first(void **state)
{
    struct room *r = *state;
    struct store *s = room_open(r);
    struct err e = {0};
    char pid[24];
    pid_t child = fork();
    if (child == 0) {
        snprintf(pid, sizeof pid, "pid %d", (int)getppid());
        _exit(try_open(r, &e) == -ERR_BUSY && strstr(e.text, pid) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    store_close(s);
    assert_int_equal(try_open(r, &e), 0);
}

static void a_lost_pepper_is_noticed_when_keys_depend_on_it(void **state)
{
    struct room *r = *state;
    struct err e = {0};
    assert_int_equal(try_open(r, &e), 0);
    assert_int_equal(unlink(file(r, "pepper")), 0);
    assert_int_equal(try_open(r, &e), 0); /* no keys: a new one is made */
    struct store *s = room_open(r);
    room_start(s);
    assert_int_equal(store_put_state(s, STR("live/secret/alice"), STR("{}"), -1, NULL, NULL), 0);
    store_stop(s);
    store_close(s);
    assert_int_equal(unlink(file(r, "pepper")), 0);
    assert_int_equal(try_open(r, &e), -ERR_MISSING);
    assert_non_null(strstr(e.text, "pepper"));
}

static void a_store_of_a_newer_version_and_a_damaged_one_are_refused(void **state)
{
    struct room *r = *state;
    struct err e = {0};
    char command[400];
    assert_int_equal(try_open(r, &e), 0);
    int fd = open(file(r, "pointsman.db"), O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, "this is no database, this is a letter to a friend", 49), 49);
    close(fd);
    assert_true(try_open(r, &e) < 0);
    assert_non_null(strstr(e.text, "pointsman.db"));
    snprintf(command, sizeof command, "rm -rf %s", r->data);
    assert_int_equal(system(command), 0);
    struct store *s = room_open(r);
    room_start(s);
    store_stop(s);
    store_close(s);
    snprintf(command, sizeof command, "python3 -c \"import sqlite3; c = sqlite3.connect('%s/"
        "pointsman.db'); c.execute('update meta set value = 999 where name = ' + chr(39) + 'schema'"
        " + chr(39)); c.commit(); c.close()\"", r->data);
    if (system(command) != 0)
        skip();
    assert_int_equal(try_open(r, &e), -ERR_UNSUPPORTED);
    assert_non_null(strstr(e.text, "newer"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOM_TEST(all_that_is_made_is_for_the_owner_alone_even_under_umask_0),
        ROOM_TEST(folders_and_files_that_others_may_read_are_refused_with_the_remedy),
        ROOM_TEST(what_belongs_to_somebody_else_is_refused),
        ROOM_TEST(planted_links_are_refused_and_not_followed),
        ROOM_TEST(a_second_gateway_is_refused_and_told_the_pid_of_the_first),
        ROOM_TEST(a_lost_pepper_is_noticed_when_keys_depend_on_it),
        ROOM_TEST(a_store_of_a_newer_version_and_a_damaged_one_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
