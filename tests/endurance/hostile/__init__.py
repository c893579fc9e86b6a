"""Input that nobody writes by hand: broken, huge, deep and slow texts, and cages to try them in."""
