"""Sets of labels: several labels may hold for one text; counts and F1 of each, micro and macro."""

from collections.abc import Sequence

import numpy


def multilabel_confusion(truth, predicted) -> numpy.ndarray:
    """counts (C, 2, 2) of every label: [[right not, wrongly set], [missed, rightly set]].

    truth, predicted: (N, C), true or 1 where a label holds.
    """
    truth, predicted = numpy.asarray(truth) > 0.5, numpy.asarray(predicted) > 0.5
    if truth.shape != predicted.shape or truth.ndim != 2:
        raise ValueError(
            f"multilabel_confusion: expected two tables (texts, labels), got {truth.shape} and "
            f"{predicted.shape}"
        )
    table = [[~truth & ~predicted, ~truth & predicted], [truth & ~predicted, truth & predicted]]
    return numpy.array(table).sum(axis=2).transpose(2, 0, 1)


def f1_scores(truth, predicted) -> dict[str, float]:
    """F1 = 2 TP / (2 TP + FP + FN): "micro" from the counts of all labels, "macro" the labels' mean.

    A label that neither holds nor is predicted anywhere counts as 0, as in scikit-learn.
    """
    counts = multilabel_confusion(truth, predicted)
    right, wrong = counts[:, 1, 1], counts[:, 0, 1] + counts[:, 1, 0]
    each = 2 * right / numpy.maximum(2 * right + wrong, 1)
    micro = 2 * right.sum() / max(2 * right.sum() + wrong.sum(), 1)
    return {"micro": float(micro), "macro": float(each.mean())}


def multilabel_report(truth, predicted, labels: Sequence[str]) -> str:
    """A table: precision, recall, F1 and number of texts of every label, then micro and macro F1."""
    counts = multilabel_confusion(truth, predicted)
    width = max(12, *map(len, labels))
    lines = [f"{'':>{width}}  precision  recall  f1-score  texts", ""]
    for label, ((_, false), (missed, right)) in zip(labels, counts.tolist(), strict=True):
        precision, recall = right / max(right + false, 1), right / max(right + missed, 1)
        f1 = 2 * right / max(2 * right + false + missed, 1)
        lines.append(
            f"{label:>{width}}  {precision:9.3f}  {recall:6.3f}  {f1:8.3f}  {right + missed:5d}"
        )
    lines.append("")
    for name, value in f1_scores(truth, predicted).items():
        lines.append(f"{name + ' F1':>{width}}  {'':9}  {'':6}  {value:8.3f}  {len(truth):5d}")
    return "\n".join(lines)
