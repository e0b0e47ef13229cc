/*
 * bench_scrape.c - the cost of a scrape of a large fleet, and how much memory
 * the fleet shares.
 *
 * There is no other process: this one makes a fleet's segment and fills in all
 * figures, as if each worker had connections to each endpoint in each group,
 * and 64 statements. Then it prints the metrics as the admin process does.
 */
#include "fleet/fleet.h"
#include "metrics.h"

#include <err.h>
#include <mews/settings.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define GROUPS 4

static const char usage[] =
    "usage: bench_scrape WORKERS ENDPOINTS SCRAPES\n"
    "\n"
    "Prints the size of an answer, the CPU time that one takes at best and at\n"
    "a mean, and the bytes of the segment, of one slot's figures and of all.\n";

static char endpoint_names[MEWS_ENDPOINTS_MAX][16], group_names[GROUPS][16];
static char path[] = "/tmp/bench_scrape.XXXXXX";

static double
cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static struct mews_fleet *
make_fleet(unsigned workers, unsigned endpoints)
{
	struct mews_endpoint_config each[MEWS_ENDPOINTS_MAX] = { 0 };
	struct mews_group_config groups[GROUPS] = { 0 };
	struct mews_config config = {
		.abi = MEWS_ABI, .instance = "bench", .workers = workers,
		.endpoints = each, .endpoint_count = endpoints,
		.groups = groups, .group_count = GROUPS,
		.runtime_file = path,
		.slots = 2 * workers + 64, /* as many as mews run has */
	};
	struct mews_fleet *fleet;
	struct mews_error error;
	int fd = mkstemp(path);

	if (fd == -1 || close(fd) == -1 || unlink(path) == -1)
		err(1, "%s", path);
	for (unsigned i = 0; i < endpoints; i++) {
		snprintf(endpoint_names[i], 16, "endpoint%u", i);
		each[i].name = endpoint_names[i];
		each[i].conninfo = "host=/nowhere";
	}
	for (unsigned i = 0; i < GROUPS; i++) {
		snprintf(group_names[i], 16, "group%u", i);
		groups[i].name = group_names[i];
	}
	if (mews_fleet_create(&fleet, &config, &error) != MEWS_OK)
		errx(1, "%s", error.message);
	return fleet;
}

/* Fill in the figures of a worker that was busy in @slot for long. */
static void
fill(struct mews_fleet *fleet, uint32_t slot, unsigned endpoints)
{
	struct segment *segment = &fleet->segment;
	struct figures *figures = segment_figures(segment, slot);
	struct figures_times *times;
	char name[16];

	atomic_store(&segment->slots[slot].pid, getpid());
	atomic_store(&segment->slots[slot].state, MEWS_WORKER_READY);
	for (unsigned g = 0; g < GROUPS; g++) {
		figures_find_group(figures, segment->room, group_names[g])
		    ->ends[MEWS_OK] = 1000000;
		for (unsigned e = 0; e < endpoints; e++) {
			times = &figures_find_pair(figures, segment->room,
			    group_names[g], endpoint_names[e])->times;
			for (unsigned b = 0; b < FIGURES_BUCKETS; b++)
				figures_times(times, INT64_C(20) << b, 100000);
		}
	}
	for (unsigned s = 0; s < FIGURES_STATEMENTS - 1; s++) {
		snprintf(name, sizeof(name), "statement%u", s);
		figures_find_statement(figures, name)->answers = 1000000;
	}
}

static size_t
scrape(const struct mews_view *view)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL || !metrics_print(view, NULL, false, out) ||
	    fclose(out) != 0)
		errx(1, "out of memory");
	free(text);
	return size;
}

int
main(int argc, char **argv)
{
	unsigned workers, endpoints, scrapes;
	struct mews_fleet *fleet;
	struct mews_view *view;
	struct mews_error error;
	double took, least = 0, sum = 0;
	size_t size = 0, figures;

	if (argc != 4 || (workers = (unsigned)atoi(argv[1])) == 0 ||
	    (endpoints = (unsigned)atoi(argv[2])) == 0 ||
	    endpoints > MEWS_ENDPOINTS_MAX ||
	    (scrapes = (unsigned)atoi(argv[3])) == 0) {
		fputs(usage, stderr);
		return 2;
	}
	fleet = make_fleet(workers, endpoints);
	for (uint32_t i = 0; i < workers; i++)
		fill(fleet, i, endpoints);
	if (mews_view_open(&view, path, &error) != MEWS_OK)
		errx(1, "%s", error.message);
	for (unsigned i = 0; i < scrapes; i++) {
		took = cpu_us();
		size = scrape(view);
		took = cpu_us() - took;
		sum += took;
		least = i == 0 || took < least ? took : least;
	}
	figures = figures_size(fleet->segment.room);
	printf("bytes=%zu least_us=%.0f mean_us=%.0f segment=%zu slots=%u "
	    "figures_of_slot=%zu figures=%zu\n", size, least, sum / scrapes,
	    fleet->segment.size, fleet->segment.slot_count, figures,
	    figures * fleet->segment.slot_count);
	mews_view_close(&view);
	mews_fleet_destroy(&fleet);
	return 0;
}
