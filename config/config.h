/*
 * config.h - what the mews command was told to do.
 *
 * Parsed from a file (libconfuse) by config_load(); the file's own text and
 * line numbers end there. Everything in a struct config belongs to it and is
 * freed by config_free(); nobody writes it after config_load().
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <mews/config.h>
#include <mews/fleet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_log { CONFIG_LOG_STDERR, CONFIG_LOG_SYSLOG };

/* An address to listen on: "127.0.0.1:80", "[::1]:80", "*:80", "unix:PATH". */
struct config_listen {
	const char *text; /* as written */
	const char *host; /* numeric; NULL: every address ("*") */
	const char *path; /* of a unix socket, else NULL */
	uint16_t port;
	unsigned line; /* where it was written */
};

struct config {
	const char *path;    /* of the file itself; absolute */
	const char *app;     /* path of the shared object; absolute */
	unsigned app_line;   /* where it was written */
	const char *user;    /* to become when started as root */
	const char *group;   /* NULL: the user's own */
	const char *runtime_dir; /* absolute */
	const struct config_listen *listen;
	size_t listen_count;
	enum config_log log;
	enum mews_log_level log_level;
	uint32_t workers; /* resolved: never 0 */
	uint32_t graceful_timeout; /* ms or MEWS_FOREVER */
	uint32_t worker_timeout;   /* ms or MEWS_FOREVER */
	struct mews_config fleet;  /* complete, as mews_fleet_create() wants
				      it; slots for just these workers */
	void *memory;		   /* what the strings above live in */
};

/** One line, without a newline: "FILE:LINE: what is wrong and what is ...". */
typedef void config_report_fn(void *arg, const char *line);

/**
 * Read and check a file. All mistakes are reported, in the order of their
 * lines; after a syntax error none of what follows it. Not for threads:
 * libconfuse has one scanner per process.
 *
 * @out  set if true is returned, else NULL; config_free() it.
 */
bool config_load(struct config **out, const char *path,
    config_report_fn *report, void *arg);
/** Free it and set *config to NULL; NULL *config is a no-op. */
void config_free(struct config **config);

/** runtime_dir/INSTANCE.segment and .pid: names only, to be freed. */
char *config_segment_path(const char *runtime_dir, const char *instance);
char *config_pid_path(const char *runtime_dir, const char *instance);

#endif
