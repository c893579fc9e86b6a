"""Checks answers against the disk exactly: writers log what was where and when, and readers ask meanwhile."""
