"""A collator for encoder-decoders: sources and targets of several lengths to one batch."""

from dataclasses import dataclass
from typing import Any

from .collators import IGNORED, DataCollatorWithPadding
from .encoding import BatchEncoding
from .padding import as_lists


@dataclass
class DataCollatorForSeq2Seq:
    """A list of encoded sources with "labels" -> BatchEncoding of tensors, each side padded by itself.

    Sources (B, S) are padded by tokenizer.pad, labels (B, T) by label_pad_token_id, both on the
    tokenizer's padding_side. padding: True or "longest"; "max_length", for both sides, to max_length;
    pad_to_multiple_of rounds both up. With a model, decoder_input_ids are made of the labels by its
    prepare_decoder_input_ids_from_labels. Texts whose labels are missing or None have none in the batch.
    """

    tokenizer: Any
    model: Any = None
    padding: bool | str = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    label_pad_token_id: int = IGNORED
    return_tensors: str = "pt"

    def __call__(self, features, return_tensors: str | None = None) -> BatchEncoding:
        kind = return_tensors or self.return_tensors
        name = "label" if features and "label" in features[0] else "labels"
        sources = [{k: v for k, v in text.items() if k != name} for text in features]
        pad = DataCollatorWithPadding(
            self.tokenizer, self.padding, self.max_length, self.pad_to_multiple_of, "pt"
        )
        batch = pad(sources)
        targets = [as_lists(text.get(name)) for text in features]
        if any(target is not None for target in targets):
            batch["labels"] = self.pad_labels(targets)
        batch.convert_to_tensors("pt")
        prepare = getattr(self.model, "prepare_decoder_input_ids_from_labels", None)
        if "labels" in batch and prepare is not None:
            batch["decoder_input_ids"] = prepare(batch["labels"])
        return batch if kind in ("pt", "mg") else batch.convert_to_tensors(kind)

    def pad_labels(self, targets) -> list[list[int]]:
        """Labels of one length."""
        for number, target in enumerate(targets):
            if target is None:
                raise ValueError(
                    f"DataCollatorForSeq2Seq: text {number} has no labels, and others have"
                )
        longest = max(map(len, targets))
        length = longest
        if self.padding == "max_length" and self.max_length is not None:
            length = self.max_length
            if longest > length:
                raise ValueError(
                    f"DataCollatorForSeq2Seq: labels of {longest} tokens are longer than max_length "
                    f"{length}: truncate them"
                )
        if self.pad_to_multiple_of:
            length = -(-length // self.pad_to_multiple_of) * self.pad_to_multiple_of
        left = self.tokenizer.padding_side == "left"
        fills = [[self.label_pad_token_id] * (length - len(target)) for target in targets]
        return [f + t if left else t + f for f, t in zip(fills, targets, strict=True)]
