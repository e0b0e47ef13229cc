/*
 * attach.c - joining a fleet that forked none of this process' parents.
 *
 * The segment is found by its file and checked before anything is believed;
 * nothing in it is changed before a slot is taken. Endpoints are matched by
 * name: an attached process uses the fleet's records of the endpoints of its
 * configuration, and never adds one. Its generation is the one that serves.
 */
#include "fleet/attach.h"

#include "fleet/hold.h"
#include "fleet/record.h"
#include "fleet/resolve.h"
#include "fleet/slots.h"
#include "base/status.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ATTACH_TRIES 3 /* while one generation follows the other */

/* Does the runtime file exist, and belong to this process' user? */
static enum mews_status
check_file(const char *path, struct mews_error *error)
{
	struct stat	st;

	if (stat(path, &st) == -1 && errno == ENOENT)
		return status_set(error, MEWS_UNAVAILABLE,
		    "no fleet runs: there is no %s", path);
	if (stat(path, &st) == -1)
		return status_set(error, MEWS_SYSTEM, "%s: %s", path,
		    strerror(errno));
	if (st.st_uid != geteuid())
		return status_set(error, MEWS_SYSTEM, "%s: belongs to the user "
		    "%u, and this process runs as %u: who attaches runs as the "
		    "user of the fleet", path, (unsigned)st.st_uid,
		    (unsigned)geteuid());
	return MEWS_OK;
}

/* Does a fleet live behind the segment? */
static enum mews_status
check_life(struct mews_fleet *fleet, const char *path,
    struct mews_error *error)
{
	const struct segment_header *header = fleet->segment.header;
	struct stat		     st;
	bool			     lives;

	if (record_turn(header) == 0)
		return status_set(error, MEWS_UNAVAILABLE,
		    "%s: its fleet is just being made", path);
	fleet->line->dir = hold_open_directory(path);
	lives = fleet->line->dir != -1 &&
	    hold_is_of(fleet->line->dir, fleet->segment.ino) &&
	    (hold_is_self(atomic_load(&header->made_by)) ||
		hold_has_creator(fleet->line->dir));
	/* The directory belongs to the segment if both exist now. */
	if (!lives || stat(path, &st) == -1 ||
	    st.st_dev != fleet->segment.dev || st.st_ino != fleet->segment.ino)
		return status_set(error, MEWS_UNAVAILABLE, "no fleet runs: %s "
		    "was left behind by one whose process is gone", path);
	return MEWS_OK;
}

static void
add_name(char *list, size_t size, const char *name)
{
	size_t	used = strlen(list), length = strnlen(name, MEWS_NAME_MAX);

	if (used + length + 3 > size)
		return;
	if (used > 0) {
		memcpy(list + used, ", ", 2);
		used += 2;
	}
	memcpy(list + used, name, length);
	list[used + length] = '\0';
}

/* Find the record of an endpoint of that name. False: there is none, and @names
 * lists the names that there are. */
static bool
find_named(const struct segment *segment, const char *name, uint32_t *at,
    char *names, size_t size)
{
	uint32_t	known = atomic_load(&segment->header->known);

	names[0] = '\0';
	for (uint32_t i = 0; i < segment->endpoint_space; i++)
		if ((known >> i & 1) != 0) {
			if (record_has_name(&segment->endpoints[i], name)) {
				*at = i;
				return true;
			}
			add_name(names, size, segment->endpoints[i].name);
		}
	return false;
}

static enum mews_status
match_endpoint(const struct segment *segment,
    const struct mews_endpoint_config *config, uint8_t *index,
    struct mews_error *error)
{
	char		own[SEGMENT_SERVER_MAX + 1];
	char		its[SEGMENT_SERVER_MAX + 1], names[256];
	uint32_t	at, cap;

	if (!find_named(segment, config->name, &at, names, sizeof(names)))
		return status_set(error, MEWS_INVALID, "endpoint.%.40s: the "
		    "fleet has no endpoint of that name: it has %s",
		    config->name, names);
	resolve_server(config->conninfo, own);
	segment_get_server(&segment->endpoints[at], its);
	if (strcmp(own, its) != 0)
		return status_set(error, MEWS_INVALID, "endpoint.%.40s."
		    "conninfo: it is %.160s here, and %.160s in the fleet",
		    config->name, own, its);
	cap = atomic_load(&segment->endpoints[at].max_connections);
	if (config->max_connections != cap)
		return status_set(error, MEWS_INVALID, "endpoint.%.40s."
		    "max_connections: it is %u here, and %u in the fleet",
		    config->name, config->max_connections, cap);
	*index = (uint8_t)at;
	return MEWS_OK;
}

static enum mews_status
match_group(const struct segment_header *header,
    const struct mews_group_config *config, struct mews_error *error)
{
	uint32_t	count = atomic_load(&header->group_count);

	for (uint32_t i = 0; i < count && i < MEWS_GROUPS_MAX; i++) {
		const struct segment_group *g = &header->groups[i];
		uint32_t		    role = atomic_load(&g->role);

		if (strncmp(g->name, config->name, sizeof(g->name)) != 0 ||
		    role == (uint32_t)config->role)
			continue;
		return status_set(error, MEWS_INVALID, "group.%.40s.role: it "
		    "is %s here, and %s in the fleet", config->name,
		    mews_group_role_name(config->role),
		    mews_group_role_name((enum mews_group_role)role));
	}
	return MEWS_OK;
}

/* Compare a configuration with the fleet's, and find its endpoints there. */
static enum mews_status
match(const struct segment *segment, const struct mews_config *config,
    uint8_t index[MEWS_ENDPOINTS_MAX], struct mews_error *error)
{
	const struct segment_header	*header = segment->header;
	enum mews_status		 status = MEWS_OK;

	if (strncmp(header->instance, config->instance,
		sizeof(header->instance)) != 0)
		return status_set(error, MEWS_INVALID, "instance: it is %s "
		    "here, and %.*s in the fleet", config->instance,
		    MEWS_NAME_MAX, header->instance);
	for (size_t i = 0; i < config->endpoint_count && status == MEWS_OK;
	    i++)
		status = match_endpoint(segment, &config->endpoints[i],
		    &index[i], error);
	for (size_t i = 0; i < config->group_count && status == MEWS_OK; i++)
		status = match_group(header, &config->groups[i], error);
	return status;
}

/* Take the place in the fleet that the configuration asks for. */
static enum mews_status
settle_guest(struct mews_fleet *fleet, const struct mews_config *config,
    struct mews_error *error)
{
	uint8_t			index[MEWS_ENDPOINTS_MAX];
	enum mews_status	status = MEWS_OK;

	for (int tries = 0; tries < ATTACH_TRIES; tries++) {
		fleet->generation = record_turn(fleet->segment.header);
		status = match(&fleet->segment, config, index, error);
		if (fleet->generation != 0 &&
		    fleet->generation == record_turn(fleet->segment.header))
			break;
	}
	if (status != MEWS_OK)
		return status;
	if (!fleet_configure(fleet, config, index))
		return status_set(error, MEWS_NOMEM, "out of memory");
	fleet_learn(fleet);
	fleet_learn_names(fleet);
	return wake_make(fleet->line, fleet->segment.slot_count, error);
}

enum mews_status
mews_fleet_attach(struct mews_fleet **out, const struct mews_config *from,
    struct mews_error *error)
{
	struct mews_config	config;
	struct mews_fleet      *fleet;
	enum mews_status	status;

	STATUS_NEED_OUT(out);
	*out = NULL;
	assert(from != NULL &&
	    "mews: a configuration is there after mews_config_new()");
	config = *from;
	/* The number of workers is the fleet's: any will do here. */
	if (config.workers == 0)
		config.workers = 1;
	if ((status = fleet_check(&config, error)) != MEWS_OK)
		return status;
	if (config.runtime_file == NULL)
		return status_set(error, MEWS_INVALID, "runtime_file: which "
		    "fleet is meant is told by its runtime file");
	if ((status = check_file(config.runtime_file, error)) != MEWS_OK)
		return status;
	if ((fleet = fleet_new(error)) == NULL)
		return MEWS_NOMEM;
	fleet->line->attached = true;
	if ((fleet->line->path = strdup(config.runtime_file)) == NULL)
		status = MEWS_NOMEM;
	else if ((status = segment_open(&fleet->segment, config.runtime_file,
	    true, error)) == MEWS_OK &&
	    (status = check_life(fleet, config.runtime_file,
		error)) == MEWS_OK)
		status = settle_guest(fleet, &config, error);
	return fleet_give(out, fleet, status, error);
}

void
attach_look(struct mews_fleet *fleet)
{
	const char	*path = fleet->line->path;
	struct stat	 st;
	bool		 gone;

	if (!fleet->line->attached || fleet->replaced)
		return;
	gone = stat(path, &st) == -1;
	if (gone && (errno != ENOENT || fleet->ended))
		return;
	if (gone) {
		fleet->ended = true;
		fleet_log(fleet, MEWS_LOG_WARNING, "fleet_ended",
		    "hint=\"this process goes on alone, until it attaches to "
		    "the next fleet\"");
	} else if (st.st_dev != fleet->segment.dev ||
	    st.st_ino != fleet->segment.ino) {
		fleet->replaced = true;
		fleet_log(fleet, MEWS_LOG_WARNING, "fleet_replaced",
		    "hint=\"this process goes on with the fleet that was, "
		    "until it attaches to the next one\"");
	}
}
