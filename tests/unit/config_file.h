/*
 * config_file.h - what the tests of configuration files share.
 */
#ifndef TESTS_UNIT_CONFIG_FILE_H
#define TESTS_UNIT_CONFIG_FILE_H

#include "unit.h"

#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array)  ((int)(sizeof(array) / sizeof((array)[0])))
#define REPORTS_MAX   64
#define ENDPOINT_A    "endpoint \"a\" { conninfo = \"host=127.0.0.1\" }\n"
#define GROUP_G	      "group \"g\" { }\n"
#define COMPLETE      "app = app.so\n" ENDPOINT_A GROUP_G

/* Every test has a directory with an empty app.so and its mews.conf. */
static char directory[64];
static char file[96];

/* The reports of the last load_text() or load_file(). */
static char  *reports[REPORTS_MAX];
static size_t report_count;

static inline const char *
in_directory(const char *name)
{
	static char	path[256];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static inline void
write_file(const char *path, const char *text)
{
	FILE	*out = fopen(path, "w");

	ck_assert_ptr_nonnull(out);
	fputs(text, out);
	ck_assert_int_eq(fclose(out), 0);
}

static inline void
make_directory(void)
{
	strcpy(directory, "/tmp/mews-config-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	strcpy(file, in_directory("mews.conf"));
	write_file(in_directory("app.so"), "");
}

static inline void
forget_reports(void)
{
	while (report_count > 0)
		free(reports[--report_count]);
}

static inline void
remove_directory(void)
{
	forget_reports();
	unlink(in_directory("app.so"));
	unlink(file);
	rmdir(directory);
}

static inline void
keep_report(void *arg, const char *line)
{
	ck_assert_ptr_eq(arg, reports);
	ck_assert_ptr_null(strchr(line, '\n'));
	if (report_count < REPORTS_MAX)
		reports[report_count++] = strdup(line);
}

static inline struct config *
load_path(const char *path)
{
	struct config	*config;
	bool		 loaded;

	forget_reports();
	loaded = config_load(&config, path, keep_report, reports);
	ck_assert_int_eq(loaded, config != NULL);
	ck_assert_int_eq(loaded, report_count == 0);
	return config;
}

/* Load @text as a mews.conf; NULL if it was refused, and the reports say
 * why. */
static inline struct config *
load_text(const char *text)
{
	write_file(file, text);
	return load_path(file);
}

static inline struct config *load_good(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

static inline struct config *
load_good(const char *format, ...)
{
	struct config	*config;
	char		 text[8192];
	va_list		 args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	config = load_text(text);
	ck_assert_msg(config != NULL, "refused: %s\nfor:\n%s", reports[0],
	    text);
	return config;
}

#endif
