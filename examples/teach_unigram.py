"""Unigram, ALBERT's way to cut words, in plain Python, held against the tokenizers library.

    python examples/teach_unigram.py                    movie reviews; a vocabulary of 2,000 pieces

Every piece has a log-probability. Of all ways to cut a word, Viterbi's algorithm finds the likeliest:
the best cut up to each place is the best cut up to an earlier one and a piece between them (Kudo
2018, "Subword Regularization").
"""

import json
import unicodedata

from minigrad.pretrained import train_tokenizer
from minigrad.text import load

SPACE = "▁"  # stands before every word
UNKNOWN = 10.0  # how much less likely an unknown sign is than the least likely piece


def clean(text: str) -> str:
    """Quotes of one kind, no accents, lower case."""
    text = unicodedata.normalize("NFKD", text.replace("``", '"').replace("''", '"'))
    return "".join(sign for sign in text if unicodedata.category(sign)[0] != "M").lower()


def viterbi(word: str, scores: dict[str, float], longest: int, unknown: float) -> list[str]:
    """The cut of a word whose pieces' scores have the largest sum.

    best[end] = max over start of best[start] + score(word[start:end]); a sign that is no piece is one
    of its own with the score `unknown`, and such signs beside each other are joined.
    """
    best: list[tuple[float, int]] = [(0.0, 0)] + [(float("-inf"), 0)] * len(word)
    for start in range(len(word)):
        for end in range(start + 1, min(start + longest, len(word)) + 1):
            score = scores.get(word[start:end], unknown if end == start + 1 else None)
            if score is not None and best[start][0] + score > best[end][0]:
                best[end] = (best[start][0] + score, start)
    cut: list[str] = []
    end = len(word)
    while end:  # from the end back to the beginning
        start = best[end][1]
        piece = word[start:end]
        if cut and piece not in scores and cut[-1] not in scores:
            cut[-1] = piece + cut[-1]
        else:
            cut.append(piece)
        end = start
    return cut[::-1]


class Unigram:
    """Pieces with scores, numbered in their order; one of them stands for unknown ones."""

    def __init__(self, pieces: list[tuple[str, float]], unknown: int):
        self.scores = dict(pieces)
        self.numbers = {piece: number for number, (piece, _) in enumerate(pieces)}
        self.unknown = unknown
        self.least = min(self.scores.values()) - UNKNOWN
        self.longest = max(map(len, self.scores))

    def encode(self, text: str) -> list[int]:
        """The numbers of a text's pieces, between [CLS] and [SEP]."""
        found = [self.numbers["[CLS]"]]
        for word in clean(text).split():
            pieces = viterbi(SPACE + word, self.scores, self.longest, self.least)
            found += [self.numbers.get(piece, self.unknown) for piece in pieces]
        return [*found, self.numbers["[SEP]"]]


def compare(texts: list[str], vocab_size: int) -> int:
    """How many texts are cut as the library cuts them, by a vocabulary learnt from half of them."""
    tokenizer = train_tokenizer(texts[: len(texts) // 2], "unigram", vocab_size)
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    unigram = Unigram([(piece, score) for piece, score in model["vocab"]], model["unk_id"])
    ours = [unigram.encode(text) for text in texts]
    theirs = tokenizer(texts)["input_ids"]
    print(texts[0][:60], "->", *tokenizer.convert_ids_to_tokens(ours[0])[:16])
    return sum(a == b for a, b in zip(ours, theirs, strict=True))


if __name__ == "__main__":
    reviews = [text for text, _ in load("movie_reviews").train][:4000]
    print(
        compare(reviews, 2000), "of", len(reviews), "texts are cut as the tokenizers library does"
    )
