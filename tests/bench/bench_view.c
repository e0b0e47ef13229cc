/*
 * bench_view.c - look at a fleet from outside, many times: what that costs, and
 * how long it takes until every worker has acted on a change.
 *
 * By the public API (mews/view.h) on the fleet's segment, which is all that
 * `mews status` reads, so no process is asked or disturbed.
 */
#include <err.h>
#include <mews/view.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage[] =
    "usage: bench_view SEGMENT read COUNT\n"
    "       bench_view SEGMENT down SECONDS\n"
    "\n"
    "  read  read fleet, endpoints and workers COUNT times; prints the time\n"
    "        of one\n"
    "  down  wait until an endpoint is down, and until no worker has a\n"
    "        connection to it any more; prints how long after it the last\n"
    "        worker had acted\n";

#define LOOK_NS 100000 /* between two looks */

static struct mews_view *view;
static struct mews_view_fleet fleet;

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static unsigned
read_all(void)
{
	struct mews_view_endpoint endpoint;
	struct mews_view_worker worker;
	unsigned read = 0;

	mews_view_fleet(view, &fleet, sizeof(fleet));
	for (uint32_t i = 0; i < fleet.endpoint_count; i++)
		read +=
		    mews_view_endpoint(view, i, &endpoint, sizeof(endpoint));
	for (uint32_t i = 0; i < fleet.slot_count; i++)
		read += mews_view_worker(view, i, &worker, sizeof(worker));
	return read;
}

static void
measure_read(long count)
{
	double began = now();
	unsigned read = 0;

	for (long i = 0; i < count; i++)
		read = read_all();
	printf("us=%.2f records=%u\n", (now() - began) / (double)count * 1e6,
	    read);
}

/* The index of an endpoint that is down, or -1. */
static int
find_down(struct mews_view_endpoint *endpoint)
{
	for (uint32_t i = 0; i < fleet.endpoint_count; i++)
		if (mews_view_endpoint(view, i, endpoint, sizeof(*endpoint)) &&
		    strcmp(endpoint->state, "down") == 0)
			return (int)i;
	return -1;
}

/* How many workers have a connection to the endpoint. */
static unsigned
count_connected(uint32_t endpoint)
{
	struct mews_view_worker worker;
	unsigned workers = 0;

	for (uint32_t i = 0; i < fleet.slot_count; i++)
		workers += mews_view_worker(view, i, &worker, sizeof(worker)) &&
		    worker.connections[endpoint] > 0;
	return workers;
}

static void
measure_down(double seconds)
{
	const struct timespec look = { .tv_nsec = LOOK_NS };
	struct mews_view_endpoint endpoint;
	double until = now() + seconds, down;
	unsigned workers;
	int index;

	printf("ready\n");
	fflush(stdout);
	while ((index = find_down(&endpoint)) == -1) {
		if (now() > until)
			errx(1, "no endpoint is down after %g s", seconds);
		nanosleep(&look, NULL);
	}
	down = now();
	workers = count_connected((uint32_t)index);
	while (count_connected((uint32_t)index) > 0) {
		if (now() > until)
			errx(1, "%u workers are still connected to %s",
			    count_connected((uint32_t)index), endpoint.name);
		nanosleep(&look, NULL);
	}
	printf("us=%.0f endpoint=%s workers=%u\n", (now() - down) * 1e6,
	    endpoint.name, workers);
}

int
main(int argc, char **argv)
{
	struct mews_error error;
	double amount;

	if (argc != 4 || !((amount = atof(argv[3])) > 0) ||
	    (strcmp(argv[2], "read") != 0 && strcmp(argv[2], "down") != 0)) {
		fputs(usage, stderr);
		return 2;
	}
	if (mews_view_open(&view, argv[1], &error) != MEWS_OK)
		errx(1, "%s", error.message);
	mews_view_fleet(view, &fleet, sizeof(fleet));
	if (strcmp(argv[2], "read") == 0)
		measure_read((long)amount);
	else
		measure_down(amount);
	mews_view_close(&view);
	return 0;
}
