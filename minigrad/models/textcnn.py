"""TextCNN: convolutions of several widths over word vectors, each filter's maximum over the sentence.

Kim 2014, "Convolutional Neural Networks for Sentence Classification" (EMNLP), figure 1.

B batch, T words, D embedding size, F filters of each width, C classes.
"""

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn

from .embedding import word_embedding


class TextCNN(nn.Module):
    """Embedding -> Conv1d of each width + ReLU -> max over time -> dropout -> Linear.

    ids (B, T) -> logits (B, C). T must be at least the widest filter, unless `wide`: then K - 1 zeros
    stand before and behind the text, as in Kim's experiments, so that a filter of width K can tell a
    text's first and last words from the others. The embedding of `padding_idx` is zero and stays
    zero. Kim's four variants: "rand" without `embeddings`; with pretrained ones (V, D), "static" with
    freeze=True, "non-static" without it, "multichannel" with multichannel=True: two copies of them,
    one frozen, every filter applied to both and summed. batch_norm: the maps of every width go
    through BatchNorm1d before ReLU. embed_dropout: dropout of the word vectors' components.
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
        multichannel: bool = False,
        batch_norm: bool = False,
        embed_dropout: float = 0.0,
        wide: bool = False,
    ):
        super().__init__()
        if multichannel and (embeddings is None or freeze):
            raise ValueError(
                "TextCNN: two channels need pretrained vectors, one copy of which is trained: pass "
                "embeddings=..., and leave freeze False"
            )
        self.embedding = word_embedding(vocab_size, embed_dim, padding_idx, embeddings, freeze)
        self.static = None
        if multichannel:
            self.static = nn.Embedding.from_pretrained(embeddings.clone(), padding_idx=padding_idx)
        width = self.embedding.embedding_dim
        self.shortest = 1 if wide else max(kernel_sizes)
        self.embed_dropout = embed_dropout
        self.convs = nn.ModuleList(
            nn.Conv1d(width, num_filters, k, padding=k - 1 if wide else 0) for k in kernel_sizes
        )
        self.norms = None
        if batch_norm:
            self.norms = nn.ModuleList(nn.BatchNorm1d(num_filters) for _ in kernel_sizes)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(num_filters * len(kernel_sizes), num_classes)

    def forward(self, ids):
        if ids.shape[1] < self.shortest:
            raise ValueError(
                f"TextCNN: texts of {ids.shape[1]} words are shorter than the widest filter, "
                f"{self.shortest}: pad them, as by pad_ids(rows, min_length={self.shortest})"
            )
        x = self.embedding(ids)  # (B, T, D)
        if self.static is not None:
            x = x + self.static(ids)  # a filter is linear: its sum over channels is that of the sum
        if self.embed_dropout > 0:
            x = F.dropout(x, self.embed_dropout, self.training)
        x = x.transpose(1, 2)  # (B, D, T)
        return self.fc(self.dropout(torch.cat(self.pooled(x), dim=1)))

    def pooled(self, x):
        """The maximum over time of each width's ReLU(convolution): x (B, D, T) -> each (B, F)."""
        seen = any(conv._forward_hooks or conv._forward_pre_hooks for conv in self.convs)
        if x.is_cuda and self.norms is None and not seen:  # one launch a width, no maps stored
            return [
                F.conv1d_relu_max(x, c.weight, c.bias, c.stride, c.padding, c.dilation)
                for c in self.convs
            ]
        maps = [conv(x) for conv in self.convs]  # each (B, F, T - K + 1); wide: (B, F, T + K - 1)
        if self.norms is not None:
            maps = [norm(m) for norm, m in zip(self.norms, maps, strict=True)]
        return [F.relu(m).max(dim=2).values for m in maps]
