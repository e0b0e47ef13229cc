/*
 * signals.c - what signals mean before the master reads them.
 *
 * TERM, INT and QUIT end a start by default, as long as it has made nothing
 * that would be left behind; then they are blocked.
 */
#include "signals.h"

#include <signal.h>
#include <stddef.h>

/* Signals that would end a process by default, and leave its files behind:
 * ignored, also by children, as are those from SIGRTMIN on. ABRT, BUS, FPE,
 * ILL, SEGV, SYS and TRAP mean that a process is broken, and end it, like KILL,
 * with a core if the system keeps them. */
static const int meaningless[] = { SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR,
	SIGSTKFLT, SIGXCPU, SIGXFSZ, SIGPIPE };

/* Signals that a running master obeys; those that come too early wait. */
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
