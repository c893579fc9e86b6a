"""Pure decisions about content: words, chunks, secrets and embeddings. No access to stores or indexed files."""
