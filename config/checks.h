/*
 * checks.h - checks that need more than one value, or the system.
 */
#ifndef CONFIG_CHECKS_H
#define CONFIG_CHECKS_H

#include "load.h"

/* Note mistakes in @load whose values are each valid by themselves. */
void checks_run(struct load *load);

#endif
