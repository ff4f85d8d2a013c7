"""SentimentCNN: the tutorials' form of Kim's network, over given word vectors that stay as they are.

Kim 2014, "Convolutional Neural Networks for Sentence Classification" (EMNLP). The tutorials take a
text for a picture one channel deep, T high and D wide, and slide filters k words high and as wide
as the picture over it: Conv2d(1, F, (k, D)). Conv1d(D, F, k) is the same sum.

B batch, T words, D embedding size, F filters of each width, C outputs.
"""

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn


class SentimentCNN(nn.Module):
    """ids (B, T) -> logits (B, C): convolutions + ReLU, maximum over time, dropout, Linear.

    `vectors` (V, D) are the word vectors, frozen unless freeze_embeddings is False; without them a
    table is learned. conv: "2d" or "1d". A width k has k - 2 rows of zeros at either end, so that a
    text of one word is long enough for widths from 3 up.
    """

    def __init__(
        self,
        vocab_size: int,
        output_size: int,
        embedding_dim: int = 300,
        num_filters: int = 100,
        kernel_sizes: tuple[int, ...] = (3, 4, 5),
        vectors=None,
        freeze_embeddings: bool = True,
        drop_prob: float = 0.5,
        conv: str = "2d",
        padding_idx: int = 0,
    ):
        super().__init__()
        if conv not in ("1d", "2d"):
            raise ValueError(f"SentimentCNN: conv must be '1d' or '2d', not {conv!r}")
        if vectors is None:
            self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=padding_idx)
        else:
            self.embedding = nn.Embedding.from_pretrained(
                vectors, freeze=freeze_embeddings, padding_idx=padding_idx
            )
        width = self.embedding.embedding_dim
        self.two_dimensional = conv == "2d"
        self.kernel_sizes = tuple(kernel_sizes)
        self.convs = nn.ModuleList(
            nn.Conv2d(1, num_filters, (k, width), padding=(max(0, k - 2), 0))
            if self.two_dimensional
            else nn.Conv1d(width, num_filters, k, padding=max(0, k - 2))
            for k in kernel_sizes
        )
        self.dropout = nn.Dropout(drop_prob)
        self.fc = nn.Linear(num_filters * len(kernel_sizes), output_size)

    @property
    def min_length(self) -> int:
        """The fewest words a batch may be wide."""
        return max(1, *(k - 2 * max(0, k - 2) for k in self.kernel_sizes))

    def forward(self, ids):
        if ids.shape[1] < self.min_length:
            raise ValueError(
                f"SentimentCNN: texts of {ids.shape[1]} words are too short for filters of widths "
                f"{self.kernel_sizes}: pad them to {self.min_length}"
            )
        x = self.embedding(ids)  # (B, T, D)
        if self.two_dimensional:
            x = x.unsqueeze(1)  # (B, 1, T, D)
            maps = [F.relu(conv(x)).squeeze(3) for conv in self.convs]  # each (B, F, T')
        else:
            x = x.transpose(1, 2)  # (B, D, T)
            maps = [F.relu(conv(x)) for conv in self.convs]
        pooled = [m.max(dim=2).values for m in maps]  # each (B, F)
        return self.fc(self.dropout(torch.cat(pooled, dim=1)))
