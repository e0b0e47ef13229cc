/*
 * inside.h - what the tests of the library's inside share.
 *
 * Randomness comes from dice() with a fixed seed, so a failure repeats.
 * Processes meet in memory from shared(), and at a gate, so that they act at
 * the same instant.
 */
#ifndef TESTS_UNIT_INSIDE_H
#define TESTS_UNIT_INSIDE_H

#include "unit.h"

#include <errno.h>
#include <locale.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* ck_assert() writes a mark each time; REQUIRE is for loops of thousands. */
#define REQUIRE(condition)						\
	do {								\
		if (!(condition))					\
			ck_abort_msg("not so: %s", #condition);		\
	} while (0)

/* The next random number of the sequence that @seed is in (splitmix64). */
static inline uint64_t
dice(uint64_t *seed)
{
	uint64_t	z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline void
fill_randomly(void *memory, size_t size, uint64_t *seed)
{
	unsigned char	*byte = memory;

	for (size_t i = 0; i < size; i++)
		byte[i] = (unsigned char)dice(seed);
}

/* Memory of zeros that forked children share. */
static inline void *
shared(size_t size)
{
	void	*memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(memory, MAP_FAILED);
	return memory;
}

/*
 * Memory of @size bytes; the byte behind them faults when it is touched.
 */
static inline char *
fenced(size_t size)
{
	size_t	page = (size_t)sysconf(_SC_PAGESIZE);
	size_t	whole = (size + page - 1) / page * page;
	char   *memory = shared(whole + page);

	ck_assert_int_eq(mprotect(memory + whole, page, PROT_NONE), 0);
	return memory + whole - size;
}

/*
 * Wait until all of @count processes stand here, for the @round-th time. A
 * process that waits spins a while before it yields, so that some leave at the
 * same instant.
 */
static inline void
gate(_Atomic unsigned *arrived, unsigned count, unsigned round)
{
	atomic_fetch_add(arrived, 1);
	for (unsigned spin = 1; atomic_load(arrived) < count * (round + 1);
	     spin++)
		if (spin % 256 == 0)
			sched_yield();
}

/* Fork @count children that run @work(@arg, number) and end. */
static inline void
fork_children(pid_t *children, int count, void (*work)(void *, int),
    void *arg)
{
	for (int i = 0; i < count; i++) {
		children[i] = fork();
		ck_assert_int_ne(children[i], -1);
		if (children[i] == 0) {
			work(arg, i);
			_exit(0);
		}
	}
}

/* Wait for @count children; each must have ended well. */
static inline void
wait_children(const pid_t *children, int count)
{
	int	status;

	for (int i = 0; i < count; i++) {
		ck_assert_int_eq(waitpid(children[i], &status, 0),
		    children[i]);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		    "child %d ended with status %#x", i, (unsigned)status);
	}
}

static inline void
in_children(int count, void (*work)(void *, int), void *arg)
{
	pid_t	children[64];

	ck_assert_int_le(count, COUNT(children));
	fork_children(children, count, work, arg);
	wait_children(children, count);
}

/*
 * Use a locale like those of Turkey: the decimal point is a comma and the small
 * letter of I is not i. In addition the dollar sign is a letter. False where
 * localedef(1) cannot make such a locale.
 */
static inline bool
use_odd_locale(void)
{
	static const char definition[] =
	    "LC_NUMERIC\ndecimal_point \",\"\nthousands_sep \"\"\n"
	    "grouping -1\nEND LC_NUMERIC\n"
	    "LC_CTYPE\nupper A;B;I;N;T;O\nlower a;b;i;n;t;o\n"
	    "alpha <U0024>;A;B;I;N;T;O;a;b;i;n;t;o\n"
	    "tolower (A,a);(B,b);(N,n);(T,t);(O,o)\nEND LC_CTYPE\n";
	char	 directory[] = "/tmp/mews-locale-XXXXXX", command[512];
	FILE	*out;
	bool	 made;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(command, sizeof(command), "%s/odd.src", directory);
	ck_assert_ptr_nonnull(out = fopen(command, "w"));
	fputs(definition, out);
	ck_assert_int_eq(fclose(out), 0);
	snprintf(command, sizeof(command), "cd %s && "
	    "localedef -c -i odd.src ./odd >log 2>&1; test -e odd/LC_CTYPE",
	    directory);
	made = system(command) == 0;
	ck_assert_int_eq(setenv("LOCPATH", directory, 1), 0);
	if (made)
		ck_assert_ptr_nonnull(setlocale(LC_ALL, "odd"));
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	ck_assert_int_eq(system(command), 0);
	return made;
}

#endif
