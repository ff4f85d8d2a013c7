"""The encoder and the decoder of BART, Pegasus and Marian, and the configuration that they share.

B texts, T target tokens, S source tokens, H width (d_model).
"""

import math

import minigrad as torch
from minigrad import nn

from ..generation.cache import EncoderDecoderCache
from ..pretrained import (
    BaseModelOutput,
    BaseModelOutputWithPastAndCrossAttentions,
    PretrainedConfig,
    PreTrainedModel,
    causal_mask,
    may_return_tuple,
)
from .encoder_decoder_layers import (
    DecoderLayer,
    EncoderLayer,
    LearnedPositions,
    SinusoidalPositions,
)


class EncoderDecoderConfig(PretrainedConfig):
    """Sizes and options that these families share, with BART's defaults."""

    attribute_map = {
        "num_attention_heads": "encoder_attention_heads",
        "hidden_size": "d_model",
        "num_hidden_layers": "encoder_layers",
        "initializer_range": "init_std",
    }
    # what a family is; no values of the configuration
    pre_norm = False  # norms before each sublayer, and one at the end; or behind each
    learned_positions = True  # or sines
    normed_embeddings = True  # a norm before the first layer
    scale_target_vectors = False  # whether vectors given in place of target ids are scaled too
    share_encoder_decoder_embeddings = True  # one table of word vectors for both sides
    decoder_vocab_size = None  # the size of the target's own table

    vocab_size: int = 50265
    max_position_embeddings: int = 1024
    encoder_layers: int = 12
    encoder_ffn_dim: int = 4096
    encoder_attention_heads: int = 16
    decoder_layers: int = 12
    decoder_ffn_dim: int = 4096
    decoder_attention_heads: int = 16
    encoder_layerdrop: float = 0.0
    decoder_layerdrop: float = 0.0
    activation_function: str = "gelu"
    d_model: int = 1024
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    init_std: float = 0.02
    scale_embedding: bool = False
    use_cache: bool = True
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | None = 2
    is_encoder_decoder: bool = True
    decoder_start_token_id: int | None = 2
    forced_eos_token_id: int | None = 2
    is_decoder: bool = False

    def check(self) -> None:
        """ValueError for widths that heads don't divide, and for a decoder alone."""
        super().check()
        if self.d_model % self.decoder_attention_heads:
            raise ValueError(
                f"{type(self).__name__}: d_model {self.d_model} cannot be cut into "
                f"{self.decoder_attention_heads} heads of one size"
            )
        if self.is_decoder or not self.is_encoder_decoder:
            raise ValueError(
                f"{type(self).__name__}: this is an encoder with a decoder: is_encoder_decoder must "
                "be True and is_decoder False"
            )


class EncoderDecoderPreTrained(PreTrainedModel):
    """What all models of these families share."""

    config_class = EncoderDecoderConfig
    base_model_prefix = "model"
    known = ("final_logits_bias", "embed_positions.weight")

    def _init_weights(self, module) -> None:
        """As every model's; sines stay as they are."""
        if not isinstance(module, SinusoidalPositions):
            super()._init_weights(module)


class _Side(EncoderDecoderPreTrained):
    """Embeddings and layers, the encoder's or the decoder's."""

    def __init__(self, config, vocab_size: int, layers):
        super().__init__(config)
        width = config.d_model
        positions = LearnedPositions if config.learned_positions else SinusoidalPositions
        self.scale = math.sqrt(width) if config.scale_embedding else 1.0
        self.embed_tokens = nn.Embedding(vocab_size, width, padding_idx=config.pad_token_id)
        self.embed_positions = positions(config.max_position_embeddings, width)
        self.layers = nn.ModuleList(layers)
        self.layernorm_embedding = nn.LayerNorm(width) if config.normed_embeddings else None
        self.layer_norm = nn.LayerNorm(width) if config.pre_norm else None
        self.dropout = nn.Dropout(config.dropout)

    def get_input_embeddings(self):
        """The table of word vectors."""
        return self.embed_tokens

    def embed(self, input_ids, words, past: int = 0):
        """Word vectors (B, T, H) and where they stand, normed, with dropout."""
        if words is None:
            words = self.embed_tokens(input_ids) * self.scale
        x = words + self.embed_positions(past, words.shape[1])
        return self.dropout(x if self.layernorm_embedding is None else self.layernorm_embedding(x))

    def end(self, x):
        """The states after the last layer."""
        return x if self.layer_norm is None else self.layer_norm(x)

    def kept_layers(self, chance: float):
        """The layers, each left out with a chance while training (Fan, Grave and Joulin 2020,
        "Reducing Transformer Depth on Demand with Structured Dropout", ICLR)."""
        for layer in self.layers:
            if not (self.training and chance > 0 and torch.rand([]).item() < chance):
                yield layer


class Encoder(_Side):
    """input_ids (B, S), or inputs_embeds (B, S, H) -> last_hidden_state (B, S, H)."""

    def __init__(self, config):
        layers = [EncoderLayer(config) for _ in range(config.encoder_layers)]
        super().__init__(config, config.vocab_size, layers)

    @may_return_tuple
    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        inputs_embeds=None,
        output_hidden_states=None,
        output_attentions=None,
    ):
        self.check_inputs(input_ids, inputs_embeds, attention_mask)
        want_states, want_weights = self.asked_for(output_hidden_states, output_attentions)
        x = self.embed(input_ids, inputs_embeds)
        mask = self.attention_mask(attention_mask)
        states, attentions = [], []
        for layer in self.kept_layers(self.config.encoder_layerdrop):
            states.append(x)
            x, weights = layer(x, mask, want_weights)
            attentions.append(weights)
        x = self.end(x)
        return BaseModelOutput(
            last_hidden_state=x,
            hidden_states=(*states, x) if want_states else None,
            attentions=tuple(attentions) if want_weights else None,
        )


class Decoder(_Side):
    """input_ids (B, T) of a target and encoder_hidden_states (B, S, H) -> last_hidden_state (B, T, H).

    attention_mask (B, past + T) of the target, encoder_attention_mask (B, S) of the source.
    """

    def __init__(self, config):
        layers = [DecoderLayer(config, number) for number in range(config.decoder_layers)]
        super().__init__(config, config.decoder_vocab_size or config.vocab_size, layers)

    @may_return_tuple
    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        encoder_hidden_states=None,
        encoder_attention_mask=None,
        past_key_values=None,
        inputs_embeds=None,
        use_cache=None,
        output_hidden_states=None,
        output_attentions=None,
    ):
        cache = past_key_values
        if cache is None and self.wants_cache(use_cache):
            cache = EncoderDecoderCache()
        past = 0 if cache is None else cache.get_seq_length()
        self.check_inputs(input_ids, inputs_embeds, attention_mask, past)
        want_states, want_weights = self.asked_for(output_hidden_states, output_attentions)
        if inputs_embeds is not None and self.config.scale_target_vectors:
            inputs_embeds = inputs_embeds * self.scale
        x = self.embed(input_ids, inputs_embeds, past)
        mask, is_causal = causal_mask(attention_mask, x.shape[1], past, x.device)
        source_mask = self.attention_mask(encoder_attention_mask)
        states, attentions, cross = [], [], []
        for layer in self.kept_layers(self.config.decoder_layerdrop):
            states.append(x)
            x, weights, source_weights = layer(
                x, encoder_hidden_states, mask, is_causal, source_mask, cache, want_weights
            )
            attentions.append(weights)
            cross.append(source_weights)
        x = self.end(x)
        return BaseModelOutputWithPastAndCrossAttentions(
            last_hidden_state=x,
            past_key_values=cache,
            hidden_states=(*states, x) if want_states else None,
            attentions=tuple(attentions) if want_weights else None,
            cross_attentions=tuple(cross) if want_weights else None,
        )
