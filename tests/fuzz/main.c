/*
 * main.c - RUNS FILE...: run a target without libFuzzer.
 *
 * Each run begins with a seed from the files and depends on nothing but its own
 * number, so a run that failed can be repeated: -NUMBER instead of RUNS is that
 * run alone. The runs happen in a child, which leaves its number in shared
 * memory when it dies.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEEDS_MAX 1000
#define INPUT_MAX 65536 /* bytes of an input */
#define CHANGES_MAX 8	/* changes to a seed */

struct input {
	size_t size;
	char data[INPUT_MAX];
};

static struct input seeds[SEEDS_MAX];
static size_t	    seed_count;
static uint64_t	    random_state;

/* The next random number (splitmix64). */
static uint64_t
dice(void)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* A random number from 0 to @below - 1; 0 if @below is 0. */
static size_t
any(size_t below)
{
	return below == 0 ? 0 : (size_t)(dice() % below);
}

static void
add_seed(const char *data, size_t size)
{
	if (seed_count == SEEDS_MAX || size > INPUT_MAX) {
		fprintf(stderr, "fuzz: too many seeds, or too long a one\n");
		exit(2);
	}
	memcpy(seeds[seed_count].data, data, size);
	seeds[seed_count++].size = size;
}

static void
read_seeds(const char *path)
{
	static struct input file;
	FILE	*in = fopen(path, "r");
	char	*line, *end;

	if (in == NULL) {
		perror(path);
		exit(2);
	}
	file.size = fread(file.data, 1, sizeof(file.data), in);
	fclose(in);
	if (!fuzz_lines) {
		add_seed(file.data, file.size);
		return;
	}
	for (line = file.data; (end = memchr(line, '\n',
	    file.size - (size_t)(line - file.data))) != NULL; line = end + 1)
		add_seed(line, (size_t)(end - line));
}

/* Put @size bytes of @data, or as many as have room, in place of @cut bytes. */
static void
replace(struct input *input, size_t at, size_t cut, const char *data,
    size_t size)
{
	size_t tail;

	if (cut > input->size - at)
		cut = input->size - at;
	tail = input->size - at - cut;
	if (size > INPUT_MAX - at - tail)
		size = INPUT_MAX - at - tail;
	memmove(input->data + at + size, input->data + at + cut, tail);
	memcpy(input->data + at, data, size);
	input->size = at + size + tail;
}

static void
change(struct input *input)
{
	static const char numbers[][24] = { "0", "-1", "1", "2147483647",
		"4294967296", "9223372036854775807", "18446744073709551616",
		"1e9", "0x10", "007" };
	static struct input piece;
	const struct input *other;
	size_t	at = any(input->size + 1), from, words = 0;
	char	byte = (char)dice();

	switch (any(7)) {
	case 0:	/* change a byte */
		replace(input, at, 1, &byte, 1);
		break;
	case 1:	/* insert a byte */
		replace(input, at, 0, &byte, 1);
		break;
	case 2:	/* remove some bytes */
		replace(input, at, any(32), "", 0);
		break;
	case 3:	/* cut off the end */
		input->size = at;
		break;
	case 4:	/* insert a part of another seed */
		other = &seeds[any(seed_count)];
		from = any(other->size);
		piece.size = any(other->size - from + 1);
		memcpy(piece.data, other->data + from, piece.size);
		replace(input, at, any(8), piece.data, piece.size);
		break;
	case 5:	/* insert a word */
		while (fuzz_words[words] != NULL)
			words++;
		words = any(words);
		replace(input, at, any(8), fuzz_words[words],
		    strlen(fuzz_words[words]));
		break;
	case 6:	/* insert a number */
		from = any(sizeof(numbers) / sizeof(numbers[0]));
		replace(input, at, any(4), numbers[from],
		    strlen(numbers[from]));
		break;
	}
}

static void
run(uint64_t number)
{
	static struct input input;

	random_state = number;
	input = seeds[any(seed_count)];
	for (size_t left = 1 + any(CHANGES_MAX); left > 0; left--)
		change(&input);
	LLVMFuzzerTestOneInput((const uint8_t *)input.data, input.size);
}

int
main(int argc, char *argv[])
{
	long	 runs = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
	long	*number;
	int	 status;
	pid_t	 child;

	for (int i = 2; i < argc; i++)
		read_seeds(argv[i]);
	if (runs == 0 || seed_count == 0) {
		fprintf(stderr, "usage: %s RUNS|-NUMBER FILE...\n", argv[0]);
		return 2;
	}
	if (runs < 0) {
		run((uint64_t)-runs);
		return 0;
	}
	number = mmap(NULL, sizeof(*number), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (number == MAP_FAILED || (child = fork()) == -1) {
		perror("fuzz");
		return 2;
	}
	if (child == 0) {
		for (*number = 1; *number <= runs; (*number)++)
			run((uint64_t)*number);
		exit(0);
	}
	if (waitpid(child, &status, 0) != child || status != 0) {
		printf("it died, status %#x; repeat it with -%ld\n",
		    (unsigned)status, *number);
		return 1;
	}
	return 0;
}
