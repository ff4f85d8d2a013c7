"""Byte-level BPE, RoBERTa's way to cut words, in plain Python, held against the tokenizers library.

    python examples/teach_bpe.py                        movie reviews; a vocabulary of 1,000 pieces

Learning joins, again and again, the pair of neighbours that is seen most often; encoding does the same
joins, the earliest learnt first (Sennrich et al. 2016; on bytes: Radford et al. 2019).
"""

import json
import re
import unicodedata
from collections import Counter, defaultdict
from itertools import pairwise

from minigrad.pretrained import train_tokenizer
from minigrad.text import load

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
PLAIN = [*range(33, 127), *range(161, 173), *range(174, 256)]  # bytes that are written as they are
SIGNS = {byte: chr(byte) for byte in PLAIN}
SIGNS |= {byte: chr(256 + n) for n, byte in enumerate(b for b in range(256) if b not in SIGNS)}
SHORT = re.compile("'(?:s|t|re|ve|m|ll|d)")  # it's, can't ...
RUN = re.compile(r" ?L+| ?N+| ?\.+|\s+(?!\S)|\s+")  # a space belongs to the word behind it


def kind(sign: str) -> str:
    """A letter (L), a number (N), a space or another sign (.)."""
    if sign.isspace() and sign not in "\x1c\x1d\x1e\x1f":
        return sign if sign == " " else "\t"
    return {"L": "L", "N": "N"}.get(unicodedata.category(sign)[0], ".")


def words(text: str) -> list[str]:
    """Runs of letters, of numbers, of other signs and of spaces, each written by its bytes."""
    kinds, found, start = "".join(map(kind, text)), [], 0
    while start < len(text):
        end = (SHORT.match(text, start) or RUN.match(kinds, start)).end()
        found.append("".join(SIGNS[byte] for byte in text[start:end].encode()))
        start = end
    return found


def learn(texts: list[str], vocab_size: int, least: int = 2):
    """(numbers of pieces, pairs in the order in which they were joined)."""
    counts = Counter(word for text in texts for word in words(text))
    numbers = {piece: n for n, piece in enumerate([*SPECIAL, *sorted(SIGNS.values())])}
    cut = {word: " ".join(word) for word in counts}
    seen, where = Counter(), defaultdict(set)  # how often a pair is seen, and in which words
    for word in counts:
        for pair in pairwise(cut[word].split(" ")):
            seen[pair] += counts[word]
            where[pair].add(word)
    merges = []
    while len(numbers) < vocab_size:
        best = min(seen, key=lambda p: (-seen[p], numbers[p[0]], numbers[p[1]]), default=None)
        if seen[best] < least:
            break
        merges.append(best)
        numbers.setdefault("".join(best), len(numbers))
        apart = re.compile(rf"(?<!\S){re.escape(' '.join(best))}(?!\S)")
        for word in where.pop(best):
            for pair in pairwise(cut[word].split(" ")):
                seen[pair] -= counts[word]
            cut[word] = apart.sub(lambda found: found[0].replace(" ", ""), cut[word])
            for pair in pairwise(cut[word].split(" ")):
                seen[pair] += counts[word]
                where[pair].add(word)
        seen = +seen  # without those that are gone
    return numbers, merges


def encode(text: str, numbers: dict[str, int], ranks: dict[tuple[str, str], int]) -> list[int]:
    """The numbers of a text's pieces, between <s> and </s>."""
    found = [numbers["<s>"]]
    for word in words(text):
        pieces = list(word)
        while known := [(ranks[p], i) for i, p in enumerate(pairwise(pieces)) if p in ranks]:
            i = min(known)[1]  # the earliest learnt, the leftmost
            pieces[i : i + 2] = [pieces[i] + pieces[i + 1]]
        found += [numbers[piece] for piece in pieces]
    return [*found, numbers["</s>"]]


def compare(texts: list[str], vocab_size: int) -> tuple[bool, int]:
    """(the library learns the same?, how many texts are cut as it cuts them), from half of the texts."""
    half = texts[: len(texts) // 2]
    tokenizer = train_tokenizer(half, "bpe", vocab_size)
    theirs = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    numbers, merges = learn(half, vocab_size)
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    ours = [encode(text, numbers, ranks) for text in texts]
    print(texts[0][:60], "->", *tokenizer.convert_ids_to_tokens(ours[0])[:16])
    same = merges == list(map(tuple, theirs)) and numbers == tokenizer.get_vocab()
    return same, sum(a == b for a, b in zip(ours, tokenizer(texts)["input_ids"], strict=True))


if __name__ == "__main__":
    reviews = [text for text, _ in load("movie_reviews").train][:4000]
    same, equal = compare(reviews, 1000)
    print(f"learnt the same: {same}; {equal} of {len(reviews)} texts are cut the same")
