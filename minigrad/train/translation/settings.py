"""How a translator is built, trained and used: what all have in common, and what each model has."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from ...models.seq2seq import Seq2Seq
from ...models.transformer import Transformer
from ...optim import Adam
from ...text.translation import PAD
from ..schedule import noam


@dataclass(kw_only=True)
class Settings(ABC):
    """Words, batches and training of any encoder-decoder.

    warmup: updates until the learning rate is highest; learning_rate is then a factor of the rate of
    Vaswani et al. 2017 (see schedule.noam_rate). None: learning_rate is the rate itself.
    """

    model: ClassVar[str]  # the kind of model, by which settings are read back

    reverse_source: bool = False  # Sutskever et al. 2014, section 3.3
    tokenizer: str = "translation"
    min_freq: int = 2
    max_length: int = 100  # words of a source sentence
    batch_size: int = 128
    learning_rate: float = 1e-3
    decay_after: int | None = None  # epochs after which the rate is halved before every other one
    warmup: int | None = None
    max_norm: float = 1.0
    label_smoothing: float = 0.1
    epochs: int = 10
    patience: int = 3
    stop_on: str = "loss"  # or "bleu": of greedy translations of the validation part
    seed: int = 0

    one_vocabulary: ClassVar[bool] = False  # whether source and target have the same words

    def check(self) -> None:
        """ValueError for settings that can't be."""
        if self.stop_on not in ("loss", "bleu"):
            raise ValueError(f"stop_on must be 'loss' or 'bleu', not {self.stop_on!r}")
        if self.warmup is not None and self.decay_after is not None:
            raise ValueError("decay_after is for a rate without warmup: it needs warmup=None")

    @abstractmethod
    def build(self, source_size: int, target_size: int):
        """The model, untrained."""

    def optimizer(self, parameters):
        """What trains it."""
        return Adam(parameters, lr=self.learning_rate)

    def schedule(self, optimizer):
        """What changes the learning rate after every update; None: it stays for an epoch."""
        return None if self.warmup is None else noam(optimizer, self.width, self.warmup)

    @property
    @abstractmethod
    def width(self) -> int:
        """The numbers of a word inside the model, on which the rate with warmup depends."""

    def forward_options(self) -> dict:
        """What the model is called with while it is trained, besides source and target."""
        return {}


@dataclass(kw_only=True)
class Seq2SeqSettings(Settings):
    """A recurrent encoder-decoder."""

    model: ClassVar[str] = "recurrent"

    cell: str = "gru"
    attention: str | None = "general"
    context: bool = False
    input_feeding: bool = False
    bidirectional: bool = True
    embed_dim: int = 256
    hidden_size: int = 256
    num_layers: int = 1
    dropout: float = 0.3
    readout: int | None = None
    tied: bool = False
    init_range: float | None = 0.08  # None: as the layers start by themselves
    teacher_forcing: float = 1.0

    @property
    def width(self) -> int:
        return self.hidden_size

    def build(self, source_size: int, target_size: int) -> Seq2Seq:
        return Seq2Seq(
            source_size,
            target_size,
            embed_dim=self.embed_dim,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            cell=self.cell,
            attention=self.attention,
            context=self.context,
            input_feeding=self.input_feeding,
            bidirectional=self.bidirectional,
            dropout=self.dropout,
            readout=self.readout,
            tied=self.tied,
            padding_idx=PAD,
            init_range=self.init_range,
        )

    def forward_options(self) -> dict:
        whole = self.teacher_forcing == 1
        return {} if whole else {"teacher_forcing": self.teacher_forcing}


@dataclass(kw_only=True)
class TransformerSettings(Settings):
    """A Transformer, trained as in Vaswani et al. 2017, section 5.3."""

    model: ClassVar[str] = "transformer"

    d_model: int = 256
    heads: int = 8
    layers: int = 3
    feedforward: int = 512
    dropout: float = 0.1
    inner_dropout: float = 0.0
    norm_first: bool = False
    positions: str = "sinusoidal"
    tied: bool = True  # target words and output layer
    shared: bool = False  # source and target words: one vocabulary of both languages
    learning_rate: float = 1.0
    warmup: int | None = 4000

    @property
    def one_vocabulary(self) -> bool:
        """Whether source and target have the same words."""
        return self.shared

    @property
    def width(self) -> int:
        return self.d_model

    def build(self, source_size: int, target_size: int) -> Transformer:
        return Transformer(
            source_size,
            target_size,
            d_model=self.d_model,
            heads=self.heads,
            layers=self.layers,
            feedforward=self.feedforward,
            dropout=self.dropout,
            inner_dropout=self.inner_dropout,
            norm_first=self.norm_first,
            positions=self.positions,
            max_length=longest_target(self.max_length),
            tied=self.tied,
            shared=self.shared,
            padding_idx=PAD,
        )

    def optimizer(self, parameters):
        return Adam(parameters, lr=self.learning_rate, betas=(0.9, 0.98), eps=1e-9)


KINDS = {kind.model: kind for kind in (Seq2SeqSettings, TransformerSettings)}


def longest_target(source: int) -> int:
    """How many words, <eos> counted, a translation of `source` words may have."""
    return 2 * source + 10


def read_settings(stored: dict) -> Settings:
    """The settings of a file's figures; "model" says which, and without it they are a recurrent one's."""
    fields = dict(stored)
    kind = fields.pop("model", Seq2SeqSettings.model)
    if kind not in KINDS:
        raise ValueError(f"the model must be one of {', '.join(KINDS)}, not {kind!r}")
    return KINDS[kind](**fields)
