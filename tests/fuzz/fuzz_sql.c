/*
 * fuzz_sql.c - any text gets a verdict, is read within its bounds, and has the
 * same verdict behind a comment.
 */
#include "fuzz.h"

#include "base/sql.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const bool fuzz_lines = true;
const char *const fuzz_words[] = { "select ", "set ", "begin", "commit",
	"set_config(", "nextval(", "pg_advisory_lock(", "insert into ",
	"with x as (", "temp ", "into ", "'", "''", "E'\\'", "\"", "U&\"",
	"$$", "$a$", "$1", "--", "\n", "/*", "*/", ";", "(", ")", "::", ",",
	"\\", "\xc3\xa4", "\xef\xbb\xbf", NULL };

/* Each question has the same answer for both texts. */
static void
check_same(const char *sql, const char *other)
{
	assert(sql_reads(sql) == sql_reads(other));
	assert(sql_commits(sql) == sql_commits(other));
	assert(sql_transacts(sql) == sql_transacts(other));
	assert(sql_is_commit(sql) == sql_is_commit(other));
	assert(sql_ends(sql) == sql_ends(other));
	assert(sql_deallocates(sql) == sql_deallocates(other));
	assert(sql_copies(sql) == sql_copies(other));
	assert(sql_is_single(sql, true) == sql_is_single(other, true));
	assert(sql_is_single(sql, false) == sql_is_single(other, false));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char comment[] = "/* ; set x */ -- begin\n\t";
	size_t	 before = sizeof(comment) - 1;
	char	*text = malloc(before + size + 1);
	enum sql_effect effect;

	assert(text != NULL);
	memcpy(text, comment, before);
	if (size > 0)
		memcpy(text + before, data, size);
	text[before + size] = '\0';
	effect = sql_effect(text + before);
	assert(effect == SQL_HARMLESS || effect == SQL_DIRTY ||
	    effect == SQL_SESSION);
	assert(sql_effect(text) == effect);
	check_same(text + before, text);
	assert(!sql_is_commit(text) || sql_ends(text));
	assert(!sql_ends(text) || sql_transacts(text));
	assert(!sql_reads(text) || !sql_commits(text));
	free(text);
	return 0;
}
