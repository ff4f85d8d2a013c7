"""Span corruption: T5's objective, to write the spans that were cut out of a text.

    text     Thank you for inviting me to your party last week .
    inputs   Thank you <extra_id_0> me to your party <extra_id_1> week . </s>
    targets  <extra_id_0> for inviting <extra_id_1> last </s>

Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer"
(JMLR), section 3.1.4.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import minigrad as torch

from .collators import IGNORED
from .encoding import BatchEncoding, check_tensors
from .padding import as_lists


def _counts(length: int, noise_density: float, mean_noise_span_length: float) -> tuple[int, int]:
    """(tokens that are cut out, spans that these are) of a text of so many tokens."""
    noise = min(max(round(length * noise_density), 1), length - 1)
    spans = max(round(noise / mean_noise_span_length), 1)
    return noise, min(spans, noise, length - noise)


def _check(name: str, length: int, noise_density: float, mean_noise_span_length: float) -> None:
    if length < 2:
        raise ValueError(
            f"{name}: a text needs 2 tokens, one to cut out and one to leave, not {length}"
        )
    if not 0 < noise_density < 1 or mean_noise_span_length < 1:
        raise ValueError(
            f"{name}: noise_density lies between 0 and 1, got {noise_density}; "
            f"mean_noise_span_length is 1 or more, got {mean_noise_span_length}"
        )


def _parts(total: int, count: int, generator) -> list[int]:
    """How long `count` parts of `total` things are, 1 or more each; all ways are equally likely."""
    cuts = torch.randperm(total - 1, generator=generator)[: count - 1].tolist()
    ends = [0, *sorted(cut + 1 for cut in cuts), total]
    return [end - begin for begin, end in itertools.pairwise(ends)]


def random_spans_noise_mask(
    length: int,
    noise_density: float = 0.15,
    mean_noise_span_length: float = 3.0,
    generator=None,
):
    """True for the tokens to cut out, bool (length).

    round(length * noise_density) tokens, in round(that / mean_noise_span_length) spans; how long each
    is, and how long what stands between them, is drawn so that all ways are equally likely. The first
    token always stays, the last always goes.
    """
    _check("random_spans_noise_mask", length, noise_density, mean_noise_span_length)
    noise, spans = _counts(length, noise_density, mean_noise_span_length)
    kept, cut = _parts(length - noise, spans, generator), _parts(noise, spans, generator)
    mask: list[bool] = []
    for stays, goes in zip(kept, cut, strict=True):
        mask += [False] * stays + [True] * goes
    return torch.tensor(mask)


def compute_input_and_target_lengths(
    inputs_length: int, noise_density: float = 0.15, mean_noise_span_length: float = 3.0
) -> tuple[int, int]:
    """(tokens of text that become inputs of inputs_length, at most, and the length of their targets).

    Texts cut to the first need no padding: inputs are the tokens that stay, a sentinel a span and the
    end; targets those that go, the sentinels and the end.
    """
    _check("compute_input_and_target_lengths", 2, noise_density, mean_noise_span_length)

    def corrupted(length):
        noise, spans = _counts(length, noise_density, mean_noise_span_length)
        return length - noise + spans + 1, noise + spans + 1

    if corrupted(2)[0] > inputs_length:
        raise ValueError(
            "compute_input_and_target_lengths: inputs of a token, a sentinel and the end are 3 long: "
            f"inputs_length {inputs_length} is too short"
        )
    length = 2
    while corrupted(length + 1)[0] <= inputs_length:
        length += 1
    return length, corrupted(length)[1]


# -- texts -----------------------------------------------------------------------------------------


def sentinel_ids(tokenizer) -> list[int]:
    """The ids of <extra_id_0>, <extra_id_1> ..., as many as a tokenizer has; ValueError for none."""
    words = tokenizer.get_vocab()
    found: list[int] = []
    while (name := f"<extra_id_{len(found)}>") in words:
        found.append(words[name])
    if not found:
        raise ValueError(
            "the tokenizer has no sentinels <extra_id_0>, <extra_id_1> ...: train_tokenizer(texts, "
            '"t5") makes one with them'
        )
    return found


def corrupt_spans(
    ids: Sequence[int], noise_mask, sentinels: Sequence[int], eos_token_id: int | None = None
) -> tuple[list[int], list[int]]:
    """(inputs, targets) of a text: every span of the mask becomes a sentinel, and follows it in targets.

    eos_token_id: ends both, unless None. Raises ValueError for a mask of another length, and where
    there are more spans than sentinels.
    """
    ids, noise_mask = as_lists(ids), as_lists(noise_mask)
    if len(ids) != len(noise_mask):
        raise ValueError(f"corrupt_spans: a mask of {len(noise_mask)} for {len(ids)} tokens")
    spans = sum(b and not a for a, b in zip([False, *noise_mask], noise_mask, strict=False))
    if spans > len(sentinels):
        raise ValueError(
            f"corrupt_spans: {spans} spans need as many sentinels, there are {len(sentinels)}: cut "
            "the text shorter, or take a tokenizer with more"
        )
    inputs, targets, span, before = [], [], -1, False
    for token, noise in zip(ids, noise_mask, strict=True):
        if noise and not before:
            span += 1
            inputs.append(sentinels[span])
            targets.append(sentinels[span])
        (targets if noise else inputs).append(token)
        before = noise
    end = [] if eos_token_id is None else [eos_token_id]
    return inputs + end, targets + end


def fill_spans(
    inputs: Sequence[int], targets: Sequence[int], sentinels: Sequence[int],
    eos_token_id: int | None = None,
) -> list[int]:  # fmt: skip
    """The text again: inputs, with each sentinel replaced by what follows it in targets.

    Targets may be what a model wrote: text before their first sentinel and after the end is left
    out; a sentinel without a span is replaced by nothing.
    """
    known, spans, span = set(sentinels), {}, None
    for token in as_lists(targets):
        if token == eos_token_id:
            break
        if token in known:
            span = spans.setdefault(token, [])
        elif span is not None:
            span.append(token)
    text = []
    for token in as_lists(inputs):
        if token == eos_token_id:
            break
        text += spans.get(token, []) if token in known else [token]
    return text


@dataclass
class DataCollatorForSpanCorruption:
    """A list of texts -> BatchEncoding: input_ids and attention_mask (B, S), labels (B, T), -100 padded.

    A text is its ids, or a dictionary with input_ids, without padding; an end token at its end is
    taken away and put behind both sides. Each call draws other spans. Texts of one length, that of
    compute_input_and_target_lengths, need no padding: pack_documents cuts them so.
    Numbers come from minigrad's random stream (manual_seed), or, given a seed, from one of the
    collator's own. Raises ValueError for a tokenizer without sentinels, end or padding, for texts of
    less than 2 tokens, and for more spans than there are sentinels.
    """

    tokenizer: Any
    noise_density: float = 0.15
    mean_noise_span_length: float = 3.0
    return_tensors: str = "pt"
    seed: int | None = None
    generator: Any = field(default=None, init=False, repr=False)

    def __post_init__(self):
        check_tensors(self.return_tensors)
        name = type(self).__name__
        _check(name, 2, self.noise_density, self.mean_noise_span_length)
        for token in ("eos_token", "pad_token"):
            if getattr(self.tokenizer, token) is None:
                raise ValueError(f"{name}: the tokenizer has no {token}: set tokenizer.{token}")
        self.sentinels = sentinel_ids(self.tokenizer)
        if self.seed is not None:
            self.generator = torch.Generator().manual_seed(self.seed)

    def __call__(self, features) -> BatchEncoding:
        if not isinstance(features, (list, tuple)) or not features:
            raise ValueError(
                f"{type(self).__name__}: expected a list of texts, one at least, got {features!r:.60}"
            )
        pairs = [
            self.corrupt(text["input_ids"] if hasattr(text, "keys") else text) for text in features
        ]
        inputs, targets = zip(*pairs, strict=True)
        pad = self.tokenizer.pad_token_id
        batch = {
            "input_ids": _filled(inputs, pad),
            "attention_mask": _filled([[1] * len(row) for row in inputs], 0),
            "labels": _filled(targets, IGNORED),
        }
        return BatchEncoding(batch, tensor_type=self.return_tensors)

    def corrupt(self, ids) -> tuple[list[int], list[int]]:
        """(inputs, targets) of one text's ids, spans drawn."""
        ids, end = as_lists(ids), self.tokenizer.eos_token_id
        ids = ids[:-1] if ids and ids[-1] == end else ids
        mask = random_spans_noise_mask(
            len(ids), self.noise_density, self.mean_noise_span_length, self.generator
        )
        return corrupt_spans(ids, mask, self.sentinels, end)


def _filled(rows, value: int) -> list[list[int]]:
    """Rows of one length, filled at their ends."""
    width = max(map(len, rows))
    return [row + [value] * (width - len(row)) for row in rows]
