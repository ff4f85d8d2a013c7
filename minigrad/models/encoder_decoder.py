"""The model that BART, Pegasus and Marian are: an encoder, a decoder, and words on top.

B texts, T target tokens, S source tokens, H width (d_model), V vocabulary.
"""

import minigrad as torch
from minigrad import nn

from ..generation.mixin import GenerationMixin
from ..pretrained import (
    Seq2SeqLMOutput,
    Seq2SeqModelOutput,
    given_encoder_output,
    may_return_tuple,
    seq2seq_fields,
    shift_tokens_right,
    token_loss,
)
from .encoder_decoder_sides import Decoder, Encoder, EncoderDecoderPreTrained


class EncoderDecoderModel(EncoderDecoderPreTrained):
    """input_ids (B, S), decoder_input_ids (B, T) -> last_hidden_state (B, T, H).

    attention_mask (B, S) and decoder_attention_mask (B, T): 1 for tokens, 0 for padding.
    encoder_outputs: what the encoder gave before, so that it doesn't run again. past_key_values: of a
    call before; decoder_input_ids are then the new tokens alone.
    """

    tied_weights = {
        "encoder.embed_tokens.weight": "shared.weight",
        "decoder.embed_tokens.weight": "shared.weight",
    }

    def __init__(self, config):
        super().__init__(config)
        if config.share_encoder_decoder_embeddings:
            self.shared = nn.Embedding(
                config.vocab_size, config.d_model, padding_idx=config.pad_token_id
            )
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.post_init()

    def get_input_embeddings(self):
        """The table of word vectors; the source's, where the target has its own."""
        shared = self.config.share_encoder_decoder_embeddings
        return self.shared if shared else self.encoder.embed_tokens

    def tied(self) -> dict[str, str]:
        """The names of both sides' tables, where these are one."""
        return super().tied() if self.config.share_encoder_decoder_embeddings else {}

    def get_encoder(self):
        """The encoder."""
        return self.encoder

    def get_decoder(self):
        """The decoder."""
        return self.decoder

    def target_without_ids(self, input_ids):
        """What the decoder reads where nothing is said."""
        raise ValueError(
            f"{type(self).__name__}: pass decoder_input_ids (B, T) or decoder_inputs_embeds, or "
            "labels to a model with a head"
        )

    @may_return_tuple
    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        decoder_input_ids=None,
        decoder_attention_mask=None,
        encoder_outputs=None,
        past_key_values=None,
        inputs_embeds=None,
        decoder_inputs_embeds=None,
        use_cache=None,
        output_hidden_states=None,
        output_attentions=None,
    ):
        if decoder_input_ids is None and decoder_inputs_embeds is None:
            decoder_input_ids = self.target_without_ids(input_ids)
        asked = {"output_hidden_states": output_hidden_states, "return_dict": True}
        asked["output_attentions"] = output_attentions
        if encoder_outputs is None:
            encoder_outputs = self.encoder(input_ids, attention_mask, inputs_embeds, **asked)
        else:
            encoder_outputs = given_encoder_output(self, encoder_outputs, attention_mask)
        output = self.decoder(
            decoder_input_ids,
            decoder_attention_mask,
            encoder_outputs.last_hidden_state,
            attention_mask,
            past_key_values,
            decoder_inputs_embeds,
            use_cache,
            **asked,
        )
        return Seq2SeqModelOutput(
            last_hidden_state=output.last_hidden_state, **seq2seq_fields(output, encoder_outputs)
        )


class OnBothSides(EncoderDecoderPreTrained):
    """A head on a model with both sides, which stands under `model`."""

    model_class: type[EncoderDecoderModel] = EncoderDecoderModel
    tied_weights = {f"model.{k}": f"model.{v}" for k, v in EncoderDecoderModel.tied_weights.items()}

    def __init__(self, config):
        super().__init__(config)
        self.model = self.model_class(config)
        self.build(config)
        self.post_init()

    def build(self, config) -> None:
        """Make the head's layers."""
        raise NotImplementedError

    def get_encoder(self):
        """The encoder."""
        return self.model.encoder

    def get_decoder(self):
        """The decoder."""
        return self.model.decoder

    def both_sides(self, output) -> dict:
        """What the model gave but its states, for the head's output."""
        return {name: value for name, value in output.items() if name != "last_hidden_state"}


class ForConditionalGeneration(GenerationMixin, OnBothSides):
    """The next target word: logits (B, T, V) = states W^T + final_logits_bias, W the word vectors.

    labels (B, T): the target, -100 where nothing is asked; decoder_input_ids are the labels one place
    later unless given.
    """

    tied_weights = OnBothSides.tied_weights | {"lm_head.weight": "model.shared.weight"}

    def build(self, config) -> None:
        """Make the words' matrix and their bias, which is not learned."""
        words = self.model.decoder.embed_tokens.num_embeddings
        self.register_buffer("final_logits_bias", torch.zeros(1, words))
        self.lm_head = nn.Linear(config.d_model, words, bias=False)

    def tied(self) -> dict[str, str]:
        """The last matrix is the table of word vectors, or the target's where it has its own."""
        if self.config.share_encoder_decoder_embeddings or not self.config.tie_word_embeddings:
            return super().tied()
        return {"lm_head.weight": "model.decoder.embed_tokens.weight"}

    def get_output_embeddings(self):
        """The last layer."""
        return self.lm_head

    def prepare_decoder_input_ids_from_labels(self, labels):
        """What the decoder reads to write the labels."""
        return shift_tokens_right(
            labels, self.config.pad_token_id, self.config.decoder_start_token_id
        )

    @may_return_tuple
    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        decoder_input_ids=None,
        decoder_attention_mask=None,
        encoder_outputs=None,
        past_key_values=None,
        inputs_embeds=None,
        decoder_inputs_embeds=None,
        labels=None,
        use_cache=None,
        output_hidden_states=None,
        output_attentions=None,
    ):
        if labels is not None:
            use_cache = False
            if decoder_input_ids is None and decoder_inputs_embeds is None:
                decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        output = self.model(
            input_ids,
            attention_mask,
            decoder_input_ids,
            decoder_attention_mask,
            encoder_outputs,
            past_key_values,
            inputs_embeds,
            decoder_inputs_embeds,
            use_cache,
            output_hidden_states,
            output_attentions,
            return_dict=True,
        )
        logits = self.lm_head(output.last_hidden_state) + self.final_logits_bias
        return Seq2SeqLMOutput(
            loss=token_loss(logits, labels), logits=logits, **self.both_sides(output)
        )
