"""A month of work, compressed: the roots, the edits, the clients, and the resources used."""
