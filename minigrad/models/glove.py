"""GloVe: word vectors whose products are the logarithms of how often two words occur together.

Pennington, Socher and Manning 2014, "GloVe: Global Vectors for Word Representation" (EMNLP).

B pairs of words, V words, D numbers a word.
"""

import minigrad as torch
from minigrad import nn


class GloVe(nn.Module):
    """Two tables of vectors and two of biases, with GloVe's loss.

    i, j (B,) ids and x (B,), how often j occurs near i -> the mean over the pairs of

        f(x) (w_i . c_j + b_i + b'_j - log x)^2,    f(x) = min(1, (x / x_max)^alpha)

    so that rare pairs, which are mostly noise, count less, and frequent ones not without limit. x must
    be greater than 0: pairs that never occur together have no part in the loss.
    """

    def __init__(self, vocab_size: int, dim: int = 100, x_max: float = 100.0, alpha: float = 0.75):
        super().__init__()
        self.x_max, self.alpha = x_max, alpha
        self.word = nn.Embedding(vocab_size, dim)
        self.context = nn.Embedding(vocab_size, dim)
        self.word_bias = nn.Embedding(vocab_size, 1)
        self.context_bias = nn.Embedding(vocab_size, 1)
        for table in (self.word, self.context, self.word_bias, self.context_bias):
            nn.init.uniform_(table.weight, -0.5 / dim, 0.5 / dim)

    def weight(self, x):
        """f(x): how much a pair counts that occurs x times."""
        return torch.clamp((x / self.x_max) ** self.alpha, max=1.0)

    def difference(self, i, j, x):
        """(B,): the model's logarithm of x minus the true one."""
        product = (self.word(i) * self.context(j)).sum(dim=1)
        biases = self.word_bias(i).squeeze(1) + self.context_bias(j).squeeze(1)
        return product + biases - torch.log(x)

    def forward(self, i, j, x):
        return (self.weight(x) * self.difference(i, j, x) ** 2).mean()

    def vectors(self):
        """(V, D): the sums of both tables' rows, which are better than either (section 4.2)."""
        return (self.word.weight + self.context.weight).detach()
