"""The stores of a root: the catalog, which is the commit point, and the projections derived from it."""
