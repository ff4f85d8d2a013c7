"""Word vectors trained on text: word2vec, fastText, GloVe; and maps of them."""
