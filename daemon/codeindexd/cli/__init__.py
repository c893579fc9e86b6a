"""The programs: ``codeindex``, the client, and ``codeindexd``, the daemon."""
