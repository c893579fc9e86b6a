"""Questions about the history of a root, answered from its history store."""
