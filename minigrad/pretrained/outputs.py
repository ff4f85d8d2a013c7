"""What a model gives back: values by attribute, by name or by place, those that are None left out."""

import functools
from collections import OrderedDict


class ModelOutput(OrderedDict):
    """A record; a subclass names its fields in the order in which they are counted.

    `output.logits`, `output["logits"]`, `output[0]`, and `loss, logits = output.to_tuple()`.
    """

    fields: tuple[str, ...] = ()

    def __init__(self, **values):
        unknown = values.keys() - set(self.fields)
        if unknown:
            raise TypeError(f"{type(self).__name__} has no field {', '.join(sorted(unknown))}")
        super().__init__(
            (name, values[name]) for name in self.fields if values.get(name) is not None
        )

    def __getattr__(self, name):
        if name in type(self).fields:
            return self.get(name)
        raise AttributeError(
            f"{type(self).__name__} has no {name!r}; it has: {', '.join(type(self).fields)}"
        )

    def __getitem__(self, key):
        return super().__getitem__(key) if isinstance(key, str) else self.to_tuple()[key]

    def to_tuple(self) -> tuple:
        """The values that are there."""
        return tuple(self.values())


class BaseModelOutput(ModelOutput):
    """last_hidden_state (B, T, H); hidden_states and attentions of every layer, where asked for."""

    fields = ("last_hidden_state", "hidden_states", "attentions")


class BaseModelOutputWithPooling(ModelOutput):
    """As BaseModelOutput, with pooler_output (B, H), a vector of the whole text."""

    fields = ("last_hidden_state", "pooler_output", "hidden_states", "attentions")


class BaseModelOutputWithPast(ModelOutput):
    """last_hidden_state (B, T, H) of a decoder; past_key_values, with which to go on."""

    fields = ("last_hidden_state", "past_key_values", "hidden_states", "attentions")


class BaseModelOutputWithPastAndCrossAttentions(ModelOutput):
    """As BaseModelOutputWithPast; cross_attentions of target tokens at source tokens."""

    fields = (*BaseModelOutputWithPast.fields, "cross_attentions")


class CausalLMOutputWithPast(ModelOutput):
    """logits (B, T, V) of the token after each; loss over labelled places."""

    fields = ("loss", "logits", "past_key_values", "hidden_states", "attentions")


class CausalLMOutputWithCrossAttentions(ModelOutput):
    """As CausalLMOutputWithPast; cross_attentions of target tokens at source tokens."""

    fields = (*CausalLMOutputWithPast.fields, "cross_attentions")


class SequenceClassifierOutputWithPast(CausalLMOutputWithPast):
    """logits (B, labels)."""


_BOTH_SIDES = (
    "past_key_values",
    "decoder_hidden_states",
    "decoder_attentions",
    "cross_attentions",
    "encoder_last_hidden_state",
    "encoder_hidden_states",
    "encoder_attentions",
)


class Seq2SeqModelOutput(ModelOutput):
    """last_hidden_state (B, T, H) of the decoder, and what its sides gave."""

    fields = ("last_hidden_state", *_BOTH_SIDES)


class Seq2SeqLMOutput(ModelOutput):
    """logits (B, T, V) of target tokens; loss over labelled places."""

    fields = ("loss", "logits", *_BOTH_SIDES)


class Seq2SeqSequenceClassifierOutput(Seq2SeqLMOutput):
    """logits (B, labels)."""


class MaskedLMOutput(ModelOutput):
    """logits (B, T, V); loss over labelled places."""

    fields = ("loss", "logits", "hidden_states", "attentions")


class SequenceClassifierOutput(MaskedLMOutput):
    """logits (B, labels)."""


class TokenClassifierOutput(MaskedLMOutput):
    """logits (B, T, labels)."""


class MultipleChoiceModelOutput(MaskedLMOutput):
    """logits (B, choices)."""


class NextSentencePredictorOutput(MaskedLMOutput):
    """logits (B, 2)."""


class QuestionAnsweringModelOutput(ModelOutput):
    """start_logits and end_logits (B, T)."""

    fields = ("loss", "start_logits", "end_logits", "hidden_states", "attentions")


class Seq2SeqQuestionAnsweringModelOutput(ModelOutput):
    """start_logits and end_logits (B, T)."""

    fields = ("loss", "start_logits", "end_logits", *_BOTH_SIDES)


def given_encoder_output(model, outputs, attention_mask) -> BaseModelOutput:
    """What a caller passed as encoder_outputs, a record or a tuple, as a record.

    Raises ValueError where the mask isn't that of its states (B, S, H).
    """
    if not hasattr(outputs, "last_hidden_state"):
        fields = BaseModelOutput.fields[: len(outputs)]
        outputs = BaseModelOutput(**dict(zip(fields, outputs, strict=True)))
    states = outputs.last_hidden_state
    if attention_mask is not None and attention_mask.shape[:2] != states.shape[:2]:
        raise ValueError(
            f"{type(model).__name__}: attention_mask {tuple(attention_mask.shape)} does not fit "
            f"encoder_outputs {tuple(states.shape)}: it must be that of the text which they were made of"
        )
    return outputs


def seq2seq_fields(decoded, encoded) -> dict:
    """The fields of a Seq2Seq output, but the states, of what a decoder and its encoder gave."""
    return dict(
        past_key_values=decoded.past_key_values,
        decoder_hidden_states=decoded.hidden_states,
        decoder_attentions=decoded.attentions,
        cross_attentions=decoded.cross_attentions,
        encoder_last_hidden_state=encoded.last_hidden_state,
        encoder_hidden_states=encoded.hidden_states,
        encoder_attentions=encoded.attentions,
    )


def may_return_tuple(forward):
    """A forward that gives a tuple where return_dict=False is passed, or the configuration says so."""

    @functools.wraps(forward)
    def called(self, *args, return_dict: bool | None = None, **options):
        output = forward(self, *args, **options)
        wanted = self.config.return_dict if return_dict is None else return_dict
        return output if wanted else output.to_tuple()

    return called
