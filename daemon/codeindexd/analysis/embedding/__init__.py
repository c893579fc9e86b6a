"""Embedding models: the bundled one, sentence-transformers in a separate process, an endpoint over HTTP."""
