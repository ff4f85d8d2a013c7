"""T5's configuration and its two sides: a stack of blocks that reads, and one that writes.

Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
Transformer" (JMLR).

B texts, S source tokens, T target tokens, H = d_model.
"""

import copy
import math

import minigrad as torch
from minigrad import nn

from ..generation import EncoderDecoderCache
from ..pretrained import (
    BaseModelOutputWithPastAndCrossAttentions,
    PretrainedConfig,
    PreTrainedModel,
    causal_mask,
    may_return_tuple,
)
from .t5_layers import T5Block, T5LayerNorm


class T5Config(PretrainedConfig):
    """Sizes and options; the defaults are those of t5-small.

    feed_forward_proj: "relu" of the paper, or "gated-gelu" of T5 1.1 and Flan-T5; any activation,
    with "gated-" before it or not. tie_word_embeddings: the head is the table of word vectors, and the
    decoder's states are scaled by d_model^-1/2 before it; False, as in T5 1.1: a head of its own, and
    no scaling. scale_decoder_outputs says the latter apart from the former.
    """

    model_type = "t5"
    attribute_map = {
        "hidden_size": "d_model",
        "num_attention_heads": "num_heads",
        "num_hidden_layers": "num_layers",
        "head_dim": "d_kv",
    }

    vocab_size: int = 32128
    d_model: int = 512
    d_kv: int = 64
    d_ff: int = 2048
    num_layers: int = 6
    num_decoder_layers: int | None = None  # as many as num_layers
    num_heads: int = 8
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    dropout_rate: float = 0.1
    layer_norm_epsilon: float = 1e-6
    initializer_factor: float = 1.0
    feed_forward_proj: str = "relu"
    is_encoder_decoder: bool = True
    is_decoder: bool = False
    use_cache: bool = True
    pad_token_id: int | None = 0
    eos_token_id: int | None = 1
    decoder_start_token_id: int | None = 0  # the padding: there is no token of its own
    classifier_dropout: float = 0.0

    def __init__(self, **values):
        super().__init__(**values)
        if self.num_decoder_layers is None:
            self.num_decoder_layers = self.num_layers
        gate, _, name = self.feed_forward_proj.rpartition("-")
        self.is_gated_act = gate == "gated"
        self.dense_act_fn = "gelu_new" if self.feed_forward_proj == "gated-gelu" else name
        if values.get("scale_decoder_outputs") is None:
            self.scale_decoder_outputs = self.tie_word_embeddings

    def check(self) -> None:
        """ValueError for sizes and names that can't be."""
        gate, _, name = self.feed_forward_proj.rpartition("-")
        if gate not in ("", "gated") or not name:
            raise ValueError(
                f"T5Config: feed_forward_proj is an activation, 'relu', or 'gated-' and one, "
                f"'gated-gelu', not {self.feed_forward_proj!r}"
            )
        count, farthest = self.relative_attention_num_buckets, self.relative_attention_max_distance
        if count < 4 or farthest <= count // 2:
            raise ValueError(
                f"T5Config: relative_attention_num_buckets {count} must be 4 or more, and "
                f"relative_attention_max_distance {farthest} more than half of it"
            )


class T5PreTrainedModel(PreTrainedModel):
    """What all of T5's models share."""

    config_class = T5Config
    base_model_prefix = "transformer"
    has_pooler = False
    classifier_dropouts = ("classifier_dropout",)

    def _init_weights(self, module) -> None:
        """Draw one module's weights: matrices and tables with their own `std`, norms 1, biases 0."""
        factor = self.config.initializer_factor
        with torch.no_grad():
            if isinstance(module, T5LayerNorm):
                module.weight.fill_(factor)
            if isinstance(module, (nn.Linear, nn.Embedding)):
                module.weight.normal_(0.0, factor * getattr(module, "std", 1.0))
            if isinstance(module, nn.Linear) and module.bias is not None:
                module.bias.zero_()

    def tied(self) -> dict[str, str]:
        """Both sides have one table of word vectors; the head only where the configuration says so."""
        own_head = not self.config.tie_word_embeddings
        tied = self.tied_weights.items()
        return {name: of for name, of in tied if not (own_head and name == "lm_head.weight")}


class T5Stack(T5PreTrainedModel):
    """The encoder, or the decoder: word vectors, blocks, a last norm."""

    def __init__(self, config, embed_tokens: nn.Embedding):
        super().__init__(config)
        self.embed_tokens = embed_tokens
        self.block = nn.ModuleList(T5Block(config, i) for i in range(config.num_layers))
        self.final_layer_norm = T5LayerNorm(config.d_model, config.layer_norm_epsilon)
        self.dropout = nn.Dropout(config.dropout_rate)

    def get_input_embeddings(self):
        """The table of word vectors."""
        return self.embed_tokens

    def padding_mask(self, attention_mask):
        """True for tokens, (B, 1, 1, S); None where all are, so that texts share one bias."""
        mask = self.attention_mask(attention_mask)
        return None if mask is None or bool(mask.all()) else mask

    def self_mask(self, attention_mask, length: int, past: int):
        """What is added to the scores: (1 or B, A, T, past + T), -inf where none may look."""
        bias = self.block[0].layer[0].SelfAttention.compute_bias(length, past)
        if not self.config.is_decoder:
            mask = self.padding_mask(attention_mask)
        else:
            mask, causal = causal_mask(attention_mask, length, past, bias.device)
            if causal:
                mask = torch.ones(length, length, dtype=torch.bool, device=bias.device).tril()
        return bias if mask is None else torch.where(mask, bias, -math.inf)

    @may_return_tuple
    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        encoder_hidden_states=None,
        encoder_attention_mask=None,
        inputs_embeds=None,
        past_key_values=None,
        use_cache=None,
        output_hidden_states=None,
        output_attentions=None,
    ):
        cache = past_key_values
        if cache is None and self.config.is_decoder and self.wants_cache(use_cache):
            cache = EncoderDecoderCache()
        past = 0 if cache is None else cache.get_seq_length()
        self.check_inputs(input_ids, inputs_embeds, attention_mask, past)
        want_states, want_weights = self.asked_for(output_hidden_states, output_attentions)
        x = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        mask = self.self_mask(attention_mask, x.shape[1], past)
        source_mask = self.padding_mask(encoder_attention_mask)
        x = self.dropout(x)
        states, attentions, crosses = [], [], []
        for block in self.block:
            states.append(x)
            x, weights, cross = block(
                x, mask, encoder_hidden_states, source_mask, cache, want_weights
            )
            attentions.append(weights)
            crosses.append(cross)
        x = self.dropout(self.final_layer_norm(x))
        looks = want_weights and encoder_hidden_states is not None
        return BaseModelOutputWithPastAndCrossAttentions(
            last_hidden_state=x,
            past_key_values=cache,
            hidden_states=(*states, x) if want_states else None,
            attentions=tuple(attentions) if want_weights else None,
            cross_attentions=tuple(crosses) if looks else None,
        )


def stack(config, shared, *, is_decoder: bool) -> T5Stack:
    """One side of the model, with a configuration of its own."""
    config = copy.deepcopy(config)
    config.is_decoder = is_decoder
    if is_decoder:
        config.num_layers = config.num_decoder_layers
    return T5Stack(config, shared)
