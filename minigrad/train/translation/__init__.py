"""Translators as one thing: training, decoding, BLEU, pictures of attention."""
