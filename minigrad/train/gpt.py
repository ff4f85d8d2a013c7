"""A GPT trained on the characters or words of a text, saved, and sampled from: nanoGPT in small."""

from collections.abc import Callable
from dataclasses import dataclass, fields

from ..models.gpt import GPT, GPTConfig
from ..random import manual_seed
from ..text.language import Corpus
from .causal_lm import CausalSettings, CausalTrainer, text_loss
from .language_model import LanguageModelResult
from .perplexity import perplexity
from .saved_language_model import LanguageModel, stored_settings


@dataclass
class GPTSettings(CausalSettings):
    """CausalSettings and the sizes of the model; the defaults are 0.8 million weights for a CPU.

    nanoGPT's README has a validation loss of 1.88 for them on the characters of tiny-Shakespeare.
    """

    n_layer: int = 4
    n_head: int = 4
    n_embd: int = 128
    dropout: float = 0.0
    bias: bool = False

    def config(self, vocab_size: int) -> GPTConfig:
        """What the model is built from."""
        sizes = {f.name for f in fields(GPTConfig)} - {"vocab_size"}
        return GPTConfig(vocab_size=vocab_size, **{name: getattr(self, name) for name in sizes})


class GPTLanguageModel(LanguageModel):
    """A trained GPT with its vocabulary: `language_model.generate("ROMEO:", 200)` is a text."""

    kind = "gpt"
    settings_type = GPTSettings

    def build(self):
        """A model with new weights."""
        return GPT(self.settings.config(len(self.vocab)))

    def next_ids(self, ids, length: int, **options):
        """`length` ids to follow ids (P,); options are GPT.generate's."""
        return self.model.generate(ids[None], length, **options)[0, len(ids) :]

    def perplexity(self, ids) -> float:
        """exp of the mean loss over a text's ids (N,), each seen with at least half a block before it."""
        window = self.settings.block_size + 1
        return perplexity(self.model, ids, window, max(1, window // 2), batch_size=32).perplexity


def train_gpt(
    corpus: Corpus,
    settings: GPTSettings | None = None,
    folder=None,
    progress=None,
    resume=None,
    sample: Callable[[str], None] | None = None,
    sample_length: int = 200,
) -> LanguageModelResult:
    """Train on a corpus, keep the weights of the best estimate, measure on its whole validation part.

    folder: where checkpoints go after every evaluation; resume: the checkpoint to go on from. sample:
    is given a text that the model wrote after each; it doesn't touch the run's random numbers.
    """
    settings = settings or GPTSettings()
    manual_seed(settings.seed)
    language_model = GPTLanguageModel(settings, corpus.vocab, corpus.level)
    model = language_model.model
    trainer = CausalTrainer(model, settings, folder, progress)
    if resume is not None:
        trainer.resume(resume)

    def write(epoch):
        sample(language_model.generate("", sample_length, seed=epoch.number))

    trainer.fit(corpus.train, corpus.valid, None if sample is None else write)
    model.eval()
    valid, test = (
        text_loss(model, ids, settings.block_size) if len(ids) > 1 else None
        for ids in (corpus.valid, corpus.test)
    )
    return LanguageModelResult(language_model, trainer.history, valid, test)


KINDS = {cls.kind: cls for cls in (LanguageModel, GPTLanguageModel)}


def load_language_model(folder) -> LanguageModel:
    """A recurrent language model or a GPT, whichever was saved in a folder."""
    kind = stored_settings(folder)["kind"]
    return KINDS.get(kind, LanguageModel).load(folder)  # which says what is wrong with another kind
