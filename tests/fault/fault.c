/* fault.c: preloaded into a gateway by tests: allocations that fail, clocks that jump.
 *
 * Why: what happens without memory or under a stepped clock can't be provoked from outside. The test
 * maps the file $POINTSMAN_FAULT and writes into it while the gateway runs (layout below; tests/http/
 * fault.py has the other side). Each failed allocation leaves the name of who asked in `where`.
 *
 *     LD_PRELOAD=build/tests/fault/fault.so POINTSMAN_FAULT=FILE pointsman serve … */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct control {
    _Atomic int64_t left;      /* the allocation that fails, counted from now; 0: none */
    _Atomic int64_t persistent; /* … and all after it */
    _Atomic int64_t hits, calls;
    _Atomic int64_t wall_ms, mono_us; /* added to the clocks */
    char where[200];
};

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);

static struct control *control;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("POINTSMAN_FAULT");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p != MAP_FAILED)
        control = p;
    if (fd >= 0)
        close(fd);
}

static void put(char *out, size_t size, const char *text)
{
    size_t n = strlen(out), more = strlen(text);
    if (n + more + 1 < size)
        memcpy(out + n, text, more + 1);
}

static void tell(const void *caller)
{
    Dl_info who;
    if (!dladdr(caller, &who) || !who.dli_fname)
        return;
    const char *slash = strrchr(who.dli_fname, '/');
    control->where[0] = '\0';
    put(control->where, sizeof control->where, slash ? slash + 1 : who.dli_fname);
    put(control->where, sizeof control->where, " ");
    if (who.dli_sname) {
        put(control->where, sizeof control->where, who.dli_sname);
        return;
    }
    char digits[20]; /* a static function: for addr2line -fe */
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    for (uintptr_t n = (uintptr_t)caller - (uintptr_t)who.dli_fbase; n && at > 0; n /= 16)
        digits[--at] = "0123456789abcdef"[n % 16];
    put(control->where, sizeof control->where, "0x");
    put(control->where, sizeof control->where, digits + at);
}

static bool fails(const void *caller)
{
    if (!control)
        return false;
    atomic_fetch_add(&control->calls, 1);
    int64_t left = atomic_load(&control->left);
    while (left > 1)
        if (atomic_compare_exchange_weak(&control->left, &left, left - 1))
            return false;
    if (left == 0)
        return false;
    if (!atomic_load(&control->persistent) && !atomic_compare_exchange_strong(&control->left, &left, 0))
        return false;
    atomic_fetch_add(&control->hits, 1);
    tell(caller);
    errno = ENOMEM;
    return true;
}

#define CALLER __builtin_return_address(0)

void *malloc(size_t n)
{
    return fails(CALLER) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return fails(CALLER) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    return n && fails(CALLER) ? NULL : __libc_realloc(p, n);
}

int posix_memalign(void **out, size_t align, size_t n)
{
    if (fails(CALLER))
        return ENOMEM;
    void *p = __libc_memalign(align, n);
    if (!p)
        return ENOMEM;
    *out = p;
    return 0;
}

static void shift(struct timespec *t, int64_t us)
{
    int64_t ns = t->tv_nsec + us % 1000000 * 1000;
    t->tv_sec += us / 1000000 + ns / 1000000000;
    t->tv_nsec = ns % 1000000000;
    if (t->tv_nsec < 0) {
        t->tv_nsec += 1000000000;
        t->tv_sec--;
    }
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    if (syscall(SYS_clock_gettime, id, t) < 0)
        return -1;
    if (control && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        shift(t, atomic_load(&control->wall_ms) * 1000);
    else if (control && (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE))
        shift(t, atomic_load(&control->mono_us));
    return 0;
}
