/*
 * inquire.c - what libpq knows of a result, and of a lease's session.
 */
#include "wire/lease.h"

#include "pool/group.h"

#include <mews/transaction.h>
#include <stdlib.h>

int64_t
mews_result_affected(const struct mews_result *result)
{
	PGresult       *pg = mews_result_pg(result);
	const char     *rows = pg == NULL ? "" : PQcmdTuples(pg);

	return rows[0] == '\0' ? -1 : (int64_t)strtoll(rows, NULL, 10);
}

enum mews_transaction_state
mews_lease_state(const struct mews_lease *lease)
{
	const struct conn	*conn = lease_checked(lease)->conn;

	if (lease->group == NULL || !pool_admit(lease->group->pool) ||
	    conn == NULL || !conn_is_idle(conn))
		return MEWS_TRANSACTION_UNKNOWN;
	switch (PQtransactionStatus(conn->pg)) {
	case PQTRANS_IDLE:
		return MEWS_TRANSACTION_NONE;
	case PQTRANS_INTRANS:
		return MEWS_TRANSACTION_OPEN;
	case PQTRANS_INERROR:
		return MEWS_TRANSACTION_FAILED;
	default:
		return MEWS_TRANSACTION_UNKNOWN;
	}
}
