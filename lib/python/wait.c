/*
 * wait.c - the loop that turns a pool: poll(2) for calls that block, asyncio's
 * loop for those that do not.
 */
#include "binding.h"

#include <time.h>

/* ms between looks at signals: a signal that comes between a look and poll(2)
 * does not end poll(2) */
#define SLICE_MS 100

#define POLLS_INSIDE 64 /* descriptors that need no allocation */

static int64_t
now_ms(void)
{
	struct timespec	now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Call a method of the loop; an exception there is reported, not raised. */
static PyObject *
loop_call(struct pool *pool, const char *method, PyObject *first,
    PyObject *second, PyObject *third)
{
	PyObject	*name, *done = NULL;
	PyObject	*args[] = { pool->loop, first, second, third };
	size_t		 count = 2;

	while (count < 4 && args[count] != NULL)
		count++;
	if ((name = PyUnicode_InternFromString(method)) != NULL)
		done = PyObject_VectorcallMethod(name, args, count, NULL);
	Py_XDECREF(name);
	return done;
}

static void
loop_watch(struct pool *pool, int fd, bool on, const char *method,
    const char *callback)
{
	PyObject	*number = PyLong_FromLong(fd), *call = NULL;
	PyObject	*done = NULL;

	if (number != NULL && on &&
	    (call = PyObject_GetAttrString((PyObject *)pool, callback)) !=
	    NULL)
		done = loop_call(pool, method, number, call, number);
	else if (number != NULL && !on)
		done = loop_call(pool, method, number, NULL, NULL);
	/* A loop that was closed before its pool watches nothing. */
	if (done == NULL && pool->closing)
		PyErr_Clear();
	else if (done == NULL)
		PyErr_WriteUnraisable((PyObject *)pool);
	Py_XDECREF(done);
	Py_XDECREF(call);
	Py_XDECREF(number);
}

/* @changed: the events of poll(2) that differ from before. */
static void
tell_loop(struct pool *pool, int fd, int events, int changed)
{
	if ((changed & POLLIN) != 0)
		loop_watch(pool, fd, (events & POLLIN) != 0,
		    (events & POLLIN) != 0 ? "add_reader" : "remove_reader",
		    "_readable");
	if ((changed & POLLOUT) != 0)
		loop_watch(pool, fd, (events & POLLOUT) != 0,
		    (events & POLLOUT) != 0 ? "add_writer" : "remove_writer",
		    "_writable");
}

void
pool_watch(void *arg, int fd, int watch)
{
	struct pool	*pool = arg;
	short		 events = 0;
	int		 before = 0;
	size_t		 i = 0;

	if ((watch & MEWS_WATCH_READ) != 0)
		events |= POLLIN;
	if ((watch & MEWS_WATCH_WRITE) != 0)
		events |= POLLOUT;
	while (i < pool->watch_count && pool->watches[i].fd != fd)
		i++;
	if (i < pool->watch_count)
		before = pool->watches[i].events;
	if (events == 0 && i < pool->watch_count) {
		pool->watches[i] = pool->watches[--pool->watch_count];
	} else if (events != 0) {
		if (i == pool->watch_room) {
			size_t	 room = i * 2 + 16;
			void	*more = PyMem_RawRealloc(pool->watches,
				    room * sizeof(*pool->watches));

			/* If memory is short, this descriptor is not watched,
			 * and its deadline counts. */
			if (more == NULL)
				return;
			pool->watches = more;
			pool->watch_room = room;
		}
		if (i == pool->watch_count)
			pool->watch_count++;
		pool->watches[i] = (struct pollfd) {
			.fd = fd, .events = events
		};
	}
	if (pool->loop != NULL)
		tell_loop(pool, fd, events, events ^ before);
}

/* --- the steps of inside() --- */

static int
step_tick(struct pool *pool, int unused, int unused_too)
{
	(void)unused;
	(void)unused_too;
	return mews_pool_tick(pool->handle);
}

static int
step_ready(struct pool *pool, int fd, int events)
{
	mews_pool_ready(pool->handle, fd, events);
	return 0;
}

/* Run a step of the pool, whose callbacks may run Python code. */
static int
inside(struct pool *pool, int (*step)(struct pool *, int, int), int first,
    int second)
{
	struct inside	 mine = { .forks = fork_count };
	struct inside	*outer = pool->inside;
	unsigned	 depth = pool->depth;
	volatile int	 result = 0; /* in a child that pool_left() brought
					here */

	pool->inside = &mine;
	pool->depth++;
	if (setjmp(mine.out) == 0)
		result = step(pool, first, second);
	pool->depth = depth;
	pool->inside = outer;
	if (depth == 0 && !TAILQ_EMPTY(&pool->behind))
		behind_look(pool);
	if (pool->notices != NULL)
		notice_tell(pool);
	return result;
}

static int
tick(struct pool *pool)
{
	return inside(pool, step_tick, 0, 0);
}

static void
ready(struct pool *pool, int fd, int events)
{
	/* The callback of another descriptor may have closed the pool. */
	if (pool->handle != NULL)
		inside(pool, step_ready, fd, events);
}

static void
act(struct pool *pool, const struct pollfd *polls, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (polls[i].revents != 0)
			ready(pool, polls[i].fd,
			    ((polls[i].revents & ~POLLOUT) != 0 ?
				MEWS_WATCH_READ : 0) |
			    ((polls[i].revents & POLLOUT) != 0 ?
				MEWS_WATCH_WRITE : 0));
}

/* Other threads of the application run while an adopted pool waits. */
static int
poll_adopted(void *arg, struct pollfd *fds, nfds_t count, int timeout_ms)
{
	int	found;

	(void)arg;
	if (timeout_ms == 0)
		return poll(fds, count, 0);
	Py_BEGIN_ALLOW_THREADS
	found = poll(fds, count, timeout_ms);
	Py_END_ALLOW_THREADS
	return found;
}

static int
step_turn(struct pool *pool, int timeout_ms, int unused)
{
	enum mews_status	status;

	(void)unused;
	mews_pool_set_poll(pool->handle, poll_adopted, NULL);
	status = mews_pool_turn(pool->handle, timeout_ms);
	/* The host turns its pool without the GIL, too. */
	if (pool->handle != NULL)
		mews_pool_set_poll(pool->handle, NULL, NULL);
	return (int)status;
}

/* The pool waits for its descriptors itself, as its watches are the host's. */
static bool
turn_adopted(struct pool *pool, int timeout_ms)
{
	if (inside(pool, step_turn, timeout_ms, 0) != (int)MEWS_INVALID)
		return true;
	error_raise(MEWS_INVALID, "the worker's pool is of no use in a "
	    "child of the worker");
	return false;
}

/*
 * poll(2) on a copy: other threads cannot touch the pool meanwhile, but a
 * callback may change what is watched.
 */
static bool
turn(struct pool *pool, int timeout_ms)
{
	struct pollfd	 inside[POLLS_INSIDE], *polls = inside;
	size_t		 count = pool->watch_count;
	int		 found;

	if (pool->fleet == NULL)
		return turn_adopted(pool, timeout_ms);
	if (count > POLLS_INSIDE &&
	    (polls = PyMem_Malloc(count * sizeof(*polls))) == NULL) {
		PyErr_NoMemory();
		return false;
	}
	memcpy(polls, pool->watches, count * sizeof(*polls));
	if (timeout_ms == 0) {
		found = poll(polls, (nfds_t)count, 0);
	} else {
		Py_BEGIN_ALLOW_THREADS
		found = poll(polls, (nfds_t)count, timeout_ms);
		Py_END_ALLOW_THREADS
	}
	if (found > 0)
		act(pool, polls, count);
	if (polls != inside)
		PyMem_Free(polls);
	return true;
}

/* Is the pool still as it was when the wait began? */
static bool
check(struct pool *pool, unsigned generation)
{
	if (PyErr_CheckSignals() == -1)
		return false;
	if (pool->generation == generation)
		return true;
	error_raise(MEWS_CANCELED, "the pool was closed during this call");
	return false;
}

bool
pool_wait(struct pool *pool, const bool *done, int timeout_ms)
{
	unsigned	generation = pool->generation;
	int64_t		until = timeout_ms < 0 ? 0 : now_ms() + timeout_ms;
	int64_t		left;
	int		due;

	if (pool->depth > 0) {
		error_raise(MEWS_INVALID, "a blocking call inside a callback "
		    "of the pool");
		return false;
	}
	while (!*done) {
		due = tick(pool);
		if (*done)
			break;
		if (due < 0 || due > SLICE_MS)
			due = SLICE_MS;
		if (timeout_ms >= 0) {
			if ((left = until - now_ms()) < 0)
				break;
			if (left < due)
				due = (int)left;
		}
		if (!turn(pool, due) ||
		    (!*done && !check(pool, generation)))
			return false;
	}
	return true;
}

bool
pool_attend(struct pool *pool)
{
	if (pool->depth > 0)
		return true;
	tick(pool);
	return turn(pool, 0);
}

bool
pool_schedule(struct pool *pool)
{
	PyObject	*call, *done;

	if (pool->loop == NULL || pool->tick_soon || pool->handle == NULL)
		return true;
	call = PyObject_GetAttrString((PyObject *)pool, "_tick");
	if (call == NULL)
		return false;
	done = loop_call(pool, "call_soon", call, NULL, NULL);
	Py_DECREF(call);
	pool->tick_soon = done != NULL;
	Py_XDECREF(done);
	return done != NULL;
}

/* Have a tick in @due ms, unless one comes sooner. */
static bool
arm(struct pool *pool, int due)
{
	int64_t		 now = now_ms();
	PyObject	*delay, *call;

	if (pool->timer != NULL && pool->timer_ms > now &&
	    pool->timer_ms <= now + due + 1)
		return true;
	if (pool->timer != NULL)
		Py_XDECREF(PyObject_CallMethod(pool->timer, "cancel", NULL));
	Py_CLEAR(pool->timer);
	delay = PyFloat_FromDouble(due / 1000.0);
	call = PyObject_GetAttrString((PyObject *)pool, "_tick");
	if (delay != NULL && call != NULL)
		pool->timer = loop_call(pool, "call_later", delay, call, NULL);
	pool->timer_ms = now + due;
	Py_XDECREF(delay);
	Py_XDECREF(call);
	return pool->timer != NULL;
}

PyObject *
pool_tick(PyObject *self, PyObject *unused)
{
	struct pool	*pool = (struct pool *)self;
	int		 due;

	(void)unused;
	pool->tick_soon = false;
	if (pool->handle == NULL || pool->depth > 0 ||
	    pool->thread != PyThread_get_thread_ident())
		Py_RETURN_NONE;
	due = tick(pool);
	if (due == 0 ? !pool_schedule(pool) : !arm(pool, due))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
on_ready(PyObject *self, PyObject *fd, int events)
{
	struct pool	*pool = (struct pool *)self;
	long		 number = PyLong_AsLong(fd);

	if (number == -1 && PyErr_Occurred())
		return NULL;
	if (pool->thread == PyThread_get_thread_ident())
		ready(pool, (int)number, events);
	/* The tick runs behind the tasks that this one woke, so that their
	 * queries are sent together. */
	if (!pool_schedule(pool))
		return NULL;
	Py_RETURN_NONE;
}

PyObject *
pool_readable(PyObject *self, PyObject *fd)
{
	return on_ready(self, fd, MEWS_WATCH_READ);
}

PyObject *
pool_writable(PyObject *self, PyObject *fd)
{
	return on_ready(self, fd, MEWS_WATCH_WRITE);
}
