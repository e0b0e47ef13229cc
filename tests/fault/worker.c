/*
 * worker.c - a worker with a steady load; see worker.h.
 *
 * Open loop: a request is due when the clock says so, however many are
 * unanswered, and its time counts from then. A worker that gets the CPU late
 * sends all requests that are due.
 */
#include "worker.h"

#include <err.h>
#include <stdlib.h>

#define READ_US	 (1000000 / WORKER_READS)
#define WRITE_US (1000000 / WORKER_WRITES)

struct worker {
	struct ledger *ledger;
	unsigned number;
	uint32_t life;
	uint32_t open; /* requests that have not ended */
	struct mews_pool *pool;
	struct mews_group *read, *write;
	struct mews_statement *select, *insert;
};

static struct worker self;

static uint8_t
endpoint_of(const struct mews_result *result)
{
	char	name = mews_result_endpoint(result)[0];

	return name == '\0' ? LEDGER_NOWHERE : (uint8_t)(name - 'a');
}

static void
ended(void *arg, const struct mews_result *result)
{
	struct request	*request = arg;

	request->status = (uint8_t)mews_result_status(result);
	request->answered = endpoint_of(result);
	atomic_store(&request->end_us, ledger_now());
	self.open--;
}

static void
ask(bool write, int64_t due_us)
{
	struct request *request = ledger_add(self.ledger);
	struct mews_param params[2];
	struct mews_query_args args = { .params = params };
	enum mews_status status;

	if (request == NULL)
		return;
	*request = (struct request) {
		.life = self.life,
		.worker = (uint8_t)self.number,
		.write = write,
		.status = LEDGER_NOWHERE,
		.picked = LEDGER_NOWHERE,
		.answered = LEDGER_NOWHERE,
	};
	if (write) {
		params[0] = mews_param_int_text(request -
		    self.ledger->requests);
		params[1] = mews_param_int_text(self.number);
		args.statement = self.insert;
		args.param_count = 2;
	} else {
		params[0] = mews_param_int_text(1 + arc4random_uniform(10000));
		args.statement = self.select;
		args.param_count = 1;
	}
	/* The time of the request counts from here on. */
	request->due_us = due_us;
	self.open++;
	status = mews_query_send(write ? self.write : self.read, &args, ended,
	    request, NULL);
	if (status == MEWS_OK)
		return;
	request->status = (uint8_t)status;
	atomic_store(&request->end_us, ledger_now());
	self.open--;
}

static void
serve(void)
{
	int64_t now = ledger_now();
	int64_t read_us = now + self.number * READ_US / LEDGER_WORKERS;
	int64_t write_us = now + self.number * WRITE_US / LEDGER_WORKERS;
	int64_t next_us;
	bool	stop;

	while (!(stop = atomic_load(&self.ledger->stop)) || self.open > 0) {
		now = ledger_now();
		for (; !stop && read_us <= now; read_us += READ_US)
			ask(false, read_us);
		for (; !stop && write_us <= now; write_us += WRITE_US)
			ask(true, write_us);
		next_us = read_us < write_us ? read_us : write_us;
		if (stop)
			next_us = now + READ_US;
		mews_pool_turn(self.pool, (int)((next_us - now + 999) / 1000));
	}
}

int
worker_run(struct mews_fleet *fleet, struct ledger *ledger, unsigned worker,
    uint32_t life)
{
	struct mews_error	error;

	self = (struct worker) {
		.ledger = ledger, .number = worker, .life = life,
	};
	if (mews_fleet_join(fleet, &error) != MEWS_OK ||
	    mews_pool_open(&self.pool, fleet, NULL, NULL, &error) != MEWS_OK)
		errx(1, "worker %u: %s", worker, error.message);
	self.read = mews_pool_group(self.pool, "read");
	self.write = mews_pool_group(self.pool, "write");
	if (mews_statement_register(&self.select, self.pool, NULL,
		"SELECT randomnumber FROM world WHERE id = $1::int", 0,
		NULL) != MEWS_OK ||
	    mews_statement_register(&self.insert, self.pool, NULL,
		"INSERT INTO fault_write VALUES ($1::bigint, $2::int)", 0,
		NULL) != MEWS_OK)
		errx(1, "worker %u: statements", worker);
	mews_fleet_set_state(fleet, MEWS_WORKER_READY);
	serve();
	mews_pool_close(&self.pool);
	mews_fleet_leave(fleet);
	return 0;
}
