/*
 * interpreter.c - start and stop the interpreter, and import the application.
 */
#include "host.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* Make the interpreter's symbols global: modules in C look for them there, but
 * this object and its libraries were loaded locally. */
static void
show_symbols(void)
{
	Dl_info	info;

	if (dladdr((void *)(uintptr_t)Py_InitializeFromConfig, &info) != 0)
		dlopen(info.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD);
}

static PyStatus
configure(PyConfig *config, const char *virtualenv)
{
	PyStatus	status;
	char		program[PATH_MAX] = PYTHON_PROGRAM;

	if (virtualenv != NULL)
		snprintf(program, sizeof(program), "%s/bin/python3",
		    virtualenv);
	config->install_signal_handlers = 0;
	config->parse_argv = 0;
	status = PyConfig_SetBytesString(config, &config->program_name,
	    program);
	if (PyStatus_Exception(status))
		return status;
	return PyConfig_SetBytesString(config, &config->executable, program);
}

static bool
start(const char *virtualenv, struct mews_error *error)
{
	PyConfig	config;
	PyStatus	status;

	show_symbols();
	PyConfig_InitPythonConfig(&config);
	status = configure(&config, virtualenv);
	if (!PyStatus_Exception(status))
		status = Py_InitializeFromConfig(&config);
	PyConfig_Clear(&config);
	if (!PyStatus_Exception(status))
		return true;
	snprintf(error->message, sizeof(error->message),
	    "the interpreter does not start: %s", status.err_msg == NULL ?
	    "it would end the process" : status.err_msg);
	return false;
}

/* log(text), for mews.worker: a line of the worker's log. */
static PyObject *
log_text(PyObject *self, PyObject *text)
{
	struct host	*host = PyCapsule_GetPointer(self, "mews_host");
	const char	*bytes = PyUnicode_AsUTF8(text);

	if (host == NULL || bytes == NULL)
		return NULL;
	mews_worker_log(host->worker, MEWS_LOG_ERROR, "python", bytes);
	Py_RETURN_NONE;
}

static PyMethodDef log_method = { "log", log_text, METH_O, NULL };

/* Give mews.worker this worker's pool, if there is a worker. */
static bool
attach(struct host *host)
{
	PyObject	*pool, *self, *log, *done = NULL;

	if ((host->module = PyImport_ImportModule("mews.worker")) == NULL)
		return false;
	if (host->worker == NULL)
		return true;
	pool = PyCapsule_New(mews_worker_pool(host->worker), "mews_pool",
	    NULL);
	self = PyCapsule_New(host, "mews_host", NULL);
	log = self == NULL ? NULL : PyCFunction_New(&log_method, self);
	if (pool != NULL && log != NULL)
		done = PyObject_CallMethod(host->module, "_attach", "OO",
		    pool, log);
	Py_XDECREF(pool);
	Py_XDECREF(self);
	Py_XDECREF(log);
	Py_XDECREF(done);
	return done != NULL;
}

static bool
find(struct host *host, const struct mews_options *options)
{
	const char	*kind = mews_option(options, "python.kind");
	PyObject	*errors;

	host->application = PyObject_CallMethod(host->module, "_find", "sss",
	    mews_option(options, "python.module"), kind,
	    mews_option(options, "python.path"));
	if (host->application == NULL)
		return false;
	if (strcmp(kind, "webapp") == 0) {
		host->serve = webapp_serve;
		return true;
	}
	host->serve = wsgi_serve;
	if (PyType_Ready(&Answer_Type) == -1 ||
	    (errors = PySys_GetObject("stderr")) == NULL)
		return false;
	host->environ = environ_base(errors);
	return host->environ != NULL;
}

/* The last line of the traceback, as the reason. */
static void
explain(struct host *host, const char *module, struct mews_error *error)
{
	PyObject	*type, *value, *trace, *text;
	const char	*why;

	PyErr_Fetch(&type, &value, &trace);
	PyErr_NormalizeException(&type, &value, &trace);
	text = PyObject_Str(value);
	why = text == NULL ? NULL : PyUnicode_AsUTF8(text);
	snprintf(error->message, sizeof(error->message),
	    "python: module = '%.100s': %.80s: %.200s", module,
	    ((PyTypeObject *)type)->tp_name, why == NULL ? "" : why);
	error->message[strcspn(error->message, "\n")] = '\0';
	Py_XDECREF(text);
	PyErr_Clear();
	PyErr_Restore(type, value, trace);
	exception_report(host);
}

bool
interpreter_start(struct host *host, struct mews_worker *worker,
    const struct mews_options *options, struct mews_error *error)
{
	const char	*module = mews_option(options, "python.module");

	error->status = MEWS_INVALID;
	if (module == NULL) {
		snprintf(error->message, sizeof(error->message),
		    "mews-python.so needs a section python { module = .. }");
		return false;
	}
	host->worker = worker;
	if (worker != NULL)
		host->body_limit = mews_worker_body_limit(worker);
	if (!start(mews_option(options, "python.virtualenv"), error))
		return false;
	if (attach(host) && find(host, options))
		return true;
	explain(host, module, error);
	return false;
}

void
interpreter_stop(struct host *host)
{
	PyObject	*done = NULL;

	if (!Py_IsInitialized())
		return;
	if (host->module != NULL &&
	    (done = PyObject_CallMethod(host->module, "_detach", NULL)) ==
	    NULL)
		PyErr_Print();
	Py_XDECREF(done);
	Py_CLEAR(host->application);
	Py_CLEAR(host->environ);
	Py_CLEAR(host->module);
	Py_FinalizeEx();
}
