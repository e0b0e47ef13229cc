/*
 * fuzz_segment.c - a runtime file with any damage is refused, or is read
 * without a step outside of it, as `mews status` does.
 *
 * An input changes a sound file: each 12 bytes of it are a place, in 4, and
 * what is written there, in 8; one more byte cuts the file off. Every second
 * place is in the header.
 */
#include "fuzz.h"

#include "fleet/segment.h"

#include <mews/figures.h>
#include <mews/view.h>

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENDPOINTS 3
#define SLOTS	  3
#define PART	  12

const bool fuzz_lines = true;
const char *const fuzz_words[] = { "\1\0", "\xff\xff\xff\xff", "\x80\x80",
	"\x7f\xff\xff\xff\xff\xff\xff\xff", "AAAAAAAAAAAA", NULL };

static char  path[] = "/tmp/mews-fuzz-XXXXXX/segment";
static char *sound; /* bytes of the sound file */
static size_t sound_size;
static int   file = -1;

static void
remove_file(void)
{
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
}

/* Make a fleet with something in every part, so that all of it is read. */
static void
make_file(void)
{
	struct mews_error error;
	struct segment segment;
	enum mews_status status;
	char	*slash = strrchr(path, '/'), *made;

	*slash = '\0';
	made = mkdtemp(path);
	assert(made != NULL);
	*slash = '/';
	atexit(remove_file);
	status = segment_make(&segment, path, "fuzz", ENDPOINTS, SLOTS,
	    (struct figures_room) { 2, 4 }, &error);
	assert(status == MEWS_OK);
	segment.header->known = (1u << ENDPOINTS) - 1;
	for (uint32_t i = 0; i < ENDPOINTS; i++) {
		struct segment_endpoint *e = &segment.endpoints[i];
		const struct health primary = { .state = HEALTH_UP,
			.role = HEALTH_ROLE_PRIMARY };

		/* One of several primaries is up to date. */
		e->health = health_pack(primary);
		segment_set_timeline(e, i + 1, true);
		segment_set_refusal(e, i == 0 ? "refused" : NULL, 1);
		e->max_connections = 10;
		e->limit = 5;
		e->limit_ms = INT64_MAX;
	}
	for (size_t i = 0; i < SLOTS; i++) {
		segment.slots[i].pid = 1000 + (int32_t)i;
		segment.slots[i].state = MEWS_WORKER_READY;
	}
	sound_size = segment.size;
	sound = malloc(sound_size);
	assert(sound != NULL);
	memcpy(sound, segment.header, sound_size);
	segment_close(&segment);
	file = open(path, O_RDWR | O_CLOEXEC);
	assert(file != -1);
}

static void
write_file(const uint8_t *data, size_t size)
{
	char	*bytes = malloc(sound_size);
	size_t	 length = sound_size, at;
	uint32_t where;
	int	 result;
	ssize_t	 written;

	assert(bytes != NULL);
	memcpy(bytes, sound, sound_size);
	for (; size >= PART; data += PART, size -= PART) {
		memcpy(&where, data, sizeof(where));
		at = where / 2 % ((where & 1) != 0 ?
		    sizeof(struct segment_header) : sound_size);
		memcpy(bytes + at, data + sizeof(where),
		    sound_size - at < 8 ? sound_size - at : 8);
	}
	if (size == 1)
		length = length * *data / 256;
	result = ftruncate(file, (off_t)length);
	written = pwrite(file, bytes, length, 0);
	assert(result == 0 && written == (ssize_t)length);
	free(bytes);
}

static void
check_text(const char *text, size_t size)
{
	assert(strnlen(text, size) < size);
}

static void
check_endpoint(const struct mews_view_endpoint *endpoint)
{
	check_text(endpoint->name, sizeof(endpoint->name));
	check_text(endpoint->refusal, sizeof(endpoint->refusal));
	assert(endpoint->state != NULL && endpoint->role != NULL &&
	    endpoint->reason != NULL && endpoint->cause != NULL);
	assert(endpoint->changed_ms >= -1 && endpoint->evidence_ms >= -1 &&
	    endpoint->probed_ms >= -1 && endpoint->returned_ms >= -1 &&
	    endpoint->rejected_ms >= -1 && endpoint->lag_ms >= -1);
}

static void
check_figures(const struct mews_view *view)
{
	struct mews_figures *figures;
	struct mews_figures_group group;
	struct mews_figures_pair pair;
	struct mews_figures_statement statement;
	struct mews_event event = { 0 };
	enum mews_status status;

	status = mews_figures_read(&figures, view, NULL);
	assert(status == MEWS_OK);
	for (uint32_t i = 0; mews_figures_group(figures, i, &group,
	    sizeof(group)); i++)
		check_text(group.name, sizeof(group.name));
	for (uint32_t i = 0; mews_figures_pair(figures, i, &pair,
	    sizeof(pair)); i++)
		check_text(pair.endpoint, sizeof(pair.endpoint));
	for (uint32_t i = 0; mews_figures_statement(figures, i, &statement,
	    sizeof(statement)); i++)
		check_text(statement.name, sizeof(statement.name));
	mews_figures_free(&figures);
	while (mews_view_event(view, event.ticket, &event, sizeof(event)))
		check_text(event.text, sizeof(event.text));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mews_view *view;
	struct mews_view_fleet fleet;
	struct mews_view_endpoint endpoint;
	struct mews_view_worker worker;
	struct mews_error error;
	uint32_t count = 0, times;
	const char *name;

	if (file == -1)
		make_file();
	write_file(data, size);
	if (mews_view_open(&view, path, &error) != MEWS_OK) {
		assert(view == NULL);
		check_text(error.message, sizeof(error.message));
		segment_is_foreign(path);
		return 0;
	}
	mews_view_fleet(view, &fleet, sizeof(fleet));
	check_text(fleet.instance, sizeof(fleet.instance));
	assert(fleet.endpoint_count <= MEWS_ENDPOINTS_MAX);
	while (mews_view_endpoint(view, count, &endpoint, sizeof(endpoint))) {
		check_endpoint(&endpoint);
		count++;
	}
	assert(count == fleet.endpoint_count);
	for (uint32_t i = 0; i <= fleet.slot_count; i++)
		if (mews_view_worker(view, i, &worker, sizeof(worker))) {
			assert(worker.pid > 0 && worker.uptime_ms >= 0 &&
			    worker.heartbeat_age_ms >= 0);
			assert(mews_worker_state_name(worker.state) != NULL);
		}
	for (uint32_t i = 0; i <= count; i++)
		for (uint32_t k = 0; mews_view_transitions(view, i, k, &name,
		    &times); k++)
			assert(name != NULL);
	check_figures(view);
	mews_view_close(&view);
	return 0;
}
