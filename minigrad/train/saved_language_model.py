"""A trained language model with its vocabulary, as a folder of three files, and what it writes."""

import json
import math
from dataclasses import asdict
from pathlib import Path

from ..files import atomic, read_json_object
from ..generator import Generator
from ..models.language_model import RecurrentLM
from ..serialization import load_safetensors, save_safetensors
from ..text.language import EOS, ids_of, tokens_of
from ..text.vocab import Vocab
from .devices import device_of
from .language_loss import evaluate_language_model
from .language_settings import LanguageModelSettings


def stored_settings(folder) -> dict:
    """What settings.json in a language model's folder says, its "kind" among it.

    Raises FileNotFoundError for a folder that lacks a file, ValueError for one of something else.
    """
    folder = Path(folder)
    for name in ("settings.json", "vocab.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} holds no language model: {name} is missing")
    path = folder / "settings.json"
    stored = read_json_object(path)
    if "kind" not in stored:
        raise ValueError(f"{path}: it describes no language model")
    return stored


class LanguageModel:
    """A trained model with its vocabulary: `language_model.generate("ROMEO:", 200)` is a text."""

    kind = "language model"  # what settings.json calls it
    settings_type: type = LanguageModelSettings

    def __init__(self, settings, vocab: Vocab, level: str, model=None):
        tokens_of("", level)  # raises where there is no such level
        self.settings = settings
        self.vocab = vocab
        self.level = level
        self.model = model or self.build()

    def build(self):
        """A model with new weights."""
        settings = self.settings
        return RecurrentLM(
            len(self.vocab),
            settings.embed_dim,
            settings.hidden_size,
            settings.num_layers,
            settings.dropout,
            settings.cell,
            settings.tie_weights,
            settings.init_range,
        )

    def encode(self, text: str):
        """The ids of a prompt, (P,); an empty one is the end of a line.

        Raises ValueError for words or characters that the vocabulary lacks.
        """
        tokens = list(text) if self.level == "character" else text.replace("\n", f" {EOS} ").split()
        end = "\n" if self.level == "character" else EOS
        tokens = tokens or [end]
        unknown = [token for token in dict.fromkeys(tokens) if token not in self.vocab]
        if unknown:
            remedy = "; write <unk> in their place" if "<unk>" in self.vocab else ""
            raise ValueError(
                f"the prompt has {self.level}s that the model does not know: "
                f"{', '.join(map(repr, unknown))}{remedy}"
            )
        return ids_of(tokens, self.vocab)

    def decode(self, ids) -> str:
        """The text of ids: characters joined, words with spaces, <eos> as the end of a line."""
        tokens = self.vocab.lookup_tokens(ids.tolist())
        if self.level == "character":
            return "".join(tokens)
        return " ".join("\n" if token == EOS else token for token in tokens).replace(" \n ", "\n")

    def generate(
        self, prompt: str = "", length: int = 100, seed: int | None = None, **options
    ) -> str:
        """`length` words or characters to follow the prompt; options are those of the model's generate.

        The same seed gives the same text, and the stream of random numbers is not touched; without a
        seed the text is drawn from it.
        """
        generator = None if seed is None else Generator().manual_seed(seed)
        ids = self.encode(prompt).to(device_of(self.model))
        ids = self.next_ids(ids, length, generator=generator, **options)
        return self.decode(ids)

    def next_ids(self, ids, length: int, **options):
        """`length` ids to follow ids (P,); options are those of the model's generate."""
        return self.model.generate(ids, length, **options)[0]

    def perplexity(self, ids) -> float:
        """exp of the mean loss over a text's ids (N,), read as one column."""
        return math.exp(evaluate_language_model(self.model, ids))

    def save(self, folder) -> None:
        """Write model.safetensors, vocab.json and settings.json into a folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_safetensors(self.model.state_dict(), folder / "model.safetensors")
        self.vocab.save(folder / "vocab.json")
        stored = {"kind": self.kind, "level": self.level, "settings": asdict(self.settings)}
        with atomic(folder / "settings.json", "w") as file:
            json.dump(stored, file, indent=1)

    @classmethod
    def load(cls, folder) -> "LanguageModel":
        """Read what `save` wrote."""
        folder = Path(folder)
        stored = stored_settings(folder)
        path = folder / "settings.json"
        try:
            if stored["kind"] != cls.kind:
                raise ValueError(f"it describes a {stored['kind']!r}, not a {cls.kind!r}")
            settings, level = cls.settings_type(**stored["settings"]), stored["level"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: {error}") from error
        found = cls(settings, Vocab.load(folder / "vocab.json"), level)
        found.model.load_state_dict(load_safetensors(folder / "model.safetensors"))
        found.model.eval()
        return found
