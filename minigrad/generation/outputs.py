"""What generate gives back with return_dict_in_generate=True.

B texts, R texts asked for (B times num_return_sequences), S tokens of the longest text, V vocabulary.
scores, logits, attentions, hidden states: a tuple of one a generated token, where asked for.
"""

from ..pretrained.outputs import ModelOutput

_DECODER = ("attentions", "hidden_states")
_BOTH = (
    "encoder_attentions",
    "encoder_hidden_states",
    "decoder_attentions",
    "cross_attentions",
    "decoder_hidden_states",
)


class GenerateDecoderOnlyOutput(ModelOutput):
    """sequences (R, S), prompts included; scores (R, V) after the processors, logits (R, V) before."""

    fields = ("sequences", "scores", "logits", *_DECODER, "past_key_values")


class GenerateEncoderDecoderOutput(ModelOutput):
    """As GenerateDecoderOnlyOutput; sequences begin with the decoder's start token."""

    fields = ("sequences", "scores", "logits", *_BOTH, "past_key_values")


class GenerateBeamDecoderOnlyOutput(ModelOutput):
    """sequences_scores (R): log p / length^length_penalty; beam_indices (R, S - prompt): from which
    row of the scores each token is, -1 after the end."""

    fields = (
        "sequences", "sequences_scores", "scores", "logits", "beam_indices", *_DECODER,
        "past_key_values",
    )  # fmt: skip


class GenerateBeamEncoderDecoderOutput(ModelOutput):
    """As GenerateBeamDecoderOnlyOutput, with what both sides gave."""

    fields = (
        "sequences", "sequences_scores", "scores", "logits", "beam_indices", *_BOTH,
        "past_key_values",
    )  # fmt: skip


def collect(found: dict, record, reader, config) -> ModelOutput:
    """The output of a search: its sequences, what was recorded, the cache."""
    values = found | record.fields() | {"past_key_values": reader.cache}
    if not reader.is_pair:
        kind = (
            GenerateBeamDecoderOnlyOutput if "beam_indices" in found else GenerateDecoderOnlyOutput
        )
        return kind(**values)
    encoder = reader.inputs["encoder_outputs"]
    if config.output_attentions:
        values["encoder_attentions"] = encoder.attentions
    if config.output_hidden_states:
        values["encoder_hidden_states"] = encoder.hidden_states
    if "beam_indices" in found:
        return GenerateBeamEncoderDecoderOutput(**values)
    return GenerateEncoderDecoderOutput(**values)
