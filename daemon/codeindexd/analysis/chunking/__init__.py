"""Determines a file's language, its text and its chunks, from its bytes and its name alone."""
