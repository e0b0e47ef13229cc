/*
 * segment.c - making, mapping and checking the shared memory.
 */
#include "segment.h"

#include "clock.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t
segment_size(uint32_t endpoint_count, uint32_t slot_count)
{
	return sizeof(struct segment_header) +
	    endpoint_count * sizeof(struct segment_endpoint) +
	    slot_count * sizeof(struct segment_slot) +
	    sizeof(struct segment_orphans);
}

static void
segment_point(struct segment *segment, void *memory, uint32_t endpoint_count,
    uint32_t slot_count)
{
	segment->header = memory;
	segment->endpoints = (struct segment_endpoint *)(segment->header + 1);
	segment->slots =
	    (struct segment_slot *)(segment->endpoints + endpoint_count);
	segment->orphans =
	    (struct segment_orphans *)(segment->slots + slot_count);
	segment->endpoint_count = endpoint_count;
	segment->slot_count = slot_count;
	segment->size = segment_size(endpoint_count, slot_count);
}

enum mews_status
segment_make(struct segment *segment, const char *path, const char *instance,
    uint32_t endpoint_count, uint32_t slot_count, struct mews_error *error)
{
	size_t			size = segment_size(endpoint_count, slot_count);
	struct segment_header  *header;
	void		       *memory = MAP_FAILED;
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
	if ((errno = posix_fallocate(fd, 0, (off_t)size)) == 0)
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
	header->endpoint_count = endpoint_count;
	header->slot_count = slot_count;
	header->made_us = clock_now_us();
	snprintf(header->instance, sizeof(header->instance), "%s", instance);
	segment_point(segment, memory, endpoint_count, slot_count);
	/* Last: who sees the magic sees the rest. */
	atomic_thread_fence(memory_order_release);
	header->magic = SEGMENT_MAGIC;
	return MEWS_OK;
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
	if (size < sizeof(*header) || header->magic != SEGMENT_MAGIC)
		status = status_set(error, MEWS_INVALID,
		    "%s: not a segment of mews", path);
	else if (header->abi != SEGMENT_ABI)
		status = status_set(error, MEWS_INVALID,
		    "%s: written by another version of mews (segment ABI %u, "
		    "this program reads %u)", path, header->abi, SEGMENT_ABI);
	else if (header->header_size != sizeof(struct segment_header) ||
	    header->endpoint_size != sizeof(struct segment_endpoint) ||
	    header->slot_size != sizeof(struct segment_slot) ||
	    header->endpoint_count > MEWS_ENDPOINTS_MAX ||
	    header->slot_count > MEWS_WORKERS_MAX + 1 ||
	    header->slot_count == 0 ||
	    size < segment_size(header->endpoint_count, header->slot_count))
		status = status_set(error, MEWS_INVALID,
		    "%s: a damaged segment of mews", path);
	else
		status = MEWS_OK;
	if (status != MEWS_OK) {
		munmap(memory, size);
		return status;
	}
	segment_point(segment, memory, header->endpoint_count,
	    header->slot_count);
	segment->size = size;
	return MEWS_OK;
}

void
segment_close(struct segment *segment)
{
	if (segment->header != NULL)
		munmap(segment->header, segment->size);
	memset(segment, 0, sizeof(*segment));
}

uint32_t
segment_ms(const struct segment *segment, int64_t now_us)
{
	/* Wrapping, as what a file says may be anything. */
	uint64_t us = (uint64_t)now_us - (uint64_t)segment->header->made_us;

	return (uint32_t)((int64_t)us / 1000);
}

void
segment_clear_slot(struct segment *segment, struct segment_slot *slot)
{
	int32_t	pid = atomic_load(&slot->pid);

	atomic_compare_exchange_strong(&segment->header->monitor_pid, &pid, 0);
	atomic_store(&slot->state, MEWS_WORKER_FREE);
	atomic_store(&slot->requests, 0);
	atomic_store(&slot->queries, 0);
	atomic_store(&slot->errors, 0);
	atomic_store(&slot->waiting, 0);
	atomic_store(&slot->in_flight, 0);
	for (size_t i = 0; i < MEWS_ENDPOINTS_MAX; i++) {
		atomic_store(&slot->connections[i], 0);
		atomic_store(&slot->dialing[i], 0);
	}
	for (size_t i = 0; i < SEGMENT_BACKENDS; i++)
		atomic_store(&slot->backends[i].pid, 0);
	atomic_store(&slot->pid, 0);
}

void
segment_get_address(const struct segment_endpoint *endpoint,
    char address[SEGMENT_HOSTADDR_MAX + 1])
{
	uint32_t	which, again;

	/* The writer fills the other one and then switches; once it did, the
	 * next thing it fills is what we read. */
	do {
		which = atomic_load(&endpoint->address);
		memcpy(address, endpoint->hostaddr[which % 2],
		    SEGMENT_HOSTADDR_MAX + 1);
		atomic_thread_fence(memory_order_acquire);
		again = atomic_load(&endpoint->address);
	} while (again != which);
	address[SEGMENT_HOSTADDR_MAX] = '\0';
}

void
segment_set_address(struct segment_endpoint *endpoint, const char *address)
{
	uint32_t next = atomic_load(&endpoint->address) + 1;

	memset(endpoint->hostaddr[next % 2], 0, SEGMENT_HOSTADDR_MAX + 1);
	strncpy(endpoint->hostaddr[next % 2], address, SEGMENT_HOSTADDR_MAX);
	atomic_store(&endpoint->address, next);
}
