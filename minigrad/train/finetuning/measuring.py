"""Evaluation and prediction, the part of Trainer that changes no weights."""

import time
from collections.abc import Mapping

from ...engine import no_grad
from ...random import fork_rng
from .evaluation import (
    EvalLoopOutput,
    EvalPrediction,
    PredictionOutput,
    batch_length,
    joined,
    mean_loss,
    plain_numbers,
    speed_metrics,
    to_arrays,
)
from .precision import in_float32
from .streams import kept


class Measuring:
    """evaluate() and predict(); random numbers drawn in them are not missed by training."""

    def evaluate(
        self, eval_dataset=None, ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:  # fmt: skip
        """Figures of a data set, by default eval_dataset: eval_loss, and what compute_metrics says.

        The loss is the mean over examples of batches' losses; there is none where labels are missing.
        A dict of data sets is evaluated one by one, under eval_NAME_loss and so on.
        """
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        if isinstance(dataset, Mapping):
            metrics: dict[str, float] = {}
            for name, part in dataset.items():
                metrics |= self.evaluate(part, ignore_keys, f"{metric_key_prefix}_{name}")
            return metrics
        begin = time.perf_counter()
        loader = self.get_eval_dataloader(dataset)
        output = self.evaluation_loop(
            loader, "Evaluation", True if self.compute_metrics is None else None, ignore_keys,
            metric_key_prefix,
        )  # fmt: skip
        metrics = output.metrics | speed_metrics(
            metric_key_prefix, time.perf_counter() - begin, output.num_samples, len(loader)
        )
        self.log(metrics)
        self.event("on_evaluate", metrics=metrics)
        return metrics

    def predict(
        self, test_dataset, ignore_keys: list[str] | None = None, metric_key_prefix: str = "test"
    ) -> PredictionOutput:
        """Outputs and labels of all examples as arrays, and figures where there are labels.

        Texts of different lengths are filled up with -100 on the right.
        """
        begin = time.perf_counter()
        loader = self.get_test_dataloader(test_dataset)
        output = self.evaluation_loop(loader, "Prediction", None, ignore_keys, metric_key_prefix)
        metrics = output.metrics | speed_metrics(
            metric_key_prefix, time.perf_counter() - begin, output.num_samples, len(loader)
        )
        self.event("on_predict", metrics=metrics)
        return PredictionOutput(output.predictions, output.label_ids, metrics)

    def evaluation_loop(
        self, dataloader, description: str, prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:  # fmt: skip
        """What evaluate() and predict() share; ValueError for a loader without a batch."""
        if prediction_loss_only is None:
            prediction_loss_only = self.args.prediction_loss_only
        wanted = self.args.include_for_metrics
        self.model.eval()
        self.callback_handler.context["eval_dataloader"] = dataloader
        losses, outputs, labels, seen, counts = [], [], [], [], []
        with fork_rng(), kept(self.data_collator):
            for inputs in dataloader:
                loss, output, label = self.prediction_step(
                    self.model, inputs, prediction_loss_only, ignore_keys
                )
                counts.append(batch_length(inputs))
                losses += [] if loss is None else [loss.item()]
                if output is not None and self.preprocess_logits_for_metrics is not None:
                    output = self.preprocess_logits_for_metrics(output, label)
                outputs.append(to_arrays(output))
                labels.append(to_arrays(label))
                if "inputs" in wanted:
                    seen.append(to_arrays(inputs["input_ids"]))
                self.event("on_prediction_step")
        if not counts:
            raise ValueError(f"{description}: there are no examples")
        predictions, label_ids = joined(outputs), joined(labels)
        metrics = {}
        if self.compute_metrics is not None and predictions is not None and label_ids is not None:
            asked = EvalPrediction(
                predictions,
                label_ids,
                joined(seen) if "inputs" in wanted else None,
                losses if "loss" in wanted else None,
            )
            metrics = plain_numbers(self.compute_metrics(asked))
        if losses:
            metrics[f"{metric_key_prefix}_loss"] = mean_loss(
                losses, counts, self.args.logging_nan_inf_filter
            )
        metrics = {
            name
            if name.startswith(f"{metric_key_prefix}_")
            else f"{metric_key_prefix}_{name}": value
            for name, value in metrics.items()
        }
        return EvalLoopOutput(predictions, label_ids, metrics, sum(counts))

    def prediction_step(
        self, model, inputs, prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ):
        """(loss, outputs, labels) of one batch, each None where there is none or none is wanted.

        Outputs: everything the model gives but the loss, a tuple if it is several.
        """
        inputs = self.prepare_inputs(inputs)
        names = self.label_names
        has_labels = bool(names) and all(inputs.get(name) is not None for name in names)
        labels = tuple(inputs[name] for name in names) if has_labels else None
        loss = None
        with no_grad(), self.autocast_smart_context_manager():
            if has_labels:
                loss, outputs = self.compute_loss(
                    model, dict(inputs), return_outputs=True,
                    num_items_in_batch=self.count_items([inputs]),
                )  # fmt: skip
            else:
                outputs = model(**inputs)
        if prediction_loss_only:
            return loss, None, None
        if isinstance(outputs, Mapping):
            left_out = {"loss", *(ignore_keys or ())}
            found = tuple(value for name, value in outputs.items() if name not in left_out)
        elif isinstance(outputs, (tuple, list)):
            found = tuple(outputs[1:] if self.first_is_loss(inputs) else outputs)
        else:
            found = (outputs,)
        single = lambda parts: parts[0] if parts is not None and len(parts) == 1 else parts
        return loss, single(in_float32(found)), single(labels)
