/*
 * inside_fleet.h - fleets and files for tests that need no server.
 *
 * The endpoints are closed ports: no server is ever asked.
 */
#ifndef TESTS_UNIT_INSIDE_FLEET_H
#define TESTS_UNIT_INSIDE_FLEET_H

#include "inside.h"

#include "fleet/fleet.h"

#include <fcntl.h>
#include <sys/stat.h>

/* Every test has a directory of its own, and a path in it. */
static char directory[64];
static char file[96];

static inline void
make_directory(void)
{
	strcpy(directory, "/tmp/mews-inside-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chmod(directory, 0755), 0);
	snprintf(file, sizeof(file), "%s/fleet.segment", directory);
}

static inline void
remove_directory(void)
{
	unlink(file);
	rmdir(directory);
}

static inline bool
file_exists(void)
{
	return access(file, F_OK) == 0;
}

static inline void
write_bytes(const void *bytes, size_t size)
{
	FILE	*out = fopen(file, "w");

	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(fwrite(bytes, 1, size, out), size);
	ck_assert_int_eq(fclose(out), 0);
}

/* A fleet of two endpoints, the first with a cap; @path may be NULL. */
static inline struct mews_fleet *
fleet_of(const char *path, uint32_t workers, uint32_t cap)
{
	const struct mews_endpoint_config endpoints[] = {
		{ .name = "a", .conninfo = "host=127.0.0.1 port=1",
		  .max_connections = cap },
		{ .name = "b", .conninfo = "host=/nowhere port=1" },
	};
	const struct mews_group_config group = { .name = "g" };
	const struct mews_config config = {
		.abi = MEWS_ABI, .instance = "test", .runtime_file = path,
		.workers = workers, .endpoints = endpoints,
		.endpoint_count = 2, .groups = &group, .group_count = 1,
	};
	struct mews_fleet *fleet;
	struct mews_error  error;

	ck_assert_msg(mews_fleet_create(&fleet, &config, &error) == MEWS_OK,
	    "%s", error.message);
	return fleet;
}

#endif
