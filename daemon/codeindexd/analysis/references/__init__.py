"""Finds the references in a file: what it calls, uses, imports and inherits from."""
