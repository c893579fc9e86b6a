"""The stores of a root: the catalog, which commits, and the projections that follow it."""
