# gunicorn -c gunicorn.conf.py shop

preload_app = True
wsgi_app = "shop:application"
workers = 4


def when_ready(server):
    """Measure the servers in one process, for all workers."""
    import shop
    shop.fleet.monitor()


def child_exit(server, worker):
    """Give back the slot of a worker that ended, however it did."""
    import shop
    shop.fleet.reap(worker.pid)
