"""A tagger as one thing: vocabularies, tags and model; trained, measured, saved, used.

result = train_tagger(data.train, data.valid, data.test, TaggerSettings(entities=True))
result.tagger.predict([["Peter", "Blackburn", "spoke", "in", "Brussels"]])
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ...engine import no_grad
from ...extra import need
from ...models.tagger import BiLSTMCRF, BiLSTMTagger
from ...serialization import load_safetensors, save_safetensors
from ...text.conll import Sentence, iob2_to_iobes, iobes_to_iob2
from ...text.vocab import Vocab
from ..devices import brought_to
from .batches import CAPITALS, TagBatches, WordEncoder, checked

MODELS: dict[str, Callable] = {"bilstm": BiLSTMTagger, "bilstm-crf": BiLSTMCRF}
FILE = "tagger.safetensors"
FORMAT = "minigrad-tagger-1"


@dataclass
class TaggerSettings:
    """How a tagger is built and trained.

    entities: tags are IOB2 marks of entities; the model learns them as IOBES and is measured by the
    entities' F1. Otherwise each tag stands for itself, and the measure is accuracy.
    lower, digits: words in lower case, each digit a 0 (letters keep their case).
    singletons: how often a word that occurred once is made <unk> in training.
    decay: epoch e runs at learning_rate / (1 + decay (e - 1)).
    """

    model: str = "bilstm-crf"
    entities: bool = True
    embed_dim: int = 100
    hidden_size: int = 100
    num_layers: int = 1
    dropout: float = 0.5
    characters: str | None = "cnn"
    char_dim: int = 30
    char_features: int = 30
    max_chars: int = 25
    caps: bool = True
    lower: bool = True
    digits: bool = True
    min_freq: int = 1
    singletons: float = 0.5
    optimizer: str = "adam"
    learning_rate: float = 2e-3
    decay: float = 0.05
    clip_norm: float = 5.0
    batch_size: int = 32
    epochs: int = 20
    patience: int = 5
    seed: int = 0


class Tagger:
    """A trained model with all it takes to tag a sentence: `tagger.predict([["a", "fine", "film"]])`.

    tags: what the model tells apart, in the order of its outputs (IOBES tags for entities).
    """

    def __init__(self, settings: TaggerSettings, encoder: WordEncoder, tags: Vocab, vectors=None):
        if settings.model not in MODELS:
            raise ValueError(
                f"there is no tagger called {settings.model!r}; there are: {', '.join(MODELS)}"
            )
        self.settings = settings
        self.encoder = encoder
        self.tags = tags
        self.model = MODELS[settings.model](
            len(encoder.words),
            len(tags),
            embed_dim=settings.embed_dim,
            hidden_size=settings.hidden_size,
            num_layers=settings.num_layers,
            dropout=settings.dropout,
            characters=settings.characters,
            num_chars=len(encoder.chars),
            char_dim=settings.char_dim,
            char_features=settings.char_features,
            num_caps=CAPITALS if settings.caps else 0,
            embeddings=vectors,
        )

    def tag_ids(self, tags: Sequence[str]) -> list[int]:
        """The numbers of a sentence's tags; ValueError for one that the tagger doesn't know."""
        found = iob2_to_iobes(tags) if self.settings.entities else tags
        unknown = [tag for tag in found if tag not in self.tags]
        if unknown:
            raise ValueError(
                f"the tag {unknown[0]!r} is none of the tagger's {len(self.tags)}: "
                f"{', '.join(self.tags.itos)}"
            )
        return self.tags(found)

    def tag_names(self, ids: Sequence[int]) -> list[str]:
        """The tags of a model's outputs, entities in IOB2."""
        found = self.tags.lookup_tokens(ids)
        return iobes_to_iob2(found) if self.settings.entities else found

    def batches(self, sentences: Sequence[Sentence], **options) -> TagBatches:
        """Batches of tagged sentences; options as of TagBatches."""
        words = [words for words, _ in sentences]
        checked(words)
        for number, (row, tags) in enumerate(sentences):
            if len(row) != len(tags):
                raise ValueError(f"sentence {number} has {len(row)} words but {len(tags)} tags")
        return TagBatches(
            self.encoder, words, [self.tag_ids(tags) for _, tags in sentences], **options
        )

    def predict(self, sentences: Sequence[Sequence[str]], batch_size: int = 64) -> list[list[str]]:
        """The tags of each sentence, a list of words."""
        return self._run(TagBatches(self.encoder, sentences, batch_size=batch_size))[0]

    def evaluate(self, batches: TagBatches) -> tuple[list[list[str]], float]:
        """(the tags of each sentence, the mean loss)."""
        return self._run(batches)

    def _run(self, batches):
        found: list = [None] * len(batches.rows)
        total, count = 0.0, 0
        was_training = self.model.training
        self.model.eval()
        with no_grad():
            for batch in brought_to(self.model, batches):
                scores = self.model(batch.words, batch.lengths, batch.chars, batch.caps)
                decoded = self.model.decode(scores, batch.lengths)
                for place, ids in zip(batch.places, decoded, strict=True):
                    found[place] = self.tag_names(ids)
                if batch.tags is not None:
                    words = int(batch.lengths.sum())
                    total += self.model.loss(scores, batch.tags, batch.lengths).item() * words
                    count += words
        self.model.train(was_training)
        return found, total / max(count, 1)

    def save(self, folder) -> Path:
        """Write weights, vocabularies and settings as one file in a folder, whole or not at all."""
        path = Path(folder) / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        rest = {
            "settings": asdict(self.settings),
            "words": self.encoder.words.itos,
            "chars": self.encoder.chars.itos,
            "tags": self.tags.itos,
        }
        metadata = {"format": FORMAT, "tagger": json.dumps(rest)}
        save_safetensors(self.model.state_dict(), path, metadata)
        return path

    @classmethod
    def load(cls, folder) -> "Tagger":
        """Read what `save` wrote."""
        path = Path(folder) / FILE
        if not path.is_file():
            raise FileNotFoundError(f"{folder} holds no trained tagger: {FILE} is missing")
        weights, metadata = load_safetensors(path, with_metadata=True)
        if metadata.get("format") != FORMAT:
            raise ValueError(f"{path} is not a tagger that Tagger.save wrote (no {FORMAT} mark)")
        try:
            rest = json.loads(metadata["tagger"])
            settings = TaggerSettings(**rest["settings"])
            words, chars, tags = (Vocab(rest[name]) for name in ("words", "chars", "tags"))
            encoder = WordEncoder(words, chars, settings.lower, settings.digits, settings.max_chars)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged: {error}") from error
        outputs = weights["fc.bias"].shape[0] if "fc.bias" in weights else 0
        if outputs != len(tags):
            raise ValueError(f"{path} is damaged: {len(tags)} tags, but {outputs} outputs")
        tagger = cls(settings, encoder, tags)
        tagger.model.load_state_dict(weights)
        tagger.model.eval()
        return tagger


# -- measures ------------------------------------------------------------------------------------


def accuracy(truth: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> float:
    """The share of words with the right tag."""
    pairs = [(a, b) for row, other in zip(truth, found, strict=True)
             for a, b in zip(row, other, strict=True)]  # fmt: skip
    if not pairs:
        raise ValueError("accuracy: there are no words")
    return sum(a == b for a, b in pairs) / len(pairs)


def entity_scores(
    truth: Sequence[Sequence[str]], found: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Precision, recall and F1 of whole entities in IOB2, as conlleval counts them (by seqeval)."""
    metrics = need("seqeval.metrics", extra="models")
    truth, found = [list(row) for row in truth], [list(row) for row in found]
    names = ("precision", "recall", "f1")
    return {
        name: float(getattr(metrics, f"{name}_score")(truth, found, zero_division=0))
        for name in names
    }


def entity_report(truth: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> str:
    """A table of precision, recall and F1 of every kind of entity in IOB2 (by seqeval)."""
    metrics = need("seqeval.metrics", extra="models")
    truth, found = [list(row) for row in truth], [list(row) for row in found]
    return metrics.classification_report(truth, found, digits=3, zero_division=0).rstrip()


def score(truth, found, entities: bool) -> dict[str, float]:
    """The figures of a tagger: "score" is F1 for entities, else accuracy; all are fractions."""
    figures = {"accuracy": accuracy(truth, found)}
    if entities:
        figures |= entity_scores(truth, found)
    return {"score": figures["f1" if entities else "accuracy"], **figures}
