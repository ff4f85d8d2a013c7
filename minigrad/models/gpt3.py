"""GPT-3's sizes: configurations of GPT-2's layers, from 125 million to 175 billion parameters.

Brown et al. 2020, "Language Models are Few-Shot Learners" (NeurIPS), table 2.1. Two of its rows don't
fit their own heads, which are d_model / n_head wide: here XL has 16 heads of 128 (the table: 24), and
13B a width of 5120 (the table: 5140). GPT-3 lets every second layer look at a band of tokens alone;
these models look at all of them in every layer, which changes no parameter.
"""

from typing import NamedTuple

from .gpt2 import GPT2Config

CONTEXT = 2048  # tokens


class Size(NamedTuple):
    """A row of the table: layers, width, heads, and how it was trained."""

    n_layer: int
    n_embd: int
    n_head: int
    batch_tokens: int
    learning_rate: float


GPT3_SIZES = {
    "125M": Size(12, 768, 12, 500_000, 6.0e-4),
    "350M": Size(24, 1024, 16, 500_000, 3.0e-4),
    "760M": Size(24, 1536, 16, 500_000, 2.5e-4),
    "1.3B": Size(24, 2048, 16, 1_000_000, 2.0e-4),
    "2.7B": Size(32, 2560, 32, 1_000_000, 1.6e-4),
    "6.7B": Size(32, 4096, 32, 2_000_000, 1.2e-4),
    "13B": Size(40, 5120, 40, 2_000_000, 1.0e-4),
    "175B": Size(96, 12288, 96, 3_200_000, 0.6e-4),
}


def gpt3_config(size: str, **changes) -> GPT2Config:
    """The configuration of a size of the table; changes replace its values.

    Raises ValueError, naming all sizes, for another one.
    """
    if size not in GPT3_SIZES:
        raise ValueError(f"there is no GPT-3 of {size!r}; there are: {', '.join(GPT3_SIZES)}")
    row = GPT3_SIZES[size]
    values = dict(
        n_layer=row.n_layer, n_embd=row.n_embd, n_head=row.n_head, n_positions=CONTEXT,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    return GPT2Config(**(values | changes))


def gpt2_parameters(config: GPT2Config) -> int:
    """How many parameters GPT2LMHeadModel(config) has, without making them.

    (V + T) H for words and places, L (4 H^2 + 2 H I + 9 H + I) for L layers of inner width I (4 H
    mostly: 12 H^2 + 13 H), 2 H for the last norm; V H more where the head has a table of its own.
    """
    width, words = config.n_embd, config.vocab_size
    inner = 4 * width if config.n_inner is None else config.n_inner
    layer = 4 * width**2 + 2 * width * inner + 9 * width + inner
    tables = words + config.n_positions + (0 if config.tie_word_embeddings else words)
    return tables * width + config.n_layer * layer + 2 * width
