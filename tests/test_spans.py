"""The search for the best spans, against trying every span of every window."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.pipelines import (
    Span,
    Window,
    answer_or_none,
    best_of_windows,
    best_spans,
    no_answer_score,
)

SCORES = st.one_of(st.integers(-3, 3).map(float), st.floats(-50, 50))  # ties, and none


@st.composite
def windows(draw):
    """A window of 1 to 12 tokens, of any of which an answer may be."""
    length = draw(st.integers(1, 12))
    start, end = (
        numpy.array(draw(st.lists(SCORES, min_size=length, max_size=length))) for _ in range(2)
    )
    allowed = draw(st.lists(st.booleans(), min_size=length, max_size=length))
    return Window(start, end, numpy.array(allowed), draw(st.integers(0, length - 1)))


def every(window, longest, number=0):
    """All spans, the best first, of equal ones the earlier beginning, then the earlier end."""
    found = [
        Span(float(window.start[i] + window.end[j]), number, i, j)
        for i in range(len(window.start))
        for j in range(i, min(i + longest, len(window.start)))
        if window.allowed[i] and window.allowed[j]
    ]
    return sorted(found, key=lambda span: (-span.score, span.start, span.end))


@settings(deadline=None, max_examples=300)
@given(windows(), st.integers(1, 30), st.integers(1, 15))
def test_best_spans(window, n, longest):
    assert best_spans(window, n, longest, 4) == every(window, longest, 4)[:n]


@settings(deadline=None, max_examples=200)
@given(st.lists(windows(), min_size=1, max_size=4), st.integers(1, 30), st.integers(1, 15),
       st.floats(-5, 5))  # fmt: skip
def test_windows_and_no_answer(several, n, longest, threshold):
    spans = [span for number, one in enumerate(several) for span in every(one, longest, number)]
    spans.sort(key=lambda span: (-span.score, span.window, span.start, span.end))
    assert best_of_windows(several, n, longest) == spans[:n]
    null = min(float(one.start[one.null] + one.end[one.null]) for one in several)
    assert no_answer_score(several) == null
    answered = bool(spans) and not null - spans[0].score > threshold
    if spans and abs(null - spans[0].score - threshold) > 1e-9:  # else rounding decides
        assert answer_or_none(several, threshold, longest) == (spans[0] if answered else None)
    if not spans:
        assert answer_or_none(several, threshold, longest) is None


def test_the_threshold_itself_is_an_answer():
    scores = numpy.array([1.0, 0.5])
    window = Window(scores, scores, numpy.array([False, True]))
    assert no_answer_score([window]) == 2.0
    assert answer_or_none([window], 1.0) == Span(1.0, 0, 1, 1)
    assert answer_or_none([window], 0.999) is None


def test_bad_windows():
    three, two = numpy.zeros(3), numpy.zeros(2)
    with pytest.raises(ValueError, match=r"start \(3,\), end \(2,\) and allowed \(3,\)"):
        best_spans(Window(three, two, three == 0))
    with pytest.raises(ValueError, match=r"n \(0\) and max_answer_len \(30\)"):
        best_spans(Window(three, three, three == 0), 0)
    with pytest.raises(ValueError, match="not a number"):
        best_spans(Window(three * numpy.nan, three, three == 0))
    with pytest.raises(ValueError, match="there are no windows"):
        no_answer_score([])
    assert best_spans(Window(numpy.zeros(0), numpy.zeros(0), numpy.zeros(0))) == []
    assert best_of_windows([]) == []
