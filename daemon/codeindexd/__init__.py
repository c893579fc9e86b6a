"""codeindexd: a daemon that keeps a search index of code roots as fresh as the disk."""

__version__ = "0.1.0"
