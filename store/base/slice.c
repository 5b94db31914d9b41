/* slice.c: see slice.h. glibc has no name for the call (before 2.41), and the kernel's header clashes
 * with its sched.h: the struct is the first version of the kernel's, which every later one takes. */
#include "store/base/slice.h"

#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
};

/* What was set for the thread (its niceness, another scheduler) stays. */
void slice_ask(unsigned us)
{
    struct attributes a = {.size = sizeof a};
    if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) < 0 || a.policy != SCHED_OTHER)
        return;
    a.size = sizeof a;
    a.runtime_ns = (uint64_t)us * 1000;
    (void)!syscall(SYS_sched_setattr, 0, &a, 0);
}
