/*
 * process.h - one place in the fleet, and the process that fills it.
 *
 * The master's table of these is the architecture: what runs, what is to run
 * again and when, what was told to end and until when. Only the master
 * writes it; a worker knows its number and nothing else of it.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include "log.h"

#include <sys/queue.h>
#include <sys/types.h>

enum process_state {
	PROCESS_ABSENT,	  /* to be started at start_at */
	PROCESS_STARTING, /* forked, not yet ready */
	PROCESS_READY,	  /* serves */
	PROCESS_STOPPING, /* told to end; killed at kill_at */
	PROCESS_KILLED,	  /* SIGKILL was sent; given up at kill_at */
	PROCESS_STATES
};

/* A time that never comes; all times are from process_now(). */
#define PROCESS_NEVER INT64_MAX

struct process {
	TAILQ_ENTRY(process) entry;
	unsigned	   number; /* the worker's, as long as it is listed */
	enum process_state state;
	pid_t		   pid;	 /* 0: PROCESS_ABSENT */
	int64_t		   started;
	int64_t		   start_at; /* PROCESS_ABSENT: when to start it */
	int64_t		   kill_at;  /* PROCESS_STOPPING, PROCESS_KILLED */
	unsigned	   deaths;   /* in a row, without serving well */
	bool		   retired;  /* is not to be started again */
};

TAILQ_HEAD(process_list, process);

/** Milliseconds of CLOCK_MONOTONIC. */
int64_t process_now(void);
/** The time @ms from now; PROCESS_NEVER is never. */
int64_t process_after(int64_t ms);

/** A new place with the lowest free number, listed by number. NULL: no
 * memory. */
struct process *process_add(struct process_list *list);
/** Take it out of the list and free it. */
void process_remove(struct process_list *list, struct process *process);
struct process *process_find(const struct process_list *list, pid_t pid);

/** It was forked. */
void process_forked(struct process *process, pid_t pid, int64_t now);
/** It said that it serves. */
void process_ready(struct process *process);

/**
 * It ended, or could not be forked: decide when it starts again. At once the
 * first time; then spaced, twice as far each time (0.1 s to 10 s), with
 * jitter, until it has served for a while.
 */
void process_ended(struct process *process, int64_t now);

/** Send @signal; it is to be gone at @kill_at. */
void process_stop(struct process *process, int signal, int64_t kill_at);
/** Send SIGKILL, which the kernel may take its time with. */
void process_kill(struct process *process, int64_t now);

/** When something has to be done about it, if nothing happens before. */
int64_t process_due(const struct process *process);

/** How it ended, as logfmt: "status=1", "signal=KILL". */
const char *process_end_text(char *buffer, size_t size, int wait_status);

/** What the kernel says it is doing, as logfmt: "os_state=T wchan=...". */
const char *process_doing(char *buffer, size_t size, pid_t pid);

/** "absent", "starting", "ready", "stopping", "killed". */
const char *process_state_name(enum process_state state);

#endif
