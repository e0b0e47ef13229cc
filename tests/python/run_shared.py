# Code for a process of multiprocessing: the fleet is imported there, not by
# the process that starts it.


def run(queue):
	import shared_fleet
	shared_fleet.work(queue)
