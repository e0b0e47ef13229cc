# gunicorn's, of tests/fault/python: one fleet, made before the fork.

preload_app = True


def when_ready(server):
	import shop
	shop.fleet.monitor()


def child_exit(server, worker):
	import shop
	shop.fleet.reap(worker.pid)
