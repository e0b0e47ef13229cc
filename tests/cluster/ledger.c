/*
 * ledger.c - see ledger.h.
 */
#include "ledger.h"

#include "cluster.h"
#include "unit.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

static unsigned char	fates[LEDGER_MAX];
static int		count;

void
ledger_open(void)
{
	cluster_ask("a", "drop table if exists ledger");
	cluster_ask("a", "create table ledger (id int)");
}

int
ledger_new(void)
{
	ck_assert_int_lt(count, LEDGER_MAX);
	return count++;
}

void
ledger_set(int id, enum ledger_fate fate)
{
	fates[id] = (unsigned char)fate;
}

enum ledger_fate
ledger_get(int id)
{
	return (enum ledger_fate)fates[id];
}

enum ledger_fate
ledger_fate_of(const struct mews_result *result)
{
	enum mews_status status = mews_result_status(result);

	if (status == MEWS_OK || status == MEWS_TOO_LARGE)
		return LEDGER_THERE;
	if (mews_status_undone(status) || (status == MEWS_CANCELED &&
	    mews_result_endpoint(result)[0] == '\0'))
		return LEDGER_NEVER;
	return LEDGER_MAYBE;
}

void
ledger_check(void)
{
	PGconn	 *pg = PQconnectdb(getenv("MEWS_A"));
	PGresult *rows = PQexec(pg, "select id, count(*) from ledger group by "
	    "id order by id");
	int	  at = 0, n = PQntuples(rows);

	ck_assert_int_eq(PQresultStatus(rows), PGRES_TUPLES_OK);
	for (int id = 0; id < count; id++) {
		int	there = 0;

		if (at < n && atoi(PQgetvalue(rows, at, 0)) == id)
			there = atoi(PQgetvalue(rows, at++, 1));
		ck_assert_msg(there <= 1, "row %d is there %d times", id,
		    there);
		ck_assert_msg(fates[id] != LEDGER_OPEN,
		    "row %d: its transaction never ended", id);
		ck_assert_msg(fates[id] == LEDGER_MAYBE ||
		    there == (fates[id] == LEDGER_THERE),
		    "row %d is %sthere, its fate was %d", id,
		    there ? "" : "not ", fates[id]);
	}
	ck_assert_int_eq(at, n);
	PQclear(rows);
	PQfinish(pg);
}
