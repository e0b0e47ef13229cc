/*
 * trace.c - the counters that a tracer raises, one for each probe.
 */
#include "base/trace.h"

#ifdef MEWS_PROBES

#define WATCHED __attribute__((section(".probes")))

unsigned short TRACE_WORD(query__start) WATCHED;
unsigned short TRACE_WORD(query__end) WATCHED;
unsigned short TRACE_WORD(lease__begin) WATCHED;
unsigned short TRACE_WORD(lease__end) WATCHED;
unsigned short TRACE_WORD(transition) WATCHED;
unsigned short TRACE_WORD(connected) WATCHED;

#endif
