/*
 * config.h - the configuration of the mews command.
 *
 * Parsed from a file by config_load(), which frees the file's text. Everything
 * in a struct config belongs to it and is freed by config_free(); it is not
 * changed after config_load().
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <mews/settings.h>
#include <mews/fleet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_WARNINGS_MAX (MEWS_GROUPS_MAX + 1) /* a group, the file */

enum config_log { CONFIG_LOG_STDERR, CONFIG_LOG_SYSLOG, CONFIG_LOG_FILE };

/* An address to listen on: "127.0.0.1:80", "[::1]:80", "*:80", "unix:PATH". */
struct config_listen {
	const char *text; /* as written */
	const char *host; /* numeric; NULL: every address ("*") */
	const char *path; /* of a unix socket, else NULL */
	uint16_t port;
	unsigned line; /* where it was written */
};

/* Limits of the clients of one worker. */
struct config_http {
	uint32_t max_connections; /* HTTP connections at once */
	uint32_t max_per_client;  /* of one address; 0: max_connections */
	uint32_t header_timeout;  /* ms for a request's head */
	uint32_t idle_timeout;	  /* ms between two requests */
	uint32_t request_timeout; /* ms for a request's body, and the time
				     over which min_send_rate is averaged */
	uint64_t max_header_size; /* bytes of a head */
	uint64_t max_body_size;	  /* bytes of a body that is kept whole */
	uint64_t min_receive_rate; /* bytes a second of a body; 0: any */
	uint64_t min_send_rate;	  /* bytes a second of an answer; 0: any */
	enum mews_switch expose_errors; /* messages of failed queries */
};

enum config_python_kind { CONFIG_PYTHON_WSGI, CONFIG_PYTHON_WEBAPP };

/* The application of mews-python.so. */
struct config_python {
	const char *module; /* MODULE or MODULE:NAME */
	enum config_python_kind kind;
	const char *path; /* a directory that modules are in; absolute */
	const char *virtualenv; /* absolute; NULL: none */
};

struct config {
	const char *path;    /* of the file itself; absolute */
	const char *app;     /* path of the shared object; absolute */
	unsigned app_line;   /* where it was written */
	struct config_python *python; /* NULL: no such section */
	const char *user;    /* to become when started as root */
	const char *group;   /* NULL: the user's own */
	const char *runtime_dir; /* absolute */
	/* Where these, and workers, were written; 1: nowhere. */
	unsigned user_line, runtime_dir_line, instance_line, workers_line;
	unsigned http_line; /* of its max_connections, or its section */
	const struct config_listen *listen;
	size_t listen_count;
	const struct config_listen *admin; /* of the admin process */
	size_t admin_count; /* 0: there is none */
	enum mews_switch admin_public; /* they may be reached by other hosts */
	const char *log_text; /* as written */
	enum config_log log;
	const char *log_path; /* CONFIG_LOG_FILE: absolute; else NULL */
	unsigned log_line;    /* where it was written */
	enum mews_log_level log_level;
	uint32_t workers; /* resolved: never 0 */
	uint32_t graceful_timeout; /* ms or MEWS_FOREVER */
	uint32_t worker_timeout;   /* ms or MEWS_FOREVER */
	uint32_t max_requests;	   /* of one worker; 0: any */
	uint64_t max_memory;	   /* bytes of one worker; 0: any */
	struct config_http http;
	struct mews_config fleet;  /* complete, as for mews_fleet_create();
				      slots for these workers only */
	/* Lines about settings that are allowed, but hardly intended. */
	const char *warnings[CONFIG_WARNINGS_MAX];
	size_t warning_count;
	void *memory;		   /* memory of the strings above */
};

/** One line, without a newline: "FILE:LINE: what is wrong and what is ...". */
typedef void config_report_fn(void *arg, const char *line);

/**
 * Read and check a file. All mistakes are reported, in the order of their
 * lines, except those after a syntax error.
 *
 * @out  set if true is returned, else NULL; config_free() it.
 */
bool config_load(struct config **out, const char *path,
    config_report_fn *report, void *arg);
/**
 * As config_load(), for a host that has its own processes, and for commands
 * about a fleet that runs: app's file, user and runtime_dir are not checked.
 */
bool config_load_fleet(struct config **out, const char *path,
    config_report_fn *report, void *arg);
/**
 * Do as config_load() does, for a monitor that serves nobody: the file of app
 * is not looked at, and may be missing.
 */
bool config_load_monitor(struct config **out, const char *path,
    config_report_fn *report, void *arg);
/** Free the configuration and set *config to NULL; NULL *config is a no-op. */
void config_free(struct config **config);

/** runtime_dir/INSTANCE.segment and .pid: only names; free(3) them. */
char *config_segment_path(const char *runtime_dir, const char *instance);
char *config_pid_path(const char *runtime_dir, const char *instance);

#endif
