/*
 * watchdog.h - a process whose master died does not live on in silence.
 *
 * While the master lives, it watches its workers, and this one sleeps: a
 * stopped terminal or a frozen cgroup stops the master as well, and kills
 * nobody. When the master dies the kernel sends SIGCONT, which also wakes a
 * process that was stopped, and its handler sets a timer that ends in SIGKILL
 * unless the process shows in time that it still goes about its end.
 *
 * One per process: the handler of a signal has no other place for it.
 */
#ifndef WORKER_WATCHDOG_H
#define WORKER_WATCHDOG_H

#include <stdint.h>

/**
 * Begin, in a child right after the fork.
 *
 * @silence_ms  so long may the process be silent once its master is dead;
 *              MEWS_FOREVER: for ever.
 * Without a timer of the kernel's there is none: the channel still tells.
 */
void watchdog_start(uint32_t silence_ms);

/** The process is alive and at work; does nothing while its master lives. */
void watchdog_beat(void);

#endif
