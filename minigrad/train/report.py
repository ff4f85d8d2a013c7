"""What a classifier gets right: confusion matrix, precision, recall and F1 of every class."""

from collections.abc import Sequence

import numpy


def confusion_matrix(truth: Sequence[int], predicted: Sequence[int], classes: int) -> numpy.ndarray:
    """counts[i, j]: how many examples of class i were taken for class j."""
    truth, predicted = numpy.asarray(truth, int), numpy.asarray(predicted, int)
    if truth.shape != predicted.shape:
        raise ValueError(
            f"confusion_matrix: {truth.size} true labels but {predicted.size} predictions"
        )
    counts = numpy.zeros((classes, classes), int)
    numpy.add.at(counts, (truth, predicted), 1)
    return counts


def classification_report(
    truth: Sequence[int], predicted: Sequence[int], labels: Sequence[str]
) -> str:
    """A table: precision, recall, F1 and number of examples of every class, accuracy and means."""
    counts = confusion_matrix(truth, predicted, len(labels))
    right = counts.diagonal()
    with numpy.errstate(invalid="ignore", divide="ignore"):
        precision = numpy.nan_to_num(right / counts.sum(0))
        recall = numpy.nan_to_num(right / counts.sum(1))
        f1 = numpy.nan_to_num(2 * precision * recall / (precision + recall))
    support = counts.sum(1)
    total = max(support.sum(), 1)
    width = max(12, *map(len, labels))
    lines = [f"{'':>{width}}  precision  recall  f1-score  examples", ""]
    row = "{:>{w}}  {:9.3f}  {:6.3f}  {:8.3f}  {:8d}".format
    for i, label in enumerate(labels):
        lines.append(row(label, precision[i], recall[i], f1[i], support[i], w=width))
    lines.append("")
    lines.append(f"{'accuracy':>{width}}  {'':9}  {'':6}  {right.sum() / total:8.3f}  {total:8d}")
    means = [(numpy.mean, "mean"), (lambda v: (v * support).sum() / total, "weighted")]
    for mean, name in means:
        lines.append(row(name, mean(precision), mean(recall), mean(f1), total, w=width))
    return "\n".join(lines)
