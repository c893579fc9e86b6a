"""A pool of processes that turn files into chunks; nothing is imported here, a worker pays for what it uses.

``pool.WorkerPool`` is the daemon's side, ``process`` the worker's, ``jobs`` what they say to each other.
"""
