/*
 * bench_log.c - the cost of a line of the log, read or not.
 *
 * Standard error becomes a pipe; a child reads all of it, or nothing. Prints
 * microseconds per line for both, as medians of rounds that take turns.
 */
#include "log.h"

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINES  20000
#define ROUNDS 9

static double
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* In the child: read until the end, or nothing until killed. */
static pid_t
start_reader(int fd, int other, bool reads)
{
	static char buffer[65536];
	pid_t	    child = fork();

	if (child != 0)
		return child;
	close(other);
	while (reads && read(fd, buffer, sizeof(buffer)) > 0)
		;
	while (!reads)
		pause();
	_exit(0);
}

/* Microseconds for one line. */
static double
measure(bool reads)
{
	struct log    log = { CONFIG_LOG_STDERR, MEWS_LOG_INFO, "bench", 0 };
	struct output output;
	double	      began, took;
	pid_t	      reader;
	int	      ends[2];

	if (pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) == -1)
		err(EXIT_FAILURE, "pipe");
	if ((reader = start_reader(ends[0], ends[1], reads)) == -1)
		err(EXIT_FAILURE, "fork");
	log_open(&log, &output);
	began = now_us();
	for (int i = 0; i < LINES; i++)
		log_write(&log, MEWS_LOG_INFO, "line", "number=%d of=%d", i,
		    LINES);
	took = now_us() - began;
	output_close(&output);
	close(ends[0]);
	close(ends[1]);
	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
	return took / LINES;
}

static int
compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int
main(void)
{
	double flows[ROUNDS], blocked[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		flows[i] = measure(true);
		blocked[i] = measure(false);
	}
	qsort(flows, ROUNDS, sizeof(*flows), compare);
	qsort(blocked, ROUNDS, sizeof(*blocked), compare);
	printf("microseconds a line: read %.2f, not read %.2f\n",
	    flows[ROUNDS / 2], blocked[ROUNDS / 2]);
	return 0;
}
