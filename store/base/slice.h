/* slice.h: asks the kernel for short turns of the processor.
 *
 * Why: a thread that works little and is waited for (the console under somebody's fingers, the thread
 * that puts a switch into force) should get a processor as soon as it wakes. Linux from 6.12 on takes
 * the wish for a short slice from anybody: such a thread goes before those that run in long ones, and
 * gets no larger share of the processor for it.
 *
 *     slice_ask(100);       // µs, of the calling thread
 *
 * A wish: older kernels, other schedulers and tight sandboxes refuse or ignore it, and nothing follows. */
#ifndef POINTSMAN_SLICE_H
#define POINTSMAN_SLICE_H

void slice_ask(unsigned us);

#endif
