/* Every single write, sync, truncate and lock of the database fails once, and then from there on:
 * no crash, nothing lost, nothing twice. FAULT_STEPS=N for a longer sweep (0: until clean). */
#include "tests/store/room.h"

#include <sqlite3.h>
#include <stdatomic.h>

struct thin_file {
    sqlite3_file base;
    sqlite3_file *real; /* lies behind this struct */
};

static sqlite3_vfs *real_vfs;
static _Atomic int countdown; /* the operation that fails; 0: none */
static _Atomic bool persistent, hit;

static bool fails(void)
{
    int left = atomic_load(&countdown);
    if (left == 0)
        return false;
    if (left > 1) {
        atomic_fetch_sub(&countdown, 1);
        return false;
    }
    if (!persistent)
        atomic_store(&countdown, 0);
    atomic_store(&hit, true);
    return true;
}

#define REAL(f) (((struct thin_file *)(f))->real)

static int thin_close(sqlite3_file *f)
{
    return REAL(f)->pMethods->xClose(REAL(f));
}

static int thin_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    return REAL(f)->pMethods->xRead(REAL(f), p, n, at);
}

static int thin_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    return fails() ? SQLITE_IOERR_WRITE : REAL(f)->pMethods->xWrite(REAL(f), p, n, at);
}

static int thin_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    return fails() ? SQLITE_IOERR_TRUNCATE : REAL(f)->pMethods->xTruncate(REAL(f), n);
}

static int thin_sync(sqlite3_file *f, int flags)
{
    return fails() ? SQLITE_IOERR_FSYNC : REAL(f)->pMethods->xSync(REAL(f), flags);
}

static int thin_size(sqlite3_file *f, sqlite3_int64 *n)
{
    return REAL(f)->pMethods->xFileSize(REAL(f), n);
}

static int thin_lock(sqlite3_file *f, int level)
{
    return REAL(f)->pMethods->xLock(REAL(f), level);
}

static int thin_unlock(sqlite3_file *f, int level)
{
    return REAL(f)->pMethods->xUnlock(REAL(f), level);
}

static int thin_reserved(sqlite3_file *f, int *out)
{
    return REAL(f)->pMethods->xCheckReservedLock(REAL(f), out);
}

static int thin_control(sqlite3_file *f, int op, void *arg)
{
    return REAL(f)->pMethods->xFileControl(REAL(f), op, arg);
}

static int thin_sector(sqlite3_file *f)
{
    return REAL(f)->pMethods->xSectorSize(REAL(f));
}

static int thin_device(sqlite3_file *f)
{
    return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f));
}

static int thin_shm_map(sqlite3_file *f, int page, int n, int extend, void volatile **out)
{
    return extend && fails() ? SQLITE_IOERR_SHMMAP
                             : REAL(f)->pMethods->xShmMap(REAL(f), page, n, extend, out);
}

static int thin_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return REAL(f)->pMethods->xShmLock(REAL(f), offset, n, flags);
}

static void thin_shm_barrier(sqlite3_file *f)
{
    REAL(f)->pMethods->xShmBarrier(REAL(f));
}

static int thin_shm_unmap(sqlite3_file *f, int remove)
{
    return REAL(f)->pMethods->xShmUnmap(REAL(f), remove);
}

static const sqlite3_io_methods thin_methods = {2, thin_close, thin_read, thin_write, thin_truncate,
    thin_sync, thin_size, thin_lock, thin_unlock, thin_reserved, thin_control, thin_sector,
    thin_device, thin_shm_map, thin_shm_lock, thin_shm_barrier, thin_shm_unmap};

static int thin_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
    struct thin_file *t = (struct thin_file *)f;
    (void)v;
    t->real = (sqlite3_file *)(void *)(t + 1);
    t->base.pMethods = NULL;
    int rc = real_vfs->xOpen(real_vfs, name, t->real, flags, out);
    if (rc == SQLITE_OK)
        t->base.pMethods = &thin_methods;
    return rc;
}

static void thin_install(void)
{
    static sqlite3_vfs thin;
    sqlite3_initialize();
    real_vfs = sqlite3_vfs_find(NULL);
    thin = *real_vfs;
    thin.zName = "thin";
    thin.pNext = NULL;
    thin.szOsFile = (int)sizeof(struct thin_file) + real_vfs->szOsFile;
    thin.xOpen = thin_open;
    sqlite3_vfs_register(&thin, 1);
}

static int64_t requests(struct store *s)
{
    struct store_query q = {.kind = STORE_ASK_SUMS};
    struct store_answer *a = store_ask_now(s, &q);
    assert_int_equal(a->rc, 0);
    int64_t n = a->n ? a->sums->requests : 0;
    store_answer_free(a);
    return n;
}

static void wait_hit(struct store *s)
{
    struct store_stats stats;
    for (int i = 0; i < 1500; i++, usleep(1000)) {
        store_stats(s, &stats);
        if (stats.behind == 0 || (hit && stats.failing))
            return;
    }
}

static void sweep(struct room *r, bool from_there_on)
{
    int steps = getenv("FAULT_STEPS") ? (int)strtol(getenv("FAULT_STEPS"), NULL, 10) : 6;
    struct store *s = room_open(r);
    struct spool *w = room_start(s);
    unsigned n = 0, clean = 0;
    persistent = from_there_on;
    for (int step = 1; clean < 3 && (steps == 0 || step <= steps); step++) {
        atomic_store(&hit, false);
        atomic_store(&countdown, steps == 0 ? step : 1 + step * 5);
        room_fill(w, n, n + 20);
        n += 20;
        wait_hit(s);
        atomic_store(&countdown, 0);
        room_settle(s);
        clean = hit ? 0 : clean + 1;
        if (requests(s) != n)
            fail_msg("step %d: %lld of %u", step, (long long)requests(s), n);
    }
    room_check(s);
    store_stop(s);
    store_close(s);
    s = room_open(r);
    room_recover(s);
    assert_int_equal(requests(s), n);
    room_check(s);
    store_close(s);
}

static void each_operation_fails_once(void **state)
{
    sweep(*state, false);
}

static void each_operation_fails_and_all_after_it_until_it_heals(void **state)
{
    sweep(*state, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOM_TEST(each_operation_fails_once),
        ROOM_TEST(each_operation_fails_and_all_after_it_until_it_heals),
    };
    thin_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
