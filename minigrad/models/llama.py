"""Llama: a decoder with rotary positions, RMS norms in front, gated linear layers and shared key heads.

Touvron et al. 2023, "LLaMA: Open and Efficient Foundation Language Models" (arXiv 2302.13971). Its
parts: RMSNorm (Zhang and Sennrich 2019, "Root Mean Square Layer Normalization", NeurIPS), rotary
positions (Su et al. 2021: rope.py), SwiGLU (Shazeer 2020, "GLU Variants Improve Transformer", arXiv
2002.05202), grouped queries (Ainslie et al. 2023, "GQA: Training Generalized Multi-Query
Transformer Models from Multi-Head Checkpoints", EMNLP).
Parameters have the names of Hugging Face's files.

B texts, T new tokens, S tokens in all (those read before, then the new ones), H hidden size, A heads of
queries, A' of keys and values, K width of a head, M intermediate size, V vocabulary.
"""

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn

from ..generation import DynamicCache, GenerationMixin
from ..pretrained import (
    BaseModelOutputWithPast,
    CausalLMOutputWithPast,
    ForLastTokenClassification,
    ForTokenClassification,
    PretrainedConfig,
    PreTrainedModel,
    activation,
    causal_mask,
    masked_softmax,
    may_return_tuple,
    next_token_loss,
)
from .llama_step import fits, step
from .rope import RotaryEmbedding, check_rope, rope_parameters, rotate


class LlamaConfig(PretrainedConfig):
    """Sizes and options; the defaults are those of Llama 2 with 7 billion parameters.

    num_key_value_heads: as many as num_attention_heads where not given; head_dim: hidden_size /
    num_attention_heads. rope_parameters: {"rope_type": "default", "rope_theta": 10000.0}, see
    rope.py; older files say rope_theta and rope_scaling instead, which are taken too.
    """

    model_type = "llama"

    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int | None = None
    hidden_act: str = "silu"
    max_position_embeddings: int = 2048
    initializer_range: float = 0.02
    rms_norm_eps: float = 1e-6
    use_cache: bool = True
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2
    pretraining_tp: int | None = 1
    tie_word_embeddings: bool = False
    rope_parameters: dict | None = None
    attention_bias: bool = False
    attention_dropout: float = 0.0
    mlp_bias: bool = False
    head_dim: int | None = None

    def __init__(self, rope_scaling: dict | None = None, rope_theta: float = 10000.0, **values):
        super().__init__(**values)
        if self.num_key_value_heads is None:
            self.num_key_value_heads = self.num_attention_heads
        if self.head_dim is None:
            self.head_dim = self.hidden_size // self.num_attention_heads
        self.rope_parameters = rope_parameters(
            rope_scaling or self.rope_parameters, rope_theta, self.max_position_embeddings
        )

    def check(self) -> None:
        """ValueError for what this decoder can't be."""
        super().check()
        name, shared = type(self).__name__, self.num_key_value_heads
        if self.num_attention_heads % shared:
            raise ValueError(
                f"{name}: {self.num_attention_heads} heads of queries cannot share {shared} heads of "
                "keys and values evenly (num_key_value_heads)"
            )
        check_rope(name, self.rope_parameters, self.head_dim)


class LlamaRMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight over the last dimension, made in float32 at least."""

    def __init__(self, hidden_size: int, eps: float = 1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden_size))
        self.variance_epsilon = eps

    def forward(self, x):
        if x.dtype in (torch.float32, torch.float64):
            return F.rms_norm(x, self.weight.shape, self.weight, self.variance_epsilon)
        wide = F.rms_norm(x.float(), self.weight.shape, None, self.variance_epsilon)
        return self.weight * wide.to(x.dtype)


class LlamaAttention(nn.Module):
    """softmax(Q K^T / sqrt(K)) V: A heads of queries, of which A/A' share a head of keys and values."""

    def __init__(self, config, layer_idx: int):
        super().__init__()
        width, bias = config.hidden_size, config.attention_bias
        self.head_dim, self.layer_idx = config.head_dim, layer_idx
        own, shared = config.num_attention_heads, config.num_key_value_heads
        self.group = own // shared
        self.dropout = config.attention_dropout
        self.q_proj = nn.Linear(width, own * self.head_dim, bias=bias)
        self.k_proj = nn.Linear(width, shared * self.head_dim, bias=bias)
        self.v_proj = nn.Linear(width, shared * self.head_dim, bias=bias)
        self.o_proj = nn.Linear(own * self.head_dim, width, bias=bias)

    def forward(self, x, turns, mask=None, is_causal=True, cache=None, want_weights=False):
        """(B, T, H), and the weights (B, A, T, S) where they are wanted; turns: (cos, sin)."""
        q, k, v = (
            project(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )  # (B, A, T, K), (B, A', T, K) twice
        q, k = rotate(q, *turns), rotate(k, *turns)
        if cache is not None:
            k, v = cache.update(k, v, self.layer_idx)  # (B, A', S, K)
        p = self.dropout if self.training else 0.0
        if want_weights:
            k, v = (x.repeat_interleave(self.group, dim=1) for x in (k, v))
            weights = masked_softmax(q @ k.mT * self.head_dim**-0.5, mask, is_causal)
            context = F.dropout(weights, p) @ v
        else:
            weights = None
            context = F.scaled_dot_product_attention(
                q, k, v, mask, p, is_causal, enable_gqa=self.group > 1
            )
        return self.o_proj(context.transpose(1, 2).flatten(2)), weights


class LlamaMLP(nn.Module):
    """(act(x Wg) * (x Wu)) Wd, with silu SwiGLU: (B, T, H) -> (B, T, M) -> (B, T, H)."""

    def __init__(self, config):
        super().__init__()
        width, inner, bias = config.hidden_size, config.intermediate_size, config.mlp_bias
        self.gate_proj = nn.Linear(width, inner, bias=bias)
        self.up_proj = nn.Linear(width, inner, bias=bias)
        self.down_proj = nn.Linear(inner, width, bias=bias)
        self.act_fn = activation(config.hidden_act)

    def forward(self, x):
        return self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))


class LlamaDecoderLayer(nn.Module):
    """x + Attention(RMSNorm(x)), then x + MLP(RMSNorm(x))."""

    def __init__(self, config, layer_idx: int):
        super().__init__()
        self.self_attn = LlamaAttention(config, layer_idx)
        self.mlp = LlamaMLP(config)
        self.input_layernorm = LlamaRMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = LlamaRMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x, turns, mask=None, is_causal=True, cache=None, want_weights=False):
        context, weights = self.self_attn(
            self.input_layernorm(x), turns, mask, is_causal, cache, want_weights
        )
        x = x + context
        return x + self.mlp(self.post_attention_layernorm(x)), weights


class LlamaPreTrainedModel(PreTrainedModel):
    """What all of Llama's models share."""

    config_class = LlamaConfig
    base_model_prefix = "model"
    has_pooler = False

    def longest_input(self) -> None:
        """There is no table of positions, so no limit; beyond those of training, texts get worse."""


class LlamaModel(LlamaPreTrainedModel):
    """input_ids (B, T) -> last_hidden_state (B, T, H).

    attention_mask (B, S): 1 for tokens that are looked at, 0 for padding, on whichever side.
    position_ids (B, T): places; without them tokens are counted from the first of all S. Only
    differences of places matter, so padding on the left changes nothing.
    past_key_values: the cache of an earlier call, to go on from.
    """

    def __init__(self, config):
        super().__init__(config)
        self.embed_tokens = nn.Embedding(
            config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id
        )
        self.layers = nn.ModuleList(
            LlamaDecoderLayer(config, i) for i in range(config.num_hidden_layers)
        )
        self.norm = LlamaRMSNorm(config.hidden_size, config.rms_norm_eps)
        self.rotary_emb = RotaryEmbedding(config)
        self.post_init()

    def get_input_embeddings(self):
        """The table of word vectors."""
        return self.embed_tokens

    @may_return_tuple
    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        position_ids=None,
        past_key_values=None,
        inputs_embeds=None,
        use_cache=None,
        output_attentions=None,
        output_hidden_states=None,
    ):
        past = 0 if past_key_values is None else past_key_values.get_seq_length()
        self.check_inputs(input_ids, inputs_embeds, attention_mask, past)
        x = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        length = x.shape[1]
        mask, is_causal = causal_mask(attention_mask, length, past, x.device)
        if past_key_values is None and self.wants_cache(use_cache):
            past_key_values = DynamicCache()
        if position_ids is None:
            position_ids = torch.arange(past, past + length, device=x.device)[None]
        turns = self.rotary_emb(position_ids, x)
        want_states, want_weights = self.asked_for(output_hidden_states, output_attentions)
        if not (want_states or want_weights) and fits(self, x, mask, past_key_values):
            stepped = step(self, x, turns, mask, is_causal, past_key_values)
            if stepped is not None:
                return BaseModelOutputWithPast(
                    last_hidden_state=self.norm(stepped), past_key_values=past_key_values
                )
        states, attentions = [], []
        for layer in self.layers:
            states.append(x)
            x, weights = layer(x, turns, mask, is_causal, past_key_values, want_weights)
            attentions.append(weights)
        x = self.norm(x)
        return BaseModelOutputWithPast(
            last_hidden_state=x,
            past_key_values=past_key_values,
            hidden_states=(*states, x) if want_states else None,
            attentions=tuple(attentions) if want_weights else None,
        )


class LlamaForCausalLM(GenerationMixin, LlamaPreTrainedModel):
    """Which token comes next: logits (B, T, V).

    labels (B, T), -100 where none is asked for: those of input_ids; token t is held against label
    t + 1. logits_to_keep: how many of the last tokens get logits, 0 for all.
    """

    tied_weights = {"lm_head.weight": "model.embed_tokens.weight"}

    def __init__(self, config):
        super().__init__(config)
        self.model = LlamaModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    @may_return_tuple
    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        position_ids=None,
        past_key_values=None,
        inputs_embeds=None,
        labels=None,
        use_cache=None,
        logits_to_keep: int = 0,
        **options,
    ):
        output = self.model(
            input_ids, attention_mask, position_ids, past_key_values, inputs_embeds, use_cache,
            return_dict=True, **options,
        )  # fmt: skip
        logits = self.lm_head(output.last_hidden_state[:, -logits_to_keep:])
        return CausalLMOutputWithPast(
            loss=next_token_loss(logits, labels),
            logits=logits,
            past_key_values=output.past_key_values,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )


class LlamaForSequenceClassification(ForLastTokenClassification, LlamaPreTrainedModel):
    """A text's class, from its last token."""

    encoder_class = LlamaModel


class LlamaForTokenClassification(ForTokenClassification, LlamaPreTrainedModel):
    """Every token's class."""

    encoder_class = LlamaModel

    def build(self, config) -> None:
        """Make the classifier, which is called `score` in this family."""
        p = getattr(config, "classifier_dropout", None)
        self.dropout = nn.Dropout(0.1 if p is None else p)
        self.score = nn.Linear(config.hidden_size, config.num_labels)

    def classify(self, output):
        """Logits (B, T, labels)."""
        return self.score(self.dropout(output.last_hidden_state))
