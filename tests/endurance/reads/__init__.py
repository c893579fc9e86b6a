"""Checking answers against the disk exactly: writers that log what was where when, and readers that ask meanwhile."""
