"""Texts for causal language models: documents one after the other, cut into blocks of one length.

No place of a block is padding, so that every token of every batch is learned from (Brown et al. 2020,
"Language Models are Few-Shot Learners" (NeurIPS), appendix B).
"""

from collections.abc import Iterable, Sequence

from .padding import as_lists


def pack_documents(
    documents: Iterable[Sequence[int]],
    length: int,
    separator: int | None = None,
    drop_last: bool = False,
) -> list[list[int]]:
    """Documents of ids -> blocks of `length` ids, for DataCollatorForLanguageModeling(mlm=False).

    separator: the id that is put after every document, by which a model learns where one ends. Blocks
    in a row are the documents in a row: nothing is lost or doubled. The last block may be shorter
    than the others; drop_last leaves it out then.
    Raises ValueError for a length below 1, TypeError for documents that are no lists of ids.
    """
    if length < 1:
        raise ValueError(f"pack_documents: a block needs at least one id, not {length}")
    blocks, block = [], []
    for number, document in enumerate(documents):
        ids = as_lists(document)
        if not isinstance(ids, list) or not all(isinstance(i, int) for i in ids):
            raise TypeError(f"pack_documents: document {number} is no list of ids: {ids!r:.40}")
        block += ids if separator is None else [*ids, separator]
        whole = len(block) // length * length
        blocks += [block[start : start + length] for start in range(0, whole, length)]
        block = block[whole:]
    return blocks if drop_last or not block else [*blocks, block]


def pack_texts(
    texts: Sequence[str], tokenizer, length: int, drop_last: bool = False
) -> list[list[int]]:
    """`pack_documents` of texts by a tokenizer, without its special tokens, but with eos after each.

    Raises ValueError for a tokenizer without an end-of-sequence token.
    """
    if tokenizer.eos_token_id is None:
        raise ValueError(
            "pack_texts: the tokenizer has no end-of-sequence token to put after a text: set "
            "tokenizer.eos_token, or call pack_documents"
        )
    encoded = tokenizer(list(texts), add_special_tokens=False, verbose=False).input_ids
    return pack_documents(encoded, length, tokenizer.eos_token_id, drop_last)
