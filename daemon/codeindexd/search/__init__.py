"""Search: from a query to hits that were confirmed against the disk."""
