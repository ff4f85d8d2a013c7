"""Recurrent encoder-decoders: a sentence to a vector, or to one vector a word, and to a sentence.

Sutskever, Vinyals & Le 2014, "Sequence to Sequence Learning with Neural Networks" (NIPS);
Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder" (EMNLP);
Bahdanau, Cho & Bengio 2015 (ICLR) and Luong, Pham & Manning 2015 (EMNLP) with attention.

B batch, S source words, T target words, L layers, E embedding size, H hidden size,
M size of an encoder output (H, or 2 H where it reads both ways), V target vocabulary.
"""

from typing import NamedTuple

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn

from .seq2seq_attention import Memory, SourceAttention

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}


class State(NamedTuple):
    """What a decoder takes from step to step."""

    rnn: tuple  # h, and an LSTM's c: (L, B, H)
    fed: torch.Tensor | None = None  # (B, 1, H) the last attentional state, with input feeding


def _recurrent(cell, input_size, hidden_size, num_layers, dropout, bidirectional=False):
    if cell not in CELLS:
        raise ValueError(f"cell must be one of {', '.join(CELLS)}, not {cell!r}")
    dropout = dropout if num_layers > 1 else 0.0  # the layer has it between its layers only
    return CELLS[cell](
        input_size,
        hidden_size,
        num_layers,
        batch_first=True,
        dropout=dropout,
        bidirectional=bidirectional,
    )


def _run(rnn, x, state: tuple):
    """Outputs and states of an LSTM or GRU, the states as a tuple of both or of one."""
    outputs, state = rnn(x, state if len(state) == 2 else state[0])
    return outputs, state if isinstance(state, tuple) else (state,)


class Encoder(nn.Module):
    """ids (B, S), padding at the end of rows -> outputs (B, S, M), padding (B, S), state of (L, B, H).

    Where it reads both ways, the decoder starts from tanh(W [forward; backward]) of the last states.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dim: int,
        hidden_size: int,
        num_layers: int = 1,
        cell: str = "gru",
        bidirectional: bool = True,
        dropout: float = 0.0,
        padding_idx: int = 0,
    ):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=padding_idx)
        self.dropout = nn.Dropout(dropout)
        self.rnn = _recurrent(cell, embed_dim, hidden_size, num_layers, dropout, bidirectional)
        self.bridge = nn.Linear(2 * hidden_size, hidden_size) if bidirectional else None
        two = bidirectional and cell == "lstm"
        self.cell_bridge = nn.Linear(2 * hidden_size, hidden_size) if two else None
        self.output_size = hidden_size * (2 if bidirectional else 1)

    def forward(self, source):
        padding = source == self.embedding.padding_idx
        self._check(source, padding)
        lengths = (~padding).sum(1).cpu()
        x = self.dropout(self.embedding(source))
        packed = nn.utils.rnn.pack_padded_sequence(
            x, lengths, batch_first=True, enforce_sorted=False
        )
        outputs, state = self.rnn(packed)
        values, _ = nn.utils.rnn.pad_packed_sequence(
            outputs, batch_first=True, total_length=source.shape[1]
        )
        state = state if isinstance(state, tuple) else (state,)
        if self.bridge is not None:
            h, *c = (torch.cat([s[0::2], s[1::2]], dim=2) for s in state)  # (L, B, 2 H)
            state = (torch.tanh(self.bridge(h)), *(self.cell_bridge(part) for part in c))
        return values, padding, state

    def _check(self, source, padding):
        if source.dim() != 2 or 0 in source.shape:
            raise ValueError(f"Encoder: expected ids (B, S), got shape {tuple(source.shape)}")
        if bool(padding[:, 0].any()):
            row = int(padding[:, 0].int().argmax())
            raise ValueError(
                f"Encoder: row {row} of the source is empty: it begins with padding "
                f"(id {self.embedding.padding_idx})"
            )
        if bool((padding[:, :-1] & ~padding[:, 1:]).any()):
            raise ValueError("Encoder: padding may only stand at the end of a row")


class Decoder(nn.Module):
    """(B, T, E), State, Memory -> (B, T, output_size), State, attention weights (B, T, S) or None."""

    stepwise = False  # True: T must be 1; False: the whole of a known target in one call
    input_feeding = False

    def __init__(self):
        super().__init__()
        self.attention = None


class PlainDecoder(Decoder):
    """h_t = RNN(e_t, h_{t-1}), from the encoder's last state on.  Sutskever et al. 2014."""

    def __init__(self, embed_dim, hidden_size, num_layers, cell, dropout):
        super().__init__()
        self.rnn = _recurrent(cell, embed_dim, hidden_size, num_layers, dropout)
        self.output_size = hidden_size

    def forward(self, embedded, state: State, memory: Memory):
        outputs, rnn = _run(self.rnn, embedded, state.rnn)
        return outputs, State(rnn), None


class ContextDecoder(Decoder):
    """h_t = RNN([e_t; c], h_{t-1}), words from [e_t; h_t; c]; c: the source.  Cho et al. 2014."""

    def __init__(self, embed_dim, hidden_size, num_layers, cell, dropout):
        super().__init__()
        self.rnn = _recurrent(cell, embed_dim + hidden_size, hidden_size, num_layers, dropout)
        self.output_size = embed_dim + 2 * hidden_size

    def forward(self, embedded, state: State, memory: Memory):
        context = memory.summary.unsqueeze(1).expand(-1, embedded.shape[1], -1)
        outputs, rnn = _run(self.rnn, torch.cat([embedded, context], dim=2), state.rnn)
        return torch.cat([embedded, outputs, context], dim=2), State(rnn), None


class LuongDecoder(Decoder):
    """h_t = RNN(e_t, h_{t-1}), c_t = attention(h_t), words from h~_t = tanh(W [c_t; h_t]).

    Luong et al. 2015. input_feeding: the RNN sees [e_t; h~_{t-1}], so it goes step by step; without
    it all h_t of a known target are one call, and so is the attention of all of them.
    """

    def __init__(
        self, embed_dim, hidden_size, num_layers, cell, dropout, memory_size, kind, input_feeding
    ):
        super().__init__()
        width = embed_dim + hidden_size if input_feeding else embed_dim
        self.rnn = _recurrent(cell, width, hidden_size, num_layers, dropout)
        self.attention = SourceAttention(kind, hidden_size, memory_size)
        self.combine = nn.Linear(memory_size + hidden_size, hidden_size)
        self.stepwise = self.input_feeding = input_feeding
        self.output_size = hidden_size

    def forward(self, embedded, state: State, memory: Memory):
        x = torch.cat([embedded, state.fed], dim=2) if self.input_feeding else embedded
        outputs, rnn = _run(self.rnn, x, state.rnn)
        context, weights = self.attention(outputs, memory)
        attentional = torch.tanh(self.combine(torch.cat([context, outputs], dim=2)))
        return attentional, State(rnn, attentional if self.input_feeding else None), weights


class BahdanauDecoder(Decoder):
    """c_t = attention(h_{t-1}), h_t = RNN([e_t; c_t], h_{t-1}), words from [e_t; h_t; c_t]."""

    stepwise = True  # attention needs the state before

    def __init__(self, embed_dim, hidden_size, num_layers, cell, dropout, memory_size):
        super().__init__()
        self.rnn = _recurrent(cell, embed_dim + memory_size, hidden_size, num_layers, dropout)
        self.attention = SourceAttention("bahdanau", hidden_size, memory_size)
        self.output_size = embed_dim + hidden_size + memory_size

    def forward(self, embedded, state: State, memory: Memory):
        query = state.rnn[0][-1].unsqueeze(1)  # (B, 1, H) the top layer's
        context, weights = self.attention(query, memory)
        outputs, rnn = _run(self.rnn, torch.cat([embedded, context], dim=2), state.rnn)
        return torch.cat([embedded, outputs, context], dim=2), State(rnn), weights


class Maxout(nn.Module):
    """The greater of two linear functions, for every output.  Goodfellow et al. 2013.

    Cho et al. 2014 and Bahdanau et al. 2015 have it between the decoder and the words.
    """

    def __init__(self, in_features: int, out_features: int):
        super().__init__()
        self.linear = nn.Linear(in_features, 2 * out_features)

    def forward(self, x):
        return torch.stack(self.linear(x).chunk(2, dim=-1), dim=-1).amax(-1)


class Seq2Seq(nn.Module):
    """source (B, S), target (B, T) from <bos> on -> logits (B, T, V) of the word after each.

    attention: None, "bahdanau" (from the state before), "dot", "general" or "concat" (Luong's, from
    the state now; input_feeding). context: without attention, every step sees the source's vector
    (Cho et al.). readout: a maxout layer of that size before the words. tied: the output layer's
    weights are the target embedding's. All weights start from U(-init_range, init_range), with None
    as the layers have it; padding rows are zero.
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        embed_dim: int = 256,
        hidden_size: int = 256,
        num_layers: int = 1,
        cell: str = "gru",
        attention: str | None = None,
        context: bool = False,
        input_feeding: bool = False,
        bidirectional: bool = True,
        dropout: float = 0.0,
        readout: int | None = None,
        tied: bool = False,
        padding_idx: int = 0,
        init_range: float | None = 0.08,
    ):
        super().__init__()
        if context and attention is not None:
            raise ValueError("Seq2Seq: context=True is for a decoder without attention")
        if input_feeding and attention in (None, "bahdanau"):
            raise ValueError("Seq2Seq: input_feeding needs attention 'dot', 'general' or 'concat'")
        self.encoder = Encoder(
            source_size,
            embed_dim,
            hidden_size,
            num_layers,
            cell,
            bidirectional,
            dropout,
            padding_idx,
        )
        self.embedding = nn.Embedding(target_size, embed_dim, padding_idx=padding_idx)
        memory_size = self.encoder.output_size
        sizes = (embed_dim, hidden_size, num_layers, cell, dropout)
        if attention == "bahdanau":
            self.decoder = BahdanauDecoder(*sizes, memory_size)
        elif attention is not None:
            self.decoder = LuongDecoder(*sizes, memory_size, attention, input_feeding)
        else:
            self.decoder = ContextDecoder(*sizes) if context else PlainDecoder(*sizes)
        self.dropout = nn.Dropout(dropout)
        width = readout or self.decoder.output_size
        self.readout = Maxout(self.decoder.output_size, readout) if readout else None
        self.output = nn.Linear(width, target_size)
        if tied:
            if width != embed_dim:
                raise ValueError(
                    f"Seq2Seq: tied embeddings need {embed_dim} numbers before the output layer, not "
                    f"{width}: set readout={embed_dim}"
                )
            self.output.weight = self.embedding.weight
        self._start(init_range)

    def _start(self, init_range):
        with torch.no_grad():
            if init_range is not None:
                for weight in self.parameters():
                    weight.uniform_(-init_range, init_range)
            for embedding in (self.encoder.embedding, self.embedding):
                embedding.weight[embedding.padding_idx] = 0

    def encode(self, source) -> tuple[Memory, State]:
        """What the decoder sees of the source, and the state it starts from."""
        values, padding, rnn = self.encoder(source)
        keys = None if self.decoder.attention is None else self.decoder.attention.keys(values)
        h = rnn[0][-1]  # (B, H)
        fed = torch.zeros_like(h).unsqueeze(1) if self.decoder.input_feeding else None
        return Memory(values, keys, padding, h), State(rnn, fed)

    def forward(self, source, target, teacher_forcing: float = 1.0):
        """teacher_forcing: the chance, at every step, that the next input is the true word."""
        features, _ = self.features(source, target, teacher_forcing)
        return self.logits(features)

    def logits(self, features):
        """(..., decoder.output_size) -> (..., V)."""
        features = self.dropout(features)
        return self.output(features if self.readout is None else self.readout(features))

    def features(self, source, target, teacher_forcing: float = 1.0):
        """What logits are made from, (B, T, decoder.output_size), and attention weights (B, T, S)."""
        if not 0 <= teacher_forcing <= 1:
            raise ValueError(f"Seq2Seq: teacher_forcing must be from 0 to 1, not {teacher_forcing}")
        if target.dim() != 2 or target.shape[1] == 0 or target.shape[0] != source.shape[0]:
            raise ValueError(
                f"Seq2Seq: expected target ids ({source.shape[0]}, T), got {tuple(target.shape)}"
            )
        memory, state = self.encode(source)
        if teacher_forcing == 1 and not self.decoder.stepwise:
            features, _, weights = self.decoder(self._embed(target), state, memory)
            return features, weights
        embedded = self._embed(target)
        parts, weights = [], []
        for t in range(target.shape[1]):
            x = embedded[:, t : t + 1]
            if t > 0 and teacher_forcing < 1 and torch.rand(1).item() >= teacher_forcing:
                with torch.no_grad():  # the model's own word instead of the true one
                    word = self.logits(parts[-1]).argmax(2)
                x = self._embed(word)
            features, state, weight = self.decoder(x, state, memory)
            parts.append(features)
            weights.append(weight)
        return torch.cat(parts, 1), None if weights[0] is None else torch.cat(weights, 1)

    def _embed(self, ids):
        return self.dropout(self.embedding(ids))

    def align(self, source, target):
        """The attention weights (B, T, S) with which each word after target's is found."""
        _, weights = self.features(source, target)
        if weights is None:
            raise ValueError("Seq2Seq: a model without attention has no weights to show")
        return weights

    # For decoding.greedy and decoding.beam_search: a state whose tensors have the rows first.

    def start(self, source):
        """The state before the first word."""
        memory, state = self.encode(source)
        return memory, tuple(s.transpose(0, 1) for s in state.rnn), state.fed

    def step(self, tokens, state):
        """The last words (B) -> log probabilities of the next (B, V), and the state after them."""
        memory, rnn, fed = state
        rnn = tuple(s.transpose(0, 1).contiguous() for s in rnn)
        x = self._embed(tokens.unsqueeze(1))
        features, after, _ = self.decoder(x, State(rnn, fed), memory)
        scores = F.log_softmax(self.logits(features).squeeze(1), dim=1)
        return scores, (memory, tuple(s.transpose(0, 1) for s in after.rnn), after.fed)
