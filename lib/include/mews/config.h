/*
 * mews/config.h - what a fleet is made of, in the words of mews.conf(5).
 *
 *	struct mews_config *config = mews_config_new(MEWS_ABI);
 *
 *	mews_config_set(config, "instance", "shop", NULL);
 *	mews_config_set(config, "endpoint.a.conninfo", "host=a", &error);
 *	mews_config_set(config, "group.read.role", "standby", &error);
 *	mews_fleet_create(&fleet, config, &error);
 *	mews_config_free(&config);
 */
#ifndef MEWS_CONFIG_H
#define MEWS_CONFIG_H

#include <mews/status.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define MEWS_FOREVER	     UINT32_MAX /* a time that never passes */
#define MEWS_NAME_MAX	     31	 /* bytes in a name, without the NUL */
#define MEWS_ENDPOINTS_MAX   32	 /* endpoints in a fleet */
#define MEWS_GROUPS_MAX	     32	 /* groups in a fleet */
#define MEWS_WORKERS_MAX     256 /* slots for workers in a segment */
#define MEWS_SLOTS_MAX	     640 /* slots, with those of two generations */
#define MEWS_CONNECTIONS_MAX 1024 /* connections of one group, one worker */

struct mews_config;

enum mews_switch {
	MEWS_SWITCH_DEFAULT = 0,
	MEWS_SWITCH_ON = 1,
	MEWS_SWITCH_OFF = 2
};

/**
 * A configuration of defaults; NULL: out of memory. Free it with
 * mews_config_free(), which may be right after mews_fleet_create().
 *
 * @abi  MEWS_ABI, of the headers that the host is compiled with.
 */
struct mews_config *mews_config_new(uint32_t abi);

/**
 * Set one key, or add one value to a list.
 *
 * @key    "endpoint.NAME.KEY", "group.NAME.KEY" or "health.KEY", with the
 *         keys of these sections of mews.conf. The first key of an endpoint or
 *         a group makes it. Besides:
 *         "instance", the fleet's name; "mews" if it is not set;
 *         "workers", slots of the segment, 1 to MEWS_WORKERS_MAX; required;
 *         "runtime_file", the path of the segment; without one it has no file;
 *         "queue_memory", as in mews.conf.
 * @value  as mews.conf has it, without quotes: "30s", "64MB", "never",
 *         "prefer-standby". Of a list (init) one element; each call adds one.
 *         Copied.
 *
 * Returns MEWS_OK; MEWS_INVALID: @error says what is wrong and what is
 * allowed, and nothing was set; or MEWS_NOMEM. After a call that failed
 * mews_fleet_create() fails too, with the first call's sentence: a host need
 * not look at each.
 */
enum mews_status mews_config_set(struct mews_config *config, const char *key,
    const char *value, struct mews_error *error);

/** Free the configuration and set *config to NULL; NULL *config is a no-op. */
void mews_config_free(struct mews_config **config);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
