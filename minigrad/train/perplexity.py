"""Perplexity of a causal language model on a text longer than its window.

A window slides over the text, `stride` tokens at a time, and of each only those tokens count that no
window before it held: so each is foretold from at least window - stride tokens before it.

    PPL = exp(-1/N sum_i log p(x_i | x_before)),     bits per character = sum in nats / (ln 2 C)

With stride = window the text falls into blocks without a look back, which is quick and makes it look
worse; with stride 1 every token has all the context that the model can hold, at the greatest cost.
"""

import math
from dataclasses import dataclass

import minigrad as torch

from ..nn import functional as F
from .devices import device_of


@dataclass
class Perplexity:
    """What was measured: nats in all, of so many tokens, in a text of so many characters or None."""

    total_nats: float
    tokens: int
    characters: int | None = None

    @property
    def nats(self) -> float:
        """The mean loss of a token."""
        return self.total_nats / self.tokens

    @property
    def perplexity(self) -> float:
        """exp of the mean loss."""
        return math.exp(self.nats)

    @property
    def bits_per_character(self) -> float:
        """Bits for the text by the number of its characters; ValueError where that was not given."""
        if self.characters is None:
            raise ValueError("bits_per_character: pass characters=len(text) to perplexity")
        return self.total_nats / (math.log(2) * self.characters)


def next_logits(model, ids):
    """The logits (B, T, V) of what follows each of ids (B, T): a model's output, or the first of it."""
    output = model(ids)
    if hasattr(output, "logits"):
        return output.logits
    return output[0] if isinstance(output, tuple) else output


def windows(length: int, window: int, stride: int) -> list[tuple[int, int, int]]:
    """(begin, end, counted): of tokens begin to end, the last `counted` were in no window before."""
    found, last = [], 0
    for begin in range(0, length, stride):
        end = min(begin + window, length)
        found.append((begin, end, end - last))
        last = end
        if end == length:
            break
    return found


def perplexity(
    model,
    ids,
    window: int,
    stride: int | None = None,
    characters: int | None = None,
    batch_size: int = 1,
) -> Perplexity:
    """How well a causal model foretells a text of ids (N,) or (1, N).

    window: so many tokens at once; the last is foretold, not read, so that it may be one more than
    the model's longest input. stride: by so many a window lies behind the one before it; half a
    window without one. characters: the length of the text, for bits per character. batch_size: so
    many windows go through the model together.
    A token that is the first of its window has nothing before it and is not counted: that is the
    text's first alone where stride < window.
    Raises ValueError for less than two ids, a window below 2, a stride that is not from 1 to window.
    """
    ids = ids.reshape(-1) if ids.dim() == 2 and ids.shape[0] == 1 else ids
    stride = max(1, window // 2) if stride is None else stride
    if ids.dim() != 1 or len(ids) < 2:
        raise ValueError(
            f"perplexity: expected two ids or more, (N,) or (1, N), got {tuple(ids.shape)}"
        )
    if window < 2 or not 1 <= stride <= window:
        raise ValueError(
            f"perplexity: a window is two tokens or more and a stride from 1 to the window, not "
            f"{window} and {stride}"
        )
    if batch_size < 1:
        raise ValueError(f"perplexity: batch_size must be at least 1, not {batch_size}")
    total, tokens = 0.0, 0
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for batch in _batches(windows(len(ids), window, stride), batch_size):
                nats, count = _loss(model, ids, batch)
                total += nats
                tokens += count
    finally:
        model.train(was_training)
    return Perplexity(total, tokens, characters)


def _batches(places, size):
    """Windows in groups of one length and one count: the first and the last stand alone, or nearly."""
    batch = []
    for begin, end, counted in places:
        alike = batch and (end - begin, counted) == (batch[0][1] - batch[0][0], batch[0][2])
        if batch and (len(batch) == size or not alike):
            yield batch
            batch = []
        batch.append((begin, end, counted))
    yield batch


def _loss(model, ids, batch):
    """(sum of nats, tokens) of windows that are alike."""
    begin, end, counted = batch[0]
    counted = min(counted, end - begin - 1)  # the window's first token is foretold by nothing
    if counted == 0:
        return 0.0, 0
    rows = torch.stack([ids[begin:end] for begin, end, _ in batch]).to(device_of(model))
    logits = next_logits(model, rows[:, :-1])[:, -counted:]
    loss = F.cross_entropy(logits.flatten(0, 1), rows[:, -counted:].flatten(), reduction="sum")
    return loss.item(), counted * len(batch)
