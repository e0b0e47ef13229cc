/*
 * ledger.h - rows that are written at random, and what must become of each.
 *
 * The table is "ledger (id)". A row's id is an index here.
 */
#ifndef TESTS_CLUSTER_LEDGER_H
#define TESTS_CLUSTER_LEDGER_H

#include <mews.h>
#include <stdbool.h>

#define LEDGER_MAX 2000000

enum ledger_fate {
	LEDGER_NEVER = 0, /* not written, or undone */
	LEDGER_OPEN = 1,  /* written in a transaction that has not ended */
	LEDGER_MAYBE = 2, /* nobody was told */
	LEDGER_THERE = 3
};

/* Make the table. */
void ledger_open(void);
/* A new row, which was not written yet. */
int ledger_new(void);
void ledger_set(int id, enum ledger_fate fate);
enum ledger_fate ledger_get(int id);
/* The fate of a row whose write, outside of a transaction, ended so. */
enum ledger_fate ledger_fate_of(const struct mews_result *result);
/* Compare all rows with the server's; fail for the first that differs. */
void ledger_check(void);

#endif
