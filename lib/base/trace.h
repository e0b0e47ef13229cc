/*
 * trace.h - static probes, for bpftrace, perf and gdb.
 *
 * Built in where sys/sdt.h is (systemtap-sdt-dev). A probe that nobody watches
 * costs the test of a counter, which a tracer raises; its arguments are made
 * only after that test. mews(1) names the probes and their arguments.
 */
#ifndef LIB_BASE_TRACE_H
#define LIB_BASE_TRACE_H

#ifdef MEWS_PROBES

#define SDT_USE_VARIADIC
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>

#define TRACE_WORD(name) mews_##name##_semaphore

extern unsigned short TRACE_WORD(query__start);
extern unsigned short TRACE_WORD(query__end);
extern unsigned short TRACE_WORD(lease__begin);
extern unsigned short TRACE_WORD(lease__end);
extern unsigned short TRACE_WORD(transition);
extern unsigned short TRACE_WORD(connected);

#define TRACE(name, ...)                                                    \
	do {                                                                \
		if (__builtin_expect(TRACE_WORD(name) != 0, 0))             \
			STAP_PROBEV(mews, name, __VA_ARGS__);               \
	} while (0)

#else

#define TRACE(name, ...) do { } while (0)

#endif

#endif
