"""What a classifier minimizes: cross-entropy with label smoothing, class weights, several labels."""

from collections.abc import Sequence

import numpy

from ..nn import functional as F
from ..ops.creation import tensor


def balanced_weights(counts: Sequence[int]) -> list[float]:
    """A weight for each class by which all classes weigh the same: N / (K n_k)."""
    if min(counts, default=0) < 1:
        raise ValueError(f"balanced class weights: a class has no examples; counts {list(counts)}")
    total = sum(counts)
    return [total / (len(counts) * count) for count in counts]


def class_counts(labels: Sequence[int], classes: int) -> list[int]:
    """How many examples each class has."""
    return numpy.bincount(numpy.asarray(labels, numpy.int64), minlength=classes).tolist()


class Objective:
    """loss(logits (B, C), labels): the mean over a batch.

    One label a text, labels (B): cross-entropy, with the label's share smoothed to 1 - e + e / C and
    each example weighed by its class. Several, labels (B, C) of 0 and 1: binary cross-entropy of each
    label, smoothed to e / 2 and 1 - e / 2.
    `plain` is the loss without smoothing and weights, for validation: it can be compared.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        class_weights: str | Sequence[float] | None = None,
        multilabel: bool = False,
        counts: Sequence[int] | None = None,
    ):
        if class_weights == "balanced":
            if counts is None:
                raise ValueError("recipe: balanced class_weights need the counts of the classes")
            class_weights = balanced_weights(counts)
        elif class_weights is not None and counts is not None and len(class_weights) != len(counts):
            raise ValueError(
                f"recipe: {len(class_weights)} class_weights for {len(counts)} classes"
            )
        self.smoothing = label_smoothing
        self.weights = None if class_weights is None else tensor(list(map(float, class_weights)))
        self.multilabel = multilabel

    def __call__(self, logits, labels):
        if self.multilabel:
            labels = labels.to(logits.dtype)
            smooth = labels * (1 - self.smoothing) + self.smoothing / 2
            return F.binary_cross_entropy_with_logits(logits, smooth)
        weights = None if self.weights is None else self.weights.to(logits.device)
        return F.cross_entropy(logits, labels, weights, label_smoothing=self.smoothing)

    def plain(self, logits, labels):
        """The loss without smoothing and weights."""
        if self.multilabel:
            return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
        return F.cross_entropy(logits, labels)
