"""A pool of worker processes. This file imports nothing, so that a worker loads only what it uses.

``pool.WorkerPool`` is the daemon's side, ``process`` the worker's side, ``jobs`` the values that they exchange.
"""
