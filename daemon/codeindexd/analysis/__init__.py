"""Pure decisions about content: words, chunks, secrets and embeddings. Nothing here touches a store or the disk."""
