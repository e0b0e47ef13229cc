/*
 * watchdog.c - killing a process that is stuck after its master died.
 */
#include "watchdog.h"

#include <mews/config.h>

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* Written before the signal can come, then only read. */
static struct {
	bool armed; /* there is a timer */
	timer_t timer;
	pid_t master;
	uint32_t silence_ms;
} dog;

/* Safe in a handler: both calls are on the list of signal-safety(7). */
void
watchdog_beat(void)
{
	const struct itimerspec silence = { .it_value = {
		.tv_sec = dog.silence_ms / 1000,
		.tv_nsec = dog.silence_ms % 1000 * 1000000L } };

	if (dog.armed && getppid() != dog.master)
		timer_settime(dog.timer, 0, &silence, NULL);
}

static void
on_continued(int signal)
{
	const int saved = errno;

	(void)signal;
	watchdog_beat();
	errno = saved;
}

void
watchdog_start(uint32_t silence_ms)
{
	struct sigevent	 end = { .sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGKILL };
	struct sigaction action = { .sa_handler = on_continued,
		.sa_flags = SA_RESTART };

	dog.master = getppid();
	dog.silence_ms = silence_ms;
	dog.armed = silence_ms != MEWS_FOREVER &&
	    timer_create(CLOCK_MONOTONIC, &end, &dog.timer) == 0;
	sigaction(SIGCONT, &action, NULL);
	prctl(PR_SET_PDEATHSIG, SIGCONT);
}
