"""The daemon process: its composition, socket server, request handlers, lock, logs and paths."""
