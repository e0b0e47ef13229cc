/*
 * watchdog.h - killing a process that is stuck after its master died.
 *
 * While the master lives it watches its workers, and the watchdog sleeps: a
 * stopped terminal or a frozen cgroup stops the master as well, and nothing is
 * killed. When the master dies the kernel sends SIGCONT, which also wakes a
 * process that was stopped, and its handler sets a timer that ends in SIGKILL
 * unless the process shows in time that it still goes about its end.
 *
 * One per process, as a signal's handler needs a global.
 */
#ifndef WORKER_WATCHDOG_H
#define WORKER_WATCHDOG_H

#include <stdint.h>

/**
 * Begin, in a child right after the fork.
 *
 * @silence_ms  how long the process may be silent once its master is dead;
 *              MEWS_FOREVER: for ever. Without a timer of the kernel's there is
 *              no watchdog: the channel still tells.
 */
void watchdog_start(uint32_t silence_ms);

/** The process is alive and at work; does nothing while its master lives. */
void watchdog_beat(void);

#endif
