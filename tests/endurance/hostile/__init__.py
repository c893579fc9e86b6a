"""Hostile input: broken, huge, deep and slow texts, and processes to try them in."""
