"""Masks: which tokens a token may look at, and the weights of attention that respect them."""

import minigrad as torch

from ..nn import functional as F


def causal_mask(attention_mask, length: int, past: int = 0, device=None):
    """(mask, is_causal) as scaled_dot_product_attention takes them, for T = length tokens after `past`.

    Token t looks at tokens 0 to past + t that the attention_mask (B, past + T) has, 1 for a token, 0
    for padding. mask: bool (B, 1, T, past + T) or (T, past + T), True where a token may be looked at;
    None where is_causal says it all, or where a single token sees all that there is: then no matrix
    of T x T is ever held. An attention_mask of four dimensions is taken as it is.
    Raises ValueError for one of another length, or of three dimensions.
    """
    if attention_mask is not None and attention_mask.dim() == 4:
        return attention_mask.bool(), False
    total = past + length
    padded = attention_mask is not None and not bool(attention_mask.bool().all())
    if padded and (attention_mask.dim() != 2 or attention_mask.shape[1] != total):
        raise ValueError(
            f"attention_mask {tuple(attention_mask.shape)} must be (B, {total}): {past} tokens that "
            f"were read before and {length} new ones"
        )
    if not padded and (past == 0 or length == 1):
        return None, length > 1
    mask = None
    if length > 1:
        mask = torch.ones(length, total, dtype=torch.bool, device=device).tril(past)
    if not padded:
        return mask, False
    real = attention_mask.bool()[:, None, None, :]
    return (real if mask is None else real & mask), False


def masked_softmax(scores, mask=None, is_causal: bool = False):
    """softmax(scores) of (B, A, T, S) over the tokens that the mask lets be looked at, 0 for others.

    mask and is_causal as scaled_dot_product_attention takes them. Rows sum to 1; the row of a token
    that may look at none is 0.
    """
    if is_causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if mask is None:
        return F.softmax(scores, dim=-1)
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return F.softmax(scores, dim=-1).masked_fill(~mask, 0)
