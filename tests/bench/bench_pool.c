/*
 * bench_pool.c - the cost of a query through the pool, and in bare libpq. For
 * options see usage[], or bench_pool --help.
 *
 * A single figure says little on a machine that has other work: compare runs
 * with and without --raw that took turns, as tests/bench/run does, or count
 * instructions.
 */
#include "bench.h"

#include <err.h>
#include <getopt.h>
#include <mews/config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WARM_SECONDS	0.3
#define WARM_QUERIES	2000 /* and at least so many queries */
#define COUNTED_QUERIES 20000 /* likewise, if instructions are counted */

static const char usage[] =
    "usage: bench_pool [OPTION...]\n"
    "\n"
    "Primary-key selects from table world (worker/examples/techempower.sql),\n"
    "prepared, in a closed loop.\n"
    "\n"
    "  --conninfo C         the server; default $MEWS_A, as set by\n"
    "                       tests/with-servers\n"
    "  --mode MODE          how they are sent:\n"
    "       single          one in flight on each connection\n"
    "       sync            pipelined, each with a Sync of its own (default)\n"
    "       batch           pipelined, those of one turn share a Sync\n"
    "       lease           take a connection, one query, give it back\n"
    "       empty           take a free connection, give it back: no query\n"
    "       tick            a turn of the loop in which nothing happens\n"
    "  --connections K      (4)\n"
    "  --inflight N         queries in flight on all of them (64); modes\n"
    "                       single and lease: one for each connection\n"
    "  --endpoints E        the same server under so many names (1)\n"
    "  --seconds S          how long (2), or\n"
    "  --queries N          how many\n"
    "  --raw                in bare libpq instead (lease: as single)\n"
    "  --traced             each query has a traceparent; slow_query,\n"
    "                       slow_query_parameters and trace_comments are on\n"
    "  --count-allocations  print malloc, calloc and realloc calls per query,\n"
    "                       those of libpq and those of all others\n"
    "  --count-instructions print instructions per query, counted in a copy\n"
    "                       of this program under valgrind --tool=callgrind,\n"
    "                       in the measured loop only (--queries, 20000)\n"
    "  --count-sends        the same, of the calls only that send (what it\n"
    "                       costs to choose a connection, and libpq's part)\n"
    "                       or, in mode empty, that take and give\n"
    "  --profile FILE       keep callgrind's file, for callgrind_annotate\n"
    "\n"
    "Prints a line of KEY=VALUE. What the pool costs above libpq is the\n"
    "difference between two runs, without and with --raw.\n";

static const char *const mode_names[BENCH_MODES] = {
	[BENCH_SINGLE] = "single",
	[BENCH_SYNC] = "sync",
	[BENCH_BATCH] = "batch",
	[BENCH_LEASE] = "lease",
	[BENCH_EMPTY] = "empty",
	[BENCH_TICK] = "tick",
};

struct options {
	struct bench bench;
	double seconds;
	uint64_t queries; /* how many queries; 0: until a time has passed */
	bool raw, count_allocations, count_instructions;
	const char *profile;
};

void
bench_row(struct bench *bench, const PGresult *result)
{
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		errx(1, "%s", PQresultErrorMessage(result));
	if (PQntuples(result) != 1)
		errx(1, "%d rows instead of 1", PQntuples(result));
	bench->sum += (unsigned char)PQgetvalue(result, 0, 0)[0];
	bench->sum += (unsigned char)PQgetvalue(result, 0, 1)[0];
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void __attribute__((noreturn))
misuse(const char *what, const char *value)
{
	fprintf(stderr, "bench_pool: %s%s%s; see bench_pool --help\n", what,
	    value == NULL ? "" : ": ", value == NULL ? "" : value);
	exit(2);
}

static unsigned
number(const char *text, long long most)
{
	const char *wrong;
	long long value = strtonum(text, 1, most, &wrong);

	if (wrong != NULL)
		misuse(text, wrong);
	return (unsigned)value;
}

static enum bench_mode
mode_of(const char *name)
{
	for (unsigned i = 0; i < BENCH_MODES; i++)
		if (strcmp(mode_names[i], name) == 0)
			return (enum bench_mode)i;
	misuse("no such mode", name);
}

static void
parse(struct options *o, int argc, char **argv)
{
	static const struct option known[] = {
		{ "conninfo", required_argument, NULL, 'c' },
		{ "mode", required_argument, NULL, 'm' },
		{ "connections", required_argument, NULL, 'k' },
		{ "inflight", required_argument, NULL, 'n' },
		{ "endpoints", required_argument, NULL, 'e' },
		{ "seconds", required_argument, NULL, 's' },
		{ "queries", required_argument, NULL, 'q' },
		{ "raw", no_argument, NULL, 'r' },
		{ "count-allocations", no_argument, NULL, 'a' },
		{ "count-instructions", no_argument, NULL, 'i' },
		{ "count-sends", no_argument, NULL, 'o' },
		{ "traced", no_argument, NULL, 't' },
		{ "profile", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	char *end;
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
		switch (option) {
		case 'c':
			o->bench.conninfo = optarg;
			break;
		case 'm':
			o->bench.mode = mode_of(optarg);
			break;
		case 'k':
			o->bench.connections = number(optarg,
			    MEWS_CONNECTIONS_MAX);
			break;
		case 'n':
			o->bench.inflight = number(optarg, 10000);
			break;
		case 'e':
			o->bench.endpoints = number(optarg,
			    MEWS_ENDPOINTS_MAX);
			break;
		case 's':
			o->seconds = strtod(optarg, &end);
			if (*end != '\0' || !(o->seconds > 0) ||
			    o->seconds > 3600)
				misuse("--seconds", optarg);
			break;
		case 'q':
			o->queries = number(optarg, UINT32_MAX);
			break;
		case 'r':
			o->raw = true;
			break;
		case 'a':
			o->count_allocations = true;
			break;
		case 'i':
			o->count_instructions = true;
			break;
		case 'o':
			o->count_instructions = true;
			o->bench.count_sends = true;
			break;
		case 't':
			o->bench.traced = true;
			break;
		case 'p':
			o->profile = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			misuse("bad usage", NULL);
		}
	if (optind < argc)
		misuse("unexpected argument", argv[optind]);
}

static void
settle(struct options *o)
{
	struct bench *b = &o->bench;

	if (b->conninfo == NULL && (b->conninfo = getenv("MEWS_A")) == NULL)
		misuse("--conninfo is missing", NULL);
	if (o->raw && (b->mode >= BENCH_EMPTY || b->endpoints > 1 ||
	    b->count_sends))
		misuse("--raw has nothing to do with endpoints, --count-sends "
		    "and modes without queries", NULL);
	if (b->mode == BENCH_SINGLE || b->mode == BENCH_LEASE)
		b->inflight = b->connections;
	if (o->count_instructions && o->queries == 0)
		o->queries = COUNTED_QUERIES;
}

/* Send no more, and let all that is in flight end. */
static void
drain(struct bench *b, const struct bench_side *side, void *handle)
{
	b->stop = true;
	while (b->ended < b->sent)
		side->turn(handle);
	b->stop = false;
}

static void
run_until(struct bench *b, const struct bench_side *side, void *handle,
    double until)
{
	while (now() < until && b->ended < b->limit)
		side->turn(handle);
}

static void
warm_up(struct options *o, const struct bench_side *side, void *handle)
{
	struct bench *b = &o->bench;

	b->limit = UINT64_MAX;
	if (o->queries == 0)
		run_until(b, side, handle, now() + WARM_SECONDS);
	while (b->ended < WARM_QUERIES)
		side->turn(handle);
	drain(b, side, handle);
}

/* Run the measured loop; returns how long it took. */
static double
measure(struct options *o, const struct bench_side *side, void *handle)
{
	struct bench *b = &o->bench;
	double began = now();

	b->sent = b->ended = 0;
	if (o->queries == 0) {
		run_until(b, side, handle, began + o->seconds);
		return now() - began;
	}
	b->limit = o->queries;
	if (o->count_instructions && !b->count_sends)
		bench_instructions_start();
	while (b->ended < b->limit)
		side->turn(handle);
	if (o->count_instructions && !b->count_sends)
		bench_instructions_stop();
	return now() - began;
}

static void
run(struct options *o)
{
	const struct bench_side *side = o->raw ? &bench_raw : &bench_mews;
	struct bench *b = &o->bench;
	struct bench_allocations allocations = { 0 };
	void *handle = side->open(b);
	double seconds;
	uint64_t ended;

	warm_up(o, side, handle);
	if (o->count_allocations && !bench_allocations_start())
		errx(1, "this build cannot count allocations");
	b->measuring = true;
	seconds = measure(o, side, handle);
	b->measuring = false;
	ended = b->ended;
	if (o->count_allocations)
		allocations = bench_allocations_stop();
	drain(b, side, handle);
	side->close(handle);

	printf("qps=%.0f warnings=%u", (double)ended / seconds, b->warnings);
	if (o->count_allocations)
		printf(" allocations=%.3f allocations_libpq=%.3f",
		    (double)allocations.others / (double)ended,
		    (double)allocations.libpq / (double)ended);
}

int
main(int argc, char **argv)
{
	struct options o = {
		.bench = { .mode = BENCH_SYNC, .connections = 4,
			.inflight = 64, .endpoints = 1, .dice = 2463534242 },
		.seconds = 2,
	};

	parse(&o, argc, argv);
	settle(&o);
	if (o.count_instructions && bench_instructions_inside()) {
		if (freopen("/dev/null", "w", stdout) == NULL)
			err(1, "/dev/null");
		run(&o);
		return 0;
	}
	if (o.count_instructions)
		printf("instructions=%.1f queries=%llu",
		    (double)bench_instructions_run(argv, o.profile) /
			(double)o.queries,
		    (unsigned long long)o.queries);
	else
		run(&o);
	printf(" mode=%s connections=%u inflight=%u endpoints=%u raw=%d\n",
	    mode_names[o.bench.mode], o.bench.connections, o.bench.inflight,
	    o.bench.endpoints, o.raw);
	return 0;
}
