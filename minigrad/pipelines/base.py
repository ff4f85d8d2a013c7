"""Pipeline: what all tasks share. Texts to a model's inputs, batches, a model's outputs to results."""

import warnings
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import minigrad as torch

from ..models.auto import AutoModel
from ..pretrained import AutoTokenizer, PreTrainedModel

# heads whose weights have the same names, so that only config.json tells which one a folder has
ALIKE = ("ForSequenceClassification", "ForTokenClassification", "ForMultipleChoice")


class Row(NamedTuple):
    """One input of the model: its lists of numbers by name, and what the task remembers of it."""

    inputs: dict[str, list[int]]
    about: Any = None


class Pipeline:
    """A task on texts: `pipe(text)` is a result, `pipe([text, text])` a list of results.

    model: a folder or a model; tokenizer: a tokenizer or a folder, by default the model's folder.
    batch_size: how many inputs go through the model at a time, those of similar length together.
    device, dtype: where the model goes to, and what its parameters become. config, model_kwargs: for
    from_pretrained, where the model is a folder. options: the task's, and may be given, or changed,
    in every call.

    The model is in evaluation mode during a call, and as before after it; no graph is recorded.
    Raises ValueError for a model without the task's head, for empty texts, for texts longer than the
    model takes; TypeError for what is no text, and for options that the task doesn't have.
    """

    task = ""
    auto: type = AutoModel

    def __init__(
        self, model, tokenizer=None, *, config=None, device=None, dtype=None, batch_size: int = 1,
        model_kwargs: dict | None = None, **options,
    ):  # fmt: skip
        if isinstance(model, (str, Path)):
            tokenizer = model if tokenizer is None else tokenizer
            model = self.load(model, config, **(model_kwargs or {}))
        else:
            self.check_model(model)
            if config is not None or model_kwargs:
                raise TypeError(
                    f"{self.task}: config and model_kwargs are for reading a folder; the model given "
                    "has its configuration"
                )
            if tokenizer is None:
                raise ValueError(
                    f"{self.task}: with a model given, pass its tokenizer= too (a tokenizer, or the "
                    "folder that has one)"
                )
        if isinstance(tokenizer, (str, Path)):
            tokenizer = AutoTokenizer.from_pretrained(tokenizer)
        self.model, self.tokenizer = model, tokenizer
        self.batch_size = at_least_one("batch_size", batch_size)
        limits = (tokenizer.model_max_length, model.longest_input())
        limits = [limit for limit in limits if limit is not None and limit < 1e20]
        self.max_length: int | None = min(limits, default=None)
        self.settle(**options)
        self.options = options
        if dtype is not None and dtype != "auto":
            model.to(getattr(torch, dtype) if isinstance(dtype, str) else dtype)
        if device is not None:
            model.to(device)

    # -- the model ---------------------------------------------------------------------------------

    def load(self, folder, config=None, **options) -> PreTrainedModel:
        """The task's model of a folder; ValueError where the folder has no such head."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".* start anew")  # told below, as an error
            model, info = self.auto.from_pretrained(
                folder, config, output_loading_info=True, **options
            )
        missing, classes = info["missing_keys"], model.config.architectures or []
        has = ", ".join(classes or ["model of another kind"])
        others = [name for name in classes if name.endswith(ALIKE)]
        if self.auto.endings[0] in ALIKE and any(
            not name.endswith(self.auto.endings) for name in others
        ):
            raise ValueError(
                f"{self.task}: {folder} holds a {has}, whose head is for another task than a "
                f"{type(model).__name__}'s"
            )
        if missing and self.auto is not AutoModel:  # without a head, only a pooler can be missing
            raise ValueError(
                f"{self.task}: {folder} holds a {has}, without the {len(missing)} weights of a "
                f"{type(model).__name__}'s head ({', '.join(missing[:2])} ...): fine-tune one first"
            )
        return model

    def check_model(self, model) -> None:
        """TypeError for what is no model, ValueError for one with another head."""
        if not isinstance(model, PreTrainedModel):
            raise TypeError(
                f"{self.task}: model is a folder or a PreTrainedModel, not a {type(model).__name__}"
            )
        endings = self.auto.endings
        if self.auto is not AutoModel and not any(
            kind.__name__.endswith(endings) for kind in type(model).__mro__
        ):
            raise ValueError(
                f"{self.task} needs a model whose class ends with {' or '.join(endings)}, not a "
                f"{type(model).__name__}"
            )

    # -- what a task defines -----------------------------------------------------------------------

    def settle(self, **options) -> dict:
        """The task's options, checked, with its defaults."""
        raise NotImplementedError

    def rows(self, text, options: dict) -> list[Row]:
        """The model's inputs for one text."""
        raise NotImplementedError

    def read(self, output, rows: list[Row], options: dict) -> list:
        """What is kept of the model's output for every row of a batch: here its logits."""
        return list(output.logits.float())

    def result(self, text, rows: list[Row], outputs: list, options: dict):
        """The result for one text, of its rows and what was kept of their outputs."""
        raise NotImplementedError

    # -- a call ------------------------------------------------------------------------------------

    def __call__(self, inputs, *, batch_size: int | None = None, **options):
        """The result for a text, or the results for a list of texts."""
        several = isinstance(inputs, (list, tuple))
        texts = list(inputs) if several else [inputs]
        results = self.run(texts, self.settle(**(self.options | options)), batch_size)
        return results if several else results[0]

    def run(self, texts: list, options: dict, batch_size: int | None = None) -> list:
        """The results for texts; `options` have been settled."""
        size = self.batch_size if batch_size is None else at_least_one("batch_size", batch_size)
        groups = [self.rows(text, options) for text in texts]
        outputs = iter(self.outputs([row for group in groups for row in group], size, options))
        return [
            self.result(text, group, [next(outputs) for _ in group], options)
            for text, group in zip(texts, groups, strict=True)
        ]

    def outputs(self, rows: list[Row], batch_size: int, options: dict) -> list:
        """What `read` keeps of every row's output, in their order."""
        order = sorted(range(len(rows)), key=lambda i: -len(rows[i].inputs["input_ids"]))
        found = [None] * len(rows)
        modes = [(module, module.training) for module in self.model.modules()]
        self.model.eval()
        try:
            with torch.inference_mode():
                for begin in range(0, len(order), batch_size):
                    places = order[begin : begin + batch_size]
                    chosen = [rows[place] for place in places]
                    output = self.model(**self.batch(chosen), return_dict=True)
                    for place, kept in zip(places, self.read(output, chosen, options), strict=True):
                        found[place] = kept
        finally:
            for module, training in modes:
                module.training = training
        return found

    def batch(self, rows: list[Row]) -> dict:
        """The rows as tensors (B, T), the shorter ones padded behind."""
        lists = {name: [row.inputs[name] for row in rows] for name in rows[0].inputs}
        if len({len(ids) for ids in lists["input_ids"]}) > 1:
            lists = self.tokenizer.pad(lists, padding_side="right")
        return {name: torch.tensor(v, device=self.model.device) for name, v in lists.items()}

    # -- texts -------------------------------------------------------------------------------------

    def encode(self, text, pair=None, **options):
        """The tokenizer's encoding of a text or pair; truncation is to what the model takes."""
        if options.get("truncation") and self.max_length is not None:
            options.setdefault("max_length", self.max_length)
        return self.tokenizer(text, pair, verbose=False, **options)

    def model_inputs(self, encoded, row: int | None = None) -> dict[str, list[int]]:
        """The lists of an encoding that the model takes; `row`: of an encoding of several rows."""
        names = [name for name in self.tokenizer.model_input_names if name in encoded]
        return {name: encoded[name] if row is None else encoded[name][row] for name in names}

    def check_text(self, text, what: str = "text") -> str:
        """The text; TypeError for what is no string, ValueError for one without a character."""
        if not isinstance(text, str):
            raise TypeError(
                f"{self.task}: the {what} is a string, not a {type(text).__name__}: {text!r:.60}"
            )
        if not text.strip():
            raise ValueError(f"{self.task}: the {what} is empty ({text!r:.60})")
        return text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type(self.model).__name__}, batch_size={self.batch_size})"


def at_least_one(name: str, value) -> int:
    """The value; ValueError where it is no whole number of 1 or more."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} is a whole number of 1 or more, not {value!r}")
    return value
