"""Layers of BART's kind of Transformer, an encoder and a decoder: attention, both layers, positions.

Vaswani et al. 2017, "Attention Is All You Need" (NeurIPS). BART, Pegasus and Marian are made of
these; a configuration's class says where norms stand. Names are those of Hugging Face's files.

B texts, T target tokens, S source tokens (both T in an encoder), H width (d_model), A heads.
"""

import minigrad as torch
from minigrad import nn

from ..pretrained import activation
from .bert_layers import attend_heads
from .positions import sinusoids


class LearnedPositions(nn.Embedding):
    """Places first, first + 1, ...: (T, H) from a table whose first two rows stand for no place."""

    offset = 2  # fairseq counted places on from its padding's number, 1

    def __init__(self, places: int, width: int):
        super().__init__(places + self.offset, width)

    def forward(self, first: int, length: int):
        begin = first + self.offset
        return super().forward(torch.arange(begin, begin + length, device=self.weight.device))


class SinusoidalPositions(nn.Embedding):
    """Places first, first + 1, ...: (T, H), all sines before all cosines; the table is not learned."""

    def __init__(self, places: int, width: int):
        super().__init__(places, width, _weight=sine_table(places, width))
        self.weight.requires_grad_(False)

    def forward(self, first: int, length: int):
        return self.weight[first : first + length]


def sine_table(places: int, width: int):
    """(places, width): sin(p / 10000^(2i / width)) for every i, then their cosines."""
    waves = sinusoids(0, places, width)
    table = torch.cat([waves[:, 0::2], waves[:, 1::2]], dim=1)[:, :width]
    return table.to(torch.get_default_dtype())


class Attention(nn.Module):
    """softmax(Q K^T / sqrt(H / A)) V, then a Linear; K and V of x itself, or of a source (B, S, H).

    With a cache, K and V of earlier tokens, or of the source, are not made again.
    """

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def split(self, x):
        """(B, T, H) -> (B, A, T, H / A)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_and_values(self, x, cache, layer, from_source):
        """K and V (B, A, S, H / A) of x and of what the cache has."""
        kept = cache.source(layer) if from_source and cache is not None else None
        if kept is not None:
            return kept
        k, v = self.split(self.k_proj(x)), self.split(self.v_proj(x))
        if cache is None:
            return k, v
        return (cache.keep_source if from_source else cache.update)(k, v, layer)

    def forward(
        self, x, source=None, mask=None, is_causal=False, cache=None, layer=0, want_weights=False
    ):
        """(B, T, H) -> (B, T, H), weights (B, A, T, S) or None; mask: True where one may look."""
        q = self.split(self.q_proj(x))
        from_source = source is not None
        k, v = self.keys_and_values(source if from_source else x, cache, layer, from_source)
        context, weights = attend_heads(q, k, v, self.dropout, mask, want_weights, is_causal)
        return self.out_proj(context.transpose(1, 2).flatten(2)), weights


class Sublayers(nn.Module):
    """x + dropout(f(x)) with a norm: LayerNorm(x + f(x)), or x + f(LayerNorm(x)) if config.pre_norm.

    The first is as in the paper; the second trains without a warm-up (Xiong et al. 2020, "On Layer
    Normalization in the Transformer Architecture", ICML).
    """

    def __init__(self, config, inner_width: int):
        super().__init__()
        self.pre_norm = config.pre_norm
        self.dropout = nn.Dropout(config.dropout)
        self.activation = activation(config.activation_function)
        self.activation_dropout = nn.Dropout(config.activation_dropout)
        self.fc1 = nn.Linear(config.d_model, inner_width)
        self.fc2 = nn.Linear(inner_width, config.d_model)
        self.final_layer_norm = nn.LayerNorm(config.d_model)

    def around(self, x, norm, sublayer):
        """The sublayer with its residual, dropout and norm: (B, T, H), and what else it gives."""
        y, rest = sublayer(norm(x) if self.pre_norm else x)
        x = x + self.dropout(y)
        return (x if self.pre_norm else norm(x)), rest

    def feed_forward(self, x):
        """Linear(act(Linear(x))), of each token alone; and None, as it gives nothing else."""
        return self.fc2(self.activation_dropout(self.activation(self.fc1(x)))), None


class EncoderLayer(Sublayers):
    """Self-attention, then two linear layers: (B, S, H) -> (B, S, H), weights or None."""

    def __init__(self, config):
        super().__init__(config, config.encoder_ffn_dim)
        width, heads = config.d_model, config.encoder_attention_heads
        self.self_attn = Attention(width, heads, config.attention_dropout)
        self.self_attn_layer_norm = nn.LayerNorm(width)

    def forward(self, x, mask=None, want_weights=False):
        def look(x):
            return self.self_attn(x, mask=mask, want_weights=want_weights)

        x, weights = self.around(x, self.self_attn_layer_norm, look)
        x, _ = self.around(x, self.final_layer_norm, self.feed_forward)
        return x, weights


class DecoderLayer(Sublayers):
    """Self-attention to earlier tokens, attention to the source, two linear layers.

    (B, T, H) -> (B, T, H), and the weights of both attentions or None. number: of the layer, under
    which the cache keeps its keys and values.
    """

    def __init__(self, config, number: int):
        super().__init__(config, config.decoder_ffn_dim)
        width, heads = config.d_model, config.decoder_attention_heads
        self.number = number
        self.self_attn = Attention(width, heads, config.attention_dropout)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.encoder_attn = Attention(width, heads, config.attention_dropout)
        self.encoder_attn_layer_norm = nn.LayerNorm(width)

    def forward(
        self, x, source, mask=None, is_causal=True, source_mask=None, cache=None, want_weights=False
    ):
        def look_back(x):
            return self.self_attn(x, None, mask, is_causal, cache, self.number, want_weights)

        def look_at_source(x):
            return self.encoder_attn(
                x, source, source_mask, False, cache, self.number, want_weights
            )

        x, weights = self.around(x, self.self_attn_layer_norm, look_back)
        x, source_weights = self.around(x, self.encoder_attn_layer_norm, look_at_source)
        x, _ = self.around(x, self.final_layer_norm, self.feed_forward)
        return x, weights, source_weights
