"""TextCNN: convolutions of several widths over word vectors, each filter's maximum over the sentence.

Kim 2014, "Convolutional Neural Networks for Sentence Classification" (EMNLP), figure 1.

B batch, T words, D embedding size, F filters of each width, C classes.
"""

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn


class TextCNN(nn.Module):
    """Embedding -> Conv1d of each width + ReLU -> max over time -> dropout -> Linear.

    ids (B, T) -> logits (B, C). T must be at least the widest filter. The embedding of `padding_idx`
    is zero and stays zero. `embeddings` (V, D) gives pretrained vectors, which `freeze` keeps as they
    are (Kim's "static"; without it, "non-static"; without vectors, "rand").
    """

    def __init__(
        self,
        vocab_size: int,
        num_classes: int,
        embed_dim: int = 300,
        num_filters: int = 100,
        kernel_sizes: tuple[int, ...] = (3, 4, 5),
        dropout: float = 0.5,
        padding_idx: int = 0,
        embeddings=None,
        freeze: bool = False,
    ):
        super().__init__()
        if embeddings is None:
            self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=padding_idx)
            with torch.no_grad():  # Kim draws unknown words from U[-0.25, 0.25]
                self.embedding.weight.uniform_(-0.25, 0.25)
                self.embedding.weight[padding_idx] = 0
        else:
            self.embedding = nn.Embedding.from_pretrained(
                embeddings, freeze=freeze, padding_idx=padding_idx
            )
        width = self.embedding.embedding_dim
        self.convs = nn.ModuleList(nn.Conv1d(width, num_filters, k) for k in kernel_sizes)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(num_filters * len(kernel_sizes), num_classes)

    def forward(self, ids):
        x = self.embedding(ids).transpose(1, 2)  # (B, D, T)
        pooled = [F.relu(conv(x)).max(dim=2).values for conv in self.convs]  # each (B, F)
        return self.fc(self.dropout(torch.cat(pooled, dim=1)))
