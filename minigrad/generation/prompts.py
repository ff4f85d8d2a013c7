"""What a call of generate begins with: its settings, the ids, the masks, what the encoder gives.

B texts, T tokens of the prompt.
"""

import copy
import warnings
from collections.abc import Mapping

import minigrad as torch

from . import checks
from .config import DEFAULTS, GenerationConfig

# what generate takes for the model, besides the ids
DECODER = ("input_ids", "attention_mask", "past_key_values")
PAIR = (
    "input_ids",
    "attention_mask",
    "encoder_outputs",
    "decoder_input_ids",
    "decoder_attention_mask",
    "past_key_values",
)


def settle(model, given: GenerationConfig | None, options: dict):
    """(the settings of a call, what is left of the options, whether the length was chosen).

    Options count before the GenerationConfig given, that before the model's own, that before DEFAULTS.
    """
    config = GenerationConfig() if given is None else copy.deepcopy(given)
    rest = config.update(**options)
    config.fill(model.generation_config.to_dict())
    chosen = config.max_length is not None or config.max_new_tokens is not None
    config.fill(DEFAULTS)
    config.validate()
    rest = {name: value for name, value in rest.items() if value is not None}
    known = PAIR if checks.is_pair(model) else DECODER
    checks.check_options(model, rest, known)
    return config, rest, chosen


def settle_length(model, config, length: int, chosen: bool) -> None:
    """max_length, from max_new_tokens or the default of 20 new ones, for a prompt of this length."""
    if config.max_new_tokens is not None:
        config.max_length = length + config.max_new_tokens
    elif not chosen:
        limit = model.longest_input()
        config.max_length += length
        if limit is not None:
            config.max_length = min(config.max_length, limit)
        warnings.warn(
            f"{type(model).__name__}.generate: at most {config.max_length - length} new tokens, as "
            "nothing was said: set max_new_tokens",
            stacklevel=4,
        )


def padding(config) -> int | None:
    """The token after the end of a text: pad_token_id, or else the first that ends one."""
    ends = config.eos_token_ids
    if config.pad_token_id is not None:
        return config.pad_token_id
    return ends[0] if ends else None


def first_ids(model, inputs, options: dict, config):
    """The ids (B, T) that the caller gave; without any, the token that begins a text."""
    if isinstance(inputs, Mapping):
        raise TypeError("generate: pass a tokenizer's output as generate(**output)")
    if inputs is not None and "input_ids" in options:
        raise ValueError("generate: pass either inputs or input_ids: they are the same")
    ids = options.pop("input_ids", inputs)
    if ids is None and "encoder_outputs" not in options:
        if config.bos_token_id is None or checks.is_pair(model):
            raise ValueError(f"{type(model).__name__}.generate: there are no inputs to go on from")
        ids = torch.full((1, 1), config.bos_token_id, dtype=torch.int64, device=model.device)
    if ids is not None:
        checks.check_ids(model, ids, "input_ids")
    if ids is not None and "attention_mask" in options:
        checks.check_mask(model, ids, options["attention_mask"], "attention_mask")
    return ids


# -- decoders ------------------------------------------------------------------------------------


def decoder_inputs(model, ids, given: dict, config) -> dict:
    """What a decoder reads with its ids: a mask where there is padding, and none where there isn't.

    Without a mask, tokens of pad_token_id are taken as padding, unless they end texts too.
    """
    pad, mask = padding(config), given.pop("attention_mask", None)
    checks.warn_of_right_padding(model, ids, mask, pad)
    if mask is None and pad is not None and pad not in config.eos_token_ids:
        mask = (ids != pad).long()
        if not bool(mask.any(1).all()):
            mask = None
    if mask is not None and not bool((mask != 0).all()):
        given["attention_mask"] = mask
    cache = given.get("past_key_values")
    if cache is not None and cache.get_seq_length() >= ids.shape[1]:
        raise ValueError(
            f"{type(model).__name__}.generate: past_key_values has {cache.get_seq_length()} tokens and "
            f"input_ids {ids.shape[1]}: input_ids must be the whole text, those in the cache and more"
        )
    return given | keeps_logits(model)


def keeps_logits(model) -> dict:
    """{"logits_to_keep": 1} where forward can leave out the scores of all but the last token."""
    return {"logits_to_keep": 1} if checks.takes(model, "logits_to_keep") else {}


# -- encoders with decoders ----------------------------------------------------------------------


def pair_inputs(model, source, given: dict, config):
    """(the ids (B, T) that the decoder begins with, what it reads with them but the encoder's)."""
    rows = len(source) if source is not None else len(given["encoder_outputs"][0])
    start = config.decoder_start_token_id
    start = config.bos_token_id if start is None else start
    if start is None:
        raise ValueError(
            f"{type(model).__name__}.generate: set decoder_start_token_id: with it the texts begin"
        )
    ids = given.pop("decoder_input_ids", None)
    starts = torch.full((rows, 1), start, dtype=torch.int64, device=model.device)
    if ids is None:
        return starts, given | keeps_logits(model)
    checks.check_ids(model, ids, "decoder_input_ids")
    if len(ids) != rows:
        raise ValueError(
            f"{type(model).__name__}.generate: {len(ids)} decoder_input_ids for {rows} sources"
        )
    mask = given.get("decoder_attention_mask")
    if mask is not None:
        checks.check_mask(model, ids, mask, "decoder_attention_mask")
    if bool((ids[:, 0] != start).all()):
        ids = torch.cat([starts, ids], dim=1)
        if mask is not None:
            given["decoder_attention_mask"] = torch.cat([mask.new_ones(rows, 1), mask], dim=1)
    return ids, given | keeps_logits(model)


def encoded(model, source, given: dict, config) -> dict:
    """With what the encoder gives of the source, read once."""
    if "encoder_outputs" in given:
        return given
    output = model.get_encoder()(
        source,
        attention_mask=given.get("attention_mask"),
        output_attentions=config.output_attentions,
        output_hidden_states=config.output_hidden_states,
        return_dict=True,
    )
    return given | {"encoder_outputs": output}
