"""Masks of decoders: which tokens a token may look at."""

import minigrad as torch


def causal_mask(attention_mask, length: int, past: int = 0, device=None):
    """(mask, is_causal) as scaled_dot_product_attention takes them, for T = length tokens after `past`.

    Token t looks at tokens 0 to past + t that the attention_mask (B, past + T) has, 1 for a token, 0
    for padding. mask: bool (B, 1, T, past + T) or (T, past + T), True where a token may be looked at;
    None where is_causal says it all, or where a single token sees all that there is: then no matrix
    of T x T is ever held. An attention_mask of four dimensions is taken as it is.
    """
    if attention_mask is not None and attention_mask.dim() == 4:
        return attention_mask.bool(), False
    total = past + length
    padded = attention_mask is not None and not bool(attention_mask.bool().all())
    if padded and attention_mask.shape[1] != total:
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
