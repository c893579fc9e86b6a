"""Embedding models: the bundled one, sentence-transformers in a process of its own, an endpoint over HTTP."""
