"""The Transformer: an encoder-decoder of attention alone.

Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser & Polosukhin 2017, "Attention Is All You
Need" (NIPS). One table of words for all: Press & Wolf 2017, "Using the Output Embedding to Improve
Language Models" (EACL).

B texts, S source words, T target words, D model width, A heads, V target vocabulary.
"""

from typing import NamedTuple

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn

from .transformer_layers import DecoderLayer, EncoderLayer, Input


class Attentions(NamedTuple):
    """What every head of every layer looks at; a tensor for each layer."""

    source: tuple  # (B, A, S, S) source words at source words
    target: tuple  # (B, A, T, T) target words at themselves and at those before
    cross: tuple  # (B, A, T, S) target words at source words


class Stack(nn.Module):
    """A table of words, what is made of it, layers, and with norm_first a norm behind the last.

    options: those of a layer after heads.
    """

    layer: type

    def __init__(self, embedding, inputs: Input, d_model, heads, layers, norm_first, **options):
        super().__init__()
        options |= {"norm_first": norm_first}
        self.embedding = embedding
        self.inputs = inputs
        self.layers = nn.ModuleList(self.layer(d_model, heads, **options) for _ in range(layers))
        self.norm = nn.LayerNorm(d_model) if norm_first else nn.Identity()


class Encoder(Stack):
    """ids (B, S) -> (B, S, D), weights of each layer (B, A, S, S) or None.

    mask: bool, broadcast to (B, A, S, S), True where a word may be looked at.
    """

    layer = EncoderLayer

    def forward(self, ids, mask=None, want_weights=False):
        x = self.inputs(self.embedding(ids))
        attentions = []
        for layer in self.layers:
            x, weights = layer(x, mask, want_weights)
            attentions.append(weights)
        return self.norm(x), tuple(attentions)


class Decoder(Stack):
    """ids (B, T) after those in the caches -> (B, T, D), caches, weights (B, A, T, T), (B, A, T, S)."""

    layer = DecoderLayer

    def start(self, memory) -> tuple:
        """Each layer's cache before the first word."""
        return tuple(layer.start(memory) for layer in self.layers)

    def forward(self, ids, caches, source_mask, want_weights=False):
        x = self.inputs(self.embedding(ids), first=caches[0].keys.shape[2])
        after, own, cross = [], [], []
        for layer, cache in zip(self.layers, caches, strict=True):
            x, cache, *weights = layer(x, cache, source_mask, want_weights)
            after.append(cache)
            own.append(weights[0])
            cross.append(weights[1])
        return self.norm(x), tuple(after), tuple(own), tuple(cross)


class Transformer(nn.Module):
    """source (B, S), target (B, T) from <bos> on -> logits (B, T, V) of the word after each.

    The defaults are the paper's base model. norm_first: norms before the sub-layers, and one after
    each stack. positions: "sinusoidal" or "learned" (max_length of them). dropout: of every
    sub-layer's output and of word vectors with positions, as in the paper; inner_dropout: of
    attention weights and the feed-forward layers' hidden units, as in its code. tied: the output
    layer's weights are the target embedding's; shared: so are the source embedding's (one
    vocabulary). Matrices start from Xavier's uniform distribution, biases at zero, words from
    N(0, 1 / D). Padding may only stand behind the words.
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        d_model: int = 512,
        heads: int = 8,
        layers: int = 6,
        feedforward: int = 2048,
        dropout: float = 0.1,
        inner_dropout: float = 0.0,
        norm_first: bool = False,
        positions: str = "sinusoidal",
        max_length: int = 512,
        tied: bool = False,
        shared: bool = False,
        padding_idx: int = 0,
    ):
        super().__init__()
        if layers < 1:
            raise ValueError(f"Transformer: there must be a layer, not {layers}")
        if shared and source_size != target_size:
            raise ValueError(
                f"Transformer: shared=True needs one vocabulary, not {source_size} source and "
                f"{target_size} target words"
            )
        words = lambda size: nn.Embedding(size, d_model, padding_idx=padding_idx)
        inputs = lambda: Input(d_model, positions, max_length, dropout)
        sizes = dict(d_model=d_model, heads=heads, layers=layers, feedforward=feedforward)
        options = dict(dropout=dropout, inner_dropout=inner_dropout, norm_first=norm_first)
        self.embedding = words(target_size)
        source_words = self.embedding if shared else words(source_size)
        self.encoder = Encoder(source_words, inputs(), **sizes, **options)
        self.decoder = Decoder(self.embedding, inputs(), **sizes, **options)
        self.output = nn.Linear(d_model, target_size)
        if tied:
            self.output.weight = self.embedding.weight
        self._start()

    def _start(self):
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if parameter.dim() > 1:
                    nn.init.xavier_uniform_(parameter)
                elif name.endswith("bias"):
                    parameter.zero_()
            for table in {id(t): t for t in (self.embedding, self.encoder.embedding)}.values():
                table.weight.normal_(0.0, table.embedding_dim**-0.5)
                table.weight[table.padding_idx] = 0

    def encode(self, source, want_weights=False):
        """The encoder's outputs (B, S, D), the mask (B, 1, 1, S) of real words, the weights."""
        self._check(source, "source")
        real = source != self.encoder.embedding.padding_idx
        if not bool(real.any(1).all()):
            row = int((~real.any(1)).int().argmax())
            raise ValueError(f"Transformer: row {row} of the source is empty: it is padding alone")
        mask = real[:, None, None, :]
        memory, weights = self.encoder(source, mask, want_weights)
        return memory, mask, weights

    def forward(self, source, target):
        memory, mask, _ = self.encode(source)
        features, *_ = self._decode(target, memory, mask)
        return self.output(features)

    def _decode(self, target, memory, mask, want_weights=False):
        # no mask of the target's padding: it stands behind the words, which don't look ahead
        self._check(target, "target")
        if target.shape[0] != memory.shape[0]:
            raise ValueError(
                f"Transformer: expected target ids ({memory.shape[0]}, T), "
                f"got {tuple(target.shape)}"
            )
        return self.decoder(target, self.decoder.start(memory), mask, want_weights)

    def _check(self, ids, name):
        if ids.dim() != 2 or 0 in ids.shape:
            raise ValueError(
                f"Transformer: expected {name} ids (B, T) of at least one word, "
                f"got shape {tuple(ids.shape)}"
            )
        padding = ids == self.embedding.padding_idx
        if bool((padding[:, :-1] & ~padding[:, 1:]).any()):
            raise ValueError(f"Transformer: {name} padding may only stand at the end of a row")

    def attentions(self, source, target) -> Attentions:
        """The attention weights of all heads and layers."""
        memory, mask, seen = self.encode(source, want_weights=True)
        _, _, own, cross = self._decode(target, memory, mask, want_weights=True)
        return Attentions(seen, own, cross)

    def align(self, source, target):
        """The last layer's weights (B, T, S) of target words at source words, mean of its heads."""
        return self.attentions(source, target).cross[-1].mean(1)

    # For decoding.greedy and decoding.beam_search: a state whose tensors have the rows first.

    def start(self, source):
        """The state before the first word: caches, and the mask of the source."""
        memory, mask, _ = self.encode(source)
        return self.decoder.start(memory), mask

    def step(self, tokens, state):
        """The last words (B) -> log probabilities of the next (B, V), and the state after them."""
        caches, mask = state
        features, caches, _, _ = self.decoder(tokens.unsqueeze(1), caches, mask)
        return F.log_softmax(self.output(features[:, 0]), dim=1), (caches, mask)
