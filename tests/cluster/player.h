/*
 * player.h - a host's part that calls the pool at random, and knows what each
 * call may come to.
 *
 * A player sends queries, cancels and interrupts them, borrows connections and
 * does all that can be done with one. It fails the test where an answer is
 * another call's, comes twice or with a status that nothing explains, and where
 * a lease finds what the one before left.
 */
#ifndef TESTS_CLUSTER_PLAYER_H
#define TESTS_CLUSTER_PLAYER_H

#include <mews.h>
#include <stdbool.h>
#include <stdint.h>

#define PLAYER_KINDS 14

/* The state that all players share. The test sets the first members. */
struct game {
	uint64_t seed;	/* of the next draw */
	bool stop;	/* begin nothing */
	bool broken;	/* connections are being lost */
	struct mews_statement *echo;
	unsigned owed;	/* callbacks that are to run */
	unsigned ends[PLAYER_KINDS][16]; /* by status */
};

extern struct game game;

struct player;

/* A number below @n. */
unsigned game_draw(unsigned n);

/* Players of the pool's groups; free(3) them after the last callback. */
struct player *players_new(unsigned count);
/* Let each do something, or nothing. */
void players_turn(struct player *players, unsigned count);

/* A kind of call, as a word. */
const char *player_kind(unsigned kind);

#endif
