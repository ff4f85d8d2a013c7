"""What is wrong with a call of generate, said before anything runs."""

import functools
import inspect
import warnings

import minigrad as torch


def is_pair(model) -> bool:
    """Whether the model has an encoder, which reads the prompt, and a decoder, which writes."""
    return bool(getattr(model.config, "is_encoder_decoder", False))


@functools.cache
def _inputs(forward) -> frozenset:
    return frozenset(inspect.signature(forward).parameters)


def takes(model, name: str) -> bool:
    """Whether the model's forward has an input of this name."""
    return name in _inputs(type(model).forward)


def check_ids(model, ids, name: str) -> None:
    """ValueError for a prompt that is none: no tokens, or tokens that the vocabulary doesn't have."""
    kind = type(model).__name__
    if not isinstance(ids, torch.Tensor):
        raise TypeError(
            f"{kind}.generate: {name} must be a tensor (B, T), not a {type(ids).__name__}; a "
            "tokenizer's output goes in as generate(**output), with return_tensors"
        )
    if ids.dim() != 2 or ids.is_floating_point():
        raise ValueError(
            f"{kind}.generate: {name} must be whole numbers (B, T), not {ids.dtype} "
            f"{tuple(ids.shape)}"
        )
    if not ids.numel():
        raise ValueError(
            f"{kind}.generate: the prompt is empty: {name} of shape {tuple(ids.shape)} has no token "
            "to go on from"
        )
    reader = model.get_decoder() if name == "decoder_input_ids" else model  # may have its own table
    words = reader.get_input_embeddings().num_embeddings
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= words:
        raise ValueError(
            f"{kind}.generate: {name} has token {low if low < 0 else high}; the vocabulary has those "
            f"from 0 to {words - 1}"
        )


def check_mask(model, ids, mask, name: str) -> None:
    """ValueError for a mask that isn't (B, T), or that hides a whole text; TypeError for no tensor."""
    kind = type(model).__name__
    if not isinstance(mask, torch.Tensor):
        raise TypeError(f"{kind}.generate: {name} must be a tensor, not a {type(mask).__name__}")
    if tuple(mask.shape) != tuple(ids.shape):
        raise ValueError(
            f"{kind}.generate: {name} {tuple(mask.shape)} does not fit ids {tuple(ids.shape)}"
        )
    if not bool((mask != 0).any(1).all()):
        raise ValueError(f"{kind}.generate: {name} hides all tokens of a text: the prompt is empty")


def check_lengths(model, config, source, ids, chosen: bool) -> None:
    """ValueError where there is no room for the text; `chosen`: the caller has set its length."""
    kind, limit, length = type(model).__name__, model.longest_input(), ids.shape[1]
    name = "input_ids" if ids is source else "decoder_input_ids"
    if limit is not None:
        longest = length if source is None else max(length, source.shape[1])
        if longest > limit:
            raise ValueError(
                f"{kind}.generate: the {longest} tokens of the prompt are more than the {limit} "
                "positions it has: truncate the text, as tokenizer(..., truncation=True) does"
            )
        if chosen and config.max_length > limit:
            raise ValueError(
                f"{kind}.generate: {length} tokens of {name} and {config.max_length - length} new ones "
                f"are more than the {limit} positions it has: {limit - length} are left"
            )
    if length >= config.max_length:
        raise ValueError(
            f"{kind}.generate: {name} has {length} tokens and max_length is {config.max_length}: "
            "nothing is left to generate; max_new_tokens counts new tokens alone"
        )
    least = config.min_length
    if config.min_new_tokens is not None:
        least = max(least, config.min_new_tokens + length)
    if least > config.max_length:
        warnings.warn(
            f"{kind}.generate: at least {least} tokens are asked for and at most {config.max_length}: "
            "the text ends there",
            stacklevel=4,
        )


def check_options(model, options: dict, known) -> None:
    """ValueError naming options that neither GenerationConfig nor the model's forward knows."""
    wrong = sorted(n for n in options if n not in known and not takes(model, n))
    if wrong:
        raise ValueError(
            f"{type(model).__name__}.generate: nothing here is called {', '.join(wrong)}: neither an "
            "option of GenerationConfig nor an input of the model"
        )
    unused = sorted(n for n in options if n not in known)
    if unused:
        raise ValueError(
            f"{type(model).__name__}.generate makes {', '.join(unused)} itself, or can't go on with it"
        )


def warn_of_right_padding(model, ids, mask, pad) -> None:
    """A decoder goes on from the last token: it must not be padding."""
    if len(ids) < 2:
        return
    if mask is not None:
        padded = bool((mask[:, -1] == 0).any())
    else:
        padded = pad is not None and bool((ids[:, -1] == pad).any())
    if padded:
        warnings.warn(
            f"{type(model).__name__}.generate: a text is padded on the right, and would go on after "
            "its padding: set padding_side='left' in the tokenizer",
            stacklevel=4,
        )
