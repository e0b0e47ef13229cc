/*
 * process.h - one place in the fleet, and the process that fills it.
 *
 * The master's table of these says what runs, what is to run again and when,
 * what was told to end and until when. Only the master writes it; a worker
 * knows only its number.
 */
#ifndef MASTER_PROCESS_H
#define MASTER_PROCESS_H

#include "log.h"

#include <sys/queue.h>
#include <sys/types.h>

enum process_state {
	PROCESS_ABSENT,	  /* to be started; see process_next() */
	PROCESS_STARTING, /* forked, not yet ready */
	PROCESS_READY,	  /* serves */
	PROCESS_STOPPING, /* told to end; killed at kill_at */
	PROCESS_KILLED	  /* SIGKILL was sent; given up at kill_at */
};

/* A time that never comes; all times are from process_now(). */
#define PROCESS_NEVER INT64_MAX

struct process {
	TAILQ_ENTRY(process) entry;
	unsigned	   number; /* the worker's, as long as it is listed */
	enum process_state state;
	pid_t		   pid;	 /* 0: PROCESS_ABSENT */
	int64_t		   started;
	int64_t		   seen;     /* when it last had a slot; 0: never */
	int64_t		   start_at; /* PROCESS_ABSENT: when to start it */
	int64_t		   needed_at; /* start_at, if no other process serves */
	int64_t		   asked_until; /* silent: until then it may log what it
					   is doing; 0: not asked */
	int64_t		   kill_at;  /* PROCESS_STOPPING, PROCESS_KILLED */
	unsigned	   deaths;   /* in a row, without serving well */
	uint64_t	   max_requests; /* until it is recycled; 0: unset */
	bool		   retired;  /* is not to be started again */
	bool		   renewed;  /* was told to end, to be started anew */
};

TAILQ_HEAD(process_list, process);

/** Milliseconds of CLOCK_MONOTONIC. */
int64_t process_now(void);
/** The time @ms from now; PROCESS_NEVER is never. */
int64_t process_after(int64_t ms);

/** A new place with the lowest free number, listed by number. NULL: no
 * memory. */
struct process *process_add(struct process_list *list);
/** As process_add(), with @number, which is free. */
struct process *process_add_as(struct process_list *list, unsigned number);
/** The lowest free number of those from @first on. */
unsigned process_number(const struct process_list *list, unsigned first);
/** Take @process out of the list and free it. */
void process_remove(struct process_list *list, struct process *process);
struct process *process_find(const struct process_list *list, pid_t pid);

/** @process was forked, as @pid. */
void process_forked(struct process *process, pid_t pid, int64_t now);
/** @process said that it serves. */
void process_ready(struct process *process);

/**
 * @process ended, or could not be forked: decide when it starts again. At once
 * the first time; then after a wait that doubles each time, with jitter, until
 * one has served for a second: 0.1 s to 1 s if it got ready, 0.1 s to 10 s if
 * not.
 *
 * If no other process serves, the wait is 0 for one that served, 0.1 s for one
 * that crashed at once, and 1 s for one that did not get ready.
 */
void process_ended(struct process *process, int64_t now);

/** The process to start next, and when, in *at; NULL and PROCESS_NEVER: none is
 * absent. */
struct process *process_next(const struct process_list *list, int64_t *at);

/** Send @signal; if the process lives at @kill_at it is killed. */
void process_stop(struct process *process, int signal, int64_t kill_at);
/** Send SIGKILL; the kernel may take a while to act. */
void process_kill(struct process *process, int64_t now);

/** When a process that was told to end is to be killed or given up. */
int64_t process_due(const struct process *process);

/** The end of a process, as logfmt: "status=1", "signal=KILL". */
const char *process_end_text(char *buffer, size_t size, int wait_status);

/** The process' state in the kernel, as logfmt: "os_state=T wchan=NAME". */
const char *process_doing(char *buffer, size_t size, pid_t pid);

#endif
