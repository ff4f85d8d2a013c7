"""BERT's layers: embeddings, attention of several heads, the encoder of a text, the pooler.

Devlin, Chang, Lee and Toutanova 2019, "BERT: Pre-training of Deep Bidirectional Transformers for
Language Understanding" (NAACL), section 3; Vaswani et al. 2017, "Attention Is All You Need" (NeurIPS),
section 3. The model and its heads are in bert.py.

B texts, T tokens, H hidden size, A heads.
"""

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn

from ..pretrained import BaseModelOutput, activation, masked_softmax

# -- embeddings ----------------------------------------------------------------------------------


class BertEmbeddings(nn.Module):
    """LayerNorm(word + segment + position), then dropout: ids (B, T) -> (B, T, H)."""

    def __init__(self, config, width: int | None = None):
        super().__init__()
        width = config.hidden_size if width is None else width
        self.word_embeddings = nn.Embedding(
            config.vocab_size, width, padding_idx=config.pad_token_id
        )
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, width)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, width)
        self.LayerNorm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def positions(self, input_ids, words):
        """The place of every token, (1, T) or (B, T): 0, 1, 2 ..."""
        return torch.arange(words.shape[1], device=words.device).unsqueeze(0)

    def forward(self, input_ids, token_type_ids=None, position_ids=None, inputs_embeds=None):
        words = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        places = self.positions(input_ids, words) if position_ids is None else position_ids
        if token_type_ids is None:
            token_type_ids = torch.zeros_like(places)
        x = words + self.token_type_embeddings(token_type_ids) + self.position_embeddings(places)
        return self.dropout(self.LayerNorm(x))


# -- encoder -------------------------------------------------------------------------------------


def attend(q, k, v, heads, dropout, mask=None, want_weights=False):
    """softmax(Q K^T / sqrt(H/A)) V in A heads, of (B, T, H) each: (B, T, H), weights or None.

    mask: True where a token may be looked at, (B, 1, 1, T) or (B, 1, T, T); a token that may look
    at none gets zeros. dropout: the layer that drops weights (B, A, T, T), which are given back
    as they were before it.
    """
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))  # (B, A, T, H/A)
    context, weights = attend_heads(q, k, v, dropout, mask, want_weights)
    return context.transpose(1, 2).flatten(2), weights


def attend_heads(q, k, v, dropout, mask=None, want_weights=False, is_causal=False):
    """`attend` of q (B, A, T, K) to k and v (B, A, S, K): (B, A, T, K), weights or None.

    is_causal: token t looks at tokens 0 to t, as a mask of its own would say.
    """
    if not want_weights:
        p = dropout.p if dropout.training else 0.0
        return F.scaled_dot_product_attention(q, k, v, mask, p, is_causal), None
    weights = masked_softmax(q @ k.mT / q.shape[-1] ** 0.5, mask, is_causal)
    return dropout(weights) @ v, weights


class BertSelfAttention(nn.Module):
    """`attend` with Q, K and V each a Linear of the states (B, T, H)."""

    def __init__(self, config):
        super().__init__()
        self.heads = config.num_attention_heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(config.attention_probs_dropout_prob)

    def forward(self, x, mask=None, want_weights=False):
        q, k, v = self.query(x), self.key(x), self.value(x)
        return attend(q, k, v, self.heads, self.dropout, mask, want_weights)


class BertOutput(nn.Module):
    """LayerNorm(residual + dropout(Linear(x))), which ends both halves of a layer."""

    def __init__(self, config, in_features):
        super().__init__()
        self.dense = nn.Linear(in_features, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x, residual):
        return self.LayerNorm(residual + self.dropout(self.dense(x)))


class BertAttention(nn.Module):
    """Self-attention and what ends it."""

    def __init__(self, config):
        super().__init__()
        self.self = BertSelfAttention(config)
        self.output = BertOutput(config, config.hidden_size)

    def forward(self, x, mask=None, want_weights=False):
        context, weights = self.self(x, mask, want_weights)
        return self.output(context, x), weights


class BertIntermediate(nn.Module):
    """act(Linear(x)): (B, T, H) -> (B, T, intermediate_size)."""

    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = activation(config.hidden_act)

    def forward(self, x):
        return self.activation(self.dense(x))


class BertLayer(nn.Module):
    """Attention, then two linear layers, each with its residual and its norm behind it."""

    def __init__(self, config):
        super().__init__()
        self.attention = BertAttention(config)
        self.intermediate = BertIntermediate(config)
        self.output = BertOutput(config, config.intermediate_size)

    def forward(self, x, mask=None, want_weights=False):
        x, weights = self.attention(x, mask, want_weights)
        return self.output(self.intermediate(x), x), weights


def run_layers(layers, x, mask=None, output_hidden_states=False, output_attentions=False):
    """The layers one after the other; keeps every layer's states and weights where asked to."""
    states, attentions = [x], []
    for layer in layers:
        x, weights = layer(x, mask, output_attentions)
        states.append(x)
        attentions.append(weights)
    return BaseModelOutput(
        last_hidden_state=x,
        hidden_states=tuple(states) if output_hidden_states else None,
        attentions=tuple(attentions) if output_attentions else None,
    )


class BertEncoder(nn.Module):
    """The layers, as `run_layers` runs them."""

    def __init__(self, config):
        super().__init__()
        self.layer = nn.ModuleList(BertLayer(config) for _ in range(config.num_hidden_layers))

    def forward(self, x, mask=None, output_hidden_states=False, output_attentions=False):
        return run_layers(self.layer, x, mask, output_hidden_states, output_attentions)


class BertPooler(nn.Module):
    """tanh(Linear(the first token's state)): (B, T, H) -> (B, H)."""

    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x):
        return torch.tanh(self.dense(x[:, 0]))
