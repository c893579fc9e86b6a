"""A pool of worker processes. Imports nothing, so that a worker loads only what it uses.

``pool.WorkerPool`` is the daemon's side, ``process`` the worker's side, ``jobs`` what they exchange.
"""
