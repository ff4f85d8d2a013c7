"""The losses of the usual heads, from logits and labels."""

from ..nn import functional as F
from ..tensor import Tensor


def classification_loss(config, logits: Tensor, labels: Tensor | None) -> Tensor | None:
    """A loss of logits (B, C), by config.problem_type, or by what the labels look like.

    "regression" (C = 1): mean squared error; "single_label_classification" (whole numbers (B)):
    cross-entropy; "multi_label_classification" (B, C) of 0 and 1: binary cross-entropy of each.
    The type found is kept in the configuration.
    """
    if labels is None:
        return None
    if config.problem_type is None:
        if config.num_labels == 1:
            config.problem_type = "regression"
        elif labels.is_floating_point():
            config.problem_type = "multi_label_classification"
        else:
            config.problem_type = "single_label_classification"
    kind = config.problem_type
    if kind == "regression":
        return F.mse_loss(logits.reshape(labels.shape), labels.to(logits.dtype))
    if kind == "single_label_classification":
        return F.cross_entropy(logits.reshape(-1, config.num_labels), labels.reshape(-1))
    if kind == "multi_label_classification":
        return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
    raise ValueError(
        f"there is no problem_type {kind!r}; there are: regression, single_label_classification, "
        "multi_label_classification"
    )


def token_loss(logits: Tensor, labels: Tensor | None) -> Tensor | None:
    """Cross-entropy of logits (B, T, C) against labels (B, T); places labelled -100 don't count."""
    if labels is None:
        return None
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))


def span_loss(start_logits, end_logits, start_positions, end_positions):
    """The mean of two cross-entropies over places (B, T); answers outside the text don't count."""
    if start_positions is None or end_positions is None:
        return None
    outside = start_logits.shape[1]
    starts = start_positions.reshape(-1).clamp(0, outside)
    ends = end_positions.reshape(-1).clamp(0, outside)
    start = F.cross_entropy(start_logits, starts, ignore_index=outside)
    return (start + F.cross_entropy(end_logits, ends, ignore_index=outside)) / 2


def next_token_loss(logits: Tensor, labels: Tensor | None) -> Tensor | None:
    """Cross-entropy of logits (B, T, V) of token t against label t + 1 of (B, T); -100 doesn't count."""
    if labels is None:
        return None
    return token_loss(logits[:, :-1], labels[:, 1:])


def shift_tokens_right(ids: Tensor, pad_token_id: int, decoder_start_token_id: int) -> Tensor:
    """What a decoder reads to write ids (B, T): the start token and all but the last; -100 as padding."""
    if decoder_start_token_id is None or pad_token_id is None:
        raise ValueError(
            "shift_tokens_right: the configuration needs a decoder_start_token_id and a pad_token_id"
        )
    shifted = ids.new_full(ids.shape, decoder_start_token_id)
    shifted[:, 1:] = ids[:, :-1]
    return shifted.masked_fill(shifted == -100, pad_token_id)
