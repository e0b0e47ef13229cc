/*
 * slow.c - queries that took long are logged, up to a rate.
 *
 * A query may hold secrets: SQL that was not registered, and parameters, are
 * logged only if the configuration says so.
 */
#include "query/slow.h"

#include "query/account.h"
#include "fleet/figures.h"
#include "fleet/fleet_log.h"

#include <mews/character.h>
#include <stdio.h>
#include <string.h>

#define LINES_AT_ONCE 10
#define SECOND_US     1000000
#define PARAMS_MOST   16 /* of one line */
#define PARAM_BYTES   64 /* of one */
#define SQL_BYTES     200
#define QUOTED_BYTES  (6 * SQL_BYTES + sizeof("\"\"")) /* each as \u0000 */
#define SMALLEST      40 /* room for any parameter, cut */

bool
slow_take_line(struct slow_rate *rate, int64_t now_us)
{
	int64_t	second = now_us / SECOND_US;
	int64_t	passed = second - rate->second;

	if (passed > 0) {
		rate->lines = passed >= rate->lines ? 0 :
		    rate->lines - (unsigned)passed;
		rate->second = second;
	}
	if (rate->lines >= LINES_AT_ONCE) {
		rate->suppressed++;
		return false;
	}
	rate->lines++;
	return true;
}

/* Append @name and @text, cut, as a value of logfmt. There is room for the
 * least of it: SMALLEST. */
static void
add_quoted(char *buffer, size_t size, const char *name, const char *text,
    size_t most)
{
	char	cut[SQL_BYTES + 1], quoted[QUOTED_BYTES];
	size_t	length = strnlen(text, most), used = strlen(buffer), room;
	bool	whole = text[length] == '\0';

	if (!whole)
		length = character_whole(text, length);
	memcpy(cut, text, length);
	cut[length] = '\0';
	room = size - used - strlen(name) - sizeof(" +");
	if (strlen(logfmt_text(quoted, sizeof(quoted), cut)) >= room) {
		logfmt_text(quoted, room, cut);
		whole = false;
	}
	snprintf(buffer + used, size - used, "%s%s%s%s",
	    used > 0 ? " " : "", name, quoted, whole ? "" : "+");
}

static void
add_param(char *buffer, size_t size, const struct query *query, int i)
{
	char	name[16];
	size_t	used = strlen(buffer);

	snprintf(name, sizeof(name), "$%d=", i + 1);
	if (query->values[i] == NULL)
		snprintf(buffer + used, size - used, "%s%sNULL",
		    used > 0 ? " " : "", name);
	else if (query->formats != NULL && query->formats[i] != 0)
		snprintf(buffer + used, size - used, "%s%s(%d bytes)",
		    used > 0 ? " " : "", name, query->lengths[i]);
	else
		add_quoted(buffer, size, name, query->values[i], PARAM_BYTES);
}

/* SQL and parameters, if they may be logged; else "". */
static void
describe_query(const struct query *query, char *buffer, size_t size)
{
	buffer[0] = '\0';
	if (query->account->config->slow_query_parameters != MEWS_SWITCH_ON)
		return;
	if (query->statement == NULL)
		add_quoted(buffer, size, "sql=", query->sql, SQL_BYTES);
	for (int i = 0; i < query->param_count && i < PARAMS_MOST &&
	    strlen(buffer) + SMALLEST < size; i++)
		add_param(buffer, size, query, i);
}

void
slow_log(const struct query *query, const PGresult *answer,
    const char *endpoint, int64_t run_us, int64_t now_us)
{
	struct account *account = query->account;
	const char     *state = PQresultErrorField(answer, PG_DIAG_SQLSTATE);
	const bool	traced = query_is_traced(query);
	char		asked[700], name[40];

	account->figures->slow++;
	if (!slow_take_line(&account->slow_rate, now_us))
		return;
	describe_query(query, asked, sizeof(asked));
	if (query->statement != NULL)
		snprintf(name, sizeof(name), "%s", query->statement->name);
	else
		snprintf(name, sizeof(name), "%016llx",
		    (unsigned long long)query->hash);
	fleet_say(account->store->fleet, MEWS_LOG_WARNING, "slow_query",
	    "group=%s %s=%s endpoint=%s wait_ms=%.1f run_ms=%.1f rows=%d "
	    "suppressed=%u%s%s%s%s%s%s", account->config->name,
	    query->statement != NULL ? "statement" : "text", name, endpoint,
	    (double)query->waited_us / 1e3, (double)run_us / 1e3,
	    PQntuples(answer), account->slow_rate.suppressed,
	    state == NULL ? "" : " sqlstate=", state == NULL ? "" : state,
	    traced ? " traceparent=" : "", traced ? query->parent : "",
	    asked[0] == '\0' ? "" : " ", asked);
	account->slow_rate.suppressed = 0;
}
