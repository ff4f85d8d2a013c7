"""Examples for pretraining: pairs of sentences that follow each other or don't, and fixed masks.

Documents are lists of sentences. The builders give lists of encoded texts, for
DataCollatorForLanguageModeling, which masks words anew in every batch.
"""

from collections.abc import Callable, Sequence

import minigrad as torch

from .collators import DataCollatorForLanguageModeling, padded_offsets

TOGETHER = 256  # examples that are masked in one go


def _below(n: int) -> int:
    """A whole number from 0 to n - 1, of minigrad's random stream."""
    return int(torch.randint(n, (1,)).item())


def _check_documents(name: str, documents, least: int) -> None:
    if isinstance(documents, str) or len(documents) < least:
        raise ValueError(
            f"{name}: expected a list of documents, {least} or more, got "
            + ("a string" if isinstance(documents, str) else str(len(documents)))
        )
    for number, document in enumerate(documents):
        if isinstance(document, str) or not all(isinstance(text, str) for text in document):
            raise TypeError(f"{name}: document {number} is a list of sentences, each a string")


def _chunks(document: Sequence[str], tokenizer, room: int) -> list[list[str]]:
    """Neighbouring sentences, two or more, until they have `room` tokens; a single last one is left out."""
    chunks, chunk, tokens = [], [], 0
    encoded = tokenizer(list(document), add_special_tokens=False, verbose=False)
    counts = [len(ids) for ids in encoded.input_ids]
    for sentence, count in zip(document, counts, strict=True):
        chunk.append(sentence)
        tokens += count
        if tokens >= room and len(chunk) > 1:
            chunks.append(chunk)
            chunk, tokens = [], 0
    return [*chunks, chunk] if len(chunk) > 1 else chunks


def _pairs(name, documents, tokenizer, max_length: int, label: str, make: Callable) -> list[dict]:
    """An encoded pair of each chunk, cut in two at a place drawn; make(first, second, document number)."""
    room = max_length - tokenizer.num_special_tokens_to_add(pair=True)
    if room < 2:
        raise ValueError(f"{name}: max_length {max_length} leaves no room for two sentences")
    examples = []
    for number, document in enumerate(documents):
        for chunk in _chunks(document, tokenizer, room):
            cut = 1 + _below(len(chunk) - 1)
            first, second, value = make(chunk[:cut], chunk[cut:], number)
            encoded = tokenizer(
                " ".join(first),
                " ".join(second),
                truncation=True,
                max_length=max_length,
                return_token_type_ids=True,
                return_special_tokens_mask=True,
            )
            examples.append({**encoded, label: value})
    return examples


def next_sentence_pairs(
    documents: Sequence[Sequence[str]], tokenizer, max_length: int = 128
) -> list[dict]:
    """BERT's second objective: does the second text follow the first (Devlin et al. 2019, 3.1)?

    A document is cut into chunks of about max_length tokens, and each chunk in two. With probability
    1/2 the second part is replaced by as many sentences from a place drawn in another document.
    next_sentence_label: 0 where it follows, 1 where it is another. Texts are cut to max_length.
    """
    _check_documents("next_sentence_pairs", documents, 2)
    filled = [document for document in documents if document]
    if len(filled) < 2:
        raise ValueError("next_sentence_pairs: two documents or more must have sentences")

    def make(first, second, number):
        if _below(2) == 0:
            return first, second, 0
        place = _below(len(filled) - 1)
        other = filled[place + (place >= number)]  # any but the text's own
        start = _below(len(other))
        return first, other[start : start + len(second)], 1

    return _pairs("next_sentence_pairs", filled, tokenizer, max_length, "next_sentence_label", make)


def sentence_order_pairs(
    documents: Sequence[Sequence[str]], tokenizer, max_length: int = 128
) -> list[dict]:
    """ALBERT's second objective: which of two neighbouring texts is first (Lan et al. 2020, 3.1)?

    As next_sentence_pairs, but with probability 1/2 the two parts are swapped.
    sentence_order_label: 0 in order, 1 swapped.
    """
    _check_documents("sentence_order_pairs", documents, 1)

    def make(first, second, _):
        return (first, second, 0) if _below(2) == 0 else (second, first, 1)

    return _pairs(
        "sentence_order_pairs", documents, tokenizer, max_length, "sentence_order_label", make
    )


def static_masking(
    examples: Sequence[dict], collator: DataCollatorForLanguageModeling, copies: int = 10
) -> list[dict]:
    """Examples masked once, in `copies` ways, before training: copies * len(examples) of them.

    The first len(examples) are masked in the first way, and so on; they have labels, and are padded
    by DataCollatorForTokenClassification. Original BERT saw each of 10 ways 4 times in 40 epochs; a
    collator that masks every batch anew is RoBERTa's dynamic masking (Liu et al. 2019, 4.1).
    """
    if copies < 1:
        raise ValueError(f"static_masking: copies must be 1 or more, got {copies}")
    if not collator.mlm:
        raise ValueError("static_masking: the collator must mask: mlm=True")
    masked = []
    for _ in range(copies):
        for start in range(0, len(examples), TOGETHER):
            masked += _masked(examples[start : start + TOGETHER], collator)
    return masked


def _masked(examples: Sequence[dict], collator) -> list[dict]:
    """Examples with masked input_ids and with labels; what fills rows to one length is cut off again."""
    rows = [list(example["input_ids"]) for example in examples]
    special = [
        list(
            example.get("special_tokens_mask")
            or collator.tokenizer.get_special_tokens_mask(row, already_has_special_tokens=True)
        )
        for example, row in zip(examples, rows, strict=True)
    ]
    width = max(map(len, rows))
    used = ("special_tokens_mask", "offset_mapping")
    offsets = None
    if collator.whole_word_mask:
        offsets = padded_offsets([example.get("offset_mapping") for example in examples], width)
    ids, labels = collator.mask_tokens(
        torch.tensor([row + [0] * (width - len(row)) for row in rows]),
        torch.tensor([row + [1] * (width - len(row)) for row in special]),
        offsets,
    )
    return [
        {name: value for name, value in example.items() if name not in used}
        | {"input_ids": new[: len(row)], "labels": asked[: len(row)]}
        for example, row, new, asked in zip(
            examples, rows, ids.tolist(), labels.tolist(), strict=True
        )
    ]
