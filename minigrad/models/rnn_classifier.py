"""A classifier of recurrent states: RNN, LSTM or GRU over the words, pooled to one vector a text.

Hochreiter and Schmidhuber 1997 (LSTM), Cho et al. 2014 (GRU), Schuster and Paliwal 1997
(bidirectional); Kalchbrenner, Grefenstette and Blunsom 2014 (k-max pooling); Zhou et al. 2016,
"Attention-Based Bidirectional LSTM Networks for Relation Classification" (attention).

B batch, T words, D embedding size, H hidden size, S state size (H, or 2 H in two directions),
C classes.
"""

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn

from .embedding import word_embedding

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
POOLINGS = ("last", "max", "mean", "kmax", "attention")


class RNNClassifier(nn.Module):
    """ids (B, T), lengths (B,) -> logits (B, C); what stands after a text's length has no effect.

    pooling: "last" the states after the last word (backward: after the first); "max" and "mean"
    over the words; "kmax" the k largest of every component, in their order; "attention" the sum
    weighted by softmax(w . tanh(h)). Dropout acts on word vectors, between layers and before the
    last layer. `embeddings` (V, D) gives pretrained vectors, which `freeze` keeps as they are.
    """

    def __init__(
        self,
        vocab_size: int,
        num_classes: int,
        cell: str = "lstm",
        embed_dim: int = 100,
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = False,
        pooling: str = "last",
        k: int = 3,
        dropout: float = 0.5,
        padding_idx: int = 0,
        embeddings=None,
        freeze: bool = False,
    ):
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"RNNClassifier: cell must be one of {', '.join(CELLS)}, not {cell!r}")
        if pooling not in POOLINGS:
            raise ValueError(
                f"RNNClassifier: pooling must be one of {', '.join(POOLINGS)}, not {pooling!r}"
            )
        if k < 1:
            raise ValueError(f"RNNClassifier: k must be at least 1, not {k}")
        self.embedding = word_embedding(vocab_size, embed_dim, padding_idx, embeddings, freeze)
        self.rnn = CELLS[cell](
            self.embedding.embedding_dim,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
            bidirectional=bidirectional,
        )
        self.dropout = nn.Dropout(dropout)
        self.pooling = pooling
        self.k = k
        width = hidden_size * (2 if bidirectional else 1)
        if pooling == "attention":
            self.score = nn.Linear(width, 1, bias=False)
        self.fc = nn.Linear(width * k if pooling == "kmax" else width, num_classes)

    def forward(self, ids, lengths):
        if ids.shape[0] == 0 or int(lengths.min()) < 1:
            raise ValueError(
                "RNNClassifier: every text needs at least one word, and a batch at least one text: "
                "leave empty texts out, or give them one unknown word"
            )
        x = self.dropout(self.embedding(ids))  # (B, T, D)
        packed = nn.utils.rnn.pack_padded_sequence(
            x, lengths, batch_first=True, enforce_sorted=False
        )
        out, state = self.rnn(packed)
        if self.pooling == "last":
            return self.fc(self.dropout(self.last_state(state)))
        out, _ = nn.utils.rnn.pad_packed_sequence(out, batch_first=True)  # (B, T, S)
        mask = torch.arange(out.shape[1], device=ids.device) < lengths.unsqueeze(
            1
        )  # (B, T), True for words
        return self.fc(self.dropout(self.pool(out, mask.unsqueeze(2), lengths)))

    def last_state(self, state):
        """The last layer's final hidden states, both directions side by side: (B, S)."""
        h = state[0] if isinstance(state, tuple) else state  # (layers x directions, B, H)
        return torch.cat([h[-2], h[-1]], dim=1) if self.rnn.bidirectional else h[-1]

    def pool(self, out, mask, lengths):
        """The outputs (B, T, S) of all words as one vector; mask (B, T, 1) is True for words."""
        if self.pooling == "max":
            return out.masked_fill(~mask, float("-inf")).max(dim=1).values
        if self.pooling == "mean":
            return out.sum(dim=1) / lengths.unsqueeze(1).to(out.dtype)  # padding is 0
        if self.pooling == "attention":
            scores = self.score(torch.tanh(out)).masked_fill(~mask, float("-inf"))
            return (F.softmax(scores, dim=1) * out).sum(dim=1)
        missing = max(0, self.k - out.shape[1])
        out = F.pad(out, (0, 0, 0, missing))
        mask = F.pad(mask, (0, 0, 0, missing))
        ranked = out.masked_fill(~mask, float("-inf"))
        places = ranked.topk(self.k, dim=1).indices.sort(dim=1).values  # (B, k, S)
        return out.gather(1, places).flatten(1)  # a text of fewer than k words: zeros after them
