"""Feature extraction: the last layer's state of every token."""

from ..models.auto import AutoModel
from .base import Pipeline, Row


class FeatureExtractionPipeline(Pipeline):
    """`pipe("a text")` -> nested lists (1, T, H); special tokens included, padding not.

    return_tensors: tensors (1, T, H) in place of lists. truncation, tokenize_kwargs: for the tokenizer.
    Of a model with a head, the model without it is taken.
    """

    task = "feature-extraction"
    auto = AutoModel

    def __init__(self, model, *arguments, **options):
        super().__init__(getattr(model, "base_model", model), *arguments, **options)

    def settle(
        self, *, truncation=None, tokenize_kwargs: dict | None = None, return_tensors: bool = False
    ) -> dict:
        """{"tokenizer": its options, "tensors": whether tensors are asked for}."""
        tokenizer = dict(tokenize_kwargs or {})
        if truncation is not None:
            if "truncation" in tokenizer:
                raise ValueError(
                    "feature-extraction: truncation is given twice, as an option and in tokenize_kwargs"
                )
            tokenizer["truncation"] = truncation
        return {"tokenizer": tokenizer, "tensors": bool(return_tensors)}

    def rows(self, text, options):
        """A text, whole."""
        encoded = self.encode(self.check_text(text), **options["tokenizer"])
        return [Row(self.model_inputs(encoded))]

    def read(self, output, rows, options):
        """The states (T, H) of every row, without its padding."""
        states = output.last_hidden_state
        return [
            state[: len(row.inputs["input_ids"])] for row, state in zip(rows, states, strict=True)
        ]

    def result(self, text, rows, outputs, options):
        """The states (1, T, H)."""
        states = outputs[0].unsqueeze(0)
        return states if options["tensors"] else states.tolist()
