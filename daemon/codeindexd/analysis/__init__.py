"""Analyses content: words, chunks, secrets and embeddings, without access to stores or indexed files."""
