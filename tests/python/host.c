/*
 * host.c - an application server that embeds Python as FalconAS does: forked
 * workers, one interpreter in each, which import WebApp and call it once per
 * request.
 *
 *	host after|hooks|bare MODULE WORKERS
 *
 * The interpreter is started after the fork, by each worker; or before it, for
 * all, and the fork is told to Python (hooks), or is not (bare). Requests and
 * answers are messages on standard input, a socket that the workers share. A
 * worker that is killed is replaced.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <err.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MESSAGE_MAX 65536

static PyObject *
start_interpreter(const char *module)
{
	PyObject	*found, *app;

	Py_InitializeEx(0);
	if ((found = PyImport_ImportModule(module)) == NULL ||
	    (app = PyObject_CallMethod(found, "WebApp", NULL)) == NULL) {
		PyErr_Print();
		errx(1, "%s has no WebApp", module);
	}
	Py_DECREF(found);
	return app;
}

static void
serve(PyObject *app)
{
	char	payload[MESSAGE_MAX];
	ssize_t	length;

	while ((length = recv(0, payload, sizeof(payload), 0)) > 0) {
		PyObject	*result = PyObject_CallMethod(app, "invoke",
				    "s#", payload, (Py_ssize_t)length);
		const char	*text = result == NULL ? NULL :
				    PyUnicode_AsUTF8(result);

		if (text == NULL)
			PyErr_Print();
		if (send(0, text == NULL ? "failed" : text,
			text == NULL ? 6 : strlen(text), 0) == -1)
			err(1, "send");
		Py_XDECREF(result);
	}
	Py_DECREF(app);
	exit(Py_FinalizeEx() == 0 ? 0 : 1);
}

static void
start_worker(PyObject *app, const char *module, int hooks)
{
	pid_t	pid;

	if (hooks)
		PyOS_BeforeFork();
	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0 && hooks)
		PyOS_AfterFork_Child();
	if (pid == 0)
		serve(app != NULL ? app : start_interpreter(module));
	if (hooks)
		PyOS_AfterFork_Parent();
}

int
main(int argc, char **argv)
{
	int	  workers = argc == 4 ? atoi(argv[3]) : 0, status;
	int	  hooks = argc == 4 && strcmp(argv[1], "hooks") == 0;
	PyObject *app = NULL;

	if (workers < 1)
		errx(2, "usage: host after|hooks|bare MODULE WORKERS");
	if (strcmp(argv[1], "after") != 0)
		app = start_interpreter(argv[2]);
	for (int i = 0; i < workers; i++)
		start_worker(app, argv[2], hooks);
	while (wait(&status) > 0)
		if (WIFSIGNALED(status))
			start_worker(app, argv[2], hooks);
		else if (status != 0)
			return 1;
	return 0;
}
