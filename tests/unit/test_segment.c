/*
 * test_segment.c - the file that a fleet shares: how it is made, mapped and
 * checked.
 */
#include "inside_fleet.h"

#include "fleet/segment.h"

#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>

static struct segment	 segment;
static struct mews_error error;
static const struct figures_room room = { 2, 6 };

static size_t
size_of(uint32_t endpoints, uint32_t slots)
{
	return sizeof(struct segment_header) +
	    endpoints * sizeof(struct segment_endpoint) +
	    slots * sizeof(struct segment_slot) +
	    sizeof(struct segment_orphans) + sizeof(struct events) +
	    slots * figures_size(room);
}

/* Make a good file of 3 endpoints and 4 slots, named @file; its size. */
static size_t
make_good(void)
{
	ck_assert_int_eq(segment_make(&segment, file, "shop", 3, 4, room,
	    &error), MEWS_OK);
	return segment.size;
}

static void
assert_refused(enum mews_status status, const char *why)
{
	struct segment	opened;

	memset(&opened, 0xa5, sizeof(opened));
	memset(&error, 0, sizeof(error));
	ck_assert_int_eq(segment_open(&opened, file, false, &error), status);
	ck_assert_int_eq(error.status, status);
	ck_assert_msg(strstr(error.message, why) != NULL, "\"%s\", not: %s",
	    error.message, why);
	ck_assert_ptr_nonnull(strstr(error.message, file));
	ck_assert_ptr_null(opened.header);
	segment_close(&opened);
	ck_assert_int_eq(segment_open(&opened, file, false, NULL), status);
}

START_TEST(a_new_segment_is_zero_but_for_its_header)
{
	static const struct segment_slot     no_slot;
	static const struct segment_endpoint no_endpoint;
	static const struct segment_orphans  no_orphans;

	ck_assert_int_eq(segment_make(&segment, NULL, "shop",
	    MEWS_ENDPOINTS_MAX, MEWS_WORKERS_MAX, room, NULL), MEWS_OK);
	ck_assert_uint_eq(segment.header->magic, SEGMENT_MAGIC);
	ck_assert_uint_eq(segment.header->abi, SEGMENT_ABI);
	ck_assert_str_eq(segment.header->instance, "shop");
	ck_assert_uint_eq(segment.endpoint_count, MEWS_ENDPOINTS_MAX);
	ck_assert_uint_eq(segment.slot_count, MEWS_WORKERS_MAX);
	ck_assert_uint_eq(segment.size, size_of(MEWS_ENDPOINTS_MAX,
	    MEWS_WORKERS_MAX));
	for (int i = 0; i < MEWS_ENDPOINTS_MAX; i++)
		ck_assert_mem_eq(&segment.endpoints[i], &no_endpoint,
		    sizeof(no_endpoint));
	for (int i = 0; i < MEWS_WORKERS_MAX; i++)
		ck_assert_mem_eq(&segment.slots[i], &no_slot, sizeof(no_slot));
	ck_assert_mem_eq(segment.orphans, &no_orphans, sizeof(no_orphans));
	segment_close(&segment);
	ck_assert_ptr_null(segment.header);
	segment_close(&segment);
}
END_TEST

/* A layout that differs from this one needs another number, on every
 * machine. */
START_TEST(the_layout_matches_its_version_number)
{
	ck_assert_uint_eq(SEGMENT_ABI, 16);
	ck_assert_uint_eq(sizeof(struct segment_header), 1536);
	ck_assert_uint_eq(offsetof(struct segment_header, figure_groups), 32);
	ck_assert_uint_eq(offsetof(struct segment_header, master_pid), 80);
	ck_assert_uint_eq(offsetof(struct segment_header, damaged_ms), 104);
	ck_assert_uint_eq(offsetof(struct segment_header, changes), 128);
	ck_assert_uint_eq(offsetof(struct segment_header, made_by), 256);
	ck_assert_uint_eq(offsetof(struct segment_header, groups), 268);
	ck_assert_uint_eq(sizeof(struct segment_endpoint), 896);
	ck_assert_uint_eq(offsetof(struct segment_endpoint, drained), 160);
	ck_assert_uint_eq(offsetof(struct segment_endpoint, elsewhere), 168);
	ck_assert_uint_eq(offsetof(struct segment_endpoint, login_ms), 184);
	ck_assert_uint_eq(offsetof(struct segment_endpoint, refusal), 312);
	ck_assert_uint_eq(offsetof(struct segment_endpoint, hostaddr), 456);
	ck_assert_uint_eq(offsetof(struct segment_endpoint, name), 608);
	ck_assert_uint_eq(offsetof(struct segment_endpoint, server), 640);
	ck_assert_uint_eq(sizeof(struct segment_slot), 3072);
	ck_assert_uint_eq(offsetof(struct segment_slot, holder), 8);
	ck_assert_uint_eq(offsetof(struct segment_slot, connections), 80);
	ck_assert_uint_eq(offsetof(struct segment_slot, group_connections),
	    464);
	ck_assert_uint_eq(offsetof(struct segment_slot, backends), 2512);
	ck_assert_uint_eq(sizeof(struct segment_orphans), 2048);
	ck_assert_uint_eq(sizeof(struct events), 65664);
	ck_assert_uint_eq(sizeof(struct event), 256);
	ck_assert_uint_eq(sizeof(struct figures), 4352);
	ck_assert_uint_eq(sizeof(struct figures_group), 408);
	ck_assert_uint_eq(sizeof(struct figures_pair), 280);
	ck_assert_uint_eq(offsetof(struct figures, statements), 216);
}
END_TEST

START_TEST(words_of_different_writers_share_no_cache_line)
{
	uintptr_t	at;

	make_good();
	at = (uintptr_t)segment.header;
	ck_assert_uint_eq(at % SEGMENT_LINE, 0);
	ck_assert_uint_eq(offsetof(struct segment_header, changes) %
	    SEGMENT_LINE, 0);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq((uintptr_t)&segment.endpoints[i] %
		    SEGMENT_LINE, 0);
	for (int i = 0; i < 4; i++)
		ck_assert_uint_eq((uintptr_t)&segment.slots[i] % SEGMENT_LINE,
		    0);
	ck_assert_ptr_eq(segment.orphans, &segment.slots[4]);
	ck_assert_uint_eq((uintptr_t)(segment.events + 1),
	    (uintptr_t)segment.figures);
	ck_assert_uint_eq((uintptr_t)segment_figures(&segment, 4),
	    at + segment.size);
	segment_close(&segment);
}
END_TEST

START_TEST(the_file_is_private_and_of_the_right_size)
{
	struct stat	st;

	umask(0);
	make_good();
	ck_assert_int_eq(stat(file, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(st.st_size, (off_t)size_of(3, 4));
	segment_close(&segment);
	ck_assert(file_exists());
}
END_TEST

START_TEST(a_process_that_opens_it_sees_what_others_write)
{
	struct segment	opened;

	make_good();
	ck_assert_int_eq(segment_open(&opened, file, false, &error), MEWS_OK);
	ck_assert_uint_eq(opened.endpoint_count, 3);
	ck_assert_uint_eq(opened.slot_count, 4);
	ck_assert_str_eq(opened.header->instance, "shop");
	atomic_store(&segment.slots[3].connections[MEWS_ENDPOINTS_MAX - 1], 9);
	ck_assert_uint_eq(opened.slots[3].connections[MEWS_ENDPOINTS_MAX - 1],
	    9);
	/* A segment opened for reading cannot be written. */
	ck_assert_int_eq(mprotect(opened.header, opened.size,
	    PROT_READ | PROT_WRITE), -1);
	ck_assert_int_eq(errno, EACCES);
	segment_close(&opened);
	segment_close(&segment);
}
END_TEST

START_TEST(creating_a_segment_touches_no_existing_file)
{
	char	text[16];
	FILE   *in;

	write_bytes("precious", 9);
	ck_assert_int_eq(segment_make(&segment, file, "shop", 3, 4, room,
	    &error), MEWS_SYSTEM);
	ck_assert_ptr_nonnull(strstr(error.message, file));
	ck_assert_ptr_nonnull(strstr(error.message, "there already"));
	ck_assert_ptr_null(segment.header);
	ck_assert_ptr_nonnull(in = fopen(file, "r"));
	ck_assert_uint_eq(fread(text, 1, sizeof(text), in), 9);
	ck_assert_str_eq(text, "precious");
	fclose(in);
}
END_TEST

START_TEST(a_full_file_system_leaves_no_file)
{
	const struct rlimit small = { 4096, 4096 };

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	ck_assert_int_eq(segment_make(&segment, file, "shop", 3, 256, room,
	    &error), MEWS_SYSTEM);
	ck_assert_ptr_nonnull(strstr(error.message, file));
	ck_assert_ptr_null(segment.header);
	ck_assert(!file_exists());
}
END_TEST

START_TEST(a_segment_that_is_missing_is_named)
{
	assert_refused(MEWS_SYSTEM, strerror(ENOENT));
	strcat(directory, "/none");
	snprintf(file, sizeof(file), "%s/x", directory);
	ck_assert_int_eq(segment_make(&segment, file, "shop", 3, 4, room,
	    &error), MEWS_SYSTEM);
	ck_assert_ptr_nonnull(strstr(error.message, file));
	directory[strlen(directory) - strlen("/none")] = '\0';
}
END_TEST

START_TEST(a_segment_that_may_not_be_read_is_named)
{
	make_good();
	segment_close(&segment);
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	else
		ck_assert_int_eq(chmod(file, 0), 0);
	assert_refused(MEWS_SYSTEM, strerror(EACCES));
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(a_directory_is_no_segment)
{
	ck_assert_int_eq(mkdir(file, 0700), 0);
	assert_refused(MEWS_INVALID, "not a segment");
	ck_assert_int_eq(rmdir(file), 0);
}
END_TEST

START_TEST(a_truncated_file_is_refused)
{
	size_t	size = make_good();

	segment_close(&segment);
	while (size > 0) {
		size -= size < 61 ? size : 61;
		ck_assert_int_eq(truncate(file, (off_t)size), 0);
		assert_refused(MEWS_INVALID,
		    size < sizeof(struct segment_header) ? "not a segment" :
		    "damaged");
	}
}
END_TEST

/* Values of the header's fields that are refused, and what is said of them. */
static const struct {
	size_t offset;	  /* offset of a field of 32 bits */
	uint32_t value;
	const char *why;
} headers[] = {
	{ offsetof(struct segment_header, magic), 0, "not a segment" },
	{ offsetof(struct segment_header, magic) + 4, 1, "not a segment" },
	{ offsetof(struct segment_header, abi), SEGMENT_ABI + 1,
	  "another version" },
	{ offsetof(struct segment_header, abi), 0, "another version" },
	{ offsetof(struct segment_header, header_size), 0, "damaged" },
	{ offsetof(struct segment_header, header_size),
	  sizeof(struct segment_header) + 1, "damaged" },
	{ offsetof(struct segment_header, endpoint_size), 0, "damaged" },
	{ offsetof(struct segment_header, endpoint_size), UINT32_MAX,
	  "damaged" },
	{ offsetof(struct segment_header, slot_size), 0, "damaged" },
	{ offsetof(struct segment_header, slot_size),
	  sizeof(struct segment_slot) - 1, "damaged" },
	{ offsetof(struct segment_header, endpoint_space), 4, "damaged" },
	{ offsetof(struct segment_header, endpoint_space),
	  MEWS_ENDPOINTS_MAX + 1, "damaged" },
	{ offsetof(struct segment_header, endpoint_space), UINT32_MAX,
	  "damaged" },
	{ offsetof(struct segment_header, figure_groups), 0, "damaged" },
	{ offsetof(struct segment_header, figure_groups), UINT32_MAX,
	  "damaged" },
	{ offsetof(struct segment_header, figure_pairs), 0, "damaged" },
	{ offsetof(struct segment_header, figure_pairs), 12, "damaged" },
	{ offsetof(struct segment_header, figure_pairs), UINT32_MAX,
	  "damaged" },
	{ offsetof(struct segment_header, slot_count), 5, "damaged" },
	{ offsetof(struct segment_header, slot_count), 0, "damaged" },
	{ offsetof(struct segment_header, slot_count), MEWS_SLOTS_MAX + 2,
	  "damaged" },
	{ offsetof(struct segment_header, slot_count), UINT32_MAX, "damaged" },
};

START_TEST(each_field_of_the_header_is_checked)
{
	make_good();
	memcpy((char *)segment.header + headers[_i].offset,
	    &headers[_i].value, sizeof(headers[_i].value));
	segment_close(&segment);
	assert_refused(MEWS_INVALID, headers[_i].why);
}
END_TEST

START_TEST(counts_are_limited_even_where_the_file_is_long_enough)
{
	make_good();
	ck_assert_int_eq(truncate(file, 1 << 22), 0);
	segment.header->endpoint_space = MEWS_ENDPOINTS_MAX + 1;
	assert_refused(MEWS_INVALID, "damaged");
	segment.header->endpoint_space = MEWS_ENDPOINTS_MAX;
	/* One slot more than there are workers is the monitor's. */
	segment.header->slot_count = MEWS_SLOTS_MAX + 2;
	assert_refused(MEWS_INVALID, "damaged");
	segment_close(&segment);
}
END_TEST

START_TEST(a_segment_of_another_abi_names_both)
{
	char	found[32], own[32];

	make_good();
	segment.header->abi = 77;
	/* Another version may have other fields, so its number alone is
	 * read. */
	segment.header->slot_size = segment.header->slot_count = 999;
	segment_close(&segment);
	snprintf(found, sizeof(found), "ABI %d", 77);
	snprintf(own, sizeof(own), "reads %d", SEGMENT_ABI);
	assert_refused(MEWS_INVALID, found);
	assert_refused(MEWS_INVALID, own);
}
END_TEST

/* Random bytes, and more of them each time, behind a header that looks good. */
START_TEST(garbage_is_refused_or_within_bounds)
{
	union {
		struct segment_header header;
		char bytes[262144];
	} good, bad;
	struct segment	opened;
	uint64_t	seed = 40;
	int		accepted = 0;

	make_good();
	ck_assert_uint_le(segment.size, sizeof(good));
	memset(&good, 0, sizeof(good));
	memcpy(good.bytes, segment.header, segment.size);
	segment_close(&segment);
	unlink(file);
	for (int round = 0; round < 500; round++) {
		size_t	from = dice(&seed) % 160, size;

		bad = good;
		size = dice(&seed) % (sizeof(bad) - from);
		fill_randomly(bad.bytes + from, size, &seed);
		write_bytes(bad.bytes, dice(&seed) % sizeof(bad));
		if (segment_open(&opened, file, false, &error) != MEWS_OK)
			continue;
		accepted++;
		REQUIRE(opened.endpoint_count <= MEWS_ENDPOINTS_MAX);
		REQUIRE(opened.slot_count <= MEWS_SLOTS_MAX + 1);
		REQUIRE((char *)&opened.slots[opened.slot_count] <=
		    (char *)opened.orphans);
		REQUIRE((char *)segment_figures(&opened, opened.slot_count) <=
		    (char *)opened.header + opened.size);
		segment_close(&opened);
	}
	ck_assert_int_gt(accepted, 10);
}
END_TEST

START_TEST(segment_time_begins_at_zero_and_never_wraps)
{
	struct segment_header header = { .made_us = INT64_C(1) << 40 };
	const struct segment  s = { .header = &header };
	int64_t		      now = header.made_us;

	ck_assert_int_eq(segment_ms(&s, now), 0);
	ck_assert_int_eq(segment_ms(&s, now + 999), 0);
	ck_assert_int_eq(segment_ms(&s, now + 1000), 1);
	/* The time after 49 days. */
	ck_assert_int_eq(segment_ms(&s, now + INT64_C(1000) * UINT32_MAX +
	    6000), INT64_C(6) + UINT32_MAX);
	/* A damaged file may hold any time. */
	header.made_us = INT64_MIN;
	segment_ms(&s, now);
	header.made_us = INT64_MAX;
	segment_ms(&s, -now);
}
END_TEST

START_TEST(a_cleared_slot_is_a_new_slot)
{
	static const uint32_t	nothing[MEWS_ENDPOINTS_MAX];
	struct segment_slot    *slot;
	uint64_t		seed = 41;

	make_good();
	slot = &segment.slots[2];
	fill_randomly(slot, sizeof(*slot), &seed);
	segment.header->monitor_pid = 77;
	slot->pid = 78;
	segment_clear_slot(&segment, slot);
	ck_assert_int_eq(segment.header->monitor_pid, 77);
	ck_assert_int_eq(slot->pid, 0);
	ck_assert_uint_eq(slot->state, MEWS_WORKER_FREE);
	ck_assert_uint_eq(slot->requests, 0);
	ck_assert_uint_eq(slot->queries, 0);
	ck_assert_uint_eq(slot->errors, 0);
	ck_assert_uint_eq(slot->waiting, 0);
	ck_assert_uint_eq(slot->in_flight, 0);
	ck_assert_mem_eq(slot->connections, nothing, sizeof(nothing));
	ck_assert_mem_eq(slot->dialing, nothing, sizeof(nothing));
	for (int i = 0; i < SEGMENT_BACKENDS; i++)
		ck_assert_uint_eq(slot->backends[i].word, 0);
	/* The monitor's slot is cleared like a worker's. */
	slot->pid = 77;
	segment_clear_slot(&segment, slot);
	ck_assert_int_eq(segment.header->monitor_pid, 0);
	segment_close(&segment);
}
END_TEST

START_TEST(a_segment_opened_for_writing_can_be_written)
{
	struct segment	opened;

	make_good();
	ck_assert_int_eq(segment_open(&opened, file, true, &error), MEWS_OK);
	atomic_store(&opened.endpoints[2].drained, 1);
	ck_assert_uint_eq(segment.endpoints[2].drained, 1);
	segment_close(&opened);
	segment_close(&segment);
}
END_TEST

START_TEST(an_address_is_read_as_it_was_published)
{
	struct segment_endpoint *e;
	char	 address[SEGMENT_HOSTADDR_MAX + 1], longest[100];
	uint64_t seed = 42;

	make_good();
	e = &segment.endpoints[0];
	segment_get_address(e, address);
	ck_assert_str_eq(address, "");
	/* The counter of an address wraps, and readers do not notice. */
	e->address = UINT32_MAX - 2;
	for (int i = 0; i < 6; i++) {
		char	published[16];

		snprintf(published, sizeof(published), "10.0.0.%d", i);
		segment_set_address(e, published);
		segment_get_address(e, address);
		ck_assert_str_eq(address, published);
	}
	memset(longest, '1', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	segment_set_address(e, longest);
	segment_get_address(e, address);
	ck_assert_uint_eq(strlen(address), SEGMENT_HOSTADDR_MAX);
	/* An address without its end is cut. */
	fill_randomly(e, sizeof(*e), &seed);
	memset(e->hostaddr, 'x', sizeof(e->hostaddr));
	segment_get_address(e, address);
	ck_assert_uint_eq(strlen(address), SEGMENT_HOSTADDR_MAX);
	segment_close(&segment);
}
END_TEST

/* Publish two addresses in turn, each made of one letter. */
static void
publish_forever(void *arg, int number)
{
	char	address[SEGMENT_HOSTADDR_MAX + 1] = { 0 };

	(void)number;
	for (int i = 0;; i++) {
		memset(address, i % 2 == 0 ? 'a' : 'b', SEGMENT_HOSTADDR_MAX);
		segment_set_address(arg, address);
	}
}

START_TEST(a_published_address_is_never_half_of_another)
{
	struct segment_endpoint *e;
	char	 address[SEGMENT_HOSTADDR_MAX + 1];
	pid_t	 child;
	uint32_t changes = 0, last = 0;

	make_good();
	e = &segment.endpoints[0];
	fork_children(&child, 1, publish_forever, e);
	while (atomic_load(&e->address) == 0)
		sched_yield();
	for (int i = 0; i < 200000 || changes < 2; i++) {
		uint32_t	now = atomic_load(&e->address);

		changes += now != last;
		last = now;
		segment_get_address(e, address);
		REQUIRE(strspn(address, address[0] == 'a' ? "a" : "b") ==
		    SEGMENT_HOSTADDR_MAX);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	ck_assert_uint_gt(changes, 1);
	segment_close(&segment);
}
END_TEST

START_TEST(a_refusal_is_kept_since_it_began_and_cut)
{
	struct segment_endpoint	*e;
	char			 found[SEGMENT_REFUSAL_MAX + 1];
	char			 longer[SEGMENT_REFUSAL_MAX + 10];

	make_good();
	e = &segment.endpoints[1];
	ck_assert_int_eq(segment_get_refusal(e, found), 0);
	ck_assert_str_eq(found, "");
	segment_set_refusal(e, "28P01: go away", 5);
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	segment_set_refusal(e, longer, 900);
	ck_assert_int_eq(segment_get_refusal(e, found), 5);
	ck_assert_uint_eq(strlen(found), SEGMENT_REFUSAL_MAX);
	segment_set_refusal(e, NULL, 1000);
	ck_assert_int_eq(segment_get_refusal(e, found), 0);
	ck_assert_str_eq(found, "");
	segment_close(&segment);
}
END_TEST

static Suite *
segment_suite(void)
{
	Suite	*suite = suite_create("segment");
	TCase	*tcase = unit_case(suite, "file");

	tcase_add_checked_fixture(tcase, make_directory, remove_directory);
	tcase_add_test(tcase, a_new_segment_is_zero_but_for_its_header);
	tcase_add_test(tcase, the_layout_matches_its_version_number);
	tcase_add_test(tcase, words_of_different_writers_share_no_cache_line);
	tcase_add_test(tcase, a_refusal_is_kept_since_it_began_and_cut);
	tcase_add_test(tcase, the_file_is_private_and_of_the_right_size);
	tcase_add_test(tcase, a_process_that_opens_it_sees_what_others_write);
	tcase_add_test(tcase, creating_a_segment_touches_no_existing_file);
	tcase_add_test(tcase, a_full_file_system_leaves_no_file);
	tcase_add_test(tcase, a_segment_that_is_missing_is_named);
	tcase_add_test(tcase, a_segment_that_may_not_be_read_is_named);
	tcase_add_test(tcase, a_directory_is_no_segment);
	tcase_add_test(tcase, a_truncated_file_is_refused);
	tcase_add_loop_test(tcase, each_field_of_the_header_is_checked, 0,
	    COUNT(headers));
	tcase_add_test(tcase,
	    counts_are_limited_even_where_the_file_is_long_enough);
	tcase_add_test(tcase, a_segment_of_another_abi_names_both);
	tcase_add_test(tcase, garbage_is_refused_or_within_bounds);
	tcase_add_test(tcase, segment_time_begins_at_zero_and_never_wraps);
	tcase_add_test(tcase, a_segment_opened_for_writing_can_be_written);
	tcase_add_test(tcase, an_address_is_read_as_it_was_published);
	tcase_add_test(tcase, a_published_address_is_never_half_of_another);
	tcase_add_test(tcase, a_cleared_slot_is_a_new_slot);
	return suite;
}

UNIT_MAIN(segment_suite)
