"""Running text for language models: its words or characters as ids, cut into columns and windows.

A corpus of N ids is laid out in B columns of N // B ids each (`batchify`), and read from the top down,
T rows at a time (`Windows`). A model carries its state from one window to the next, so that every
column is one long text: truncated backpropagation through time, as in Zaremba et al. 2014.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy

from ..ops.creation import as_tensor
from ..tensor import Tensor
from .datasets import read_text
from .vocab import Vocab, build_vocab_from_iterator

EOS = "<eos>"
UNK = "<unk>"


@dataclass
class Corpus:
    """A text in parts, as ids (N,), with the vocabulary: of words, or of characters.

    A part that a corpus lacks is empty.
    """

    name: str
    level: str  # "word" or "character"
    vocab: Vocab
    train: Tensor
    valid: Tensor
    test: Tensor


def tokens_of(text: str, level: str) -> list[str]:
    """Words, each line closed by <eos>, blank lines too; or single characters."""
    if level == "character":
        return list(text)
    if level != "word":
        raise ValueError(f"level must be 'word' or 'character', not {level!r}")
    return [token for line in text.splitlines() for token in (*line.split(), EOS)]


def ids_of(tokens: Iterable[str], vocab: Vocab) -> Tensor:
    """The ids of tokens, (N,); an unknown word is the vocabulary's default, an error without one."""
    return as_tensor(numpy.array(vocab(list(tokens)), numpy.int64))


def corpus_from_texts(name, level, train, valid="", test="", min_freq: int = 1) -> Corpus:
    """A corpus of one's own texts.

    Words: the vocabulary is that of the training text; those that occur there less than min_freq
    times, or in the other parts only, become <unk>. Characters: all of the three texts.
    """
    parts = [tokens_of(text, level) for text in (train, valid, test)]
    if not parts[0]:
        raise ValueError(f"{name}: the training text is empty")
    if level == "character":
        vocab = Vocab(sorted(set().union(*parts)))
    else:
        specials = [] if UNK in parts[0] else [UNK]
        vocab = build_vocab_from_iterator(parts[:1], min_freq, specials)
        vocab.set_default_index(vocab[UNK])
    return Corpus(name, level, vocab, *(ids_of(part, vocab) for part in parts))


def characters_of_file(path) -> Corpus:
    """The characters of a text file of one's own; its last tenth validates."""
    path = Path(path)
    text = path.read_text(encoding="utf-8")
    cut = int(0.9 * len(text))
    return corpus_from_texts(path.stem, "character", text[:cut], text[cut:])


def _counted(corpus: Corpus, *counts: int) -> Corpus:
    found = tuple(len(part) for part in (corpus.train, corpus.valid, corpus.test))
    if found != counts:
        raise ValueError(f"{corpus.name}: expected {counts} tokens in its parts, found {found}")
    return corpus


def penn_treebank() -> Corpus:
    """Mikolov's Penn Treebank: 929,589 / 73,760 / 82,430 words with <eos>, vocabulary of 10,000."""
    texts = [read_text(f"ptb/ptb.{part}.txt") for part in ("train", "valid", "test")]
    corpus = _counted(corpus_from_texts("ptb", "word", *texts), 929_589, 73_760, 82_430)
    if len(corpus.vocab) != 10_000:
        raise ValueError(f"ptb: expected a vocabulary of 10000 words, found {len(corpus.vocab)}")
    return corpus


def wikitext2(vocab: Vocab | None = None) -> Corpus:
    """WikiText-2's validation and test parts, 217,646 / 245,569 words with <eos>.  Merity et al. 2017.

    The training part, 10 MB, is not among the data files. vocab: a trained model's; without it, that
    of the validation part. Words that are not in it become <unk>.
    """
    valid, test = (
        tokens_of(read_text(f"wikitext2/{part}.txt"), "word") for part in ("valid", "test")
    )
    if vocab is None:
        vocab = build_vocab_from_iterator([valid])
        vocab.set_default_index(vocab[UNK])
    parts = [ids_of(tokens, vocab) for tokens in ([], valid, test)]
    return _counted(Corpus("wikitext2", "word", vocab, *parts), 0, 217_646, 245_569)


def tiny_shakespeare() -> Corpus:
    """Karpathy's 1,115,394 characters of Shakespeare, 65 different ones; the last tenth validates."""
    text = read_text("tinyshakespeare/input.txt")
    cut = int(0.9 * len(text))
    characters = Vocab(sorted(set(text)))
    parts = [ids_of(part, characters) for part in (text[:cut], text[cut:], "")]
    corpus = Corpus("tinyshakespeare", "character", characters, *parts)
    return _counted(corpus, 1_003_854, 111_540, 0)


CORPORA = {
    "ptb": penn_treebank,
    "tinyshakespeare": tiny_shakespeare,
    "wikitext2": wikitext2,
}


def load_corpus(name: str) -> Corpus:
    """A corpus by name: load_corpus("ptb")."""
    if name not in CORPORA:
        raise ValueError(f"load_corpus: there is no {name!r}; there are: {', '.join(CORPORA)}")
    return CORPORA[name]()


def batchify(ids: Tensor, columns: int) -> Tensor:
    """The text in B columns side by side, (N,) -> (N // B, B); what is left over is dropped.

    Raises ValueError where a column would have less than two ids: one to read, one to foretell.
    """
    if columns < 1:
        raise ValueError(f"batchify: there must be at least one column, not {columns}")
    if ids.dim() != 1:
        raise ValueError(f"batchify: expected ids of shape (N,), got {tuple(ids.shape)}")
    if len(ids) == 0:
        raise ValueError("batchify: the corpus is empty")
    rows = len(ids) // columns
    if rows < 2:
        raise ValueError(
            f"batchify: {len(ids)} ids are too few for {columns} columns of at least 2: use fewer "
            "columns or more text"
        )
    return ids[: rows * columns].view(columns, rows).t().contiguous()


class Windows:
    """(inputs, targets), both (T, B), in order down the columns; targets are one row further on.

    The last window may be shorter, so that every row but the first is foretold once.
    """

    def __init__(self, columns: Tensor, steps: int):
        if steps < 1:
            raise ValueError(f"Windows: a window needs at least one step, not {steps}")
        if columns.dim() != 2 or len(columns) < 2:
            raise ValueError(
                f"Windows: expected ids of shape (rows, columns), at least two rows, got "
                f"{tuple(columns.shape)}"
            )
        self.columns = columns
        self.steps = steps

    def __len__(self) -> int:
        return -(-(len(self.columns) - 1) // self.steps)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        last = len(self.columns) - 1
        for start in range(0, last, self.steps):
            stop = min(start + self.steps, last)
            yield self.columns[start:stop], self.columns[start + 1 : stop + 1]
