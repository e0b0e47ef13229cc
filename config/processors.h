/*
 * processors.h - how many processors this process may use.
 */
#ifndef CONFIG_PROCESSORS_H
#define CONFIG_PROCESSORS_H

#include <stdint.h>

/*
 * The processors of this process' affinity mask, or fewer where the cgroup that
 * it runs in, or one above that, has a smaller quota of time; a part of one
 * counts as one. At least 1.
 *
 * @root  "" outside of tests: before /proc/self/cgroup and /sys/fs/cgroup.
 */
uint32_t processors_usable(const char *root);

#endif
