/*
 * bench_count.c - the cost of a query in other units than time.
 *
 * Allocations: this program's malloc() replaces libc's, for libpq and libmews
 * as well, and looks at where it was called from. Instructions: callgrind
 * counts them in a copy of this program, exactly, whatever else the machine
 * does.
 */
#include "bench.h"

#include <err.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

#if defined(__has_include)
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#define HAVE_CALLGRIND 1
#endif
#endif

/*
 * --- allocations ---
 */

#if defined(__GLIBC__) && !defined(SANITIZED)

static bool counting;
static struct bench_allocations allocations;
static uintptr_t libpq_begin, libpq_end;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static void
count(const void *caller)
{
	if ((uintptr_t)caller >= libpq_begin && (uintptr_t)caller < libpq_end)
		allocations.libpq++;
	else
		allocations.others++;
}

void *
malloc(size_t size)
{
	if (counting)
		count(__builtin_return_address(0));
	return __libc_malloc(size);
}

void *
calloc(size_t number, size_t size)
{
	if (counting)
		count(__builtin_return_address(0));
	return __libc_calloc(number, size);
}

void *
realloc(void *old, size_t size)
{
	if (counting)
		count(__builtin_return_address(0));
	return __libc_realloc(old, size);
}

static int
find_libpq(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	if (strstr(info->dlpi_name, "/libpq.so") == NULL)
		return 0;
	libpq_begin = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		uintptr_t end = info->dlpi_addr +
		    info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;

		if (info->dlpi_phdr[i].p_type == PT_LOAD && end > libpq_end)
			libpq_end = end;
	}
	return 1;
}

bool
bench_allocations_start(void)
{
	if (dl_iterate_phdr(find_libpq, NULL) == 0)
		errx(1, "no libpq.so in this process");
	allocations = (struct bench_allocations) { 0 };
	counting = true;
	return true;
}

struct bench_allocations
bench_allocations_stop(void)
{
	counting = false;
	return allocations;
}

#else

bool
bench_allocations_start(void)
{
	return false;
}

struct bench_allocations
bench_allocations_stop(void)
{
	return (struct bench_allocations) { 0 };
}

#endif

/*
 * --- instructions ---
 */

#ifdef HAVE_CALLGRIND

bool
bench_instructions_inside(void)
{
	return RUNNING_ON_VALGRIND != 0;
}

void
bench_instructions_start(void)
{
	CALLGRIND_TOGGLE_COLLECT;
}

void
bench_instructions_stop(void)
{
	CALLGRIND_TOGGLE_COLLECT;
}

#else

bool
bench_instructions_inside(void)
{
	return false;
}

void
bench_instructions_start(void)
{
}

void
bench_instructions_stop(void)
{
}

#endif

static void
run_copy(char **argv, const char *profile)
{
	char *copy[64], file[300];
	int count = 0, status;
	pid_t pid;

	snprintf(file, sizeof(file), "--callgrind-out-file=%s", profile);
	copy[count++] = (char *)(uintptr_t)"valgrind";
	copy[count++] = (char *)(uintptr_t)"-q";
	copy[count++] = (char *)(uintptr_t)"--tool=callgrind";
	copy[count++] = (char *)(uintptr_t)"--collect-atstart=no";
	copy[count++] = file;
	copy[count++] = (char *)(uintptr_t)"/proc/self/exe";
	for (int i = 1; argv[i] != NULL; i++) {
		if (count == 63)
			errx(2, "too many arguments");
		copy[count++] = argv[i];
	}
	copy[count] = NULL;
	/* The real path, as valgrind would take /proc/self/exe for itself. */
	if ((copy[5] = realpath(copy[5], NULL)) == NULL)
		err(1, "/proc/self/exe");
	fflush(stdout);
	if ((pid = fork()) == 0) {
		execvp(copy[0], copy);
		err(127, "valgrind");
	}
	if (pid == -1 || waitpid(pid, &status, 0) != pid)
		err(1, "valgrind");
	free(copy[5]);
	if (status != 0)
		errx(1, "the copy under valgrind failed");
}

uint64_t
bench_instructions_run(char **argv, const char *profile)
{
	char temp[] = "/tmp/bench_pool.XXXXXX", line[4096];
	unsigned long long total = 0;
	FILE *f;
	int fd;

#ifndef HAVE_CALLGRIND
	errx(2, "built without valgrind/callgrind.h: install valgrind, and "
	    "build again");
#endif
	if (profile == NULL) {
		if ((fd = mkstemp(temp)) == -1)
			err(1, "%s", temp);
		close(fd);
	}
	run_copy(argv, profile != NULL ? profile : temp);
	if ((f = fopen(profile != NULL ? profile : temp, "re")) == NULL)
		err(1, "%s", profile != NULL ? profile : temp);
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "totals: %llu", &total) == 1)
			break;
	fclose(f);
	if (profile == NULL)
		unlink(temp);
	if (total == 0)
		errx(1, "callgrind counted nothing");
	return total;
}
