"""Zero-shot classification: a label fits a text where the text entails "This example is {label}."

Yin, Hay and Roth 2019, "Benchmarking Zero-shot Text Classification" (EMNLP). The model is one of
natural language inference: of a premise and a hypothesis it says contradiction, neutral, entailment.
"""

import warnings

import minigrad as torch
import minigrad.nn.functional as F

from ..models.auto import AutoModelForSequenceClassification
from .base import Pipeline, Row


class ZeroShotClassificationPipeline(Pipeline):
    """`pipe("a text", candidate_labels=["sports", "politics"])` -> sequence, labels, scores.

    candidate_labels: a list, or a string with commas. hypothesis_template: has {} for the label.
    multi_label False: scores are softmax over the labels' entailment logits; True (and for a single
    label): for every label softmax over contradiction and entailment. Labels come best first.
    The text is cut where text and hypothesis are longer than the model takes.
    """

    task = "zero-shot-classification"
    auto = AutoModelForSequenceClassification

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        if self.model.config.num_labels < 2:
            raise ValueError(
                "zero-shot-classification needs a model of natural language inference, which tells "
                f"entailment from contradiction; this one has {self.model.config.num_labels} label"
            )
        if self.entailment_id == -1:
            warnings.warn(
                "no label of the model begins with 'entail' (it has "
                f"{', '.join(map(str, self.model.config.label2id))}); the last one is taken: name the "
                "labels in the configuration's label2id",
                stacklevel=2,
            )

    @property
    def entailment_id(self) -> int:
        """The number of the label that begins with "entail", -1 where there is none."""
        for label, number in self.model.config.label2id.items():
            if str(label).lower().startswith("entail"):
                return number
        return -1

    def settle(
        self, *, candidate_labels=None, hypothesis_template: str = "This example is {}.",
        multi_label: bool = False,
    ) -> dict:  # fmt: skip
        """{"labels", "template", "multi_label"}."""
        if isinstance(candidate_labels, str):
            candidate_labels = [part.strip() for part in candidate_labels.split(",")]
            candidate_labels = [label for label in candidate_labels if label]
        labels = None if candidate_labels is None else list(candidate_labels)
        for label in labels or ():
            self.check_text(label, "label")
        if hypothesis_template.format("label") == hypothesis_template:
            raise ValueError(
                f"hypothesis_template {hypothesis_template!r} has no {{}} where the label would go"
            )
        return {"labels": labels, "template": hypothesis_template, "multi_label": multi_label}

    def __call__(self, sequences, *arguments, **options):
        """A dictionary for a text, a list of them for texts; the labels may come second, unnamed."""
        if len(arguments) > 1 or (arguments and "candidate_labels" in options):
            raise TypeError("zero-shot-classification takes texts, then candidate_labels, once")
        if arguments:
            options["candidate_labels"] = arguments[0]
        return super().__call__(sequences, **options)

    def rows(self, text, options):
        """The text as premise, with every label's hypothesis."""
        self.check_text(text)
        if not options["labels"]:
            raise ValueError(
                "zero-shot-classification: candidate_labels has no label; pass a list, or a string "
                "with commas"
            )
        hypotheses = [options["template"].format(label) for label in options["labels"]]
        return [
            Row(self.model_inputs(self.encode(text, hypothesis, truncation="only_first")))
            for hypothesis in hypotheses
        ]

    def result(self, text, rows, outputs, options):
        """{"sequence", "labels", "scores"}, labels and scores from the likeliest on."""
        logits = torch.stack(outputs)  # (labels, classes)
        labels, entailment = options["labels"], self.entailment_id
        if options["multi_label"] or len(labels) == 1:
            contradiction = -1 if entailment == 0 else 0
            both = torch.stack([logits[:, contradiction], logits[:, entailment]], dim=1)
            scores = F.softmax(both, dim=-1)[:, 1].tolist()
        else:
            scores = F.softmax(logits[:, entailment], dim=0).tolist()
        order = sorted(range(len(labels)), key=lambda i: -scores[i])
        return {
            "sequence": text,
            "labels": [labels[i] for i in order],
            "scores": [scores[i] for i in order],
        }
