"""Sentence pairs for translation: Multi30k and files of pairs, words, vocabularies, batches.

The words are those of the tokenizer `translation`: lower-case, marks apart. That is close to spaCy's
lower-cased tokens, with which the well-known tutorials (pytorch-seq2seq) measure their figures.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy

from ..ops.creation import as_tensor
from ..utils.data import DataLoader
from .batch import BucketBatchSampler, pad_ids, padded
from .datasets import FILES, _content, _expect, _file
from .vocab import Vocab, build_vocab_from_iterator

SPECIALS = ["<pad>", "<unk>", "<bos>", "<eos>"]
PAD, UNK, BOS, EOS = range(4)

Pair = tuple[str, str]

_MULTI30K = "https://raw.githubusercontent.com/multi30k/dataset/a3d2e0d/data/task1/raw/"
FILES.update(
    {
        f"multi30k_en_de/{name}.gz": (f"{_MULTI30K}{name}.gz", digest)
        for name, digest in {
            "train.de": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
            "train.en": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
            "val.de": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
            "val.en": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
            "test_2016_flickr.de": "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
            "test_2016_flickr.en": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
        }.items()
    }
)


@dataclass
class ParallelCorpus:
    """Sentence pairs (source, target), as text."""

    name: str
    source: str  # language codes
    target: str
    train: list[Pair]
    valid: list[Pair] = field(default_factory=list)
    test: list[Pair] = field(default_factory=list)


def _sentences(path, encoding: str = "utf-8") -> list[str]:
    """The lines of a text file, which may be packed (.gz); an empty line is an error."""
    try:
        text = _content(Path(path)).decode(encoding)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}:{line}: this is not {encoding}: {error.reason}") from error
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise ValueError(f"{path}:{number}: the line is empty")
    return [line.strip() for line in lines]


def read_parallel(source, target) -> list[Pair]:
    """The pairs of two files, line n of one with line n of the other (.gz is unpacked)."""
    first, second = _sentences(source), _sentences(target)
    if len(first) != len(second):
        shorter = source if len(first) < len(second) else target
        raise ValueError(
            f"{shorter}:{min(len(first), len(second)) + 1}: the file ends; {source} has "
            f"{len(first)} lines and {target} has {len(second)}"
        )
    return list(zip(first, second, strict=True))


def read_pairs(path) -> list[Pair]:
    """The pairs of a file with "source TAB target" lines (.gz is unpacked)."""
    pairs = []
    for number, line in enumerate(_sentences(path), start=1):
        parts = [part.strip() for part in line.split("\t")]
        if len(parts) != 2 or not all(parts):
            raise ValueError(f"{path}:{number}: expected 'source TAB target', got {line[:60]!r}")
        pairs.append((parts[0], parts[1]))
    return pairs


def multi30k(source: str = "de", target: str = "en") -> ParallelCorpus:
    """Captions of photographs, 29,000/1,014/1,000 (test_2016_flickr).  Elliott et al. 2016."""
    if {source, target} != {"de", "en"}:
        raise ValueError(f"multi30k: the languages are 'de' and 'en', not {source!r}, {target!r}")
    parts = []
    for part, count in (("train", 29000), ("val", 1014), ("test_2016_flickr", 1000)):
        files = [_file(f"multi30k_en_de/{part}.{language}.gz") for language in (source, target)]
        parts.append(_expect(f"multi30k {part}", read_parallel(*files), count))
    return ParallelCorpus("multi30k", source, target, *parts)


_NO_BLANK_BEFORE = re.compile(r" ([.,!?;:%)\]]|'(?:s|t|re|ve|ll|d|m)\b)")
_NO_BLANK_AFTER = re.compile(r"([(\[]) ")
_HYPHEN = re.compile(r"(\w) - (\w)")


def join_words(words: Sequence[str]) -> str:
    """Words back to a sentence: blanks, but none before . , and the like, nor around hyphens."""
    text = _NO_BLANK_BEFORE.sub(r"\1", " ".join(words))
    return _HYPHEN.sub(r"\1-\2", _NO_BLANK_AFTER.sub(r"\1", text))


def build_vocab(sentences, min_freq: int = 2) -> Vocab:
    """The words that occur min_freq times, after <pad>, <unk>, <bos>, <eos>; others are <unk>."""
    vocab = build_vocab_from_iterator(sentences, min_freq, SPECIALS)
    vocab.set_default_index(UNK)
    return vocab


def collate_pairs(pairs):
    """[(source ids, target ids with <bos> and <eos>)] -> ((source, target inputs), next words)."""
    if not pairs:
        raise ValueError("collate_pairs: the batch is empty")
    target = padded([ids for _, ids in pairs], PAD)
    source = pad_ids([ids for ids, _ in pairs], PAD)
    inputs, following = (numpy.ascontiguousarray(part) for part in (target[:, :-1], target[:, 1:]))
    return (source, as_tensor(inputs)), as_tensor(following)


def pair_batches(
    pairs: Sequence[tuple[list[int], list[int]]],
    batch_size: int,
    shuffle: bool,
    seed: int = 0,
) -> DataLoader:
    """Batches of encoded pairs, those with targets (then sources) of like length together."""
    for number, (source, target) in enumerate(pairs):
        if not source or len(target) < 2:
            raise ValueError(f"pair_batches: pair {number} has an empty sentence")
    lengths = [(len(target), len(source)) for source, target in pairs]
    sampler = BucketBatchSampler(lengths, batch_size, shuffle, seed=seed)
    return DataLoader(pairs, batch_sampler=sampler, collate_fn=collate_pairs)
