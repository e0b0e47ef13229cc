/*
 * test_config_shipped.c - the mews.conf that is shipped explains every key of
 * the option table with its true default. MEWS_CONF is its path.
 */
#include "config_field.h"
#include "config_file.h"

#include <regex.h>

/* The shipped file, with an application that exists. */
static char *
shipped_text(void)
{
	static const char	app[] = "\napp = \"";
	const char		*path = getenv("MEWS_CONF");
	static char		 text[65536];
	size_t			 length;
	FILE			*in;
	char			*at, *end;

	ck_assert_msg(path != NULL && (in = fopen(path, "r")) != NULL,
	    "MEWS_CONF is not the path of mews.conf");
	length = fread(text, 1, sizeof(text) - 1, in);
	text[length] = '\0';
	fclose(in);
	at = strstr(text, app);
	ck_assert_ptr_nonnull(at);
	at += strlen(app);
	end = strchr(at, '"');
	ck_assert_int_ge(end - at, (ptrdiff_t)strlen("app.so"));
	memmove(at + strlen("app.so"), end, strlen(end) + 1);
	memcpy(at, "app.so", strlen("app.so"));
	return text;
}

/* Remove the # of every line that shows a key with its default. */
static void
activate_defaults(char *text)
{
	regex_t		line;
	regmatch_t	match[2];

	ck_assert_int_eq(regcomp(&line, "(^|\n)[ \t]*#[a-z_]+ = ",
	    REG_EXTENDED), 0);
	for (; regexec(&line, text, 2, match, 0) == 0; text += match[0].rm_eo)
		*strchr(text + match[0].rm_so, '#') = ' ';
	regfree(&line);
}

START_TEST(mews_conf_explains_every_key)
{
	static const char *const begins[SECTION_KINDS] = {
		"", "\nendpoint ", "\ngroup ", "\nhealth {", "\nhttp {",
		"\n#\tpython {",
	};
	char			*text = shipped_text();

	for (size_t i = 0; i < option_count(); i++) {
		const struct option *option = option_at(i);
		const char *quote = "", *open = "", *close = "";
		char	wanted[256];
		char   *section, *end, *found;

		if (option_is_list(option)) {
			open = "{";
			close = "}";
			quote = option->fallback[0] != '\0' ? "\"" : "";
		}
		/* A section that is a comment as a whole, as most have no use
		 * for it. */
		if (option->section == SECTION_PYTHON)
			snprintf(wanted, sizeof(wanted), "#\t\t%s = ",
			    option->name);
		else if (option->fallback != NULL && (open[0] != '\0' ||
		    option->fallback[0] != '\0'))
			snprintf(wanted, sizeof(wanted),
			    "#%s = %s%s%s%s%s\n", option->name, open, quote,
			    option->fallback, quote, close);
		else
			snprintf(wanted, sizeof(wanted), "%s = \"",
			    option->name);
		section = strstr(text, begins[option->section]);
		ck_assert_ptr_nonnull(section);
		found = strstr(section, wanted);
		ck_assert_msg(found != NULL, "mews.conf lacks: %s", wanted);
		if (option->section != SECTION_FILE) {
			end = strstr(section,
			    option->section == SECTION_PYTHON ?
			    "\n#\t}" : "\n}");
			ck_assert_msg(found < end, "%s is elsewhere", wanted);
		}
		/* The line before a key says what it means. */
		while (found > text && found[-1] != '\n')
			found--;
		ck_assert(found - 2 > text);
		for (found--; found > text && found[-1] != '\n'; found--)
			;
		found += strspn(found, option->section == SECTION_PYTHON ?
		    "#\t" : "\t");
		found -= option->section == SECTION_PYTHON;
		ck_assert_msg(strncmp(found, "# ", 2) == 0,
		    "%s is not explained", option->name);
	}
}
END_TEST

START_TEST(mews_conf_shows_the_true_defaults)
{
	char			*text = shipped_text();
	struct config		*plain, *active;

	plain = load_text(text);
	ck_assert_msg(plain != NULL, "%s", reports[0]);
	activate_defaults(text);
	ck_assert_ptr_nonnull(strstr(text, "\n graceful_timeout = 30s\n"));
	active = load_text(text);
	ck_assert_msg(active != NULL, "%s", reports[0]);

	ck_assert_uint_eq(plain->fleet.endpoint_count,
	    active->fleet.endpoint_count);
	ck_assert_uint_eq(plain->fleet.group_count,
	    active->fleet.group_count);
	ck_assert_ptr_null(plain->python);
	for (size_t i = 0; i < option_count(); i++) {
		char *is;

		if (option_at(i)->section == SECTION_PYTHON)
			continue;
		is = strdup(field_text(plain, option_at(i)));

		ck_assert_str_eq(is, field_text(active, option_at(i)));
		free(is);
	}
	config_free(&plain);
	config_free(&active);
}
END_TEST

/* A file that is cut or damaged anywhere is accepted, or refused with a
 * reason. */
START_TEST(mews_conf_cut_or_damaged_does_no_harm)
{
	static const char	 bent[] = "{}=\"'#/\n,+(\\$";
	char			*text = shipped_text();
	char			 copy[65536];
	struct config		*config;

	activate_defaults(text);
	for (size_t at = strlen(text); at > 0; at -= at < 7 ? at : 7) {
		text[at] = bent[at % (sizeof(bent) - 1)];
		config = load_text(text);
		config_free(&config);
		strcpy(copy, text);
		copy[at] = '\0';
		config = load_text(copy);
		config_free(&config);
		text[at] = ' ';
	}
}
END_TEST

static Suite *
shipped_suite(void)
{
	Suite	*suite = suite_create("config shipped");
	TCase	*tcase = unit_case(suite, "mews.conf");

	tcase_add_checked_fixture(tcase, make_directory, remove_directory);
	tcase_add_test(tcase, mews_conf_explains_every_key);
	tcase_add_test(tcase, mews_conf_shows_the_true_defaults);
	tcase_add_test(tcase, mews_conf_cut_or_damaged_does_no_harm);
	return suite;
}

UNIT_MAIN(shipped_suite)
