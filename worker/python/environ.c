/*
 * environ.c - a request as PEP 3333 describes it.
 *
 * A header whose name contains an underscore is left out, as it would look like
 * one with a hyphen; Proxy is left out, as HTTP_PROXY means something else to
 * many programs.
 */
#include "host.h"

#include <string.h>
#include <strings.h>

#define NAME_MAX_LENGTH 128 /* bytes of the name of a header that is passed
			       on */
#define ADDRESS_MAX 46

PyObject *
environ_base(PyObject *errors)
{
	return Py_BuildValue("{s(ii)sssOsOsOsOssss}",
	    "wsgi.version", 1, 0, "wsgi.url_scheme", "http",
	    "wsgi.errors", errors, "wsgi.multithread", Py_False,
	    "wsgi.multiprocess", Py_True, "wsgi.run_once", Py_False,
	    "SERVER_SOFTWARE", "mews", "SCRIPT_NAME", "");
}

/* Bytes as PEP 3333 wants them: each byte is one character. */
static bool
set(PyObject *dict, const char *name, const char *bytes, size_t length)
{
	PyObject	*value = PyUnicode_DecodeLatin1(bytes,
			    (Py_ssize_t)length, NULL);
	int		 done = -1;

	if (value != NULL)
		done = PyDict_SetItemString(dict, name, value);
	Py_XDECREF(value);
	return done == 0;
}

static bool
set_text(PyObject *dict, const char *name, const char *text)
{
	return set(dict, name, text, strlen(text));
}

/* Add a header; if it was sent several times, join the values as RFC 9110 says,
 * or for cookies RFC 6265. */
static bool
add(PyObject *dict, const char *key, const char *value)
{
	PyObject	*before = PyDict_GetItemString(dict, key), *both;
	int		 done = -1;

	if (before == NULL)
		return set_text(dict, key, value);
	both = PyUnicode_FromFormat("%U%s%V", before,
	    strcmp(key, "HTTP_COOKIE") == 0 ? "; " : ", ", NULL, value);
	if (both != NULL)
		done = PyDict_SetItemString(dict, key, both);
	Py_XDECREF(both);
	return done == 0;
}

static bool
set_header(PyObject *dict, const char *name, const char *value)
{
	char	key[NAME_MAX_LENGTH + sizeof("HTTP_")] = "HTTP_";
	size_t	length = strlen(name), at = strlen(key);

	if (strcasecmp(name, "Content-Type") == 0)
		return set_text(dict, "CONTENT_TYPE", value);
	if (length > NAME_MAX_LENGTH || strchr(name, '_') != NULL ||
	    strcasecmp(name, "Content-Length") == 0 ||
	    strcasecmp(name, "Transfer-Encoding") == 0 ||
	    strcasecmp(name, "Proxy") == 0)
		return true;
	for (size_t i = 0; i < length; i++) {
		char	c = name[i];

		if (c == '-')
			c = '_';
		else if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		key[at++] = c;
	}
	key[at] = '\0';
	return add(dict, key, value);
}

/* "name:port" or "[address]:port", where the port 80 may be left out. */
static bool
set_server(PyObject *dict, const char *host)
{
	const char	*colon = strrchr(host, ':');
	const char	*bracket = strrchr(host, ']');

	if (colon != NULL && bracket != NULL && colon < bracket)
		colon = NULL;
	return set(dict, "SERVER_NAME", host, colon == NULL ?
	    strlen(host) : (size_t)(colon - host)) &&
	    set_text(dict, "SERVER_PORT", colon == NULL ||
		colon[1] == '\0' ? "80" : colon + 1);
}

static bool
set_headers(PyObject *dict, const struct mews_request *request)
{
	const char	*name, *value;

	for (unsigned i = 0; mews_request_header_at(request, i, &name, &value);
	    i++)
		if (!set_header(dict, name, value))
			return false;
	return true;
}

static bool
fill(PyObject *dict, const struct mews_request *request, PyObject *input,
    Py_ssize_t length)
{
	const char	*host = mews_request_header(request, "Host");
	char		 address[ADDRESS_MAX], number[24];

	snprintf(number, sizeof(number), "%zd", length);
	return set_text(dict, "REQUEST_METHOD",
		mews_request_method(request)) &&
	    set_text(dict, "PATH_INFO", mews_request_path(request)) &&
	    set_text(dict, "QUERY_STRING",
		mews_request_query_string(request)) &&
	    set_text(dict, "SERVER_PROTOCOL",
		mews_request_protocol(request)) &&
	    set_server(dict, host == NULL ? "" : host) &&
	    (length == 0 ||
		set_text(dict, "CONTENT_LENGTH", number)) &&
	    set_text(dict, "REMOTE_ADDR", mews_request_peer(request,
		address, sizeof(address)) ? address : "") &&
	    PyDict_SetItemString(dict, "wsgi.input", input) == 0 &&
	    set_headers(dict, request);
}

PyObject *
environ_new(const struct host *host, const struct mews_request *request,
    PyObject *input, Py_ssize_t length)
{
	PyObject	*dict = PyDict_Copy(host->environ);

	if (dict != NULL && !fill(dict, request, input, length))
		Py_CLEAR(dict);
	Py_DECREF(input);
	return dict;
}
