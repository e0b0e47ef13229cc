/*
 * signals.c - what signals mean before the master reads them.
 *
 * TERM, INT and QUIT end a start by default: it has not made anything yet that
 * would be left behind. They are blocked once it has.
 */
#include "signals.h"

#include <signal.h>
#include <stddef.h>

/* Signals that would end a process, by a mere default, and leave its files
 * behind. Ignored, also by whoever is forked. So are those from SIGRTMIN on.
 * ABRT, BUS, FPE, ILL, SEGV, SYS and TRAP say that a process is broken, and end
 * it, with a core where the system keeps them: like KILL. */
static const int meaningless[] = { SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR,
	SIGSTKFLT, SIGXCPU, SIGXFSZ, SIGPIPE };

/* Signals that a running master obeys. Who sends one too early has to wait. */
static const int early[] = { SIGHUP, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU };

static void
block_early(int how)
{
	sigset_t mask;

	sigemptyset(&mask);
	for (size_t i = 0; i < sizeof(early) / sizeof(int); i++)
		sigaddset(&mask, early[i]);
	sigprocmask(how, &mask, NULL);
}

void
signals_begin(void)
{

	for (size_t i = 0; i < sizeof(meaningless) / sizeof(int); i++)
		signal(meaningless[i], SIG_IGN);
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		signal(number, SIG_IGN);
	block_early(SIG_BLOCK);
}

void
signals_reset(void)
{
	block_early(SIG_SETMASK);
}
