"""Configurations: the sizes and options of a published model, as its config.json has them."""

import copy
import json
from pathlib import Path

from ..files import atomic, read_json_object
from .gguf_files import gguf_path, read_gguf_config

FILE = "config.json"


class PretrainedConfig:
    """A record of named values; a subclass gives a family's names and defaults as class attributes.

    Values of other names are kept too, and written back. `num_labels` is the number of `id2label`.
    attribute_map: {a usual name: the family's name for the same value}.
    """

    model_type = ""
    attribute_map = {}  # no annotation: it is no value of the configuration

    # what every family has
    num_labels: int = 2
    id2label: dict | None = None
    label2id: dict | None = None
    problem_type: str | None = None
    output_hidden_states: bool = False
    output_attentions: bool = False
    return_dict: bool = True
    tie_word_embeddings: bool = True
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | None = None
    architectures: list | None = None

    def __init__(self, **values):
        for name in self._names():
            setattr(self, name, copy.deepcopy(getattr(type(self), name)))
        labels, names = values.pop("num_labels", None), values.pop("id2label", None)
        for name, value in values.items():
            if name != "model_type":
                setattr(self, name, value)
        if names is not None:
            names = {int(number): label for number, label in names.items()}
            if labels is not None and labels != len(names):
                names = None  # another number of classes than those with names
        self._name_labels(names, labels)

    def __setattr__(self, name, value):
        super().__setattr__(self.attribute_map.get(name, name), value)

    def __getattr__(self, name):
        own = type(self).attribute_map.get(name)
        if own is None:
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        return getattr(self, own)

    @classmethod
    def _names(cls) -> list[str]:
        """The names that the family and its bases declare."""
        declared = {}
        for base in reversed(cls.__mro__):
            declared |= dict.fromkeys(base.__dict__.get("__annotations__", ()))
        return list(declared)

    def _name_labels(self, names, count):
        if names is None:
            names = {
                i: f"LABEL_{i}" for i in range(type(self).num_labels if count is None else count)
            }
            self.label2id = None
        self.id2label = names
        if self.label2id is None:
            self.label2id = {label: number for number, label in names.items()}
        self.num_labels = len(names)

    def check(self) -> None:
        """ValueError where values contradict each other; a family has more to say."""
        heads, width = getattr(self, "num_attention_heads", 1), getattr(self, "hidden_size", 1)
        if width % heads:
            name = self.attribute_map.get("hidden_size", "hidden_size")
            raise ValueError(
                f"{type(self).__name__}: {name} {width} cannot be cut into {heads} heads of one size"
            )

    def to_dict(self) -> dict:
        """Everything but num_labels, which id2label tells."""
        values = {name: value for name, value in vars(self).items() if name != "num_labels"}
        return copy.deepcopy(values) | {"model_type": self.model_type}

    def to_json_string(self) -> str:
        """The values as JSON, by name."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True, default=str) + "\n"

    def save_pretrained(self, folder) -> None:
        """Write config.json into a folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with atomic(folder / FILE, "w") as file:
            file.write(self.to_json_string())

    @classmethod
    def from_dict(cls, values: dict, **changes) -> "PretrainedConfig":
        """The configuration with these values, some changed."""
        return cls(**(dict(values) | changes))

    @classmethod
    def from_pretrained(
        cls, folder, *, gguf_file: str | None = None, **changes
    ) -> "PretrainedConfig":
        """Read config.json of a folder, or a GGUF file's metadata; changes replace what it says.

        Raises FileNotFoundError without one, ValueError for one that is no JSON or of another family.
        """
        values = read_config(folder, gguf_file)
        kind = values.get("model_type", cls.model_type)
        if cls.model_type and kind != cls.model_type:
            raise ValueError(
                f"{Path(folder) / (gguf_file or FILE)} is of a {kind} model, not {cls.model_type}: load "
                "it with AutoConfig or AutoModel, or with that family's classes"
            )
        return cls.from_dict(values, **changes)

    def __eq__(self, other) -> bool:
        return type(self) is type(other) and self.to_dict() == other.to_dict()

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.to_json_string()}"


def read_config(folder, gguf_file: str | None = None) -> dict:
    """What config.json in a folder says, or a GGUF file there."""
    if gguf_file is not None:
        return read_gguf_config(gguf_path(folder, gguf_file))
    path = Path(folder) / FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no {path}: from_pretrained reads a local folder, with {FILE} and the weights"
        )
    return read_json_object(path)
