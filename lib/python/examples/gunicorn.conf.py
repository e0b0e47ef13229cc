# gunicorn -c gunicorn.conf.py shop

preload_app = True
wsgi_app = "shop:application"
workers = 4


def when_ready(server):
    """Fork a process that measures the servers for all workers."""
    import shop
    shop.fleet.monitor()


def child_exit(server, worker):
    """Give back the slot of a worker, however it ended."""
    import shop
    shop.fleet.reap(worker.pid)
