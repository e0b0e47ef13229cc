/*
 * history.c - how a fleet was in each of the last ten minutes' seconds.
 *
 * A series for each name, so that memory is touched only for names that there
 * are. A moment lies at its second's place in a ring.
 */
#include "history.h"

#include "json.h"

#include <inttypes.h>
#include <mews/config.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* +1 with each change of what follows; the sizes are told besides. */
#define HISTORY_LAYOUT 1

/* A name, and when it was heard of last. */
struct series {
	char name[MEWS_NAME_MAX + 1];
	uint32_t last;
};

/* For who takes it over; never changed. */
struct shape {
	char what[12];
	uint32_t layout, seconds, endpoints, groups, of_endpoint, of_group;
};

static const struct shape our_shape = { "mewshistory", HISTORY_LAYOUT,
	HISTORY_SECONDS, MEWS_ENDPOINTS_MAX, MEWS_GROUPS_MAX,
	sizeof(struct history_endpoint), sizeof(struct history_group) };

struct history {
	struct shape shape;
	struct series endpoints[MEWS_ENDPOINTS_MAX];
	struct series groups[MEWS_GROUPS_MAX];
	struct history_endpoint of_endpoint[MEWS_ENDPOINTS_MAX]
	    [HISTORY_SECONDS];
	struct history_group of_group[MEWS_GROUPS_MAX][HISTORY_SECONDS];
};

struct history *
history_make(int *out)
{
	struct history *history;
	int		fd = memfd_create("mews-history", MFD_CLOEXEC);
	void	       *memory = MAP_FAILED;

	if (out != NULL)
		*out = -1;
	if (fd != -1 && ftruncate(fd, sizeof(struct history)) == 0)
		memory = mmap(NULL, sizeof(struct history),
		    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory != MAP_FAILED && out != NULL)
		*out = fd;
	else if (fd != -1)
		close(fd);
	if (memory == MAP_FAILED)
		return NULL;
	history = memory;
	history->shape = our_shape;
	return history;
}

/* The place of a name; the moments of who was there before are cleared. */
static size_t
place(struct series *all, size_t count, const char *name, void *moments,
    size_t size)
{
	size_t	at = 0;

	for (size_t i = 0; i < count; i++) {
		if (strncmp(all[i].name, name, MEWS_NAME_MAX) == 0)
			return i;
		if (all[i].last < all[at].last)
			at = i;
	}
	all[at].name[0] = '\0';
	memset((char *)moments + at * size, 0, size);
	strncpy(all[at].name, name, MEWS_NAME_MAX);
	return at;
}

void
history_add_endpoint(struct history *history, uint32_t second,
    const char *name, const struct history_endpoint *moment)
{
	struct history_endpoint	*to;
	size_t			 at;

	if (history == NULL || name[0] == '\0')
		return;
	at = place(history->endpoints, MEWS_ENDPOINTS_MAX, name,
	    history->of_endpoint, sizeof(history->of_endpoint[0]));
	to = &history->of_endpoint[at][second % HISTORY_SECONDS];
	atomic_store(&to->second, 0);
	to->state = moment->state;
	to->role = moment->role;
	to->rtt_us = moment->rtt_us;
	to->lag_ms = moment->lag_ms;
	to->answers = moment->answers;
	atomic_store(&to->second, second);
	history->endpoints[at].last = second;
}

void
history_add_group(struct history *history, uint32_t second, const char *name,
    const struct history_group *moment)
{
	struct history_group	*to;
	size_t			 at;

	if (history == NULL || name[0] == '\0')
		return;
	at = place(history->groups, MEWS_GROUPS_MAX, name, history->of_group,
	    sizeof(history->of_group[0]));
	to = &history->of_group[at][second % HISTORY_SECONDS];
	atomic_store(&to->second, 0);
	to->waiting = moment->waiting;
	to->ended = moment->ended;
	to->failed = moment->failed;
	to->run_us = moment->run_us;
	atomic_store(&to->second, second);
	history->groups[at].last = second;
}

/*
 * Taking over.
 */

static bool
is_letter(char c)
{
	return c == '-' || (c >= 'a' && c <= 'z');
}

/* A name that a configuration could have. */
static bool
is_name(const struct series *series)
{
	const char *end = memchr(series->name, '\0', sizeof(series->name));

	if (end == NULL || end == series->name)
		return false;
	for (const char *c = series->name; c < end; c++)
		if (*c <= ' ' || *c > '~')
			return false;
	return true;
}

/* Nothing is younger than it, as far as we remember. */
static bool
is_news(const struct series *all, size_t count, const char *name,
    uint32_t second)
{
	for (size_t i = 0; i < count; i++)
		if (strncmp(all[i].name, name, MEWS_NAME_MAX) == 0)
			return all[i].last < second;
	return true;
}

static void
take_endpoint(struct history *to, const struct history *from, size_t i,
    uint32_t now)
{
	const struct series *series = &from->endpoints[i];

	/* The oldest first, as the youngest is kept of a name. */
	for (uint32_t age = HISTORY_SECONDS; age-- > 0 && is_name(series);) {
		uint32_t second = now - age;
		const struct history_endpoint *m = &from->of_endpoint[i]
		    [second % HISTORY_SECONDS];

		if (age < now && atomic_load(&m->second) == second &&
		    is_letter(m->state) && is_letter(m->role) &&
		    m->lag_ms >= -1 &&
		    is_news(to->endpoints, MEWS_ENDPOINTS_MAX, series->name,
			second))
			history_add_endpoint(to, second, series->name, m);
	}
}

static void
take_group(struct history *to, const struct history *from, size_t i,
    uint32_t now)
{
	const struct series *series = &from->groups[i];

	for (uint32_t age = HISTORY_SECONDS; age-- > 0 && is_name(series);) {
		uint32_t second = now - age;
		const struct history_group *m = &from->of_group[i]
		    [second % HISTORY_SECONDS];

		if (age < now && atomic_load(&m->second) == second &&
		    is_news(to->groups, MEWS_GROUPS_MAX, series->name,
			second))
			history_add_group(to, second, series->name, m);
	}
}

bool
history_take(struct history *history, int fd, uint32_t now)
{
	struct history *from = malloc(sizeof(*from));
	struct stat	st;
	bool		good;

	/* A copy: its writer may live, and the file may shrink. */
	good = from != NULL && fstat(fd, &st) == 0 &&
	    st.st_size == (off_t)sizeof(*from) &&
	    pread(fd, from, sizeof(*from), 0) == (ssize_t)sizeof(*from) &&
	    memcmp(&from->shape, &our_shape, sizeof(our_shape)) == 0;
	for (size_t i = 0; good && i < MEWS_ENDPOINTS_MAX; i++)
		take_endpoint(history, from, i, now);
	for (size_t i = 0; good && i < MEWS_GROUPS_MAX; i++)
		take_group(history, from, i, now);
	free(from);
	return good;
}

/*
 * Printing.
 */

static bool
is_in(const struct series *series, uint32_t from, uint32_t to)
{
	return series->name[0] != '\0' && series->last >= from &&
	    series->last <= to;
}

/* The first second from @from on in which something is known, at most @to. */
static uint32_t
first_known(const struct history *history, uint32_t from, uint32_t to)
{
	uint32_t	second, first = to;

	for (size_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		for (second = from; is_in(&history->endpoints[i], from, to) &&
		    second < first; second++)
			if (atomic_load(&history->of_endpoint[i]
			    [second % HISTORY_SECONDS].second) == second)
				first = second;
	for (size_t i = 0; i < MEWS_GROUPS_MAX; i++)
		for (second = from; is_in(&history->groups[i], from, to) &&
		    second < first; second++)
			if (atomic_load(&history->of_group[i]
			    [second % HISTORY_SECONDS].second) == second)
				first = second;
	return first;
}

/* A list, ,"name":[1,null], of a member of a series' moments. */
#define PRINT_LIST(name, moments, member, is_known)                         \
	do {                                                                \
		fputs(",\"" name "\":[", out);                              \
		for (uint32_t s = from; s <= to; s++) {                     \
			m = &(moments)[s % HISTORY_SECONDS];                \
			if (s > from)                                       \
				fputc(',', out);                            \
			if (atomic_load(&m->second) == s && (is_known))     \
				fprintf(out, "%" PRId64,                    \
				    (int64_t)m->member);                    \
			else                                                \
				fputs("null", out);                         \
		}                                                           \
		fputc(']', out);                                            \
	} while (0)

static void
print_endpoint(const struct series *series,
    const struct history_endpoint *moments, uint32_t from, uint32_t to,
    FILE *out)
{
	const struct history_endpoint	*m;

	fputs("{\"name\":", out);
	json_string(out, series->name);
	fputs(",\"state\":\"", out);
	for (uint32_t s = from; s <= to; s++) {
		m = &moments[s % HISTORY_SECONDS];
		fputc(atomic_load(&m->second) == s ? m->state : '-', out);
	}
	fputs("\",\"role\":\"", out);
	for (uint32_t s = from; s <= to; s++) {
		m = &moments[s % HISTORY_SECONDS];
		fputc(atomic_load(&m->second) == s ? m->role : '-', out);
	}
	fputc('"', out);
	PRINT_LIST("rtt_us", moments, rtt_us, m->rtt_us != 0);
	PRINT_LIST("lag_ms", moments, lag_ms, m->lag_ms >= 0);
	PRINT_LIST("answers", moments, answers, true);
	fputc('}', out);
}

static void
print_group(const struct series *series, const struct history_group *moments,
    uint32_t from, uint32_t to, FILE *out)
{
	const struct history_group	*m;

	fputs("{\"name\":", out);
	json_string(out, series->name);
	PRINT_LIST("waiting", moments, waiting, true);
	PRINT_LIST("ended", moments, ended, true);
	PRINT_LIST("failed", moments, failed, true);
	PRINT_LIST("run_us", moments, run_us, m->run_us != 0);
	fputc('}', out);
}

void
history_print(const struct history *history, uint32_t from, uint32_t to,
    FILE *out)
{
	const char	*comma = "";

	if (history == NULL) {
		fputs("null", out);
		return;
	}
	from = first_known(history, from, to);
	fprintf(out, "{\"from\":%" PRIu32 ",\"to\":%" PRIu32
	    ",\"endpoints\":[", from, to);
	for (size_t i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		if (is_in(&history->endpoints[i], from, to)) {
			fputs(comma, out);
			comma = ",";
			print_endpoint(&history->endpoints[i],
			    history->of_endpoint[i], from, to, out);
		}
	fputs("],\"groups\":[", out);
	comma = "";
	for (size_t i = 0; i < MEWS_GROUPS_MAX; i++)
		if (is_in(&history->groups[i], from, to)) {
			fputs(comma, out);
			comma = ",";
			print_group(&history->groups[i],
			    history->of_group[i], from, to, out);
		}
	fputs("]}", out);
}
