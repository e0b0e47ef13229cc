/*
 * transaction.c - BEGIN with options, its end, and savepoints.
 */
#include "wire/conn.h"
#include "api/borrow.h"
#include "pool/group.h"

#include <mews/transaction.h>
#include <stdio.h>
#include <string.h>

static const char *const isolation_sql[] = {
	[MEWS_ISOLATION_DEFAULT] = "",
	[MEWS_ISOLATION_READ_COMMITTED] = ", ISOLATION LEVEL READ COMMITTED",
	[MEWS_ISOLATION_REPEATABLE_READ] = ", ISOLATION LEVEL REPEATABLE READ",
	[MEWS_ISOLATION_SERIALIZABLE] = ", ISOLATION LEVEL SERIALIZABLE",
};
static const char *const read_only_sql[] = {
	[MEWS_SWITCH_DEFAULT] = "", [MEWS_SWITCH_ON] = ", READ ONLY",
	[MEWS_SWITCH_OFF] = ", READ WRITE",
};
static const char *const deferrable_sql[] = {
	[MEWS_SWITCH_DEFAULT] = "", [MEWS_SWITCH_ON] = ", DEFERRABLE",
	[MEWS_SWITCH_OFF] = ", NOT DEFERRABLE",
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Write "SET TRANSACTION ...", or "" if nothing is asked for. False: @options
 * has invalid values. */
static bool
options_sql(char *sql, size_t size, const struct mews_transaction *options)
{
	char	list[80];

	if ((size_t)options->isolation >= COUNT(isolation_sql) ||
	    (size_t)options->read_only >= COUNT(read_only_sql) ||
	    (size_t)options->deferrable >= COUNT(deferrable_sql))
		return false;
	snprintf(list, sizeof(list), "%s%s%s",
	    isolation_sql[options->isolation],
	    read_only_sql[options->read_only],
	    deferrable_sql[options->deferrable]);
	/* Leave out the first comma. */
	snprintf(sql, size, "%s%s", list[0] == '\0' ? "" : "SET TRANSACTION",
	    list[0] == '\0' ? "" : list + 1);
	return true;
}

enum mews_status
mews_lease_transaction(struct mews_lease *lease,
    const struct mews_transaction *options)
{
	enum mews_status	 status = borrow_usable(lease);
	struct mews_group	*group = lease->group;
	char			 sql[sizeof(lease->options)] = "";

	if (status != MEWS_OK)
		return status;
	if (options != NULL && !options_sql(sql, sizeof(sql), options))
		return refuse(&group->why, MEWS_INVALID, "the options of a "
		    "transaction are values of enum mews_isolation and "
		    "mews_switch");
	for (size_t i = 0; options != NULL && i < COUNT(options->reserved);
	    i++)
		if (options->reserved[i] != 0)
			return refuse(&group->why, MEWS_INVALID, "the "
			    "reserved members of a transaction are zero: this "
			    "library knows none of them");
	if (options != NULL && lease->transaction)
		return refuse(&group->why, MEWS_INVALID, "a transaction is "
		    "open already: its options are those it began with");
	if (options != NULL && options->read_only == MEWS_SWITCH_OFF &&
	    group->terms.reader)
		return refuse(&group->why, MEWS_INVALID, "group %s has role "
		    "%s: its transactions are read only", group->config->name,
		    mews_group_role_name(group->config->role));
	/* The lease's BEGIN waits for a query. NULL leaves its options as they
	 * are. */
	if (options != NULL && lease->wants_transaction &&
	    strcmp(lease->options, sql) != 0)
		return refuse(&group->why, MEWS_INVALID, "a transaction is "
		    "to begin already, with other options");
	if (options != NULL && !lease->transaction)
		memcpy(lease->options, sql, sizeof(sql));
	lease->wants_transaction = true;
	if (lease->by_hand == LEASE_HAND_ENDED)
		lease->by_hand = LEASE_HAND_OFF;
	return MEWS_OK;
}

/* End the transaction. @refused_sql: sent if none is open; fails with 25P01,
 * without effect. */
static enum mews_status
finish_transaction(struct mews_lease *lease, enum query_kind kind,
    const char *sql, const char *refused_sql, mews_query_fn *fn, void *arg)
{
	struct mews_query_args	args = { .sql = sql };
	enum mews_status	status = borrow_usable(lease);

	if (status != MEWS_OK)
		return status;
	if (fn == NULL)
		return refuse(&lease->group->why, MEWS_INVALID,
		    "the end of a transaction needs a callback");
	/* Without a transaction, even one to begin, let the server refuse. A
	 * BEGIN as SQL may still be in flight. */
	if (!lease->transaction && lease->by_hand != LEASE_HAND_SENT &&
	    (!lease->wants_transaction ||
		lease->by_hand == LEASE_HAND_ENDED) &&
	    lease->group->config->autocommit != MEWS_SWITCH_OFF)
		args.sql = refused_sql;
	status = borrow_send(lease, kind, &args, fn, arg, NULL);
	if (status == MEWS_OK) {
		lease->transaction = false;
		lease->wants_transaction = false;
		lease->options[0] = '\0';
	}
	return status;
}

enum mews_status
mews_lease_commit(struct mews_lease *lease, mews_query_fn *fn, void *arg)
{
	return finish_transaction(lease, QUERY_COMMIT, "COMMIT",
	    "COMMIT AND CHAIN", fn, arg);
}

enum mews_status
mews_lease_rollback(struct mews_lease *lease, mews_query_fn *fn, void *arg)
{
	return finish_transaction(lease, QUERY_ROLLBACK, "ROLLBACK",
	    "ROLLBACK AND CHAIN", fn, arg);
}

/* Send @verb and the quoted name. */
static enum mews_status
savepoint(struct mews_lease *lease, const char *verb, const char *name,
    mews_query_fn *fn, void *arg)
{
	char				sql[40 + 2 * MEWS_SAVEPOINT_MAX];
	const struct mews_query_args	args = { .sql = sql };
	enum mews_status		status = borrow_usable(lease);
	size_t				length;
	char			       *p;

	if (status != MEWS_OK)
		return status;
	length = name == NULL ? 0 : strnlen(name, MEWS_SAVEPOINT_MAX + 1);
	if (length == 0 || length > MEWS_SAVEPOINT_MAX || fn == NULL)
		return refuse(&lease->group->why, MEWS_INVALID, "%s",
		    fn == NULL ? "a savepoint needs a callback" :
		    "a savepoint's name has 1 to 63 bytes");
	p = sql + snprintf(sql, sizeof(sql), "%s \"", verb);
	for (size_t i = 0; i < length; i++) {
		if (name[i] == '"')
			*p++ = '"';
		*p++ = name[i];
	}
	*p++ = '"';
	*p = '\0';
	return borrow_send(lease, QUERY_SAVEPOINT, &args, fn, arg, NULL);
}

enum mews_status
mews_lease_savepoint(struct mews_lease *lease, const char *name,
    mews_query_fn *fn, void *arg)
{
	return savepoint(lease, "SAVEPOINT", name, fn, arg);
}

enum mews_status
mews_lease_rollback_to(struct mews_lease *lease, const char *name,
    mews_query_fn *fn, void *arg)
{
	return savepoint(lease, "ROLLBACK TO SAVEPOINT", name, fn, arg);
}

enum mews_status
mews_lease_release_savepoint(struct mews_lease *lease, const char *name,
    mews_query_fn *fn, void *arg)
{
	return savepoint(lease, "RELEASE SAVEPOINT", name, fn, arg);
}
