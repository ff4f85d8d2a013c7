"""Two classifiers that don't look at the order of words: from their counts, from their mean vector.

Iyyer, Manjunatha, Boyd-Graber and Daumé III 2015, "Deep Unordered Composition Rivals Syntactic
Methods for Text Classification" (ACL): the deep averaging network, with word dropout.

B batch, T words, V vocabulary, D embedding size, C classes.
"""

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn

from .embedding import word_embedding


def hidden_layers(sizes, dropout: float, batch_norm: bool) -> nn.Sequential:
    """Linear -> BatchNorm1d (if wanted) -> ReLU -> dropout, from each size to the next."""
    layers = []
    for before, after in zip(sizes, sizes[1:]):  # noqa: B905 - the last size starts no layer
        layers.append(nn.Linear(before, after))
        if batch_norm:
            layers.append(nn.BatchNorm1d(after))
        layers += [nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers)


class TextMLP(nn.Module):
    """counts (B, V), how often each word occurs, -> hidden layers -> logits (B, C).

    Counts enter as log(1 + count), so that a word said ten times weighs about three times as much
    as one said once.
    """

    def __init__(
        self,
        vocab_size: int,
        num_classes: int,
        hidden_sizes: tuple[int, ...] = (100,),
        dropout: float = 0.5,
        batch_norm: bool = True,
    ):
        super().__init__()
        self.vocab_size = vocab_size
        self.hidden = hidden_layers((vocab_size, *hidden_sizes), dropout, batch_norm)
        self.fc = nn.Linear((vocab_size, *hidden_sizes)[-1], num_classes)

    def forward(self, counts):
        if counts.dim() != 2 or counts.shape[1] != self.vocab_size:
            raise ValueError(
                f"TextMLP: expected counts of {self.vocab_size} words, (batch, {self.vocab_size}), "
                f"got {tuple(counts.shape)}: count words with the vocabulary the model was made for"
            )
        return self.fc(self.hidden(torch.log1p(counts)))


class AverageMLP(nn.Module):
    """ids (B, T) -> the mean of the words' vectors, padding left out -> hidden layers -> logits (B, C).

    word_dropout: the probability with which, in training, a word stays out of the mean.
    `embeddings` (V, D) gives pretrained vectors, which `freeze` keeps as they are.
    """

    def __init__(
        self,
        vocab_size: int,
        num_classes: int,
        embed_dim: int = 300,
        hidden_sizes: tuple[int, ...] = (100,),
        dropout: float = 0.5,
        word_dropout: float = 0.3,
        batch_norm: bool = False,
        padding_idx: int = 0,
        embeddings=None,
        freeze: bool = False,
    ):
        super().__init__()
        self.embedding = word_embedding(vocab_size, embed_dim, padding_idx, embeddings, freeze)
        sizes = (self.embedding.embedding_dim, *hidden_sizes)
        self.padding_idx = padding_idx
        self.word_dropout = word_dropout
        self.hidden = hidden_layers(sizes, dropout, batch_norm)
        self.fc = nn.Linear(sizes[-1], num_classes)

    def forward(self, ids):
        x = self.embedding(ids)  # (B, T, D)
        words = (ids != self.padding_idx).to(x.dtype)  # (B, T), 1 for a word, 0 for padding
        if self.training and self.word_dropout > 0:
            kept = F.dropout(words, self.word_dropout)
            words = words * (kept != 0).to(x.dtype)
        total = (x * words.unsqueeze(2)).sum(dim=1)
        mean = total / words.sum(dim=1, keepdim=True).clamp(min=1)  # a text without words: 0
        return self.fc(self.hidden(mean))
