"""The comparison of an index with the disk, and the least work that repairs it."""
