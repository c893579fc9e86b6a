"""The process: composition, the socket server, handlers, and what one daemon per user needs (lock, logs, paths)."""
