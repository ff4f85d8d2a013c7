"""Words with their vectors: files, queries, evaluation, vectors of unseen words from their letters."""
