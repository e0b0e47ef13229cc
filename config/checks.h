/*
 * checks.h - checks that need more than one value, or the system.
 */
#ifndef CONFIG_CHECKS_H
#define CONFIG_CHECKS_H

#include "load.h"

/* Note what is wrong with the values of @load, each by itself right. */
void checks_run(struct load *load);

#endif
