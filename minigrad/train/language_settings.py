"""Settings of recurrent language models, and those of two papers' programs."""

from dataclasses import dataclass, replace

from ..models.language_model import ZAREMBA


@dataclass
class LanguageModelSettings:
    """How a language model is built and trained; the defaults are the small model of Zaremba 2014.

    The learning rate is `learning_rate` for `steady_epochs` epochs, then it is multiplied by `decay`
    after every epoch. sum_over_time: what is minimised is the mean over columns of the sum over the
    window's steps, as the paper's program has it; otherwise the mean over all.
    """

    cell: str = "lstm"
    embed_dim: int = 200
    hidden_size: int = 200
    num_layers: int = 2
    dropout: float = 0.0
    tie_weights: bool = False
    init_range: float | None = 0.1
    optimizer: str = "sgd"
    learning_rate: float = 1.0
    steady_epochs: int = 4
    decay: float = 0.5
    max_norm: float = 5.0
    columns: int = 20
    steps: int = 20
    eval_columns: int = 1
    epochs: int = 13
    sum_over_time: bool = True
    seed: int = 0

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch; the first has number 1."""
        return self.learning_rate * self.decay ** max(0, epoch - self.steady_epochs)


def zaremba(size: str = "small", **changes) -> LanguageModelSettings:
    """The settings of Zaremba 2014, section 4.1: small, medium or large."""
    if size not in ZAREMBA:
        raise ValueError(f"zaremba: there is no size {size!r}; there are: {', '.join(ZAREMBA)}")
    training = {
        "small": {},
        "medium": dict(steps=35, steady_epochs=6, decay=1 / 1.2, epochs=39),
        "large": dict(steps=35, steady_epochs=14, decay=1 / 1.15, epochs=55, max_norm=10.0),
    }
    return LanguageModelSettings(**{**ZAREMBA[size], **training[size], **changes})


def characters(**changes) -> LanguageModelSettings:
    """Settings for text by the character, with Adam: 2 x 256, 32 columns, 64 steps."""
    chosen = LanguageModelSettings(
        embed_dim=64, hidden_size=256, init_range=None, optimizer="adam", learning_rate=3e-3,
        steady_epochs=3, decay=0.6, max_norm=1.0, columns=32, steps=64, eval_columns=8, epochs=8,
        sum_over_time=False, dropout=0.2,
    )  # fmt: skip
    return replace(chosen, **changes)
