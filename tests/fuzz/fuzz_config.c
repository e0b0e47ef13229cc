/*
 * fuzz_config.c - any file is either a configuration that can be used, or all
 * its mistakes are told, line by line.
 */
#include "fuzz.h"

#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const bool fuzz_lines = false;
const char *const fuzz_words[] = { "endpoint \"z\" {", "group \"z\" {",
	"health {", "}", "{", "=", "\"", "'", "#", "\n", "//", "/*", "*/",
	",", "+=", "${HOME}", "${", "\\", "never", "true", "10s", "64MB",
	"5 h", "unix:/x", "[::1]:1", "*:80", "primary", "host=/x",
	"include(\"/dev/null\")", NULL };

static char path[] = "/tmp/mews-fuzz-XXXXXX";

static void
remove_file(void)
{
	unlink(path);
}

static void
check_report(void *arg, const char *line)
{
	assert(strchr(line, '\n') == NULL && *line != '\0');
	++*(size_t *)arg;
}

static void
check_config(const struct config *config)
{
	const struct mews_config *fleet = &config->fleet;

	assert(config->workers > 0 && config->listen_count > 0);
	assert(fleet->endpoint_count > 0 && fleet->group_count > 0);
	for (size_t i = 0; i < fleet->endpoint_count; i++)
		assert(strlen(fleet->endpoints[i].name) <= MEWS_NAME_MAX &&
		    fleet->endpoints[i].conninfo != NULL);
	for (size_t i = 0; i < fleet->group_count; i++)
		assert(strlen(fleet->groups[i].name) <= MEWS_NAME_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool made;
	struct config *config;
	size_t	 reports = 0;
	bool	 loaded;
	FILE	*out;
	int	 fd;

	if (!made) {
		fd = mkstemp(path);
		assert(fd != -1);
		close(fd);
		atexit(remove_file);
		made = true;
	}
	out = fopen(path, "w");
	assert(out != NULL);
	fwrite(data, 1, size, out);
	fclose(out);

	loaded = config_load(&config, path, check_report, &reports);
	assert(loaded == (config != NULL) && loaded == (reports == 0));
	if (loaded)
		check_config(config);
	config_free(&config);
	assert(config == NULL);
	return 0;
}
