"""Pegasus's pretraining: the sentences that say most of a text are taken out, and are to be written.

Zhang, Zhao, Saleh and Liu 2020, "PEGASUS: Pre-training with Extracted Gap-sentences for Abstractive
Summarization" (ICML), section 3.1. Documents are lists of sentences.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import minigrad as torch

WORD = re.compile(r"[a-z0-9]+")


def words_of(text: str, unique: bool = False) -> Counter:
    """How often each word of lower-case letters and digits occurs; unique: once."""
    counts = Counter(WORD.findall(text.lower()))
    return Counter(counts.keys()) if unique else counts


def rouge1_f1(first: Counter, second: Counter) -> float:
    """2 P R / (P + R): P and R are the words in common, over those of each (Lin 2004, "ROUGE")."""
    common = (first & second).total()
    return 2 * common / (first.total() + second.total()) if common else 0.0


def principal_sentences(
    sentences: Sequence[str], count: int, sequential: bool = False, unique: bool = False
) -> list[int]:
    """The numbers of the `count` sentences that are most like the rest of the text, in order.

    Independently (the paper's Ind): those of the highest rouge1_f1(sentence, rest). Sequentially
    (Seq): one after the other, each time the one that makes those chosen, together, most like what is
    left. unique: a word counts once on each side (Uniq), not as often as it occurs (Orig). Of equals
    the first counts.
    """
    if not 0 <= count <= len(sentences):
        raise ValueError(f"principal_sentences: {count} of {len(sentences)} sentences")
    counts = [words_of(sentence) for sentence in sentences]
    everything = sum(counts, Counter())

    def score(chosen: Counter) -> float:
        rest = everything - chosen
        if unique:
            return rouge1_f1(Counter(chosen.keys()), Counter(rest.keys()))
        return rouge1_f1(chosen, rest)

    numbers = range(len(sentences))
    if not sequential:
        best = sorted(numbers, key=lambda i: -score(counts[i]))
        return sorted(best[:count])
    chosen: list[int] = []
    words: Counter = Counter()
    for _ in range(count):
        left = (i for i in numbers if i not in chosen)
        best_one = max(left, key=lambda i: (score(words + counts[i]), -i))
        chosen.append(best_one)
        words += counts[best_one]
    return sorted(chosen)


def choose_gaps(
    sentences: Sequence[str],
    ratio: float = 0.3,
    strategy: str = "principal",
    *,
    sequential: bool = False,
    unique: bool = False,
    generator=None,
) -> list[int]:
    """The numbers of the sentences to take out: round(ratio * their number), one at least.

    strategy: "principal" (see principal_sentences), "random" or "lead", the first ones.
    Raises ValueError for another one, a ratio that is not between 0 and 1, or no sentences.
    """
    if not 0 < ratio < 1:
        raise ValueError(f"choose_gaps: ratio must lie between 0 and 1, got {ratio}")
    if not sentences:
        raise ValueError("choose_gaps: there are no sentences to choose from")
    count = max(1, round(ratio * len(sentences)))
    if strategy == "principal":
        return principal_sentences(sentences, count, sequential, unique)
    if strategy == "random":
        return sorted(torch.randperm(len(sentences), generator=generator)[:count].tolist())
    if strategy == "lead":
        return list(range(count))
    raise ValueError(
        f"choose_gaps: there is no strategy {strategy!r}; there are: principal, random, lead"
    )


def gap_sentence_examples(
    documents: Iterable[Sequence[str]],
    tokenizer,
    max_length: int = 128,
    max_target_length: int = 64,
    ratio: float = 0.3,
    strategy: str = "principal",
    *,
    mask_token: str | None = None,
    sequential: bool = False,
    unique: bool = False,
) -> list[dict]:
    """Encoded examples for DataCollatorForSeq2Seq: "input_ids" with gaps, and "labels", what they lack.

    A document is cut into stretches of neighbouring sentences of at most max_length tokens, two
    sentences or more; a mask token (the tokenizer's without one given) stands for each gap sentence.
    Both sides get the tokenizer's special tokens; labels are cut to max_target_length.
    Raises ValueError for a tokenizer that does not have the mask token.
    """
    mask_token = tokenizer.mask_token if mask_token is None else mask_token
    if mask_token is None or mask_token not in tokenizer.get_vocab():
        raise ValueError(
            f"gap_sentence_examples: the tokenizer has no token {mask_token!r}: train it with "
            "extra_special_tokens, or name another mask_token"
        )
    mask = tokenizer.convert_tokens_to_ids(mask_token)
    special = tokenizer.num_special_tokens_to_add()
    add = tokenizer.build_inputs_with_special_tokens
    examples = []
    for document in documents:
        for texts, ids in stretches(document, tokenizer, max_length - special):
            if len(texts) < 2:
                continue
            gaps = choose_gaps(texts, ratio, strategy, sequential=sequential, unique=unique)
            source = [t for i, row in enumerate(ids) for t in ([mask] if i in gaps else row)]
            target = [token for i in gaps for token in ids[i]]
            labels = add(target[: max_target_length - special])
            examples.append({"input_ids": add(source), "labels": labels})
    return examples


def stretches(document: Sequence[str], tokenizer, room: int):
    """Neighbouring sentences of at most `room` tokens: (their texts, their ids without special tokens).

    A sentence that is longer stands alone, cut to `room`.
    """
    if room < 1:
        raise ValueError(f"stretches: no room for a token: {room}")
    rows = tokenizer(list(document), add_special_tokens=False, verbose=False)["input_ids"]
    texts: list[str] = []
    ids: list[list[int]] = []
    size = 0
    for sentence, row in zip(document, rows, strict=True):
        row = list(row[:room])
        if texts and size + len(row) > room:
            yield texts, ids
            texts, ids, size = [], [], 0
        texts.append(sentence)
        ids.append(row)
        size += len(row)
    if texts:
        yield texts, ids
