"""Compares an index with the disk, and repairs it with as little work as possible."""
