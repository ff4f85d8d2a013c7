"""T5: an encoder and a decoder for every task, from text to text, trained to fill in missing spans.

Raffel, Shazeer, Roberts, Lee, Narang, Matena, Zhou, Li and Liu 2020, "Exploring the Limits of
Transfer Learning with a Unified Text-to-Text Transformer" (JMLR). Parameters have the names of
Hugging Face's files.

B texts, S source tokens, T target tokens, H = d_model, V vocabulary, C classes.
"""

import minigrad as torch
from minigrad import nn

from ..generation import GenerationMixin
from ..pretrained import (
    BaseModelOutput,
    ForTokenClassification,
    Seq2SeqLMOutput,
    Seq2SeqModelOutput,
    Seq2SeqSequenceClassifierOutput,
    classification_loss,
    given_encoder_output,
    may_return_tuple,
    seq2seq_fields,
    shift_tokens_right,
    token_loss,
)
from .bart import BartClassificationHead, last_ends
from .t5_layers import drawn
from .t5_stack import T5Config, T5PreTrainedModel, T5Stack, stack

__all__ = [
    "T5Config",
    "T5EncoderModel",
    "T5ForConditionalGeneration",
    "T5ForSequenceClassification",
    "T5ForTokenClassification",
    "T5Model",
]


class T5EncoderModel(T5PreTrainedModel):
    """The encoder alone: input_ids (B, S), attention_mask (B, S) -> last_hidden_state (B, S, H)."""

    tied_weights = {"encoder.embed_tokens.weight": "shared.weight"}

    def __init__(self, config):
        super().__init__(config)
        self.shared = nn.Embedding(config.vocab_size, config.d_model)
        self.encoder = stack(config, self.shared, is_decoder=False)
        self.post_init()

    def get_input_embeddings(self):
        """The table of word vectors."""
        return self.shared

    def get_encoder(self) -> T5Stack:
        """The stack that reads."""
        return self.encoder

    @may_return_tuple
    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        inputs_embeds=None,
        output_hidden_states=None,
        output_attentions=None,
    ):
        asked = self.asked_for(output_hidden_states, output_attentions)
        found = self.encoder(
            input_ids,
            attention_mask,
            inputs_embeds=inputs_embeds,
            output_hidden_states=asked[0],
            output_attentions=asked[1],
            return_dict=True,
        )
        return BaseModelOutput(**found)


class BothSides(T5PreTrainedModel):
    """Encoder and decoder with one table of word vectors: what T5's two main models have."""

    def __init__(self, config):
        super().__init__(config)
        self.shared = nn.Embedding(config.vocab_size, config.d_model)
        self.encoder = stack(config, self.shared, is_decoder=False)
        self.decoder = stack(config, self.shared, is_decoder=True)

    def get_input_embeddings(self):
        """The table of word vectors."""
        return self.shared

    def get_encoder(self) -> T5Stack:
        """The stack that reads the source."""
        return self.encoder

    def get_decoder(self) -> T5Stack:
        """The stack that reads the target and looks at the source."""
        return self.decoder

    def read_and_write(
        self, input_ids, attention_mask, decoder_input_ids, decoder_attention_mask, encoder_outputs,
        past_key_values, inputs_embeds, decoder_inputs_embeds, use_cache, output_hidden_states,
        output_attentions,
    ):  # fmt: skip
        """What the decoder gives, and the rest of a Seq2Seq output by name."""
        states, weights = self.asked_for(output_hidden_states, output_attentions)
        asked = dict(output_hidden_states=states, output_attentions=weights, return_dict=True)
        if encoder_outputs is None:
            encoder_outputs = self.encoder(
                input_ids, attention_mask, inputs_embeds=inputs_embeds, **asked
            )
        else:
            encoder_outputs = given_encoder_output(self, encoder_outputs, attention_mask)
        source = encoder_outputs.last_hidden_state
        decoded = self.decoder(
            decoder_input_ids, decoder_attention_mask, source, attention_mask,
            decoder_inputs_embeds, past_key_values, use_cache, **asked,
        )  # fmt: skip
        return decoded.last_hidden_state, seq2seq_fields(decoded, encoder_outputs)


class T5Model(BothSides):
    """The model without a head: source and target ids -> last_hidden_state (B, T, H) of the decoder.

    input_ids, attention_mask (B, S): the source, 1 for tokens, 0 for padding. decoder_input_ids
    (B, T): the target, one place to the right; decoder_attention_mask (B, T), with those of a cache
    (B, past + T). encoder_outputs in place of the source: what the encoder gave for it before.
    past_key_values: the cache of an earlier call, after which the target goes on.
    """

    tied_weights = {
        "encoder.embed_tokens.weight": "shared.weight",
        "decoder.embed_tokens.weight": "shared.weight",
    }

    def __init__(self, config):
        super().__init__(config)
        self.post_init()

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
        states, rest = self.read_and_write(
            input_ids, attention_mask, decoder_input_ids, decoder_attention_mask, encoder_outputs,
            past_key_values, inputs_embeds, decoder_inputs_embeds, use_cache, output_hidden_states,
            output_attentions,
        )  # fmt: skip
        return Seq2SeqModelOutput(last_hidden_state=states, **rest)


class T5ForConditionalGeneration(GenerationMixin, BothSides):
    """Text to text: logits (B, T, V) of the target's tokens.

    Inputs are those of T5Model. labels (B, T): the target, -100 where none is asked for; without
    decoder_input_ids the decoder reads them one place to the right.
    """

    tied_weights = T5Model.tied_weights | {"lm_head.weight": "shared.weight"}
    optional = ("lm_head.",)

    def __init__(self, config):
        super().__init__(config)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.post_init()

    def prepare_decoder_input_ids_from_labels(self, labels):
        """What the decoder reads to write labels (B, T)."""
        pad, start = self.config.pad_token_id, self.config.decoder_start_token_id
        return shift_tokens_right(labels, pad, start)

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
        if labels is not None and decoder_input_ids is None and decoder_inputs_embeds is None:
            decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        states, rest = self.read_and_write(
            input_ids, attention_mask, decoder_input_ids, decoder_attention_mask, encoder_outputs,
            past_key_values, inputs_embeds, decoder_inputs_embeds, use_cache, output_hidden_states,
            output_attentions,
        )  # fmt: skip
        if self.config.scale_decoder_outputs:
            states = states * self.config.d_model**-0.5
        logits = self.lm_head(states)
        return Seq2SeqLMOutput(loss=token_loss(logits, labels), logits=logits, **rest)


class T5ForSequenceClassification(T5PreTrainedModel):
    """A text's class, from the decoder's state at the text's last end token: logits (B, C).

    Inputs are those of T5Model; without decoder_input_ids the decoder reads the source, one place to
    the right. labels (B) or (B, C).
    """

    tied_weights = {f"transformer.{k}": f"transformer.{v}" for k, v in T5Model.tied_weights.items()}

    def __init__(self, config):
        super().__init__(config)
        self.transformer = T5Model(config)
        self.classification_head = BartClassificationHead(config)
        for layer in (self.classification_head.dense, self.classification_head.out_proj):
            drawn(layer, config.d_model**-0.5)
        self.post_init()

    @may_return_tuple
    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        decoder_input_ids=None,
        *inputs,
        labels=None,
        use_cache=None,
        **options,
    ):
        last = last_ends(self, input_ids)
        if decoder_input_ids is None and options.get("decoder_inputs_embeds") is None:
            pad, start = self.config.pad_token_id, self.config.decoder_start_token_id
            decoder_input_ids = shift_tokens_right(input_ids, pad, start)
        output = self.transformer(
            input_ids, attention_mask, decoder_input_ids, *inputs,
            use_cache=use_cache if labels is None else False, return_dict=True, **options,
        )  # fmt: skip
        rows = torch.arange(len(last), device=last.device)
        logits = self.classification_head(output.last_hidden_state[rows, last])
        rest = {name: value for name, value in output.items() if name != "last_hidden_state"}
        return Seq2SeqSequenceClassifierOutput(
            loss=classification_loss(self.config, logits, labels), logits=logits, **rest
        )


class T5ForTokenClassification(ForTokenClassification, T5PreTrainedModel):
    """Every token's class, by the encoder alone."""

    encoder_class = T5EncoderModel
    tied_weights = {"transformer.encoder.embed_tokens.weight": "transformer.shared.weight"}
