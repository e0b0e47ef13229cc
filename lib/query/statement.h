/*
 * statement.h - SQL registered once with a pool.
 */
#ifndef LIB_QUERY_STATEMENT_H
#define LIB_QUERY_STATEMENT_H

#include "base/sql.h"
#include "fleet/figures.h"

#include <mews/query.h>
#include <sys/queue.h>

struct mews_statement {
	struct statements *statements; /* that it is one of */
	uint32_t number; /* index into each connection's prepared[]; statements
			    with the same SQL and types share it */
	char on_server[16]; /* its name there: "mews_7" */
	char name[MEWS_NAME_MAX + 1];
	enum sql_effect effect;
	int format; /* of the columns: 0 text, 1 binary */
	int type_count;	  /* declared types; 0: none are */
	const Oid *types; /* behind sql, or NULL */
	uint64_t answers; /* without an error, ever */
	float mean_us; /* moving average of its time on the server */
	uint64_t hash; /* of the SQL */
	bool dropped;  /* by its host; on the list of the dropped */
	bool busy;     /* dropped, and a query of it has not ended */
	enum sql_copy copies;
	float *usual_us; /* of all statements of the pool */
	struct figures_statement *figures;
	SLIST_ENTRY(mews_statement) link;
	char sql[];
};

#define STATEMENT_SLOW_US    5000.0F /* slow: its mean is above this */
#define STATEMENT_OUTLIER_TIMES 6.0F /* the mean: no run counts for more */
#define STATEMENT_SLOW_TIMES 8.0F /* slow: and so many times the usual */

/* SQL that was not registered, and took long at least once. */
struct slow_text {
	uint64_t hash; /* of the SQL */
	float mean_us; /* as that of a statement */
};

#define STATEMENT_TEXTS 256 /* a power of two */

/* One pool's statements, and what it learned of other SQL. */
struct statements {
	struct mews_pool *pool; /* whose; for the rooms above */
	struct mews_fleet *fleet;
	SLIST_HEAD(statement_list, mews_statement) list;
	struct statement_list dropped; /* until all servers have forgotten */
	uint32_t count;	   /* registered, ever */
	uint32_t numbers;  /* that were given out */
	uint32_t *spare;   /* of these, free to be given out again */
	uint32_t spare_count, spare_room;
	float usual_us; /* a quarter of all runs takes less */
	struct slow_text texts[STATEMENT_TEXTS]; /* by their hash */
};

void statements_open(struct statements *statements, struct mews_pool *pool,
    struct mews_fleet *fleet);

/* Register a statement, as mews_statement_register_typed() says. */
enum mews_status statement_new(struct mews_statement **out,
    struct statements *statements, const char *name, const char *sql,
    unsigned flags, const Oid *types, int type_count,
    struct mews_error *error);

/* Put a statement, of which no query will begin, on the list of the dropped. */
void statement_drop(struct statements *statements,
    struct mews_statement *statement);

/* Has a statement that was not dropped the same number? */
bool statement_is_shared(const struct statements *statements,
    const struct mews_statement *statement);

/* Free a dropped statement; @forgotten: no server knows its number any more. */
void statement_free(struct statements *statements,
    struct mews_statement *statement, bool forgotten);

void statements_free(struct statements *statements);

static inline bool
mean_is_slow(float mean_us, float usual_us)
{
	return mean_us > STATEMENT_SLOW_US &&
	    mean_us > usual_us * STATEMENT_SLOW_TIMES;
}

/* Learn from one run. One long run alone does not make a quick statement slow:
 * it may have waited for a lock, or for a busy machine. */
static inline void
mean_learn(float *mean_us, float *usual_us, float us)
{
	float	usual = *usual_us, step = 1 + usual * 0.05F, mean = *mean_us;
	float	most = (mean > STATEMENT_SLOW_US ? mean : STATEMENT_SLOW_US) *
		STATEMENT_OUTLIER_TIMES;

	*mean_us += ((us < most ? us : most) - mean) * 0.125F;
	/* Settles where a quarter of all runs is quicker: if all are slow, none
	 * counts as slow. */
	*usual_us = usual + step * (us > usual ? 0.25F : -0.75F);
}

/* Is @statement expected to run long? */
static inline bool
statement_is_slow(const struct mews_statement *statement)
{
	return mean_is_slow(statement->mean_us, *statement->usual_us);
}

/* Record that one run took @us of the server's time. Casts const away: const is
 * for the host. */
static inline void
statement_learn(const struct mews_statement *statement, float us)
{
	struct mews_statement *own =
	    (struct mews_statement *)(uintptr_t)statement;

	own->answers++;
	mean_learn(&own->mean_us, own->usual_us, us);
}

/* Learn from one run of SQL that was not registered, by its hash. */
uint64_t text_hash(const char *sql);
bool text_is_slow(const struct statements *statements, uint64_t hash);
void text_learn(struct statements *statements, uint64_t hash, float us);

#endif
