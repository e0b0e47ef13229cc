/*
 * libpq_leaks.h - for a program whose server answers nonsense.
 *
 * libpq loses a result where another takes its place unasked, as behind a
 * ReadyForQuery that comes too early. The leak sanitizer must not count that;
 * a program that includes this has it so.
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
