"""Text classification ("sentiment-analysis"): a text's class and how likely it is."""

import minigrad.nn.functional as F

from ..models.auto import AutoModelForSequenceClassification
from .base import Pipeline, Row, at_least_one

FUNCTIONS = {
    "sigmoid": lambda logits: logits.sigmoid(),
    "softmax": lambda logits: F.softmax(logits, dim=-1),
    "none": lambda logits: logits,
}


class TextClassificationPipeline(Pipeline):
    """`pipe("a text")` -> [{"label": "POSITIVE", "score": 0.98}].

    A text may be {"text": ..., "text_pair": ...}; a dictionary alone gives a dictionary.
    top_k: that many labels for a text, the likeliest first; None for all. Without it, only the best.
    function_to_apply: "softmax", "sigmoid" or "none"; by default none for regression, sigmoid for
    several labels at once or a single output, else softmax.
    Other options are the tokenizer's: truncation=True cuts texts to what the model takes.
    """

    task = "text-classification"
    auto = AutoModelForSequenceClassification

    def settle(self, *, function_to_apply: str | None = None, **options) -> dict:
        """{"function": its name, "top_k" where it was given, "tokenizer": the other options}."""
        config = self.model.config
        name = "default" if function_to_apply is None else function_to_apply.lower()
        if name == "default":
            if config.problem_type == "regression":
                name = "none"
            elif config.problem_type == "multi_label_classification" or config.num_labels == 1:
                name = "sigmoid"
            else:
                name = "softmax"
        if name not in FUNCTIONS:
            raise ValueError(
                f"function_to_apply: there is no {function_to_apply!r}; there are: "
                f"{', '.join(FUNCTIONS)}"
            )
        settled = {"function": name}
        if "top_k" in options:
            settled["top_k"] = options.pop("top_k")
            if settled["top_k"] is not None:
                at_least_one("top_k", settled["top_k"])
        return settled | {"tokenizer": options}

    def __call__(self, inputs, **options):
        """Dictionaries with label and score: a list of them for texts; for one text a list of one."""
        result = super().__call__(inputs, **options)
        return [result] if isinstance(inputs, str) and "top_k" not in options else result

    def rows(self, text, options):
        """A text or pair, whole."""
        pair = None
        if isinstance(text, dict):
            unknown = text.keys() - {"text", "text_pair"}
            if unknown or "text" not in text:
                raise ValueError(
                    'text-classification: a dictionary has "text" and, for a pair, "text_pair"; got '
                    f"{', '.join(map(repr, text)) or 'none'}"
                )
            text, pair = text["text"], text.get("text_pair")
        self.check_text(text)
        if pair is not None:
            self.check_text(pair, "text_pair")
        return [Row(self.model_inputs(self.encode(text, pair, **options["tokenizer"])))]

    def result(self, text, rows, outputs, options):
        """The best label, or, with top_k, a list of labels."""
        scores = FUNCTIONS[options["function"]](outputs[0]).tolist()
        names = self.model.config.id2label
        ranked = sorted(
            ({"label": names[i], "score": score} for i, score in enumerate(scores)),
            key=lambda found: -found["score"],
        )
        return ranked[: options["top_k"]] if "top_k" in options else ranked[0]
