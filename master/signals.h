/*
 * signals.h - what signals mean before the master reads them.
 */
#ifndef MASTER_SIGNALS_H
#define MASTER_SIGNALS_H

/** First of all in `mews run`: from here on none that is not meant to end the
 * master does so by a mere default. */
void signals_begin(void);
/** As a process has them that is started; but those that come too early wait.
 */
void signals_reset(void);

#endif
