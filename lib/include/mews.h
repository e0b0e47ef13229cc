/*
 * mews.h - everything an embedder sees of libmews.
 *
 * A host creates a fleet before it forks, joins it in each child, opens one
 * pool there and sends queries through the pool's groups:
 *
 *	parent:	mews_fleet_create()			mews/fleet.h
 *	child:	mews_fleet_join(), mews_pool_open()	mews/pool.h
 *		mews_query_send() or mews_query_run()	mews/query.h
 *		mews_lease_begin()			mews/lease.h
 *		mews_lease_transaction()		mews/transaction.h
 *		mews_lease_rows(), mews_copy_out()	mews/stream.h
 *		mews_quote_literal()			mews/quote.h
 *		mews_pool_set_notice()			mews/notice.h
 *		mews_listen()				mews/listen.h
 *		mews_pool_interrupt()			mews/wait.h
 *	parent:	mews_fleet_reap() for each child that ended
 *	any:	mews_view_open()			mews/view.h
 *		mews_fleet_choose()			mews/foreign.h
 *
 * The library never exits, never logs but through the host's sink, and
 * starts no thread. A pool belongs to the process that opened it.
 */
#ifndef MEWS_H
#define MEWS_H

#include <mews/config.h>
#include <mews/figures.h>
#include <mews/fleet.h>
#include <mews/foreign.h>
#include <mews/lease.h>
#include <mews/listen.h>
#include <mews/monitor.h>
#include <mews/notice.h>
#include <mews/pool.h>
#include <mews/query.h>
#include <mews/quote.h>
#include <mews/status.h>
#include <mews/stream.h>
#include <mews/transaction.h>
#include <mews/type.h>
#include <mews/view.h>
#include <mews/wait.h>

#endif
