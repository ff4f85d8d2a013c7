"""The best spans of a text whose tokens have scores for beginning and ending an answer.

A context longer than the model takes is read in windows that overlap. In each, a span from token i to
token j has the score s_i + e_j (Devlin et al. 2019, section 4.2): of logits, or of log-probabilities,
whose exponentials are then the product of two probabilities. That there is no answer is the span
from the first token, [CLS], to itself.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy


class Window(NamedTuple):
    """Scores of T tokens and where an answer may stand.

    start, end: (T). allowed: (T), True for the context's tokens. null: the place of [CLS].
    """

    start: numpy.ndarray
    end: numpy.ndarray
    allowed: numpy.ndarray
    null: int = 0


class Span(NamedTuple):
    """Tokens `start` to `end`, both included, of a window (by number), and their score."""

    score: float
    window: int
    start: int
    end: int


def best_spans(
    window: Window, n: int = 20, max_answer_len: int = 30, number: int = 0
) -> list[Span]:
    """The n best spans of a window, the best first: i <= j < i + max_answer_len, i and j allowed.

    Of equal scores, the earlier beginning comes first, then the earlier end. There may be fewer
    than n. number: the window's, for the spans. Raises ValueError for scores that are not a number,
    and for arrays of different lengths.
    """
    start, end = (numpy.asarray(scores) for scores in window[:2])
    allowed = numpy.asarray(window.allowed, dtype=bool)
    if start.ndim != 1 or not start.shape == end.shape == allowed.shape:
        raise ValueError(
            f"best_spans: start {start.shape}, end {end.shape} and allowed {allowed.shape} must have "
            "one length (T)"
        )
    if n < 1 or max_answer_len < 1:
        raise ValueError(
            f"best_spans: n ({n}) and max_answer_len ({max_answer_len}) must be 1 or more"
        )
    if not allowed.any():
        return []
    starts, lengths = numpy.nonzero(_fits(allowed, min(max_answer_len, len(allowed))))
    ends = starts + lengths
    scores = start[starts] + end[ends]
    if numpy.isnan(scores).any():
        raise ValueError("best_spans: there are scores that are not a number (nan)")
    if len(scores) > n:  # all that reach the n-th best score; ties are settled below
        keep = numpy.flatnonzero(scores >= numpy.partition(scores, -n)[-n])
        starts, ends, scores = starts[keep], ends[keep], scores[keep]
    order = numpy.argsort(-scores, kind="stable")[:n]
    return [Span(float(scores[k]), number, int(starts[k]), int(ends[k])) for k in order]


def _fits(allowed, longest):
    """(T, L): whether the span from token i over l more tokens begins and ends where it may."""
    padded = numpy.concatenate([allowed, numpy.zeros(longest - 1, bool)])
    return allowed[:, None] & numpy.lib.stride_tricks.sliding_window_view(padded, longest)


def best_of_windows(windows: Sequence[Window], n: int = 20, max_answer_len: int = 30) -> list[Span]:
    """The n best spans of all windows of a context, the best first; of equal ones the earlier window's.

    Windows overlap, so the same words may come up twice, from two windows.
    """
    found = [
        span
        for number, window in enumerate(windows)
        for span in best_spans(window, n, max_answer_len, number)
    ]
    return sorted(found, key=lambda span: -span.score)[:n]


def no_answer_score(windows: Sequence[Window]) -> float:
    """min over windows of s_CLS + e_CLS: there is no answer where no window has one."""
    if not windows:
        raise ValueError("no_answer_score: there are no windows")
    return min(float(window.start[window.null] + window.end[window.null]) for window in windows)


def answer_or_none(
    windows: Sequence[Window], threshold: float = 0.0, max_answer_len: int = 30
) -> Span | None:
    """The best span, or None where no answer is likelier: no_answer_score > best score + threshold.

    threshold: tau of the paper, chosen on development data.
    """
    best = best_of_windows(windows, 1, max_answer_len)
    if not best or no_answer_score(windows) > best[0].score + threshold:
        return None
    return best[0]
