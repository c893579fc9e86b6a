"""Embedding models: the bundled one, sentence-transformers in a separate process, and an endpoint over HTTP."""
