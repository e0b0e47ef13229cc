/*
 * binding.h - what the files of the extension module mews._mews share.
 *
 * The GIL is held in every call of libmews, so that its callbacks may make
 * Python objects; it is released in poll(2) alone, in pool_wait(). Python code
 * that runs inside a callback of the pool (a finalizer, a decoder) finds depth
 * > 0, and calls that the pool could not bear are refused. If such code forks,
 * the child does not return into its copy of libmews: see pool_left().
 *
 * Functions that return a PyObject * or a bool follow Python's convention: NULL
 * or false means that an exception is set.
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
	jmp_buf out;	/* where the child of a fork continues */
	unsigned forks; /* fork_count when the call began */
};

/* The connections of one thread of one process. */
struct pool {
	PyObject_HEAD
	LIST_ENTRY(pool) link; /* in the fleet's list */
	struct fleet *fleet;   /* strong; NULL: the pool is adopted */
	struct mews_pool *handle; /* NULL: opened at the next use */
	struct mews_fleet *home;  /* the fleet that it was opened on */
	unsigned listeners;
	unsigned long thread;	  /* the thread that may use it while it is
				     open */
	unsigned generation;	  /* +1 when the handle ends */
	unsigned forks;		  /* fork_count of the process that opened it */
	unsigned depth;		  /* how many callbacks of libmews run */
	struct inside *inside;	  /* the call that runs them */
	bool asynchronous;	  /* calls give futures of an event loop */
	bool closing;
	struct pollfd *watches; /* descriptors that libmews waits for */
	size_t watch_count, watch_room;
	PyObject *plans; /* dict: SQL to struct plan */
	size_t plan_count; /* how many plans are registered */
	const char *endpoint_name; /* the endpoint of the last result, and its
				      str */
	PyObject *endpoint;
	TAILQ_HEAD(, behind) behind; /* calls that wait for busy leases */
	LIST_HEAD(, call) lease_calls; /* calls in flight */
	uint64_t position; /* the highest position of this pool's writes */
	PyObject *parent;  /* bytes: the traceparent of the request that is
			      served; or NULL */
	PyObject *on_notice; /* callable, or NULL */
	PyObject *notices; /* list of (handler, notice) yet to be called, or
			      NULL */
	PyObject *loop;	   /* asyncio's; NULL: the pool is not asynchronous */
	PyObject *future_class; /* mews.aio.QueryFuture */
	PyObject *timer;   /* the tick that is scheduled, or NULL */
	int64_t timer_ms;  /* when that tick is due, monotonic */
	bool tick_soon;	   /* a tick is in the loop's queue */
	bool astray; /* inherited by the child of a fork inside of its loop */
};

struct fleet {
	PyObject_HEAD
	LIST_ENTRY(fleet) link; /* in the list of all fleets of this process */
	struct mews_fleet *handle; /* NULL: closed */
	PyObject *log;		   /* callable, or NULL */
	pid_t creator;
	pid_t joined;		   /* the process that holds a slot */
	LIST_HEAD(, pool) pools;
	/* Only in a fleet that another process made, else NULL: */
	struct config *config;
	char *runtime_file; /* where to attach, or NULL: where the configuration
			       says */
	struct mews_fleet *past; /* the former fleet, while pools are open on
				    it */
	time_t again_s;		 /* monotonic: the earliest time of the next
				    try */
};

/* One text of SQL, its statement, and the columns of its last result. */
struct plan {
	PyObject_HEAD
	PyObject *sql; /* the SQL, a str */
	const char *text;
	struct mews_statement *statement; /* NULL: not registered yet */
	unsigned uses;
	unsigned flavour; /* load_version() when the loaders were chosen */
	struct columns *columns; /* NULL: no result yet */
	int count;
	Oid *types;
	struct loader *loaders; /* loaders: one for each column, then one for
				   each element type */
};

/* The names of a row's columns, shared by all rows of a result. */
struct columns {
	PyObject_HEAD
	PyObject *names; /* tuple of str */
	PyObject *types; /* tuple of OIDs; NULL: not known */
	PyObject *index; /* dict: name to index */
};

/* How the text form of one type becomes a Python value. */
struct loader {
	PyObject *(*load)(const struct loader *, const char *text,
	    Py_ssize_t length);
	const struct loader *element; /* of an array's or a range's elements */
	PyObject *callable;	      /* borrowed from the registry */
};

/* Which value a successful call returns. */
enum call_want {
	CALL_ROWS,  /* Rows */
	CALL_COUNT, /* number of affected rows */
	CALL_NONE,
	CALL_LEASE,
	CALL_END, /* the end of a transaction */
	CALL_DESCRIPTION
};

/* One query, or a wait for a lease, until it ended. */
struct call {
	struct pool *pool;
	struct lease *lease; /* strong: the lease that the query runs on; NULL:
				none */
	LIST_ENTRY(call) link; /* in pool->lease_calls, if lease is set */
	struct plan *plan; /* strong, or NULL */
	PyObject *future;  /* strong; NULL: a call waits in pool_wait() */
	PyObject *value;
	PyObject *error;
	mews_query_id id;
	enum call_want want;
	bool done;
	bool orphan; /* no caller waits for it any more */
	bool canceled; /* the server is being asked to cancel it */
};

struct lease {
	PyObject_HEAD
	struct pool *pool;
	struct mews_lease *handle;
	struct mews_group *group;
	PyObject *on_notice; /* (pool, callable), or NULL: the pool's handler is
				called */
	struct stream *stream; /* the stream that was begun last and goes on, or
				  NULL */
	/* Have the stream run on by itself, as a call waits for its end. False:
	 * it is a COPY whose data is still to come. */
	bool (*hurry)(struct stream *stream);
	bool block; /* a transaction is to begin that SQL must not end */
	bool heavy; /* a COPY or a script was begun, and may still run */
	unsigned canceled; /* calls that are being cancelled; the request might
			      hit another */
	unsigned generation; /* generation of the pool when it was borrowed */
};

/* Options of a query, beside its SQL and its parameters. */
struct query_options {
	uint64_t after;
	uint32_t wait_ms;
	unsigned flags;
};

extern PyTypeObject Fleet_Type, Pool_Type, Lease_Type, Plan_Type,
    Columns_Type, Row_Type, Rows_Type, Stream_Type, Listener_Type;

/* fork.c */

/** How often fork(2) made this process a child since fork_catch() was first
 * called. */
extern unsigned fork_count;
bool fork_catch(void);

/* import.c */

/** A class or function of a Python module, kept for ever. */
PyObject *load_import(const char *module, const char *name);

/* error.c */

/** Make an exception object; @pg may be NULL. */
PyObject *error_new(enum mews_status status, const char *sqlstate,
    const char *message, const char *endpoint, const PGresult *pg);
/** Raise such an exception; returns NULL. */
PyObject *error_raise(enum mews_status status, const char *message);
/** The exception for a result that is not OK. */
PyObject *error_of_result(const struct mews_result *result);
/** As error_of_result(), for a COMMIT or ROLLBACK. */
PyObject *error_of_end(const struct mews_result *result);
/** The exception for a call that @group refused. */
PyObject *error_of_group(enum mews_status status,
    const struct mews_group *group);
/** Raise a DecodeError; returns NULL. */
PyObject *error_decode(const char *type, const char *text,
    Py_ssize_t length, const char *why);

/* use.c */

/** Make sure that this process has a slot. */
bool fleet_join(struct fleet *fleet);
/** Open the pool, or raise why this thread cannot use it. */
bool pool_use(struct pool *pool);
struct mews_group *pool_group(struct pool *pool, PyObject *name);
/** Give up everything; in a fork's copy, without sending anything to
 * servers. */
void pool_shut(struct pool *pool);
/**
 * At the end of a callback that ran Python code of the user's: if that code
 * forked, the child continues behind the call of libmews, with what the
 * callback had prepared, and does not return into libmews.
 */
void pool_left(struct pool *pool);
/** The pool of a lease that may be used now, or NULL. */
struct pool *lease_use(struct lease *lease);
/**
 * As lease_use(), for calls that wait behind a stream that goes on. Calls that
 * block also wait for the end of a COPY or a script.
 */
struct pool *lease_ask(struct lease *lease);

/* behind.c */

/** A call that waits until a lease is free. */
struct behind {
	TAILQ_ENTRY(behind) link; /* in its pool's list, unless the lease is
				     free */
	struct lease *lease;
	void (*told)(struct behind *behind); /* called when the lease is free;
						or NULL */
	struct call *call;		     /* the argument of told */
	bool free;
};

/** Does neither a COPY nor a script run, and is nothing being cancelled? */
bool lease_is_free(struct lease *lease);
/** Asynchronous: must a call wait for @lease, which lease_ask() gave? */
bool lease_is_late(struct lease *lease);
/** Tell the calls that wait for leases that are free now. */
void behind_look(struct pool *pool);

/* later.c */

/** Asynchronous: an awaitable that calls a method later. */
PyObject *lease_later(struct lease *lease, const char *method,
    PyObject *const *args, Py_ssize_t count, PyObject *names);
/** The attribute busy, and the method free(), which gives a future of the
 * end. */
PyObject *lease_busy(PyObject *self, void *unused);
PyObject *lease_free(PyObject *self, PyObject *unused);

/* attach.c */

struct config;

/**
 * Make a fleet, or attach to one.
 *
 * @runtime_file The file to make or to attach to; NULL: make none, or attach
 * where the configuration says.
 */
enum mews_status attach_make(struct mews_fleet **out,
    const struct config *config, const char *runtime_file, bool attach,
    struct mews_error *error);
/** Did another fleet follow the one that this open pool is on? True: nothing of
 * the pool is under way, so shut the pool, call attach_forget(), and open it
 * again. */
bool attach_follow(struct pool *pool);
/** End the former fleet, if no pool is open on it. */
void attach_forget(struct fleet *fleet);
/** Free all that belongs to attaching. */
void attach_end(struct fleet *fleet);

/* tell.c */

/** Call the host's log function. */
void fleet_tell(struct fleet *fleet, enum mews_log_level level,
    const char *event, const char *text);
/** Send the fleet's events to the host's log function, if there is one. */
void fleet_listen(struct fleet *fleet);

/* fleet.c */

/** For os.register_at_fork(): before the fork, and after it in the child. */
PyObject *fleet_forking(PyObject *module, PyObject *unused);
PyObject *fleet_forked(PyObject *module, PyObject *unused);

/* view.c */

PyObject *view_status(PyObject *self, PyObject *unused);
PyObject *view_drain(PyObject *self, PyObject *args);
/**
 * Give back the slots of processes that are gone; returns how many. Only the
 * fleet's creator does this: two processes at a time might clear a slot that
 * was taken again in between.
 */
long view_reap(struct fleet *fleet);

/* foreign.c */

PyObject *foreign_choose(PyObject *self, PyObject *args);
PyObject *foreign_report(PyObject *self, PyObject *args);

/* pool.c */

/**
 * A Pool around a struct mews_pool that the process has already, for hosts that
 * embed the interpreter: (type, capsule), the capsule being named "mews_pool",
 * or None: the pool cannot be used. The host's loop serves it, too. The host
 * calls _release() right after it closed the pool.
 */
PyObject *pool_adopt(PyObject *module, PyObject *args);

/* wait.c */

/**
 * Turn the pool's loop until *done or until @timeout_ms passed (-1: never),
 * with the GIL released while waiting. False: a signal handler raised an
 * exception, or the pool was closed meanwhile.
 */
bool pool_wait(struct pool *pool, const bool *done, int timeout_ms);
/** One turn of the loop that does not wait. */
bool pool_attend(struct pool *pool);
void pool_watch(void *arg, int fd, int events);
/** Have the loop call pool_tick() soon; a no-op if there is no loop. */
bool pool_schedule(struct pool *pool);
PyObject *pool_tick(PyObject *self, PyObject *unused);
PyObject *pool_readable(PyObject *self, PyObject *fd);
PyObject *pool_writable(PyObject *self, PyObject *fd);

/* param.c */

#define PARAMS_INSIDE 16

struct params {
	struct mews_param *list;
	PyObject **keep; /* memory of texts */
	int count, kept;
	struct mews_param list_inside[PARAMS_INSIDE];
	PyObject *keep_inside[PARAMS_INSIDE];
};

bool params_fill(struct params *params, PyObject *const *args,
    Py_ssize_t count);
void params_free(struct params *params);
/** The text or bytes of @value, as they are sent; a new reference. */
PyObject *param_dump(PyObject *module, PyObject *value);

/* call.c */

/** Run SQL in the group of that name, or on @lease if it is not NULL. */
PyObject *call_query(struct pool *pool, PyObject *group, struct lease *lease,
    enum call_want want, PyObject *const *args, Py_ssize_t count,
    PyObject *names);
struct call *call_new(struct pool *pool, enum call_want want);
void call_free(struct call *call);
/** The mews_query_fn of every call. */
void call_done(void *arg, const struct mews_result *result);
/** Wait for the call's end, or return its future. Takes @call. */
PyObject *call_result(struct call *call);
/** Refuse @call: give @error to its caller. Takes both. */
PyObject *call_refuse(struct call *call, PyObject *error);
/** Asynchronous: a future that is done already. Takes both. */
PyObject *call_give(struct call *call, PyObject *value);
/** Count @call as in flight on @lease. */
void call_on_lease(struct call *call, struct lease *lease);
/** Give up a call in flight, and have the server cancel it if possible. */
bool call_cancel(struct pool *pool, mews_query_id id);
/** Asynchronous: was the call's future cancelled? */
bool call_abandoned(struct call *call);
/** Give the outcome to the caller: takes @value, or @error if that is not
 * NULL. */
void call_finish(struct call *call, PyObject *value, PyObject *error);
bool call_options(PyObject *const *values, PyObject *names,
    struct query_options *options);
/** SQL, parameters and options in the form of libmews. */
struct query {
	struct mews_query_args args;
	struct params params;
	struct plan *plan; /* strong references */
};

/** Convert them. This runs code of the user's, so all that was known of a pool
 * or lease before must be checked again. */
bool query_fill(struct query *query, PyObject *const *args, Py_ssize_t count,
    PyObject *names);
/** Fill in the rest, once the pool is open. */
bool query_plan(struct query *query, struct pool *pool, PyObject *sql);
void query_clear(struct query *query);

/* plan.c */

/** The plan of this SQL; a new reference. */
struct plan *plan_of(struct pool *pool, PyObject *sql);
/** Register the plan's statement, if that is worth it. */
bool plan_prepare(struct plan *plan, struct pool *pool);
/** Learn the columns of @pg. */
bool plan_describe(struct plan *plan, const PGresult *pg);
/** One row of @pg. */
PyObject *plan_row(struct plan *plan, const PGresult *pg, int row);

/* row.c */

struct columns *columns_new(const PGresult *pg);
bool columns_match(const struct columns *columns, const PGresult *pg);
/** A row whose values are NULL; row_set() fills them in. */
PyObject *row_new(struct columns *columns);
void row_set(PyObject *row, Py_ssize_t at, PyObject *value);

/* rows.c */

PyObject *rows_new(struct pool *pool, struct plan *plan,
    const struct mews_result *result);
int64_t rows_affected(const PGresult *pg);

/* load.c, load_time.c, load_array.c */

/** +1 with every mews.register_type(). */
unsigned load_version(void);
/** @element: room for the loader of an array's or a range's elements. */
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

/** Have @handler called for notices of a pool or a lease; None: no handler. */
bool notice_set(struct pool *pool, PyObject *handler);
bool notice_set_lease(struct lease *lease, PyObject *handler);
/** Set the handler at libmews, when the pool was opened. */
void notice_begin(struct pool *pool);
/** Call the handlers of pool->notices, unless this is inside of a callback. */
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
	struct call *call; /* asynchronous: the call whose future is waited
			      for */
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
