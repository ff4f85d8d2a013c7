"""Taggers as one thing: batches of sentences, training, saving, tags of new sentences."""
