"""Seq2SeqTrainer: a Trainer whose evaluation may write whole texts, and count figures of these."""

from dataclasses import dataclass
from typing import Any

from ...engine import no_grad
from .arguments import TrainingArguments, refuses_unknown
from .trainer import Trainer


@refuses_unknown
@dataclass
class Seq2SeqTrainingArguments(TrainingArguments):
    """TrainingArguments, and:

    predict_with_generate   evaluate() and predict() give compute_metrics generated ids, not logits
    generation_max_length, generation_num_beams   of generate; the model's own where not given
    generation_config       a GenerationConfig in place of the model's own
    """

    predict_with_generate: bool = False
    generation_max_length: int | None = None
    generation_num_beams: int | None = None
    generation_config: Any = None


class Seq2SeqTrainer(Trainer):
    """As Trainer; with predict_with_generate, predictions are the texts that the model writes.

        trainer.evaluate(num_beams=4, max_new_tokens=20)

    Further options of evaluate and predict are those of model.generate; max_length and num_beams come
    from the arguments where they are not among them. Predictions are ids (examples, longest text),
    shorter ones filled up by the padding token or by -100; the loss is that of the labels, as ever.
    """

    generate_options: dict = {}

    def evaluate(
        self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval", **generate_options
    ):
        """As Trainer.evaluate, with options of generate."""
        self.generate_options = generate_options
        return super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)

    def predict(self, test_dataset, ignore_keys=None, metric_key_prefix="test", **generate_options):
        """As Trainer.predict, with options of generate."""
        self.generate_options = generate_options
        return super().predict(test_dataset, ignore_keys, metric_key_prefix)

    def options(self) -> dict:
        """What generate is called with, besides the inputs."""
        found = dict(self.generate_options)
        if "max_length" not in found and "max_new_tokens" not in found:
            found["max_length"] = self.args.generation_max_length
        found.setdefault("num_beams", self.args.generation_num_beams)
        found.setdefault("generation_config", self.args.generation_config)
        return {name: value for name, value in found.items() if value is not None}

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
        """(loss, generated ids, labels) of one batch, or as Trainer's without predict_with_generate."""
        writes = self.args.predict_with_generate and not prediction_loss_only
        loss, outputs, labels = super().prediction_step(
            model, inputs, prediction_loss_only or writes, ignore_keys
        )
        if not writes:
            return loss, outputs, labels
        inputs = self.prepare_inputs(inputs)
        given = {n: inputs[n] for n in ("input_ids", "attention_mask") if n in inputs}
        with no_grad():
            return loss, model.generate(**given, **self.options()), inputs.get("labels")
