"""BART's pretraining: spans of a text become one mask each, and its sentences change places.

Lewis et al. 2020, "BART: Denoising Sequence-to-Sequence Pre-training for Natural Language Generation,
Translation, and Comprehension" (ACL), section 2.2: "text infilling" and "sentence permutation". The
model reads the damaged text and writes the whole one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import minigrad as torch

from .encoding import BatchEncoding
from .seq2seq_collator import DataCollatorForSeq2Seq


def infill(
    ids: Sequence[int],
    mask_token_id: int,
    mask_ratio: float = 0.3,
    poisson_lambda: float = 3.0,
    generator=None,
) -> tuple[list[int], list[list[int]]]:
    """(the text with a mask for each span, what the masks stand for, from left to right).

    Span lengths are drawn from Poisson(lambda) until they sum to round(mask_ratio * len(ids)), the
    last one cut to fit; a span of length 0 puts a mask where nothing is missing. All arrangements of
    the spans among the tokens that stay are equally likely. Put what they stand for in place of the
    masks, and the text is whole again.
    """
    if not 0 <= mask_ratio <= 1 or not poisson_lambda > 0:
        raise ValueError(
            f"infill: mask_ratio lies between 0 and 1, got {mask_ratio}; poisson_lambda is more than 0, "
            f"got {poisson_lambda}"
        )
    ids = list(ids)
    left = round(mask_ratio * len(ids))
    lengths: list[int] = []
    while left > 0:
        draws = torch.full((16,), float(poisson_lambda))
        for length in torch.poisson(draws, generator=generator).long().tolist():
            lengths.append(min(length, left))
            left -= lengths[-1]
            if left == 0:
                break
    places = len(ids) - sum(lengths) + len(lengths)  # of tokens that stay, and of masks
    masked = set(torch.randperm(places, generator=generator)[: len(lengths)].tolist())
    damaged, spans, place = [], [], 0
    order = iter(lengths)
    for number in range(places):
        if number in masked:
            length = next(order)
            damaged.append(mask_token_id)
            spans.append(ids[place : place + length])
            place += length
        else:
            damaged.append(ids[place])
            place += 1
    return damaged, spans


def restore(
    damaged: Sequence[int], spans: Sequence[Sequence[int]], mask_token_id: int
) -> list[int]:
    """The text that `infill` damaged: each mask replaced by what it stands for."""
    spans = iter(spans)
    whole: list[int] = []
    for token in damaged:
        whole += next(spans) if token == mask_token_id else [token]
    return whole


def permute(sentences: Sequence, generator=None) -> list:
    """The sentences in an order drawn, each order as likely as any other."""
    order = torch.randperm(len(sentences), generator=generator).tolist()
    return [sentences[i] for i in order]


@dataclass
class DataCollatorForDenoising:
    """Texts of sentences -> a batch of damaged input_ids, and labels, the whole texts.

    A text is {"sentences": lists of ids without special tokens}, or {"input_ids": ids without special
    tokens} for one whose sentences stay in place. Both sides get the tokenizer's special tokens. Each
    call draws anew: the order of sentences in permute_ratio of the texts, and spans (see `infill`).
    Numbers come from minigrad's random stream, or, given a seed, from one of the collator's own.

    Raises ValueError for impossible ratios, and for a tokenizer without a mask token.
    """

    tokenizer: Any
    mask_ratio: float = 0.3
    poisson_lambda: float = 3.0
    permute_ratio: float = 1.0
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"
    seed: int | None = None
    generator: Any = field(default=None, init=False, repr=False)

    def __post_init__(self):
        for name in ("mask_ratio", "permute_ratio"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, got {getattr(self, name)}")
        if self.poisson_lambda <= 0:
            raise ValueError(f"poisson_lambda must be more than 0, got {self.poisson_lambda}")
        if self.tokenizer.mask_token is None:
            raise ValueError("the tokenizer has no mask token: set tokenizer.mask_token")
        if self.seed is not None:
            self.generator = torch.Generator().manual_seed(self.seed)

    def __call__(self, features) -> BatchEncoding:
        pad = DataCollatorForSeq2Seq(
            self.tokenizer,
            pad_to_multiple_of=self.pad_to_multiple_of,
            return_tensors=self.return_tensors,
        )
        return pad([self.damage(text) for text in features])

    def damage(self, text) -> dict:
        """{"input_ids": damaged, "labels": whole} of one text, both with special tokens."""
        sentences = text["sentences"] if "sentences" in text else [text["input_ids"]]
        whole = [token for sentence in sentences for token in sentence]
        if torch.rand((), generator=self.generator).item() < self.permute_ratio:
            sentences = permute(sentences, self.generator)
        ids, _ = infill(
            [token for sentence in sentences for token in sentence],
            self.tokenizer.mask_token_id,
            self.mask_ratio,
            self.poisson_lambda,
            self.generator,
        )
        add = self.tokenizer.build_inputs_with_special_tokens
        return {"input_ids": add(ids), "labels": add(whole)}
