/*
 * judge.c - promises against figures; see judge.h.
 */
#include "judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLACK 3

static void
tell(struct judge *judge, enum weight weight, const char *figure,
    double value, const char *sign, double promise, bool holds)
{
	char	text[40] = "-";

	if (weight != JUDGE_INFO)
		snprintf(text, sizeof(text), "%s%g", sign, promise);
	printf("# fault=%s figure=%s value=%.10g promise=%s ok=%s\n",
	    judge->fault, figure, value, text, holds ? "yes" : "no");
	fflush(stdout);
}

/* The most that is allowed for a figure of that weight. */
static double
allowed(const struct judge *judge, enum weight weight, const char *figure,
    double most)
{
	size_t	length = strlen(figure);

	if (weight != JUDGE_TIME || judge->strict)
		return most;
	if (length > 3 && strcmp(figure + length - 3, "_ms") == 0)
		most += judge->late_ms;
	return most * SLACK;
}

void
judge_figure(struct judge *judge, enum weight weight, const char *figure,
    double value, double most)
{
	bool	holds = weight == JUDGE_INFO || (value >= 0 && value <= most);

	tell(judge, weight, figure, value, "<=", most, holds);
	if (weight == JUDGE_GOAL && !judge->strict)
		return;
	if (!holds &&
	    (value < 0 || value > allowed(judge, weight, figure, most)))
		judge->broken++;
}

void
judge_least(struct judge *judge, enum weight weight, const char *figure,
    double value, double least)
{
	double	slack = weight == JUDGE_TIME && !judge->strict ? SLACK : 1;
	bool	holds = weight == JUDGE_INFO || value >= least;

	tell(judge, weight, figure, value, ">=", least, holds);
	if (value < least / slack)
		judge->broken++;
}

/* The next request after @at that counts, or NULL. */
static const struct request *
next(const struct scope *scope, uint32_t *at)
{
	uint32_t	count = ledger_count(scope->ledger);

	while (*at < count) {
		const struct request *r = &scope->ledger->requests[(*at)++];

		if (r->due_us == 0 || (scope->lives != NULL &&
			r->life != scope->lives[r->worker]) ||
		    (scope->from_us != 0 && r->due_us < scope->from_us) ||
		    (scope->to_us != 0 && r->due_us > scope->to_us))
			continue;
		return r;
	}
	return NULL;
}

static int64_t
end_us(const struct request *request)
{
	return atomic_load(&request->end_us);
}

/* How long the request took; one that has not ended took until now. */
static int64_t
took_us(const struct request *request)
{
	int64_t	end = end_us(request);

	return (end != 0 ? end : ledger_now()) - request->due_us;
}

unsigned
judge_failed(const struct scope *scope, bool write, int64_t least_us,
    bool late)
{
	const struct request   *r;
	unsigned		failed = 0;

	for (uint32_t at = 0; (r = next(scope, &at)) != NULL;)
		failed += r->write == write &&
		    (end_us(r) == 0 || r->status != MEWS_OK) &&
		    late == (took_us(r) >= least_us);
	return failed;
}

unsigned
judge_slower(const struct scope *scope, int64_t us)
{
	const struct request   *r;
	unsigned		slower = 0;

	for (uint32_t at = 0; (r = next(scope, &at)) != NULL;)
		slower += !r->write && took_us(r) > us;
	return slower;
}

static int
by_value(const void *a, const void *b)
{
	int64_t	x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

double
judge_percentile_ms(const struct scope *scope, double part)
{
	const struct request   *r;
	int64_t		       *all;
	size_t			count = 0;
	double			ms = 0;

	if ((all = calloc(LEDGER_REQUESTS, sizeof(*all))) == NULL)
		return -1;
	for (uint32_t at = 0; (r = next(scope, &at)) != NULL;)
		if (!r->write)
			all[count++] = took_us(r);
	qsort(all, count, sizeof(*all), by_value);
	if (count > 0)
		ms = (double)all[(size_t)((double)(count - 1) * part)] / 1e3;
	free(all);
	return ms;
}

double
judge_longest_ms(const struct scope *scope)
{
	return judge_percentile_ms(scope, 1);
}

unsigned
judge_in_flight(const struct scope *scope, unsigned endpoint,
    int64_t before_us)
{
	const struct request   *r;
	unsigned		count = 0;

	for (uint32_t at = 0; (r = next(scope, &at)) != NULL;)
		count += !r->write && r->picked == endpoint &&
		    r->picked_us <= before_us &&
		    (end_us(r) == 0 || end_us(r) > before_us);
	return count;
}

int64_t
judge_first_write_us(const struct scope *scope, unsigned endpoint)
{
	const struct request   *r;
	int64_t			first = 0;

	for (uint32_t at = 0; (r = next(scope, &at)) != NULL;)
		if (r->write && end_us(r) != 0 && r->status == MEWS_OK &&
		    r->answered == endpoint &&
		    (first == 0 || end_us(r) < first))
			first = end_us(r);
	return first;
}

struct truth
judge_writes(const struct scope *scope, const char *there)
{
	struct scope		all = *scope;
	struct truth		truth = { 0 };
	const struct request   *r;

	/* Answers to a process count, even if it was killed later. */
	all.lives = NULL;
	for (uint32_t at = 0; (r = next(&all, &at)) != NULL;) {
		bool	is_there = there[r - scope->ledger->requests] != 0;

		if (!r->write)
			continue;
		if (end_us(r) == 0) {
			truth.unended += r->life == scope->lives[r->worker];
		} else if (r->status == MEWS_OK) {
			truth.acknowledged++;
			truth.lost += !is_there;
		} else if (r->status == MEWS_LOST) {
			truth.unknown++;
		} else {
			truth.refused++;
			truth.untrue += is_there;
		}
	}
	return truth;
}
