/*
 * binding.h - what the files of the extension module mews._mews share.
 *
 * The GIL is held in every call of libmews, so that its callbacks may make
 * Python objects; it is released in poll(2) alone, in pool_wait(). Whatever
 * Python code runs inside a callback of the pool (a finalizer, a decoder)
 * finds depth > 0 and is refused what the pool could not bear. Where it forked,
 * the child does not return into its copy of libmews: see pool_left().
 *
 * Functions that return a PyObject * or a bool follow Python's convention:
 * NULL or false means that an exception is set.
 */
#ifndef LIB_PYTHON_BINDING_H
#define LIB_PYTHON_BINDING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <mews.h>
#include <poll.h>
#include <setjmp.h>
#include <sys/queue.h>

/* Python's slots take functions without and with keywords as one type. */
#define METHOD(function) ((PyCFunction)(void (*)(void))(function))

struct fleet;

/* A call of libmews that may run callbacks. */
struct inside {
	jmp_buf out;	/* where the child of a fork leaves it */
	unsigned forks; /* fork_count at its begin */
};

/* One process' and one thread's connections. */
struct pool {
	PyObject_HEAD
	LIST_ENTRY(pool) link; /* of the fleet's */
	struct fleet *fleet;   /* strong; NULL: the pool is adopted */
	struct mews_pool *handle; /* NULL: opened at the next use */
	struct mews_fleet *home;  /* on which it was opened */
	unsigned listeners;
	unsigned long thread;	  /* whose it is while it is open */
	unsigned generation;	  /* +1 when the handle ends */
	unsigned forks;		  /* fork_count of the process that opened it */
	unsigned depth;		  /* of callbacks of libmews */
	struct inside *inside;	  /* the call that these are of */
	bool asynchronous;	  /* waits are futures of an event loop */
	bool closing;
	struct pollfd *watches; /* descriptors that libmews waits for */
	size_t watch_count, watch_room;
	PyObject *plans; /* dict: SQL to struct plan */
	size_t plan_count; /* of these, registered */
	const char *endpoint_name; /* the endpoint seen last, and its str */
	PyObject *endpoint;
	TAILQ_HEAD(, behind) behind; /* waits for leases that are busy */
	LIST_HEAD(, call) lease_calls; /* in flight */
	uint64_t position; /* the highest of this pool's writes */
	PyObject *parent;  /* bytes: the traceparent of the request that is
			      served now; or NULL */
	PyObject *on_notice; /* callable, or NULL */
	PyObject *notices; /* list of (handler, notice) to be told, or NULL */
	PyObject *loop;	   /* asyncio's; NULL where not asynchronous */
	PyObject *future_class; /* mews.aio.QueryFuture */
	PyObject *timer;   /* the tick that is due latest, or NULL */
	int64_t timer_ms;  /* when that is, monotonic */
	bool tick_soon;	   /* a tick is in the loop's queue */
	bool astray; /* the child of a fork inside of its loop has it */
};

struct fleet {
	PyObject_HEAD
	LIST_ENTRY(fleet) link; /* of all of this process */
	struct mews_fleet *handle; /* NULL: closed */
	PyObject *log;		   /* callable, or NULL */
	pid_t creator;
	pid_t joined;		   /* the process that holds a slot */
	LIST_HEAD(, pool) pools;
	/* Of a fleet that another process made; NULL otherwise: */
	struct config *config;
	char *runtime_file; /* or NULL: that of the configuration */
	struct mews_fleet *past; /* some pools are still open on it */
	time_t again_s;		 /* monotonic: no try to attach before */
};

/* One text of SQL, its statement and what its columns were last time. */
struct plan {
	PyObject_HEAD
	PyObject *sql; /* str */
	const char *text;
	struct mews_statement *statement; /* NULL: not yet */
	unsigned uses;
	unsigned flavour; /* see load_version() */
	struct columns *columns; /* NULL: none seen */
	int count;
	Oid *types;
	struct loader *loaders; /* count, and count of their elements */
};

/* The names of a row's columns, shared by all rows of a result. */
struct columns {
	PyObject_HEAD
	PyObject *names; /* tuple */
	PyObject *types; /* tuple of OIDs; NULL: not known */
	PyObject *index; /* dict: name to number */
};

/* How a value of one type is read from its text form. */
struct loader {
	PyObject *(*load)(const struct loader *, const char *text,
	    Py_ssize_t length);
	const struct loader *element; /* of an array or a range */
	PyObject *callable;	      /* borrowed from the registry */
};

/* The value of a call that ended well. */
enum call_want {
	CALL_ROWS,  /* Rows */
	CALL_COUNT, /* rows affected */
	CALL_NONE,
	CALL_LEASE,
	CALL_END, /* of a transaction */
	CALL_DESCRIPTION
};

/* One query, or a wait for a lease, until it ended. */
struct call {
	struct pool *pool;
	struct lease *lease; /* strong: a query on it; NULL */
	LIST_ENTRY(call) link; /* of pool->lease_calls; where lease is set */
	struct plan *plan; /* strong, or NULL */
	PyObject *future;  /* strong; NULL: somebody waits in pool_wait() */
	PyObject *value;
	PyObject *error;
	mews_query_id id;
	enum call_want want;
	bool done;
	bool orphan; /* nobody waits any more */
	bool canceled; /* the server is being asked to end it */
};

struct lease {
	PyObject_HEAD
	struct pool *pool;
	struct mews_lease *handle;
	struct mews_group *group;
	PyObject *on_notice; /* (pool, callable), or NULL: the pool's */
	struct stream *stream; /* what was begun last and goes on, or NULL */
	/* Have the stream wait for nobody, as somebody waits for its end.
	 * False: it is a COPY whose data is still to come. */
	bool (*hurry)(struct stream *stream);
	bool block; /* a transaction that SQL must not end is to begin */
	bool heavy; /* a COPY or a script was begun, and may go on */
	unsigned canceled; /* calls; another one might be hit for them */
	unsigned generation; /* of the pool, when it was borrowed */
};

/* Options of a query beside its SQL and its parameters. */
struct query_options {
	uint64_t after;
	uint32_t wait_ms;
	unsigned flags;
};

extern PyTypeObject Fleet_Type, Pool_Type, Lease_Type, Plan_Type,
    Columns_Type, Row_Type, Rows_Type, Stream_Type, Listener_Type;

/* fork.c */

/** Grows in the child of each fork(2), once fork_catch() was called. */
extern unsigned fork_count;
bool fork_catch(void);

/* import.c */

/** A class or function of a module of Python's, kept for ever. */
PyObject *load_import(const char *module, const char *name);

/* error.c */

/** An exception object; @pg may be NULL. */
PyObject *error_new(enum mews_status status, const char *sqlstate,
    const char *message, const char *endpoint, const PGresult *pg);
/** Raise it; returns NULL. */
PyObject *error_raise(enum mews_status status, const char *message);
/** Of a result that is not OK. */
PyObject *error_of_result(const struct mews_result *result);
/** As error_of_result(), of a COMMIT or ROLLBACK. */
PyObject *error_of_end(const struct mews_result *result);
/** Of a call that @group refused. */
PyObject *error_of_group(enum mews_status status,
    const struct mews_group *group);
/** Raise a DecodeError; returns NULL. */
PyObject *error_decode(const char *type, const char *text,
    Py_ssize_t length, const char *why);

/* use.c */

/** Have a slot of this process. */
bool fleet_join(struct fleet *fleet);
/** Open it, or say why this thread cannot use it. */
bool pool_use(struct pool *pool);
struct mews_group *pool_group(struct pool *pool, PyObject *name);
/** Give up everything, without a word to a server where a fork copied it. */
void pool_shut(struct pool *pool);
/**
 * At the end of a callback that ran Python code of the user's: where that
 * forked, the child goes on behind the call of libmews, with what the callback
 * had made ready, and does not return.
 */
void pool_left(struct pool *pool);
/** The pool of a lease that may be used now, or NULL. */
struct pool *lease_use(struct lease *lease);
/**
 * As lease_use(), for what waits behind a stream that goes on. Where calls
 * block, wait for the end of a COPY or a script, too.
 */
struct pool *lease_ask(struct lease *lease);

/* behind.c */

/** A call that waits for a lease to be free. */
struct behind {
	TAILQ_ENTRY(behind) link; /* of its pool's; not where it is free */
	struct lease *lease;
	void (*told)(struct behind *behind); /* the lease is free; or NULL */
	struct call *call;		     /* for @told */
	bool free;
};

/** Does no COPY or script run, and does nothing cancelled come to its end? */
bool lease_is_free(struct lease *lease);
/** Asynchronous: is @lease, that lease_ask() gave, to be waited for? */
bool lease_is_late(struct lease *lease);
/** Tell those that wait for leases that are free now. */
void behind_look(struct pool *pool);

/* later.c */

/** Asynchronous: an awaitable that calls a method later. */
PyObject *lease_later(struct lease *lease, const char *method,
    PyObject *const *args, Py_ssize_t count, PyObject *names);
/** The attribute busy, and the method free(): a future of the end. */
PyObject *lease_busy(PyObject *self, void *unused);
PyObject *lease_free(PyObject *self, PyObject *unused);

/* attach.c */

struct config;

/**
 * Make a fleet, or attach to one.
 *
 * @runtime_file  NULL: none, or where to attach that of the configuration.
 */
enum mews_status attach_make(struct mews_fleet **out,
    const struct config *config, const char *runtime_file, bool attach,
    struct mews_error *error);
/** Another fleet may have followed the one of this open pool. True: nothing is
 * under way, so shut the pool, call attach_forget(), and open it there. */
bool attach_follow(struct pool *pool);
/** End the former fleet once no pool is open on it. */
void attach_forget(struct fleet *fleet);
/** Free what belongs to attaching. */
void attach_end(struct fleet *fleet);

/* tell.c */

/** Tell the host's log. */
void fleet_tell(struct fleet *fleet, enum mews_log_level level,
    const char *event, const char *text);
/** Let the host's log, if there is one, hear the fleet. */
void fleet_listen(struct fleet *fleet);

/* fleet.c */

/** For os.register_at_fork(): before it, and after it in the child. */
PyObject *fleet_forking(PyObject *module, PyObject *unused);
PyObject *fleet_forked(PyObject *module, PyObject *unused);

/* view.c */

PyObject *view_status(PyObject *self, PyObject *unused);
PyObject *view_drain(PyObject *self, PyObject *args);
/**
 * Give back the slots of processes that are gone; how many. Only the fleet's
 * creator does: two at a time might clear a slot that somebody took in between.
 */
long view_reap(struct fleet *fleet);

/* foreign.c */

PyObject *foreign_choose(PyObject *self, PyObject *args);
PyObject *foreign_report(PyObject *self, PyObject *args);

/* pool.c */

/**
 * A Pool of connections that the process has already, for hosts that embed the
 * interpreter: (type, capsule), the capsule being a struct mews_pool that is
 * called "mews_pool", or None: it is of no use. The host's loop serves it, too;
 * _release() comes right after the host closed it.
 */
PyObject *pool_adopt(PyObject *module, PyObject *args);

/* wait.c */

/**
 * Turn the pool's loop until *done or @timeout_ms passed (-1: never), the GIL
 * released while waiting. False: a signal handler raised an exception, or the
 * pool was closed meanwhile.
 */
bool pool_wait(struct pool *pool, const bool *done, int timeout_ms);
/** One turn that waits for nothing. */
bool pool_attend(struct pool *pool);
void pool_watch(void *arg, int fd, int events);
/** Have the loop call pool_tick() soon; a no-op where there is none. */
bool pool_schedule(struct pool *pool);
PyObject *pool_tick(PyObject *self, PyObject *unused);
PyObject *pool_readable(PyObject *self, PyObject *fd);
PyObject *pool_writable(PyObject *self, PyObject *fd);

/* param.c */

#define PARAMS_INSIDE 16

struct params {
	struct mews_param *list;
	PyObject **keep; /* memory of the texts */
	int count, kept;
	struct mews_param list_inside[PARAMS_INSIDE];
	PyObject *keep_inside[PARAMS_INSIDE];
};

bool params_fill(struct params *params, PyObject *const *args,
    Py_ssize_t count);
void params_free(struct params *params);
/** Text or bytes of @value, as they are sent; a new reference. */
PyObject *param_dump(PyObject *module, PyObject *value);

/* call.c */

/** Run SQL in the @group of that name, or on @lease where that is not NULL. */
PyObject *call_query(struct pool *pool, PyObject *group, struct lease *lease,
    enum call_want want, PyObject *const *args, Py_ssize_t count,
    PyObject *names);
struct call *call_new(struct pool *pool, enum call_want want);
void call_free(struct call *call);
/** The mews_query_fn of every call. */
void call_done(void *arg, const struct mews_result *result);
/** Wait for it, or hand out its future. Takes @call. */
PyObject *call_result(struct call *call);
/** Refuse @call: give @error to its waiter. Takes both. */
PyObject *call_refuse(struct call *call, PyObject *error);
/** Asynchronous: a future that is done. Takes both. */
PyObject *call_give(struct call *call, PyObject *value);
/** Remember that @call is in flight on @lease. */
void call_on_lease(struct call *call, struct lease *lease);
/** Give up what is in flight, and have the server end it, if it can. */
bool call_cancel(struct pool *pool, mews_query_id id);
/** Asynchronous: was its future cancelled? */
bool call_abandoned(struct call *call);
/** Hand over what came: takes @value, or @error where that is not NULL. */
void call_finish(struct call *call, PyObject *value, PyObject *error);
bool call_options(PyObject *const *values, PyObject *names,
    struct query_options *options);
/** SQL, parameters and options as libmews wants them. */
struct query {
	struct mews_query_args args;
	struct params params;
	struct plan *plan; /* strong */
};

/** Runs code of the user's: what was known of a pool or lease before must be
 * asked again behind it. */
bool query_fill(struct query *query, PyObject *const *args, Py_ssize_t count,
    PyObject *names);
/** The rest, for a pool that is open. */
bool query_plan(struct query *query, struct pool *pool, PyObject *sql);
void query_clear(struct query *query);

/* plan.c */

/** The plan of this SQL, a new reference. */
struct plan *plan_of(struct pool *pool, PyObject *sql);
/** Make sure that it is prepared where that is worth it. */
bool plan_prepare(struct plan *plan, struct pool *pool);
/** Know the columns of @pg. */
bool plan_describe(struct plan *plan, const PGresult *pg);
/** One row of it. */
PyObject *plan_row(struct plan *plan, const PGresult *pg, int row);

/* row.c */

struct columns *columns_new(const PGresult *pg);
bool columns_match(const struct columns *columns, const PGresult *pg);
/** A row whose values are NULL, to be filled by row_set(). */
PyObject *row_new(struct columns *columns);
void row_set(PyObject *row, Py_ssize_t at, PyObject *value);

/* rows.c */

PyObject *rows_new(struct pool *pool, struct plan *plan,
    const struct mews_result *result);
int64_t rows_affected(const PGresult *pg);

/* load.c, load_time.c, load_array.c */

/** +1 with every mews.register_type(). */
unsigned load_version(void);
/** @element: room for that of an array or a range. */
struct loader load_for(Oid type, struct loader *element);
PyObject *load_register(PyObject *module, PyObject *args);
PyObject *load_text(const struct loader *loader, const char *text,
    Py_ssize_t length);
PyObject *load_date(const struct loader *loader, const char *text,
    Py_ssize_t length);
PyObject *load_time(const struct loader *loader, const char *text,
    Py_ssize_t length);
PyObject *load_timestamp(const struct loader *loader, const char *text,
    Py_ssize_t length);
PyObject *load_interval(const struct loader *loader, const char *text,
    Py_ssize_t length);
PyObject *load_array(const struct loader *loader, const char *text,
    Py_ssize_t length);
PyObject *load_range(const struct loader *loader, const char *text,
    Py_ssize_t length);
bool load_init(void);
bool load_time_init(void);

/* lease.c */

PyObject *lease_borrow(struct pool *pool, struct mews_group *group,
    uint32_t wait_ms, uint64_t after);

/* notice.c */

/** Have a pool, or a lease, tell @handler, or nobody, if it is None. */
bool notice_set(struct pool *pool, PyObject *handler);
bool notice_set_lease(struct lease *lease, PyObject *handler);
/** The pool was opened: it has a handler already, perhaps. */
void notice_begin(struct pool *pool);
/** Tell those that pool->notices has, unless this is inside of a callback. */
void notice_tell(struct pool *pool);

/* script.c */

/** Methods of a lease: script(sql), describe(sql), quote_..(text). */
PyObject *script_run(PyObject *self, PyObject *sql);
PyObject *describe_lease(PyObject *self, PyObject *sql);
PyObject *quote_literal(PyObject *self, PyObject *text);
PyObject *quote_identifier(PyObject *self, PyObject *text);
/** A method of a pool: describe(group, sql). */
PyObject *describe_pool(PyObject *self, PyObject *args);

/* description.c */

/** A Description: types of parameters and columns. */
PyObject *description_new(const PGresult *pg);

/* waiter.c */

/* A call that waits for a stream or a listener to go on. */
struct waiter {
	struct call *call; /* asynchronous: whose future is to be told */
	bool progress;
};

/** Wait until waiter_wake(), at most @timeout_ms (-1: for ever). */
PyObject *waiter_wait(struct waiter *waiter, struct pool *pool,
    int timeout_ms);
void waiter_wake(struct waiter *waiter);

/* stream.c, listen.c */

enum stream_kind { STREAM_ROWS, STREAM_COPY_OUT, STREAM_COPY_IN };

PyObject *stream_rows(struct lease *lease, PyObject *const *args,
    Py_ssize_t count, PyObject *names);
PyObject *stream_copy(struct lease *lease, enum stream_kind kind,
    PyObject *sql);
PyObject *listen_new(struct pool *pool, const char *channel);

#endif
