"""The table of word vectors that a model starts with: drawn at random, or given."""

import minigrad as torch
from minigrad import nn


def word_embedding(
    vocab_size: int,
    embed_dim: int,
    padding_idx: int = 0,
    embeddings=None,
    freeze: bool = False,
    bound: float = 0.25,
):
    """An Embedding with weights from U(-bound, bound), or with given `embeddings` (V, D).

    The vector of `padding_idx` is zero when drawn, and is not trained. A bound of 0.25 gives the
    vectors about the variance of word2vec's (Kim 2014, section 3.2).
    """
    if embeddings is not None:
        return nn.Embedding.from_pretrained(embeddings, freeze=freeze, padding_idx=padding_idx)
    embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=padding_idx)
    with torch.no_grad():
        embedding.weight.uniform_(-bound, bound)
        embedding.weight[padding_idx] = 0
    return embedding
