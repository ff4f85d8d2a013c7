"""Collators: encoded texts of several lengths to one batch, with labels padded, or words masked."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import minigrad as torch

from .encoding import BatchEncoding, check_tensors
from .padding import as_lists

IGNORED = -100  # a label that losses leave out


@dataclass
class DataCollatorWithPadding:
    """A list of encoded texts -> BatchEncoding of tensors (B, T), by tokenizer.pad.

    Other names are kept, "label" and "label_ids" as "labels". padding, max_length and
    pad_to_multiple_of are those of tokenizer.pad; return_tensors is "pt", "mg" or "np".
    """

    tokenizer: Any
    padding: bool | str = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"

    def __call__(self, features) -> BatchEncoding:
        batch = _pad(self, features, padding=self.padding, max_length=self.max_length)
        for name in ("label", "label_ids"):
            if name in batch:
                batch["labels"] = batch.pop(name)
        return batch.convert_to_tensors(self.return_tensors)


@dataclass
class DataCollatorForTokenClassification:
    """As DataCollatorWithPadding, with a label for every token, padded by label_pad_token_id.

    Labels are under "labels" or "label", as long as input_ids or shorter.
    """

    tokenizer: Any
    padding: bool | str = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    label_pad_token_id: int = IGNORED
    return_tensors: str = "pt"

    def __call__(self, features) -> BatchEncoding:
        _check_features(self, features)
        name = "label" if "label" in features[0] else "labels"
        texts = [{k: v for k, v in text.items() if k != name} for text in features]
        batch = _pad(self, texts, padding=self.padding, max_length=self.max_length)
        if name in features[0]:
            left = self.tokenizer.padding_side == "left"
            batch[name] = []
            for number, (text, row) in enumerate(zip(features, batch["input_ids"], strict=True)):
                labels = as_lists(text[name])
                if len(labels) > len(text["input_ids"]):
                    raise ValueError(
                        f"DataCollatorForTokenClassification: text {number} has {len(labels)} labels "
                        f"for {len(text['input_ids'])} tokens"
                    )
                fill = [self.label_pad_token_id] * (len(row) - len(labels))
                batch[name].append(fill + labels if left else labels + fill)
        return batch.convert_to_tensors(self.return_tensors)


@dataclass
class DataCollatorForLanguageModeling:
    """A list of encoded texts -> BatchEncoding with masked input_ids, and labels (B, T).

    mlm: every token but special ones and padding is chosen with mlm_probability; of the chosen,
    mask_replace_prob become the mask token, random_replace_prob any token, the rest stay (Devlin et
    al. 2019, section 3.1). Labels are the chosen tokens, and -100 elsewhere. Each call draws anew,
    which is RoBERTa's dynamic masking (Liu et al. 2019, section 4.1).
    mlm=False: labels are input_ids, with padding -100.
    whole_word_mask: words are chosen, and all tokens of one become the mask token. A word is what
    stands together in the text, by the "offset_mapping" of return_offsets_mapping=True; a comma behind
    it belongs to it.

    Numbers come from minigrad's random stream (manual_seed), or, given a seed, from one of the
    collator's own; they are those that transformers' collator draws with torch.
    Raises ValueError for a tokenizer without a mask token, for impossible probabilities, and for
    whole words without offsets.
    """

    tokenizer: Any
    mlm: bool = True
    whole_word_mask: bool = False
    mlm_probability: float = 0.15
    mask_replace_prob: float = 0.8
    random_replace_prob: float = 0.1
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"
    seed: int | None = None
    generator: Any = field(default=None, init=False, repr=False)

    def __post_init__(self):
        check_tensors(self.return_tensors)
        for name in ("mlm_probability", "mask_replace_prob", "random_replace_prob"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, got {getattr(self, name)}")
        if self.mask_replace_prob + self.random_replace_prob > 1:
            raise ValueError(
                f"mask_replace_prob {self.mask_replace_prob} and random_replace_prob "
                f"{self.random_replace_prob} are more than 1 together"
            )
        if self.mlm and self.tokenizer.mask_token is None:
            raise ValueError(
                "the tokenizer has no mask token, which mlm=True needs: set tokenizer.mask_token, or "
                "pass mlm=False to predict each next word"
            )
        if self.whole_word_mask:
            self._check_whole_words()
        if self.seed is not None:
            self.generator = torch.Generator().manual_seed(self.seed)

    def _check_whole_words(self):
        if not self.mlm:
            raise ValueError("whole_word_mask=True masks words: it needs mlm=True")
        if self.mask_replace_prob < 1:
            warnings.warn(
                "whole_word_mask: every chosen word becomes mask tokens; mask_replace_prob is set to 1, "
                "random_replace_prob to 0",
                stacklevel=4,
            )
            self.mask_replace_prob, self.random_replace_prob = 1.0, 0.0

    def __call__(self, features) -> BatchEncoding:
        if features and not isinstance(features[0], Mapping):
            texts = [{"input_ids": as_lists(ids)} for ids in features]
            batch = self._rows(texts)
        else:
            batch = _pad(self, features)
        special = batch.pop("special_tokens_mask", None)
        offsets = batch.pop("offset_mapping", None)
        if self.whole_word_mask:
            left = self.tokenizer.padding_side == "left"
            offsets = padded_offsets(offsets, len(batch["input_ids"][0]), left)
        batch.convert_to_tensors("pt")
        if self.mlm:
            batch["input_ids"], batch["labels"] = self.mask_tokens(
                batch["input_ids"], special, offsets
            )
        else:
            ids, padding = batch["input_ids"], self.tokenizer.pad_token_id
            known = padding is not None
            batch["labels"] = ids.masked_fill(ids == padding, IGNORED) if known else ids.clone()
        return batch.convert_to_tensors(self.return_tensors)

    def _rows(self, texts) -> BatchEncoding:
        """Texts that are ids alone, in rows; those of one length need no padding token."""
        width, step = len(texts[0]["input_ids"]), self.pad_to_multiple_of or 1
        if width % step or any(len(text["input_ids"]) != width for text in texts):
            return _pad(self, texts, return_attention_mask=False)
        return BatchEncoding({"input_ids": [text["input_ids"] for text in texts]})

    def mask_tokens(self, inputs, special_tokens_mask=None, offset_mapping=None):
        """(masked ids, labels) of ids (B, T); special_tokens_mask (B, T) is 1 where none is chosen.

        offset_mapping (B, T, 2): where tokens begin and end, for whole words.
        """
        place = inputs.device
        if special_tokens_mask is None:
            specials = torch.tensor(self.tokenizer.all_special_ids, device=place)
            special = torch.isin(inputs, specials)
        else:
            special = torch.as_tensor(special_tokens_mask, device=place).bool()
        if self.whole_word_mask:
            begins = word_begins(offset_mapping.to(place), special)
            chosen = self._draw(inputs, self.mlm_probability, ~begins)
            places = torch.arange(inputs.shape[1], device=place).expand_as(inputs)
            first = places.masked_fill(~begins, 0).cummax(1).values  # of the word of each token
            chosen = chosen.gather(1, first) & ~special
        else:
            chosen = self._draw(inputs, self.mlm_probability, special)
        labels = inputs.masked_fill(~chosen, IGNORED)
        masked = chosen & self._draw(inputs, self.mask_replace_prob)
        ids = inputs.masked_fill(masked, self.tokenizer.mask_token_id)
        left = 1 - self.mask_replace_prob
        if left > 0 and self.random_replace_prob > 0:
            other = chosen & ~masked & self._draw(inputs, self.random_replace_prob / left)
            words = torch.randint(
                len(self.tokenizer), inputs.shape, generator=self.generator, device=place
            )
            ids = torch.where(other, words, ids)
        return ids, labels

    def _draw(self, inputs, chance: float, never=None):
        chances = torch.full(inputs.shape, float(chance), device=inputs.device)
        if never is not None:
            chances = chances.masked_fill(never, 0.0)
        return torch.bernoulli(chances, generator=self.generator).bool()


class DataCollatorForWholeWordMask(DataCollatorForLanguageModeling):
    """DataCollatorForLanguageModeling(tokenizer, whole_word_mask=True), by its old name.

    Every chosen word becomes mask tokens: mask_replace_prob is 1.
    """

    def __init__(self, tokenizer, mlm_probability: float = 0.15, **options):
        options = {"mask_replace_prob": 1.0, "random_replace_prob": 0.0} | options
        super().__init__(tokenizer, True, True, mlm_probability, **options)


def padded_offsets(offsets, width: int, left: bool = False):
    """Rows of (begin, end) as a tensor (B, width, 2); ValueError where there are none."""
    if offsets is None or any(row is None for row in offsets):
        raise ValueError(
            "whole_word_mask=True needs to know which tokens make a word: encode texts with "
            "return_offsets_mapping=True"
        )
    filled = []
    for row in map(as_lists, offsets):
        fill = [(0, 0)] * (width - len(row))
        filled.append(fill + row if left else row + fill)
    return torch.tensor(filled)


def word_begins(offsets, special):
    """Whether a word begins at each token, (B, T): a token that doesn't touch the one before it.

    offsets (B, T, 2): where tokens begin and end in their text. special (B, T): tokens that belong to
    no word; behind one of them a word begins.
    """
    begins = torch.ones_like(special)
    begins[:, 1:] = (offsets[:, 1:, 0] != offsets[:, :-1, 1]) | special[:, :-1]
    return begins & ~special


def _check_features(collator, features) -> None:
    name = type(collator).__name__
    if not isinstance(features, (list, tuple)) or not features:
        raise ValueError(
            f"{name}: expected a list of encoded texts, one at least, got {features!r:.60}"
        )
    if not isinstance(features[0], Mapping):
        raise TypeError(
            f"{name}: an encoded text is a dictionary, as tokenizer(text) gives, not a "
            f"{type(features[0]).__name__}"
        )


def _pad(collator, features, **options) -> BatchEncoding:
    check_tensors(collator.return_tensors)
    _check_features(collator, features)
    return BatchEncoding(
        {
            name: as_lists(value)
            for name, value in collator.tokenizer.pad(
                features, pad_to_multiple_of=collator.pad_to_multiple_of, **options
            ).items()
        }
    )
