/* rescue.c: the database's files, removed or replaced under a running gateway.
 *
 * A file that was removed lives on behind the handle that is open, for as long as the process does:
 * its contents are copied into a new file of that name before anything else is written. A file that
 * was put in its place (a backup brought back) is taken as it is, since somebody meant it. The log
 * beside the main file belongs to the file that is open, whoever removed it.
 *
 * Each look costs three stat() a round of the writer. Readers go on with what they have open and
 * begin anew at their next question. */
#include "store/migrate.h"
#include "store/store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum standing { IN_PLACE, GONE, REPLACED };

static enum standing look_at(const char *path, struct file_id known)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return errno == ENOENT ? GONE : IN_PLACE;
    return st.st_dev == known.device && st.st_ino == known.inode ? IN_PLACE : REPLACED;
}

struct file_id file_id_of(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return (struct file_id){0};
    return (struct file_id){st.st_dev, st.st_ino};
}

/* What stands beside a database and belongs to the file that was there before. */
static void remove_beside(const char *path)
{
    char name[600];
    static const char *const tails[] = {"-wal", "-shm"};
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        snprintf(name, sizeof name, "%s%s", path, tails[i]);
        unlink(name);
    }
}

/* ---- the main file ---- */

static void let_go(struct store *s)
{
    s->main->backend->checkpoint(s->main, true);
    writer_close_main(s, -ERR_IO);
    atomic_fetch_add(&s->generation, 1);
}

static void save_log(struct store *s)
{
    store_notify(s, STORE_NOTICE_FAULT, "%s-wal was removed while in use; its contents were saved",
        s->main_path);
    let_go(s);
}

static int copy_main(struct store *s, const char *to)
{
    const struct store_backend *k = s->main->backend;
    unlink(to);
    int rc = store_touch(s, "pointsman.db.new", NULL);
    struct db_backup *b = rc == 0 ? k->backup_open(s->main, to, NULL) : NULL;
    if (!b)
        return rc ? rc : -ERR_IO;
    while ((rc = k->backup_step(b)) == 1)
        ;
    k->backup_close(b);
    if (rc < 0)
        unlink(to);
    return rc;
}

/* 0, or an error: then the old handle stays, and with it all that it holds. */
static int save_main(struct store *s)
{
    char copy[600];
    snprintf(copy, sizeof copy, "%s.new", s->main_path);
    s->main->backend->checkpoint(s->main, true);
    int rc = copy_main(s, copy);
    if (rc < 0)
        return rc;
    let_go(s);
    remove_beside(s->main_path);
    if (rename(copy, s->main_path) < 0)
        return -ERR_IO;
    store_notify(s, STORE_NOTICE_FAULT, "%s was removed while in use; its contents were saved",
        s->main_path);
    return 0;
}

static void take_new_main(struct store *s)
{
    store_notify(s, STORE_NOTICE_FAULT, "%s was replaced while in use: going on with the new file",
        s->main_path);
    let_go(s);
    remove_beside(s->main_path);
}

int rescue_open_main(struct store *s, struct err *e)
{
    int rc = look_at(s->main_path, s->main_file) == GONE ? store_touch(s, "pointsman.db", e) : 0;
    if (rc == 0)
        rc = store_open_main(s, e);
    if (rc < 0 || look_at(s->main_path, s->main_file) == IN_PLACE)
        return rc;
    struct file_id now = file_id_of(s->main_path);
    commit_close(&s->commit); /* what it remembers are numbers of the old file */
    rc = migrate(s->main, MIGRATE_MAIN, e);
    if (rc == 0)
        rc = commit_open(&s->commit, s->main, e);
    if (rc == 0)
        s->main_file = now;
    else
        writer_close_main(s, rc);
    return rc;
}

/* ---- bodies ---- */

static void renew_bodies(struct store *s)
{
    struct bodies *fresh;
    remove_beside(s->bodies_path);
    if (store_touch(s, "bodies.db", NULL) < 0 || bodies_open(&fresh, s->bodies_path, NULL) < 0)
        return; /* bodies go on into the old file, and nobody reads them */
    bodies_close(s->bodies);
    s->bodies = fresh;
    s->bodies_file = file_id_of(s->bodies_path);
    atomic_fetch_add(&s->generation, 1);
    store_notify(s, STORE_NOTICE_FAULT, "%s was removed or replaced while in use: bodies go into "
        "the new one", s->bodies_path);
}

int rescue_look(struct store *s)
{
    char log[sizeof s->main_path + 8];
    int rc = 0;
    if (look_at(s->bodies_path, s->bodies_file) != IN_PLACE)
        renew_bodies(s);
    if (!s->main)
        return 0;
    enum standing main = look_at(s->main_path, s->main_file);
    snprintf(log, sizeof log, "%s-wal", s->main_path);
    if (main == GONE)
        rc = save_main(s);
    else if (main == REPLACED)
        take_new_main(s);
    else if (access(log, F_OK) < 0 && errno == ENOENT)
        save_log(s);
    return rc;
}
