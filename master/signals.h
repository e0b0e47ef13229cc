/*
 * signals.h - what signals mean before the master reads them.
 */
#ifndef MASTER_SIGNALS_H
#define MASTER_SIGNALS_H

/** To be called first in `mews run`: from here on only signals that are meant
 * to end the master do so. */
void signals_begin(void);
/** The settings of a new process, except that early signals wait.
 */
void signals_reset(void);

#endif
