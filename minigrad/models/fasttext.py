"""fastText's classifier: the mean of the vectors of words and word n-grams, and one linear layer.

Joulin, Grave, Bojanowski and Mikolov 2016, "Bag of Tricks for Efficient Text Classification".

B batch, N words and n-grams of all texts together, D embedding size, C classes.
"""

import minigrad as torch
from minigrad import nn


class FastText(nn.Module):
    """ids (N,), offsets (B,) -> logits (B, C): text i is ids[offsets[i]:offsets[i + 1]].

    The table has a row for every word and, after those, one for every bucket of n-grams
    (minigrad.text.ngrams). Rows start from U(-1/D, 1/D), as in fastText.
    """

    def __init__(self, num_embeddings: int, num_classes: int, embed_dim: int = 100):
        super().__init__()
        self.embedding = nn.EmbeddingBag(num_embeddings, embed_dim, mode="mean")
        with torch.no_grad():
            self.embedding.weight.uniform_(-1 / embed_dim, 1 / embed_dim)
        self.fc = nn.Linear(embed_dim, num_classes)

    def forward(self, ids, offsets):
        return self.fc(self.embedding(ids, offsets))
