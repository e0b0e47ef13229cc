/*
 * mews/settings.h - struct mews_config as plain structures, for what is built
 * together with the library: the mews command, import mews, tests. It is not
 * installed, as these structures change.
 *
 * Filled by mews_config_set(), or from a file by the parser of the mews
 * command. Zero means "the default" in every field but the ones marked
 * required, so a designated initialiser names only what differs.
 *
 * Units: milliseconds and bytes. A time of MEWS_FOREVER never passes.
 */
#ifndef MEWS_SETTINGS_H
#define MEWS_SETTINGS_H

#include <mews/config.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Defaults: what a zero stands for. */
#define MEWS_CONNECTION_COUNT_DEFAULT 4
#define MEWS_PIPELINE_DEFAULT	      64
#define MEWS_QUERY_TIMEOUT_DEFAULT    30000
#define MEWS_ACQUIRE_TIMEOUT_DEFAULT  5000
#define MEWS_QUEUE_DEFAULT	      65536
#define MEWS_QUEUE_MEMORY_DEFAULT     (64 * 1024 * 1024)
#define MEWS_IDLE_TIMEOUT_DEFAULT     600000
#define MEWS_MAX_LIFETIME_DEFAULT     3600000
#define MEWS_HEALTH_INTERVAL_DEFAULT  1000
#define MEWS_HEALTH_TIMEOUT_DEFAULT   500
#define MEWS_HEALTH_FALL_DEFAULT      2
#define MEWS_HEALTH_RISE_DEFAULT      1
#define MEWS_HEALTH_SLOW_START_DEFAULT 10000
#define MEWS_HEALTH_RESOLVE_DEFAULT   30000
#define MEWS_CONNECT_BURST_DEFAULT    2
#define MEWS_WEIGHT_DEFAULT	      1
#define MEWS_RETRY_BUDGET_DEFAULT     20
#define MEWS_MAX_RESULT_SIZE_DEFAULT  (1024 * 1024 * 1024)

#define MEWS_HEDGE_AUTO 1 /* hedge_after: three times the p99 learned */

/* Which servers may serve a group. All but primary open read-only sessions. */
enum mews_group_role {
	MEWS_GROUP_ANY = 0,
	MEWS_GROUP_PRIMARY = 1,
	MEWS_GROUP_STANDBY = 2,
	MEWS_GROUP_PREFER_STANDBY = 3
};

/* One PostgreSQL server, version 14 or later. */
struct mews_endpoint_config {
	const char *name;     /* required; letters, digits, '_', '-', '.' */
	const char *conninfo; /* required; all that libpq takes, one host */
	uint32_t max_connections; /* of the whole fleet; 0: no cap. Besides
				     these: two sessions of the monitor at
				     most, and one for each interrupt */
	uint32_t connect_burst;	  /* logins at a time, of the whole fleet, to a
				     server that came back; grows as they
				     succeed */
	uint32_t weight; /* 1..100, default 1: shares of the reads are in
			    proportion to the weights */
};

/* A named use of the pool, per worker. */
struct mews_group_config {
	const char *name; /* required; as an endpoint's */
	enum mews_group_role role;
	uint32_t connection_count; /* at most, 1..MEWS_CONNECTIONS_MAX */
	uint32_t min_connections;  /* kept open; default 0 */
	enum mews_switch autocommit; /* default on; off: queries by lease
					only, each with BEGIN sent ahead */
	uint32_t pipeline;	     /* queries in flight per connection */
	enum mews_switch batch;	     /* reads of one turn share a Sync;
					default on, not for primary */
	uint32_t query_timeout;	     /* ms; statement_timeout on the server */
	uint32_t acquire_timeout;    /* ms waiting for a connection */
	uint32_t queue;		     /* queries waiting, at most */
	uint32_t idle_timeout;	     /* ms; above min_connections */
	uint32_t max_lifetime;	     /* ms; shortened by up to a tenth */
	uint32_t max_lag;	     /* ms a standby may be behind; 0: any */
	uint64_t max_lag_bytes;	     /* bytes of WAL; 0: any */
	uint32_t stall_after;	     /* ms of silence until a connection counts
					as stalled; 0: three times the mean
					learned, at least 2; until its server is
					suspected: four times the p99, at least
					20 */
	uint32_t hedge_after;	     /* ms until a read is sent to another
					endpoint as well; 0: only from a
					connection that is silent for 3 s */
	uint32_t retry_budget;	     /* per cent of the reads that may be sent
					again; unused budget is saved, up to
					connection_count times pipeline, or 100;
					MEWS_FOREVER: no resends */
	uint32_t slow_query;	     /* ms from accepted to answered after which
					a query is logged; 0: never */
	enum mews_switch slow_query_parameters; /* log its parameters too;
						   default off */
	enum mews_switch trace_comments; /* tell the server the traceparent of
					SQL that was not registered; default
					off */
	uint64_t max_result_size;    /* bytes of one answer, about */
	uint64_t session_tmp_buffer; /* bytes of temp_buffers; 0: server's */
	const char *const *init;     /* SQL run on each new connection */
	size_t init_count;
};

/* When is a server called dead, and when alive again? */
struct mews_health_config {
	uint32_t interval; /* ms between probes of one endpoint */
	uint32_t timeout;  /* ms that one probe may take */
	uint32_t fall;	   /* failed probes until DOWN, 1..15 */
	uint32_t rise;	   /* good probes until UP again, 1..15 */
	uint32_t slow_start; /* ms until a server that came back has its full
				share of reads; MEWS_FOREVER: at once */
	uint32_t resolve;  /* ms between look-ups of host names */
};

struct mews_config {
	uint32_t abi;	      /* required; MEWS_ABI */
	const char *instance; /* required; as an endpoint's name */
	const char *runtime_file; /* path of the segment; NULL: no file */
	uint32_t workers;	  /* required; slots, 1..MEWS_WORKERS_MAX */
	uint32_t slots;		  /* in their place, for generations that live
				     side by side; 0: as many as workers */
	const struct mews_endpoint_config *endpoints; /* required, 1 or more */
	size_t endpoint_count;
	const struct mews_group_config *groups; /* required, 1 or more */
	size_t group_count;
	struct mews_health_config health;
	uint64_t queue_memory; /* bytes of all queries that wait in one worker,
				  their parameters included, at most */
	const char *client_encoding; /* of each session, whatever the conninfo
					and the environment say; NULL: as they
					say */
	const struct mews_error *mistake; /* of mews_config_set(): the first
					     one; NULL: none */
};

/* Where in a configuration a mistake sits; indices are -1 where unused. */
struct mews_config_mistake {
	int endpoint;	   /* index into endpoints */
	int group;	   /* index into groups */
	const char *field; /* name as in the structures above, or NULL */
	const char *text;  /* the mistake, and what is allowed */
};

typedef void mews_config_fn(void *arg, const struct mews_config_mistake *);

/**
 * Check everything that can be checked without a server.
 *
 * @on_mistake  called once per mistake, during this call; the structure and
 *              its strings end with the callback.
 *
 * Returns the number of mistakes: 0 means that mews_fleet_create() accepts it.
 */
size_t mews_config_check(const struct mews_config *config,
    mews_config_fn *on_mistake, void *arg);

/** "primary", "standby", "any", "prefer-standby"; "?" if not one of them. */
const char *mews_group_role_name(enum mews_group_role role);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
