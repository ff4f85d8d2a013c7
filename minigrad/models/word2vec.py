"""word2vec and fastText: vectors of words learnt by predicting the words around them.

Mikolov et al. 2013, "Efficient Estimation of Word Representations in Vector Space" and "Distributed
Representations of Words and Phrases and their Compositionality"; Bojanowski et al. 2017, "Enriching
Word Vectors with Subword Information".

A model is two things: where the vector h that predicts comes from (SkipGram, CBOW, SubwordSkipGram),
and how a word is predicted from h (NegativeSampling, HierarchicalSoftmax, FullSoftmax):

    model = SkipGram(len(counts), 100, NegativeSampling(counts, 100))
    loss = model(centre, around)

B predictions, V words, D vector size, K words drawn, L longest path. Losses are means over B.
"""

import heapq

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn


def huffman(counts: list[int]) -> tuple[list[list[int]], list[list[int]]]:
    """For each word the path to it in a Huffman tree: the inner nodes, and at each one 0 or 1.

    V words have V - 1 inner nodes, the root being the last. Frequent words have short paths.
    """
    size = len(counts)
    if size < 2:
        raise ValueError(f"huffman: a tree needs 2 words or more, got {size}")
    heap = [(count, node) for node, count in enumerate(counts)]
    heapq.heapify(heap)
    children = []
    for node in range(size, 2 * size - 1):
        (few, left), (more, right) = heapq.heappop(heap), heapq.heappop(heap)
        children.append((left, right))
        heapq.heappush(heap, (few + more, node))
    points, codes = [[]] * (2 * size - 1), [[]] * (2 * size - 1)
    for inner in range(size - 2, -1, -1):  # parents are numbered after their children
        for code, child in enumerate(children[inner]):
            points[child] = [*points[size + inner], inner]
            codes[child] = [*codes[size + inner], code]
    return points[:size], codes[:size]


class NegativeSampling(nn.Module):
    """-log s(h . u) - sum over K drawn words of log s(-h . u_drawn), u rows of the output table.

    Words are drawn in proportion to counts ** 0.75; those drawn that are the word itself don't count.
    """

    def __init__(self, counts, dim: int, draws: int = 5, power: float = 0.75):
        super().__init__()
        self.draws = draws
        self.out = nn.Embedding(len(counts), dim)
        nn.init.zeros_(self.out.weight)
        counts = torch.as_tensor(counts, dtype=torch.get_default_dtype())
        self.register_buffer("noise", counts**power)

    def forward(self, h, word, drawn=None):
        """h (B, D), word (B,), drawn (B, K) or None for new ones -> the loss."""
        if drawn is None:
            count = len(word) * self.draws
            drawn = torch.multinomial(self.noise, count, replacement=True).view(-1, self.draws)
        good = F.logsigmoid((h * self.out(word)).sum(1))  # (B,)
        scores = torch.bmm(self.out(drawn), h.unsqueeze(2)).squeeze(2)  # (B, K)
        other = drawn != word.unsqueeze(1)
        return -(good + (F.logsigmoid(-scores) * other).sum(1)).mean()


class HierarchicalSoftmax(nn.Module):
    """-sum over the inner nodes on the word's path of log s((1 - 2 code) h . u_node).

    This is -log of a probability: over all words it sums up to 1.
    """

    def __init__(self, counts, dim: int):
        super().__init__()
        points, codes = huffman(list(counts))
        longest = max(map(len, points))
        self.out = nn.Embedding(len(points) - 1, dim)
        nn.init.zeros_(self.out.weight)
        padded = torch.tensor([path + [0] * (longest - len(path)) for path in points])
        signs = [[1 - 2 * bit for bit in code] + [0] * (longest - len(code)) for code in codes]
        self.register_buffer("points", padded)  # (V, L)
        self.register_buffer("signs", torch.tensor(signs))  # (V, L), 0 after the end of a path

    def forward(self, h, word):
        """h (B, D), word (B,) -> the loss."""
        signs = self.signs[word]
        scores = torch.bmm(self.out(self.points[word]), h.unsqueeze(2)).squeeze(2)  # (B, L)
        return -(F.logsigmoid(signs * scores) * signs.abs()).sum(1).mean()


class FullSoftmax(nn.Module):
    """-log of the softmax of h . u over all words: exact, and as slow as V is large."""

    def __init__(self, vocab_size: int, dim: int):
        super().__init__()
        self.out = nn.Linear(dim, vocab_size, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(self, h, word):
        """h (B, D), word (B,) -> the loss."""
        return F.cross_entropy(self.out(h), word)


class SkipGram(nn.Module):
    """The centre word's vector predicts a word around it."""

    def __init__(self, vocab_size: int, dim: int, head: nn.Module):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, dim)
        nn.init.uniform_(self.embedding.weight, -0.5 / dim, 0.5 / dim)
        self.head = head

    def forward(self, centre, around, *drawn):
        """centre, around (B,) -> the loss."""
        return self.head(self.embedding(centre), around, *drawn)


class CBOW(nn.Module):
    """The mean of the vectors of the words around ("a continuous bag of words") predicts the centre."""

    def __init__(self, vocab_size: int, dim: int, head: nn.Module):
        super().__init__()
        self.embedding = nn.EmbeddingBag(vocab_size, dim, mode="mean")
        nn.init.uniform_(self.embedding.weight, -0.5 / dim, 0.5 / dim)
        self.head = head

    def forward(self, around, offsets, centre, *drawn):
        """around: all windows' words in one row, offsets (B,): where each begins; centre (B,) -> the loss."""
        return self.head(self.embedding(around, offsets), centre, *drawn)


class SubwordSkipGram(nn.Module):
    """fastText: the centre word's vector is the mean of its own row and its n-grams' rows."""

    def __init__(self, vocab_size: int, buckets: int, dim: int, head: nn.Module):
        super().__init__()
        self.embedding = nn.EmbeddingBag(vocab_size + buckets, dim, mode="mean")
        nn.init.uniform_(self.embedding.weight, -1 / dim, 1 / dim)
        self.head = head

    def forward(self, rows, offsets, around, *drawn):
        """rows: those of all centre words, offsets (B,): where each word's begin; around (B,) -> the loss."""
        return self.head(self.embedding(rows, offsets), around, *drawn)
