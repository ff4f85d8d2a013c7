"""Decoding: from a model that gives the next word's probabilities to the best whole sentences.

Greedy search, and beam search with the length normalisation of Wu et al. 2016, "Google's Neural
Machine Translation System", section 7: the score of a sentence of n words, <eos> counted, is
log p / ((5 + n) / 6) ** alpha; alpha = 0 leaves the log probability as it is.

The model comes in as `step(tokens (R), state) -> (log probabilities (R, V), state)`. A state is a
tensor, None, or a tuple, list or dict of states; in every tensor of it the first dimension is the R
rows, so that rows can be chosen, doubled and dropped.

N sentences, K hypotheses a sentence (the beam), V words.
"""

from collections.abc import Callable
from typing import NamedTuple

import minigrad as torch


class Hypothesis(NamedTuple):
    """A finished sentence: its words without <bos> and <eos>, log p (with <eos>'s), and the score."""

    tokens: list[int]
    log_prob: float
    score: float


def length_penalty(length: int, alpha: float) -> float:
    """((5 + length) / 6) ** alpha."""
    return ((5 + length) / 6) ** alpha


def select(state, rows):
    """The state of the given rows (an int64 tensor), in that order."""
    if state is None:
        return None
    if isinstance(state, dict):
        return {key: select(value, rows) for key, value in state.items()}
    if hasattr(state, "_fields"):
        return type(state)(*(select(value, rows) for value in state))
    if isinstance(state, (tuple, list)):
        return type(state)(select(value, rows) for value in state)
    return state.index_select(0, rows)


def _checked(log_probs, rows, eos, forbid):
    """The step's log probabilities, with -inf at words that may not come."""
    if log_probs.dim() != 2 or log_probs.shape[0] != rows:
        raise ValueError(
            f"decoding: step must give log probabilities ({rows}, V), not {tuple(log_probs.shape)}"
        )
    if not 0 <= eos < log_probs.shape[1]:
        raise ValueError(f"decoding: eos is {eos}, and there are {log_probs.shape[1]} words")
    if bool(torch.isnan(log_probs).any()):
        raise ValueError("decoding: the model gives nan as a log probability")
    if not forbid:
        return log_probs
    words = torch.tensor(list(forbid), dtype=torch.int64, device=log_probs.device)
    return log_probs.index_fill(1, words, float("-inf"))


def _check(count, max_length, **others):
    for name, value in {"count": count, "max_length": max_length, **others}.items():
        if value < 1:
            raise ValueError(f"decoding: {name} must be at least 1, not {value}")


def greedy(
    step: Callable,
    state,
    count: int,
    bos: int,
    eos: int,
    max_length: int = 50,
    alpha: float = 0.0,
    forbid: tuple[int, ...] = (),
    device=None,
) -> list[Hypothesis]:
    """The likeliest word at every step, for each of `count` sentences, until <eos> or max_length words.

    max_length counts <eos>. forbid: words that are never chosen (padding, <unk>).
    """
    _check(count, max_length)
    with torch.no_grad():
        tokens = torch.full((count,), bos, dtype=torch.int64, device=device)
        sentences = [[] for _ in range(count)]
        totals = [0.0] * count
        running = list(range(count))  # the sentence of each row
        for _ in range(max_length):
            log_probs, state = step(tokens, state)
            best = _checked(log_probs, len(running), eos, forbid).max(1)
            tokens = best.indices
            words, gains = tokens.tolist(), best.values.tolist()
            for sentence, word, gain in zip(running, words, gains, strict=True):
                sentences[sentence].append(word)
                totals[sentence] += gain
            left = [row for row, word in enumerate(words) if word != eos]
            if not left:
                break
            if len(left) < len(running):
                rows = torch.tensor(left, device=device)
                tokens, state = tokens[rows], select(state, rows)
                running = [running[row] for row in left]
    return [
        _finished(words, total, eos, alpha) for words, total in zip(sentences, totals, strict=True)
    ]


def _finished(words, log_prob, eos, alpha) -> Hypothesis:
    score = log_prob / length_penalty(len(words), alpha)
    return Hypothesis(words[:-1] if words[-1] == eos else words, log_prob, score)


def beam_search(
    step: Callable,
    state,
    count: int,
    bos: int,
    eos: int,
    beam: int = 5,
    max_length: int = 50,
    alpha: float = 0.6,
    best: int = 1,
    forbid: tuple[int, ...] = (),
    device=None,
) -> list[list[Hypothesis]]:
    """The `best` highest scores found for each of `count` sentences, the highest first.

    Every step each sentence's hypotheses grow by every word, and the `beam` likeliest of the grown
    ones that don't end go on; those of the `beam` likeliest that end are kept. A sentence is done
    when `beam` ended hypotheses have higher scores than the likeliest that goes on would have, if
    it ended now without loss; at max_length words (<eos> counts) those that go on are cut there.
    """
    _check(count, max_length, beam=beam, best=best)
    if best > beam:
        raise ValueError(f"beam_search: best={best} needs a beam of at least {best}, not {beam}")
    ended = [[] for _ in range(count)]
    with torch.no_grad():
        totals = torch.full((count, beam), float("-inf"), device=device)
        totals[:, 0] = 0.0  # all K hypotheses begin alike: one of them is enough
        words = torch.full((count, beam, 1), bos, dtype=torch.int64, device=device)
        running = torch.arange(count, device=device)
        state = select(state, running.repeat_interleave(beam))
        for length in range(1, max_length + 1):
            rows = len(running) * beam
            log_probs, state = step(words[:, :, -1].reshape(-1), state)
            log_probs = _checked(log_probs, rows, eos, forbid)
            size = log_probs.shape[1]
            if size < 2:
                raise ValueError("beam_search: a vocabulary of <eos> alone has no sentences")
            grown = totals.to(log_probs.dtype).unsqueeze(2) + log_probs.reshape(-1, beam, size)
            top = grown.flatten(1).topk(2 * beam, dim=1)  # at most `beam` of them end
            origin = torch.div(top.indices, size, rounding_mode="floor")  # (N, 2 K) of K
            word = top.indices % size
            ends = word == eos
            history = words.gather(1, origin.unsqueeze(2).expand(-1, -1, length))
            history = torch.cat([history, word.unsqueeze(2)], dim=2)  # (N, 2 K, length + 1)
            new = ends[:, :beam] & torch.isfinite(top.values[:, :beam])
            for n, k in new.nonzero().tolist():
                tokens = history[n, k, 1:].tolist()
                total = top.values[n, k].item()
                ended[int(running[n])].append(_finished(tokens, total, eos, alpha))
            # the likeliest K that go on: ranks of those that end lie behind all others
            ranks = torch.arange(2 * beam, device=device) + 2 * beam * ends.long()
            kept = ranks.topk(beam, dim=1, largest=False, sorted=True).indices
            totals = top.values.gather(1, kept)
            words = history.gather(1, kept.unsqueeze(2).expand(-1, -1, length + 1))
            origin = origin.gather(1, kept)
            firsts = totals[:, 0].tolist()
            going = [
                n
                for n, sentence in enumerate(running.tolist())
                if _may_improve(ended[sentence], firsts[n], length, alpha, beam)
            ]
            if not going:
                break
            if length == max_length:
                _cut(going, running, words, totals, ended, eos, alpha, beam)
                break
            left = torch.tensor(going, device=device)
            rows = (left.unsqueeze(1) * beam + origin[left]).flatten()
            running, words, totals = running[left], words[left], totals[left]
            state = select(state, rows)
    return [sorted(found, key=lambda h: -h.score)[:best] for found in ended]


def _may_improve(found, log_prob, length, alpha, beam) -> bool:
    """Whether a hypothesis of this log probability is among the `beam` best so far."""
    if log_prob == float("-inf"):
        return False
    if len(found) < beam:
        return True
    worst = sorted((hypothesis.score for hypothesis in found), reverse=True)[beam - 1]
    return log_prob / length_penalty(length, alpha) > worst


def _cut(going, running, words, totals, ended, eos, alpha, beam):
    """Keep the hypotheses that still run at the greatest length."""
    for n in going:
        found = ended[int(running[n])]
        for tokens, total in zip(words[n, :, 1:].tolist(), totals[n].tolist(), strict=True):
            if total > float("-inf"):
                found.append(_finished(tokens, total, eos, alpha))
