/*
 * libpq_leaks.h - for a program whose server answers nonsense.
 *
 * libpq loses a result that another one replaces unasked, as behind a
 * ReadyForQuery that comes too early. Including this header keeps the leak
 * sanitizer from counting that.
 */
#ifndef TESTS_CLUSTER_LIBPQ_LEAKS_H
#define TESTS_CLUSTER_LIBPQ_LEAKS_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libpq";
}
#endif

#endif
