/*
 * main.c - the mews command.
 *
 * Exit status: 0; 1 if it could not be done (what is wrong is on stderr, a
 * line for each mistake); 2 if it was not called properly.
 */
#include "ask.h"
#include "complaint.h"
#include "config.h"
#include "drain.h"
#include "events.h"
#include "explain.h"
#include "fail.h"
#include "handover.h"
#include "master.h"
#include "signals.h"
#include "status.h"
#include "top.h"
#include "trial.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_USAGE   2
#define CLEAR_SCREEN "\033[H\033[2J"
#define EXIT_NOTHING 3 /* no outcome in time */

#define PATIENCE_MS 2000 /* with who does not read standard error */

/* Every option of every sub-command; NULL: not given. */
struct options {
	const char *config;
	const char *runtime_dir;
	const char *instance;
	const char *endpoint;
	const char *name; /* the command's first word */
	struct handover *handover; /* NULL: no master is replaced */
	bool	    json;
	struct complaints *complaints;
	bool	    watch;
	bool	    follow;
};

struct command {
	const char *name;
	const char *takes; /* short names of the options it knows */
	int (*run)(struct options *options);
	enum { NAMES_NONE, NAMES_MAY, NAMES_MUST } names; /* an endpoint */
};

static const char usage_text[] =
    "usage: mews run -c FILE\n"
    "       mews monitor -c FILE\n"
    "       mews check -c FILE\n"
    "       mews reload -c FILE\n"
    "       mews upgrade -c FILE\n"
    "       mews status (-c FILE | --runtime-dir DIR [--instance NAME]) "
    "[--json] [--watch]\n"
    "       mews top (-c FILE | --runtime-dir DIR [--instance NAME])\n"
    "       mews events (-c FILE | --runtime-dir DIR [--instance NAME]) [-f]\n"
    "       mews explain [ENDPOINT] (-c FILE | --runtime-dir DIR "
    "[--instance NAME])\n"
    "       mews drain ENDPOINT (-c FILE | --runtime-dir DIR "
    "[--instance NAME])\n"
    "       mews enable ENDPOINT (-c FILE | --runtime-dir DIR "
    "[--instance NAME])\n"
    "       mews --help | --version\n"
    "\n"
    "  run      serve an application with a fleet of workers, in the "
    "foreground\n"
    "  monitor  watch the servers without serving, for processes that attach\n"
    "  check    say what is wrong with a configuration, and do nothing else\n"
    "  reload   make a running fleet read its configuration anew\n"
    "  upgrade  replace a running fleet by what is installed now\n"
    "  status   show a running fleet; works while it hangs\n"
    "  top      show it live, in a terminal\n"
    "  events   show the last things that happened to it\n"
    "  explain  say why a server, or each one, is in its state, and what "
    "is next\n"
    "  drain    give a server no more work, without losing a query\n"
    "  enable   undo drain\n"
    "\n"
    "  -c, --config FILE        the configuration\n"
    "      --runtime-dir DIR    where the fleet's runtime files are\n"
    "      --instance NAME      whose, if there are several\n"
    "      --json               for programs\n"
    "      --watch              again every second, until it ends\n"
    "  -f, --follow             and what will happen, until it ends\n"
    "\n"
    "Signals to the master (its pid is in RUNTIME_DIR/INSTANCE.pid):\n"
    "  TERM, INT    finish what is in flight, then end; INT again: as QUIT\n"
    "  QUIT         end now\n"
    "  HUP          reload: read the configuration anew\n"
    "  USR2         upgrade: let another binary take over\n"
    "  USR1         open the log anew, where it is a file\n"
    "  TTIN, TTOU   one worker more, one less\n"
    "\n"
    "Exit status: 0; 1 it failed, and said why; 2 bad usage; 3 no\n"
    "outcome in time (reload, upgrade). status and explain: 1 also if the\n"
    "fleet's master is dead.\n";

static void usage_error(struct complaints *complaints, const char *format,
    ...) __attribute__((noreturn, format(printf, 2, 3)));

static void
usage_error(struct complaints *complaints, const char *format, ...)
{
	char	text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	complaints_add(complaints, "mews: %s; see mews --help", text);
	exit(EXIT_USAGE);
}

/* A config_report_fn: a master that we are to replace is told as well. */
static void
report_line(void *arg, const char *line)
{
	const struct options *options = arg;

	complaints_line(options->complaints, line);
	if (options->handover != NULL)
		handover_send(options->handover->channel, "mistake %s", line);
}

/* Report a failure; a mistake in the configuration looks like all the
 * others. */
static void
report_failure(struct options *options, const struct mews_error *error)
{
	char line[sizeof(error->message) + 8];

	snprintf(line, sizeof(line), "%s%s",
	    error->status == MEWS_INVALID ? "" : "mews: ", error->message);
	report_line(options, line);
}

/* Load the configuration; report each mistake that can be seen before a fleet
 * is made. @all: also what a start would find by itself. */
static bool
load(struct config **config, struct options *options, bool all)
{
	if (!config_load(config, options->config, report_line, options))
		return false;
	for (size_t i = 0; i < (*config)->warning_count; i++)
		complaints_line(options->complaints, (*config)->warnings[i]);
	if (trial_run(*config, all, report_line, options))
		return true;
	config_free(config);
	return false;
}

static int
command_run(struct options *options)
{
	struct config	 *config;
	struct handover	  handover;
	struct mews_error error;
	bool		  ran = false;

	/* A service must start, even if its standard error is not read. */
	options->complaints->patience_ms = 0;
	if (!handover_find(&handover, &error)) {
		report_failure(options, &error);
		return EXIT_FAILURE;
	}
	if (handover.channel != -1)
		options->handover = &handover;
	if (load(&config, options, false)) {
		ran = master_run(config, options->name, options->handover,
		    &error);
		if (!ran)
			report_failure(options, &error);
		config_free(&config);
	}
	handover_free(&handover);
	return ran ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* mews monitor: only the fleet's part of a configuration counts. */
static int
command_monitor(struct options *options)
{
	struct complaints *complaints = options->complaints;
	struct config	  *config;
	struct mews_error  error;
	bool		   ran;

	complaints->patience_ms = 0;
	if (!config_load_monitor(&config, options->config, complaints_line,
		complaints))
		return EXIT_FAILURE;
	for (size_t i = 0; i < config->warning_count; i++)
		complaints_line(complaints, config->warnings[i]);
	if (!(ran = master_keep(config, &error)))
		report_failure(options, &error);
	config_free(&config);
	return ran ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Have a running fleet do what @signal means, and wait for the outcome. Of the
 * application its master says what is wrong: a monitor alone has none. */
static int
ask(struct options *options, int signal)
{
	struct config	 *config;
	struct mews_error error;
	enum ask_outcome  outcome;

	if (!config_load_monitor(&config, options->config, complaints_line,
		options->complaints))
		return EXIT_FAILURE;
	outcome = ask_master(config, signal, complaints_line,
	    options->complaints, &error);
	if (outcome == ASK_READY)
		printf("%s: serves\n", options->config);
	else
		complaints_add(options->complaints, "mews: %s", error.message);
	config_free(&config);
	return outcome == ASK_READY ? EXIT_SUCCESS :
	    outcome == ASK_REFUSED ? EXIT_FAILURE : EXIT_NOTHING;
}

static int
command_reload(struct options *options)
{
	return ask(options, SIGHUP);
}

static int
command_upgrade(struct options *options)
{
	return ask(options, SIGUSR2);
}

static int
command_check(struct options *options)
{
	struct config *config;

	if (!load(&config, options, true))
		return EXIT_FAILURE;
	printf("%s: ok\n", options->config);
	config_free(&config);
	return EXIT_SUCCESS;
}

/*
 * Which fleet a command is about: what --runtime-dir says, or else the
 * configuration, which is loaded for that and has to be freed. False: it
 * cannot be, and said why.
 */
static bool
find_fleet(const struct options *options, struct config **config,
    const char **runtime_dir, const char **instance)
{
	*config = NULL;
	*runtime_dir = options->runtime_dir;
	*instance = options->instance;
	if (options->config == NULL)
		return true;
	/* The application may be gone, or not readable for this user. */
	if (!config_load_fleet(config, options->config, complaints_line,
		options->complaints))
		return false;
	*runtime_dir = (*config)->runtime_dir;
	*instance = (*config)->fleet.instance;
	return true;
}

static int
command_status(struct options *options)
{
	struct config	  *config;
	struct status_args args = { .json = options->json };
	struct mews_error  error;
	bool		   alive;

	if (!find_fleet(options, &config, &args.runtime_dir, &args.instance))
		return EXIT_FAILURE;
	do {
		if (options->watch && !options->json && isatty(STDOUT_FILENO))
			fputs(CLEAR_SCREEN, stdout);
		alive = status_print(&args, stdout, &error);
		fflush(stdout);
	} while (options->watch && alive && !ferror(stdout) && sleep(1) == 0);
	if (!alive)
		report_failure(options, &error);
	config_free(&config);
	return alive ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int
command_top(struct options *options)
{
	struct config	 *config;
	struct top_args	  args = { 0 };
	struct mews_error error;
	bool		  done;

	if (!find_fleet(options, &config, &args.runtime_dir, &args.instance))
		return EXIT_FAILURE;
	if (!(done = top_run(&args, &error)))
		report_failure(options, &error);
	config_free(&config);
	return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int
command_events(struct options *options)
{
	struct config	  *config;
	struct events_args args = { .follow = options->follow };
	struct mews_error  error;
	bool		   done;

	if (!find_fleet(options, &config, &args.runtime_dir, &args.instance))
		return EXIT_FAILURE;
	if (!(done = events_print(&args, stdout, &error)))
		report_failure(options, &error);
	config_free(&config);
	return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int
command_explain(struct options *options)
{
	struct config	   *config;
	struct explain_args args = { .endpoint = options->endpoint };
	struct mews_error   error;
	bool		    alive;

	if (!find_fleet(options, &config, &args.runtime_dir, &args.instance))
		return EXIT_FAILURE;
	if (config != NULL)
		args.health = &config->fleet.health;
	if (!(alive = explain_print(&args, stdout, &error)))
		report_failure(options, &error);
	config_free(&config);
	return alive ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int
set_drained(struct options *options, bool drained)
{
	struct config	 *config;
	struct mews_error error;
	const char	 *runtime_dir, *instance;
	bool		  done;

	if (!find_fleet(options, &config, &runtime_dir, &instance))
		return EXIT_FAILURE;
	done = drain_endpoint(runtime_dir, instance, options->endpoint,
	    drained, &error);
	if (done)
		printf("endpoint %s is %s\n", options->endpoint,
		    drained ? "drained" : "enabled");
	else
		complaints_add(options->complaints, "mews: %s", error.message);
	config_free(&config);
	return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int
command_drain(struct options *options)
{
	return set_drained(options, true);
}

static int
command_enable(struct options *options)
{
	return set_drained(options, false);
}

static const struct command commands[] = {
	{ "run", "c", command_run, NAMES_NONE },
	{ "monitor", "c", command_monitor, NAMES_NONE },
	{ "check", "c", command_check, NAMES_NONE },
	{ "reload", "c", command_reload, NAMES_NONE },
	{ "upgrade", "c", command_upgrade, NAMES_NONE },
	{ "status", "crijw", command_status, NAMES_NONE },
	{ "top", "cri", command_top, NAMES_NONE },
	{ "events", "crif", command_events, NAMES_NONE },
	{ "explain", "cri", command_explain, NAMES_MAY },
	{ "drain", "cri", command_drain, NAMES_MUST },
	{ "enable", "cri", command_enable, NAMES_MUST },
	{ NULL, NULL, NULL, NAMES_NONE },
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "runtime-dir", required_argument, NULL, 'r' },
	{ "instance", required_argument, NULL, 'i' },
	{ "json", no_argument, NULL, 'j' },
	{ "watch", no_argument, NULL, 'w' },
	{ "follow", no_argument, NULL, 'f' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void
parse_options(struct options *options, const struct command *command,
    int argc, char **argv)
{
	struct complaints *complaints = options->complaints;
	int		   option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":c:fh", long_options,
		    NULL)) != -1) {
		if (option == 'h') {
			fputs(usage_text, stdout);
			exit(EXIT_SUCCESS);
		}
		if (option == ':')
			usage_error(complaints, "%s: %s needs a value",
			    command->name, argv[optind - 1]);
		if (strchr(command->takes, option) == NULL)
			usage_error(complaints, "%s: unknown option %s",
			    command->name, argv[optind - 1]);
		switch (option) {
		case 'c':
			options->config = optarg;
			break;
		case 'r':
			options->runtime_dir = optarg;
			break;
		case 'i':
			options->instance = optarg;
			break;
		case 'j':
			options->json = true;
			break;
		case 'w':
			options->watch = true;
			break;
		case 'f':
			options->follow = true;
			break;
		}
	}
	if (command->names != NAMES_NONE && optind < argc)
		options->endpoint = argv[optind++];
	if (optind < argc)
		usage_error(complaints, "%s: unexpected argument %s",
		    command->name, argv[optind]);
}

/* Check that the options name a fleet. */
static void
check_options(const struct options *options, const struct command *command)
{
	struct complaints *complaints = options->complaints;

	if (options->config != NULL && options->runtime_dir != NULL)
		usage_error(complaints, "%s: -c and --runtime-dir exclude "
		    "each other", command->name);
	if (options->instance != NULL && options->runtime_dir == NULL)
		usage_error(complaints, "%s: --instance goes with "
		    "--runtime-dir", command->name);
	if (options->config == NULL && options->runtime_dir == NULL)
		usage_error(complaints, "%s: -c FILE is missing",
		    command->name);
	if (command->names == NAMES_MUST && options->endpoint == NULL)
		usage_error(complaints, "%s: the name of an endpoint is "
		    "missing", command->name);
}

/* Open missing standard descriptors, so that no socket becomes standard
 * error. */
static void
open_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/*
 * Make room for setproctitle(3), and return the arguments, moved elsewhere.
 *
 * The kernel shows a title up to its end if the last byte of the arguments
 * was overwritten. libbsd takes the first argument for all of them, and
 * would leave its mark in the middle of what ps shows; so join them.
 */
static char **
make_title_room(struct complaints *complaints, int argc, char **argv)
{
	static char   name[] = "mews";
	static char **moved; /* lives as long as the process */

	moved = calloc((size_t)argc + 1, sizeof(*moved));
	for (int i = 0; i < argc && moved != NULL; i++)
		if ((moved[i] = strdup(argv[i])) == NULL)
			moved = NULL;
	if (moved == NULL) {
		complaints_add(complaints, "mews: out of memory");
		exit(EXIT_FAILURE);
	}
	setprogname(name);
	program_invocation_name = name;
	for (int i = 1; i < argc; i++)
		if (argv[i] == argv[i - 1] + strlen(moved[i - 1]) + 1)
			argv[i][-1] = ' ';
	setproctitle_init(argc, argv, environ);
	return moved;
}

int
main(int argc, char **argv)
{
	const struct command *command;
	struct complaints     complaints;
	struct options	      options = { .complaints = &complaints };

	if (argc > 1 && (strcmp(argv[1], "run") == 0 ||
		strcmp(argv[1], "monitor") == 0))
		signals_begin();
	open_standard_descriptors();
	complaints_open(&complaints, PATIENCE_MS);
	argv = make_title_room(&complaints, argc, argv);
	options.name = argv[0];
	if (argc < 2)
		usage_error(&complaints, "a command is missing");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		fputs(usage_text, stdout);
		return EXIT_SUCCESS;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("mews " MEWS_VERSION);
		return EXIT_SUCCESS;
	}
	for (command = commands; command->name != NULL; command++)
		if (strcmp(argv[1], command->name) == 0)
			break;
	if (command->name == NULL)
		usage_error(&complaints, "unknown command %s", argv[1]);
	parse_options(&options, command, argc - 1, argv + 1);
	check_options(&options, command);
	return command->run(&options);
}
