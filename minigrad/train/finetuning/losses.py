"""The loss of a batch, and how batches of one update are weighed: the part of Trainer to override."""

from collections.abc import Mapping

from ...nn import functional as F
from ...pretrained import PreTrainedModel
from ...tensor import Tensor


class Losses:
    """compute_loss(), and the number of labels that a mean is over."""

    # Set it where compute_loss is overridden: True if it divides by num_items_in_batch itself.
    loss_is_scaled_for_ga: bool | None = None

    def compute_loss(
        self, model, inputs: dict, return_outputs: bool = False, num_items_in_batch=None
    ):
        """The loss of a batch, and with return_outputs (loss, outputs); to be overridden.

        The model's own; with label smoothing cross-entropy of its logits; or compute_loss_func's.
        Raises ValueError where the model gives no loss.
        """
        smoothing = self.args.label_smoothing_factor
        labels = None
        if self.compute_loss_func is not None or smoothing:
            inputs = dict(inputs)
            labels = inputs.pop("labels", None)
        outputs = model(**inputs)
        if self.compute_loss_func is not None:
            loss = self.compute_loss_func(outputs, labels, num_items_in_batch=num_items_in_batch)
        elif smoothing:
            loss = self._smoothed_loss(outputs, labels, smoothing)
        elif isinstance(outputs, Mapping):
            if outputs.get("loss") is None:
                raise ValueError(
                    f"{type(model).__name__} gave no loss of {', '.join(inputs)}, only "
                    f"{', '.join(outputs)}: are there labels in the data set, and are they called "
                    f"{' and '.join(self.label_names) or 'as the model calls them'}?"
                )
            loss = outputs["loss"]
        else:
            loss = outputs[0] if isinstance(outputs, (tuple, list)) else outputs
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            shape = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise ValueError(f"Trainer: a loss is one number, not {shape}: {type(model).__name__}")
        return (loss, outputs) if return_outputs else loss

    @staticmethod
    def _smoothed_loss(outputs, labels, smoothing: float) -> Tensor:
        """Cross-entropy with the label's share 1 - e + e / C (Szegedy et al. 2016); -100 is no label."""
        if labels is None or labels.is_floating_point():
            raise ValueError(
                "label_smoothing_factor needs whole numbers as `labels`; this batch has "
                + ("none" if labels is None else f"labels of dtype {labels.dtype}")
            )
        logits = outputs["logits"] if isinstance(outputs, Mapping) else outputs[0]
        return F.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), label_smoothing=smoothing
        )

    def first_is_loss(self, inputs) -> bool:
        """Whether a tuple that the model gives for these inputs begins with its loss."""
        hidden = self.compute_loss_func is not None or self.args.label_smoothing_factor
        names = self.label_names
        return not hidden and bool(names) and all(inputs.get(name) is not None for name in names)

    def count_items(self, batches: list) -> int | None:
        """Labels in batches, those of -100 not counted; None where `labels` is missing in one."""
        labels = [x.get("labels") if isinstance(x, Mapping) else None for x in batches]
        if any(not isinstance(label, Tensor) for label in labels):
            return None
        return sum(int((label != -100).sum()) for label in labels)

    def means_over_labels(self) -> bool:
        """Whether a batch's loss is the mean over its labels, and weighs by their number."""
        known = isinstance(self.model, PreTrainedModel) or bool(self.args.label_smoothing_factor)
        return known and self.label_names == ["labels"]
