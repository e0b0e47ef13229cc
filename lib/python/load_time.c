/*
 * load_time.c - dates and times, from the text form of datestyle ISO and
 * intervalstyle postgres.
 *
 * Python's types have the years 1 to 9999 and neither infinity nor 24:00.
 * Values outside are a DecodeError, never another time. An interval's months
 * have 30 days and its years 365, as a timedelta has neither.
 */
#include "binding.h"

#include <datetime.h>
#include <limits.h>
#include <stdlib.h>

struct clock {
	int hour, minute, second, us;
};

bool
load_time_init(void)
{
	PyDateTime_IMPORT;
	return PyDateTimeAPI != NULL;
}

static PyObject *
beyond(const char *type, const char *text, Py_ssize_t length)
{
	return error_decode(type, text, length,
	    "is beyond what Python's datetime holds; cast it to text");
}

/* Read digits, at most 9 of them; moves *at behind them. */
static bool
number(const char **at, int *out)
{
	const char	*from = *at;

	*out = 0;
	while (**at >= '0' && **at <= '9' && *at - from < 9)
		*out = *out * 10 + (*(*at)++ - '0');
	return *at > from;
}

/* "2024-02-29"; the caller checks the range of the year. */
static bool
read_date(const char **at, int *year, int *month, int *day)
{
	return number(at, year) && *(*at)++ == '-' && number(at, month) &&
	    *(*at)++ == '-' && number(at, day);
}

/* "23:59:59.999999" */
static bool
read_clock(const char **at, struct clock *clock)
{
	clock->us = 0;
	if (!number(at, &clock->hour) || *(*at)++ != ':' ||
	    !number(at, &clock->minute) || *(*at)++ != ':' ||
	    !number(at, &clock->second))
		return false;
	if (**at == '.') {
		const char	*from = ++*at;

		if (!number(at, &clock->us))
			return false;
		for (ptrdiff_t i = *at - from; i < 6; i++)
			clock->us *= 10;
	}
	return true;
}

/*
 * "+05:30": a timezone, or None at the end of the text. The last timezone is
 * cached, as a session has one, or two with summer time.
 */
static PyObject *
read_zone(const char **at)
{
	static PyObject	*kept;
	static int	 kept_offset;
	int		 hour = 0, minute = 0, second = 0, offset;
	long		 seconds;
	char		 sign = **at;
	PyObject	*delta;

	if (sign != '+' && sign != '-')
		return Py_NewRef(Py_None);
	++*at;
	number(at, &hour);
	if (**at == ':' && (++*at, number(at, &minute)) && **at == ':')
		++*at, number(at, &second);
	/* Python refuses an offset of a day or more. */
	seconds = (hour * 60L + minute) * 60 + second;
	offset = seconds < 86400 ? (int)seconds : 86400;
	if (sign == '-')
		offset = -offset;
	if (offset == 0)
		return Py_NewRef(PyDateTime_TimeZone_UTC);
	if (kept != NULL && kept_offset == offset)
		return Py_NewRef(kept);
	if ((delta = PyDelta_FromDSU(0, offset, 0)) == NULL)
		return NULL;
	Py_XSETREF(kept, PyTimeZone_FromOffset(delta));
	Py_DECREF(delta);
	kept_offset = offset;
	return Py_XNewRef(kept);
}

PyObject *
load_date(const struct loader *loader, const char *text, Py_ssize_t length)
{
	const char	*at = text;
	int		 year, month, day;

	(void)loader;
	if (!read_date(&at, &year, &month, &day) || *at != '\0' || year < 1 ||
	    year > 9999)
		return beyond("date", text, length);
	return PyDate_FromDate(year, month, day);
}

PyObject *
load_time(const struct loader *loader, const char *text, Py_ssize_t length)
{
	const char	*at = text;
	struct clock	 clock;
	PyObject	*zone, *made;

	(void)loader;
	if (!read_clock(&at, &clock) || clock.hour > 23)
		return beyond("time", text, length);
	if ((zone = read_zone(&at)) == NULL)
		return NULL;
	if (*at != '\0') {
		Py_DECREF(zone);
		return beyond("time", text, length);
	}
	made = PyDateTimeAPI->Time_FromTime(clock.hour, clock.minute,
	    clock.second, clock.us, zone, PyDateTimeAPI->TimeType);
	Py_DECREF(zone);
	return made;
}

PyObject *
load_timestamp(const struct loader *loader, const char *text,
    Py_ssize_t length)
{
	const char	*at = text;
	int		 year, month, day;
	struct clock	 clock;
	PyObject	*zone, *made;

	(void)loader;
	if (!read_date(&at, &year, &month, &day) || year < 1 || year > 9999 ||
	    *at++ != ' ' || !read_clock(&at, &clock))
		return beyond("timestamp", text, length);
	if ((zone = read_zone(&at)) == NULL)
		return NULL;
	if (*at != '\0') { /* the text ends with " BC" */
		Py_DECREF(zone);
		return beyond("timestamp", text, length);
	}
	made = PyDateTimeAPI->DateTime_FromDateAndTime(year, month, day,
	    clock.hour, clock.minute, clock.second, clock.us, zone,
	    PyDateTimeAPI->DateTimeType);
	Py_DECREF(zone);
	return made;
}

/* "-04:05:06.7": the last part of an interval; hours may have many digits. */
static bool
read_span(const char *at, long long *days, int *seconds, int *us)
{
	bool		negative = *at == '-';
	long long	hours;
	struct clock	clock;
	char	       *end;

	if (*at == '-' || *at == '+')
		at++;
	hours = strtoll(at, &end, 10);
	if (end == at || *end != ':')
		return false;
	/* Read the rest as a time of hour 0 to 9, from the digit in front of
	 * it. */
	at = end - 1;
	if (!read_clock(&at, &clock) || *at != '\0' || clock.minute > 59 ||
	    clock.second > 59)
		return false;
	*seconds = (int)(hours % 24) * 3600 + clock.minute * 60 +
	    clock.second;
	*us = clock.us;
	if (negative) {
		*seconds = -*seconds;
		*us = -*us;
	}
	*days += negative ? -(hours / 24) : hours / 24;
	return true;
}

/* "1 year 2 mons -3 days +04:05:06.789" */
PyObject *
load_interval(const struct loader *loader, const char *text,
    Py_ssize_t length)
{
	static const struct {
		const char *unit;
		int days;
	} units[] = { { " year", 365 }, { " mon", 30 }, { " day", 1 } };
	const char	*at = text;
	long long	 days = 0;
	int		 seconds = 0, us = 0;

	(void)loader;
	while (*at != '\0') {
		char	 *end;
		long long count = strtoll(at, &end, 10);
		size_t	  i = 0;

		if (*end == ':') {
			if (!read_span(at, &days, &seconds, &us))
				return beyond("interval", text, length);
			break;
		}
		while (i < 3 && strncmp(end, units[i].unit,
		    strlen(units[i].unit)) != 0)
			i++;
		if (end == at || i == 3 || count < INT_MIN || count > INT_MAX)
			return beyond("interval", text, length);
		days += count * units[i].days;
		at = end + strlen(units[i].unit);
		if (*at == 's')
			at++;
		if (*at == ' ')
			at++;
	}
	if (days > 999999999 || days < -999999999)
		return beyond("interval", text, length);
	return PyDelta_FromDSU((int)days, seconds, us);
}
