"""Language models: words of the Penn Treebank, characters of Shakespeare."""

import math
from dataclasses import asdict

from minigrad.text.language import load_corpus
from minigrad.train.gpt import GPTSettings, train_gpt
from minigrad.train.language_model import train_language_model
from minigrad.train.language_settings import LanguageModelSettings, characters, zaremba
from minigrad.train.progress import LanguageProgress, UpdateProgress

from .experiments import experiment


def _changeable(settings: LanguageModelSettings) -> dict:
    return {name: value for name, value in asdict(settings).items() if name != "seed"}


def _trained(name: str, settings: dict, seed: int):
    chosen = LanguageModelSettings(**settings, seed=seed)
    with LanguageProgress(tokens_per_step=chosen.columns * chosen.steps) as progress:
        return train_language_model(load_corpus(name), chosen, progress=progress)


@experiment(
    "ptb_lstm_small",
    model="LSTM language model, 2 x 200",
    data="PTB",
    measure="test perplexity",
    paper="114.5 (Zaremba 2014, table 1)",
    settings=_changeable(zaremba("small")),
    note="Zaremba's schedule, all 13 epochs; weights of the best epoch by validation.",
)
def ptb_lstm_small(settings, seed):
    """The unregularised model of Zaremba 2014: SGD, learning rate halved after the fourth epoch."""
    result = _trained("ptb", settings, seed)
    yield (
        "test",
        result.test_perplexity,
        {
            "valid perplexity": round(math.exp(result.valid_loss), 2),
            "valid perplexity by epoch": [
                round(epoch.valid_perplexity, 2) for epoch in result.history.epochs
            ],
        },
    )


@experiment(
    "shakespeare_char_lstm",
    model="Character LSTM, 2 x 256",
    data="tiny-Shakespeare",
    measure="validation loss, nats",
    paper="1.88, a GPT of 0.8 million parameters on a CPU (nanoGPT's README)",
    settings=_changeable(characters()),
    note="The last tenth of the text validates, as in nanoGPT; the lowest of the epochs' losses.",
)
def shakespeare_char_lstm(settings, seed):
    """Characters with Adam, the last tenth of the text for validation."""
    result = _trained("tinyshakespeare", settings, seed)
    yield (
        "valid",
        result.valid_loss,
        {
            "valid loss by epoch": [round(e.valid_loss, 4) for e in result.history.epochs],
            "train loss by epoch": [round(e.train_loss, 4) for e in result.history.epochs],
        },
    )


@experiment(
    "shakespeare_gpt",
    model="GPT, 4 layers of 128 (nanoGPT's for a CPU)",
    data="tiny-Shakespeare",
    measure="validation loss, nats",
    paper="1.88 (nanoGPT's README)",
    settings=_changeable(GPTSettings()),
    note="Over the whole last tenth of the text, by blocks of 64; nanoGPT estimates its loss on 20 "
    "random batches at every evaluation and tells the lowest, as the other figures here do.",
)
def shakespeare_gpt(settings, seed):
    """nanoGPT's recipe for a CPU: 2,000 updates of 12 windows of 64 characters."""
    chosen = GPTSettings(**settings, seed=1337 + seed)
    with UpdateProgress(tokens_per_step=chosen.batch_size * chosen.block_size) as progress:
        result = train_gpt(load_corpus("tinyshakespeare"), chosen, progress=progress)
    print(result.language_model.generate("", 500, seed=0, temperature=0.8), flush=True)
    yield (
        "valid",
        result.valid_loss,
        {
            "lowest estimate": round(result.history.best.valid_loss, 4),
            "estimates by update": {
                e.number: round(e.valid_loss, 4) for e in result.history.epochs
            },
            "perplexity, half a block back": round(
                result.language_model.perplexity(load_corpus("tinyshakespeare").valid), 4
            ),
        },
    )
