"""The classifiers that can be trained by name: how each is built, and what its inputs are."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ...models import AverageMLP, FastText, RNNClassifier, SentimentCNN, TextCNN, TextMLP
from ...tensor import Tensor
from .encoders import Counts, Ids, IdsAndLengths, NGrams
from .settings import Settings


@dataclass(frozen=True)
class Kind:
    """A model by name. build(settings, rows, classes, vectors): rows of the table, and vectors
    (rows, size) or None. defaults: the settings that differ from those of `Settings`.
    """

    build: Callable[[Settings, int, int, Tensor | None], object]
    encoder: type[Ids] = Ids
    defaults: dict = field(default_factory=dict)
    takes_vectors: bool = True
    takes_batch_norm: bool = False


def _textcnn(s, rows, classes, vectors, multichannel=False):
    return TextCNN(
        rows, classes, s.embed_dim, s.num_filters, tuple(s.kernel_sizes), s.dropout,
        embeddings=vectors, freeze=s.static, multichannel=multichannel, batch_norm=s.batch_norm,
        embed_dropout=s.embed_dropout, wide=s.wide,
    )  # fmt: skip


def _multichannel(s, rows, classes, vectors):
    return _textcnn(s, rows, classes, vectors, multichannel=True)


def _sentimentcnn(s, rows, classes, vectors):
    return SentimentCNN(
        rows, classes, s.embed_dim, s.num_filters, tuple(s.kernel_sizes), vectors, s.static,
        s.dropout, conv="1d",
    )  # fmt: skip


def _textmlp(s, rows, classes, vectors):
    return TextMLP(rows, classes, tuple(s.hidden_sizes), s.dropout, s.batch_norm)


def _average(s, rows, classes, vectors):
    return AverageMLP(
        rows, classes, s.embed_dim, tuple(s.hidden_sizes), s.dropout, batch_norm=s.batch_norm,
        embeddings=vectors, freeze=s.static,
    )  # fmt: skip


def _fasttext(s, rows, classes, vectors):
    return FastText(rows, classes, s.embed_dim)


def _recurrent(cell):
    def build(s, rows, classes, vectors):
        return RNNClassifier(
            rows, classes, cell, s.embed_dim, s.hidden_size, s.num_layers, s.bidirectional,
            s.pooling, dropout=s.dropout, embeddings=vectors, freeze=s.static,
        )  # fmt: skip

    return Kind(build, IdsAndLengths, {"max_norm": float("inf")})


_FREE = {"max_norm": float("inf")}  # the norm constraint is Kim's, for his networks

MODELS: dict[str, Kind] = {
    "average": Kind(_average, Ids, _FREE, takes_batch_norm=True),
    "fasttext": Kind(
        _fasttext, NGrams, _FREE | {"embed_dim": 50, "tokenizer": "words"}, takes_vectors=False
    ),
    "gru": _recurrent("gru"),
    "lstm": _recurrent("lstm"),
    "rnn": _recurrent("rnn"),
    "sentimentcnn": Kind(_sentimentcnn),
    "textcnn": Kind(_textcnn, takes_batch_norm=True),
    "textcnn-multichannel": Kind(_multichannel, Ids, {"vectors": "glove"}, takes_batch_norm=True),
    "textmlp": Kind(
        _textmlp, Counts, _FREE | {"batch_norm": True}, takes_vectors=False, takes_batch_norm=True
    ),
}


def kind_of(name: str) -> Kind:
    """The kind of model with this name; ValueError, naming all, where there is none."""
    if name not in MODELS:
        raise ValueError(f"there is no model called {name!r}; there are: {', '.join(MODELS)}")
    return MODELS[name]


def settings_for(model: str = "textcnn", **changes) -> Settings:
    """The settings that suit a model, with changes."""
    return Settings(**({"model": model} | kind_of(model).defaults | changes))
