/*
 * proc.h - what the kernel tells about a process that may be somebody else's.
 */
#ifndef MASTER_PROC_H
#define MASTER_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/** The beginning of a file of /proc/PID, NUL-terminated. Returns its length;
 * at most 0 if there is none, or it may not be read. */
ssize_t proc_read(pid_t pid, const char *name, char *text, size_t size);

/** The name of its program, as ps(1) shows it; "?" if the kernel does not
 * tell. Returns @name. */
const char *proc_command(pid_t pid, char *name, size_t size);

/** Is its real user @uid? */
bool proc_runs_as(pid_t pid, uid_t uid);

/** Is its title that of setproctitle(3), "mews: @role...", with " (@instance)"
 * at its end? @instance  NULL: any. */
bool proc_is_called(pid_t pid, const char *role, const char *instance);

#endif
