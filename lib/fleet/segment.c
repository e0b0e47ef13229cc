/*
 * segment.c - making, mapping and checking the shared memory.
 */
#include "fleet/segment.h"

#include "base/clock.h"
#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t
segment_size(uint32_t endpoint_space, uint32_t slot_count,
    struct figures_room room)
{
	return sizeof(struct segment_header) +
	    endpoint_space * sizeof(struct segment_endpoint) +
	    slot_count * sizeof(struct segment_slot) +
	    sizeof(struct segment_orphans) + sizeof(struct events) +
	    slot_count * figures_size(room);
}

void
segment_set_known(struct segment *segment, uint32_t known)
{
	segment->known = known;
	segment->endpoint_count = 0;
	for (uint32_t i = 0; i < segment->endpoint_space; i++)
		if (segment_knows(segment, i))
			segment->endpoint_count = i + 1;
}

static void
segment_point(struct segment *segment, void *memory, uint32_t endpoint_space,
    uint32_t slot_count, struct figures_room room)
{
	segment->header = memory;
	segment->endpoints = (struct segment_endpoint *)(segment->header + 1);
	segment->slots =
	    (struct segment_slot *)(segment->endpoints + endpoint_space);
	segment->orphans =
	    (struct segment_orphans *)(segment->slots + slot_count);
	segment->events = (struct events *)(segment->orphans + 1);
	segment->figures = (struct figures *)(segment->events + 1);
	segment->room = room;
	segment->endpoint_space = endpoint_space;
	segment->slot_count = slot_count;
	segment->size = segment_size(endpoint_space, slot_count, room);
	segment_set_known(segment,
	    (uint32_t)((UINT64_C(1) << endpoint_space) - 1));
}

enum mews_status
segment_make(struct segment *segment, const char *path, const char *instance,
    uint32_t endpoint_space, uint32_t slot_count, struct figures_room room,
    struct mews_error *error)
{
	size_t			size = segment_size(endpoint_space, slot_count,
	    room);
	struct segment_header  *header;
	void		       *memory = MAP_FAILED;
	struct stat		st = { 0 };
	int			fd;

	memset(segment, 0, sizeof(*segment));
	fd = path == NULL ? memfd_create("mews", MFD_CLOEXEC) :
	    open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1 && errno == EEXIST)
		return status_set(error, MEWS_SYSTEM, "the segment %s is "
		    "there already: its fleet runs, or crashed; remove the "
		    "file if it does not run", path);
	if (fd == -1)
		return status_set(error, MEWS_SYSTEM,
		    "cannot create the segment %s: %s",
		    path == NULL ? "in memory" : path, strerror(errno));
	/* Allocated now: a full tmpfs must fail here, not as SIGBUS later. */
	if ((errno = posix_fallocate(fd, 0, (off_t)size)) == 0 &&
	    fstat(fd, &st) == 0)
		memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
		    fd, 0);
	if (memory == MAP_FAILED) {
		int	saved = errno;

		close(fd);
		if (path != NULL)
			unlink(path);
		return status_set(error, MEWS_SYSTEM,
		    "cannot map %zu bytes for the segment %s: %s", size,
		    path == NULL ? "in memory" : path, strerror(saved));
	}
	close(fd);

	header = memory;
	header->abi = SEGMENT_ABI;
	header->header_size = sizeof(struct segment_header);
	header->endpoint_size = sizeof(struct segment_endpoint);
	header->slot_size = sizeof(struct segment_slot);
	header->endpoint_space = endpoint_space;
	header->slot_count = slot_count;
	header->figure_groups = room.groups;
	header->figure_pairs = room.pairs;
	header->made_us = clock_now_us();
	snprintf(header->instance, sizeof(header->instance), "%s", instance);
	segment_point(segment, memory, endpoint_space, slot_count, room);
	segment->dev = st.st_dev;
	segment->ino = st.st_ino;
	/* Last: a process that sees the magic sees the rest. */
	atomic_store(&header->magic, SEGMENT_MAGIC);
	return MEWS_OK;
}

static struct figures_room
room_of(const struct segment_header *header)
{
	return (struct figures_room) {
		header->figure_groups, header->figure_pairs
	};
}

static bool
has_room_for_all(const struct segment_header *header)
{
	return header->figure_groups > 0 && header->figure_pairs > 0 &&
	    header->figure_groups <= FIGURES_GROUPS_MOST &&
	    header->figure_pairs <= FIGURES_PAIRS_MOST;
}

enum mews_status
segment_open(struct segment *segment, const char *path, bool writable,
    struct mews_error *error)
{
	const struct segment_header *header;
	struct stat		     st;
	enum mews_status	     status;
	void			    *memory = MAP_FAILED;
	size_t			     size = 0;
	int			     fd;

	memset(segment, 0, sizeof(*segment));
	fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (fd == -1)
		return status_set(error, MEWS_SYSTEM, "%s: %s", path,
		    strerror(errno));
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
		size = (size_t)st.st_size;
		memory = mmap(NULL, size, PROT_READ |
		    (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
	}
	close(fd);
	if (memory == MAP_FAILED)
		return status_set(error, MEWS_INVALID,
		    "%s: not a segment of mews", path);
	header = memory;
	if (size < sizeof(*header) ||
	    atomic_load(&header->magic) != SEGMENT_MAGIC)
		status = status_set(error, MEWS_INVALID,
		    "%s: not a segment of mews", path);
	else if (header->abi != SEGMENT_ABI)
		status = status_set(error, MEWS_INVALID,
		    "%s: written by another version of mews (segment ABI %u, "
		    "this program reads %u)", path, header->abi, SEGMENT_ABI);
	else if (header->header_size != sizeof(struct segment_header) ||
	    header->endpoint_size != sizeof(struct segment_endpoint) ||
	    header->slot_size != sizeof(struct segment_slot) ||
	    header->endpoint_space > MEWS_ENDPOINTS_MAX ||
	    header->slot_count > MEWS_SLOTS_MAX + 1 ||
	    header->slot_count == 0 || !has_room_for_all(header) ||
	    size < segment_size(header->endpoint_space, header->slot_count,
		room_of(header)))
		status = status_set(error, MEWS_INVALID,
		    "%s: a damaged segment of mews: a fleet that runs puts it "
		    "right within seconds, or is to be restarted", path);
	else
		status = MEWS_OK;
	if (status != MEWS_OK) {
		munmap(memory, size);
		return status;
	}
	segment_point(segment, memory, header->endpoint_space,
	    header->slot_count, room_of(header));
	segment->size = size;
	segment->dev = st.st_dev;
	segment->ino = st.st_ino;
	return MEWS_OK;
}

bool
segment_is_foreign(const char *path)
{
	struct segment_header	header = { .abi = SEGMENT_ABI };
	int			fd = open(path, O_RDONLY | O_CLOEXEC);
	/* Magic and number stand first in each version. */
	size_t			size = offsetof(struct segment_header,
	    header_size);
	bool			foreign;

	foreign = fd != -1 &&
	    pread(fd, &header, size, 0) == (ssize_t)size &&
	    atomic_load(&header.magic) == SEGMENT_MAGIC &&
	    header.abi != SEGMENT_ABI;
	if (fd != -1)
		close(fd);
	return foreign;
}

void
segment_close(struct segment *segment)
{
	if (segment->header != NULL)
		munmap(segment->header, segment->size);
	memset(segment, 0, sizeof(*segment));
}

int64_t
segment_ms(const struct segment *segment, int64_t now_us)
{
	/* Unsigned, as a file may hold any number. */
	uint64_t us = (uint64_t)now_us - (uint64_t)segment->header->made_us;

	return (int64_t)us / 1000;
}

void
segment_clear_slot(struct segment *segment, struct segment_slot *slot)
{
	int32_t	pid = atomic_load(&slot->pid);

	atomic_compare_exchange_strong(&segment->header->monitor_pid, &pid, 0);
	atomic_store(&slot->state, MEWS_WORKER_FREE);
	atomic_store(&slot->groups, 0);
	atomic_store(&slot->requests, 0);
	atomic_store(&slot->queries, 0);
	atomic_store(&slot->errors, 0);
	atomic_store(&slot->waiting, 0);
	atomic_store(&slot->in_flight, 0);
	for (size_t i = 0; i < MEWS_ENDPOINTS_MAX; i++) {
		atomic_store(&slot->connections[i], 0);
		atomic_store(&slot->dialing[i], 0);
		atomic_store(&slot->queued[i], 0);
		for (size_t g = 0; g < MEWS_GROUPS_MAX; g++)
			atomic_store(&slot->group_connections[g][i], 0);
	}
	for (size_t i = 0; i < SEGMENT_BACKENDS; i++)
		atomic_store(&slot->backends[i].word, 0);
	atomic_store(&slot->generation, 0);
	atomic_store(&slot->pid, 0);
	atomic_store(&slot->holder, 0);
}

uint32_t
segment_timeline(const struct segment_endpoint *endpoint, bool *proven)
{
	uint64_t	word = atomic_load(&endpoint->timeline);

	*proven = (word & SEGMENT_PROVEN) != 0;
	return (uint32_t)word;
}

void
segment_set_timeline(struct segment_endpoint *endpoint, uint32_t timeline,
    bool proven)
{
	atomic_store(&endpoint->timeline,
	    timeline | (proven ? SEGMENT_PROVEN : 0));
}

void
segment_doubt_timeline(struct segment_endpoint *endpoint, bool promoted)
{
	uint64_t	word = atomic_load(&endpoint->timeline);
	uint32_t	timeline;

	do {
		timeline = (uint32_t)word;
		if (promoted && timeline != 0 && timeline != UINT32_MAX)
			timeline++;
	} while (!atomic_compare_exchange_weak(&endpoint->timeline, &word,
	    timeline));
}

/* Store @bytes of text, a multiple of 8, as words that others may read
 * meanwhile. */
static void
store_text(_Atomic uint64_t *words, const char *text, size_t bytes)
{
	uint64_t	word;

	for (size_t i = 0; i < bytes / 8; i++) {
		memcpy(&word, text + 8 * i, 8);
		atomic_store(&words[i], word);
	}
}

static void
load_text(char *text, const _Atomic uint64_t *words, size_t bytes)
{
	uint64_t	word;

	for (size_t i = 0; i < bytes / 8; i++) {
		word = atomic_load(&words[i]);
		memcpy(text + 8 * i, &word, 8);
	}
	text[bytes - 1] = '\0';
}

void
segment_get_server(const struct segment_endpoint *endpoint,
    char server[SEGMENT_SERVER_MAX + 1])
{
	load_text(server, endpoint->server, SEGMENT_SERVER_MAX + 1);
}

void
segment_set_server(struct segment_endpoint *endpoint, const char *server)
{
	char	text[SEGMENT_SERVER_MAX + 1] = "";

	memcpy(text, server, strnlen(server, SEGMENT_SERVER_MAX));
	store_text(endpoint->server, text, sizeof(text));
}

void
segment_get_address(const struct segment_endpoint *endpoint,
    char address[SEGMENT_HOSTADDR_MAX + 1])
{
	uint32_t	which;

	/* The writer fills the other buffer and then switches. After a switch
	 * it may fill the one that is read here: read again. */
	do {
		which = atomic_load(&endpoint->address);
		load_text(address, endpoint->hostaddr[which % 2],
		    SEGMENT_HOSTADDR_MAX + 1);
	} while (atomic_load(&endpoint->address) != which);
}

void
segment_set_address(struct segment_endpoint *endpoint, const char *address)
{
	char		text[SEGMENT_HOSTADDR_MAX + 1] = "";
	uint32_t	next = atomic_load(&endpoint->address) + 1;

	memcpy(text, address, strnlen(address, SEGMENT_HOSTADDR_MAX));
	store_text(endpoint->hostaddr[next % 2], text, sizeof(text));
	atomic_store(&endpoint->address, next);
}

void
segment_set_refusal(struct segment_endpoint *endpoint, const char *message,
    int64_t now_ms)
{
	char	text[SEGMENT_REFUSAL_MAX + 1] = "";

	if (message == NULL) {
		atomic_store(&endpoint->rejected_ms, 0);
		return;
	}
	memcpy(text, message, strnlen(message, SEGMENT_REFUSAL_MAX));
	store_text(endpoint->refusal, text, sizeof(text));
	/* 0 stands for "not rejected". */
	if (atomic_load(&endpoint->rejected_ms) == 0)
		atomic_store(&endpoint->rejected_ms, now_ms | 1);
}

int64_t
segment_get_refusal(const struct segment_endpoint *endpoint,
    char message[SEGMENT_REFUSAL_MAX + 1])
{
	int64_t	since = atomic_load(&endpoint->rejected_ms);

	message[0] = '\0';
	if (since != 0)
		load_text(message, endpoint->refusal, SEGMENT_REFUSAL_MAX + 1);
	return since;
}
