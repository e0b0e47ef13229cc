/*
 * abi1.h - what a program was compiled with when MEWS_ABI was 1: a part of the
 * headers of that time, which never changes.
 *
 * A change of the library that breaks test_abi.c breaks programs that are
 * installed: see MEWS_ABI in mews/status.h.
 */
#ifndef TESTS_EMBED_ABI1_H
#define TESTS_EMBED_ABI1_H

#include <assert.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEWS_ABI 1

enum mews_status {
	MEWS_OK = 0,
	MEWS_SQL = 1,
	MEWS_UNAVAILABLE = 2,
	MEWS_OVERLOAD = 3,
	MEWS_WAITED = 4,
	MEWS_TIMEOUT = 5,
	MEWS_LOST = 6,
	MEWS_CANCELED = 7,
	MEWS_INVALID = 8,
	MEWS_NOMEM = 9,
	MEWS_SYSTEM = 10,
	MEWS_UNDONE = 11,
	MEWS_PARTLY = 12,
	MEWS_TOO_LARGE = 13
};

struct mews_error {
	enum mews_status status;
	char message[500];
};

struct mews_config *mews_config_new(uint32_t abi);
enum mews_status mews_config_set(struct mews_config *config, const char *key,
    const char *value, struct mews_error *error);
void mews_config_free(struct mews_config **config);

struct mews_fleet;
enum mews_status mews_fleet_create(struct mews_fleet **out,
    const struct mews_config *config, struct mews_error *error);
enum mews_status mews_fleet_join(struct mews_fleet *fleet,
    struct mews_error *error);
void mews_fleet_destroy(struct mews_fleet **fleet);

typedef void mews_watch_fn(void *arg, int fd, int events);
struct mews_pool;
struct mews_group;
enum mews_status mews_pool_open(struct mews_pool **out,
    struct mews_fleet *fleet, mews_watch_fn *watch, void *watch_arg,
    struct mews_error *error);
void mews_pool_close(struct mews_pool **pool);
enum mews_status mews_pool_turn(struct mews_pool *pool, int timeout_ms);
struct mews_group *mews_pool_group(struct mews_pool *pool, const char *name);
const char *mews_group_message(const struct mews_group *group);

struct mews_group_stats {
	uint32_t connections;
	uint32_t idle;
	uint32_t leased;
	uint32_t in_flight;
	uint32_t waiting;
	uint64_t queries;
	uint64_t errors;
	uint64_t resent;
	uint64_t opened;
};
enum mews_status mews_group_stats(const struct mews_group *group,
    struct mews_group_stats *stats, size_t size);

#define MEWS_QUERY_BINARY 0x1
#define MEWS_QUERY_ALONE  0x2

struct mews_param {
	const void *value;
	int32_t length;
	Oid type;
	uint8_t format;
	char inside[27];
};
struct mews_param mews_param_int_text(int64_t value);
struct mews_param mews_param_text(const char *value);

struct mews_statement;
struct mews_result;
enum mews_status mews_statement_register(struct mews_statement **out,
    struct mews_pool *pool, const char *name, const char *sql, unsigned flags,
    struct mews_error *error);

struct mews_query_args {
	const struct mews_statement *statement;
	const char *sql;
	const struct mews_param *params;
	int param_count;
	unsigned flags;
	uint64_t after;
	uint32_t wait_ms;
	uint32_t deadline_ms;
	uint64_t reserved[4];
};
typedef void mews_query_fn(void *arg, const struct mews_result *result);
typedef uint64_t mews_query_id;
enum mews_status mews_query_send(struct mews_group *group,
    const struct mews_query_args *args, mews_query_fn *fn, void *arg,
    mews_query_id *id);
enum mews_status mews_query_run(struct mews_group *group,
    const struct mews_query_args *args, struct mews_result **out);
enum mews_status mews_result_status(const struct mews_result *result);
PGresult *mews_result_pg(const struct mews_result *result);
const char *mews_result_sqlstate(const struct mews_result *result);
void mews_result_free(struct mews_result **result);

struct mews_lease;
enum mews_isolation { MEWS_ISOLATION_SERIALIZABLE = 3 };
enum mews_switch { MEWS_SWITCH_DEFAULT = 0, MEWS_SWITCH_ON = 1 };
struct mews_transaction {
	enum mews_isolation isolation;
	enum mews_switch read_only;
	enum mews_switch deferrable;
	uint32_t reserved[5];
};
enum mews_status mews_lease_begin_run(struct mews_group *group,
    uint32_t wait_ms, struct mews_lease **out);
enum mews_status mews_lease_transaction(struct mews_lease *lease,
    const struct mews_transaction *options);
enum mews_status mews_lease_query_run(struct mews_lease *lease,
    const struct mews_query_args *args, struct mews_result **out);
enum mews_status mews_lease_commit_run(struct mews_lease *lease,
    struct mews_result **out);
void mews_lease_end(struct mews_lease **lease);

struct mews_view;
struct mews_view_endpoint {
	char name[32];
	const char *state;
	const char *role;
	const char *reason;
	uint32_t epoch;
	uint32_t failures;
};
enum mews_status mews_view_open_fleet(struct mews_view **out,
    const struct mews_fleet *fleet, struct mews_error *error);
bool mews_view_endpoint(const struct mews_view *view, uint32_t index,
    struct mews_view_endpoint *out, size_t size);
void mews_view_close(struct mews_view **view);

/* Structures of a host's own keep their sizes: see MEWS_ABI. */
static_assert(sizeof(struct mews_error) == 504, "a host's own room");
static_assert(sizeof(void *) != 8 || sizeof(struct mews_param) == 48,
    "the stride of an array");
static_assert(sizeof(void *) != 8 || sizeof(struct mews_query_args) == 80,
    "filled by a host");
static_assert(sizeof(struct mews_transaction) == 32, "filled by a host");

#endif
