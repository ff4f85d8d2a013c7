"""Word n-grams as numbered buckets of a hash table, fastText's way.

Joulin, Grave, Bojanowski and Mikolov 2016, "Bag of Tricks for Efficient Text Classification": word
order enters as n-grams, and the hashing trick keeps their table at a fixed size.
"""

from collections.abc import Sequence

_MASK32 = 0xFFFFFFFF
_MASK64 = 0xFFFFFFFFFFFFFFFF
_STEP = 116_049_371  # fastText's factor from one word's hash to the n-gram's


def fnv1a(text: str) -> int:
    """The 32-bit FNV-1a hash of a text's UTF-8 bytes: h = (h xor byte) 16777619 mod 2^32.

    As in fastText, bytes from 128 up enter as negative numbers (their sign fills the upper bits),
    which plain FNV-1a doesn't do.
    """
    value = 2166136261
    for byte in text.encode("utf-8"):
        signed = byte if byte < 128 else byte | 0xFFFFFF00
        value = ((value ^ signed) * 16777619) & _MASK32
    return value


def ngram_buckets(words: Sequence[str], n: int = 2, buckets: int = 2_000_000) -> list[int]:
    """The bucket, from 0 to buckets - 1, of every n-gram of 2 to n words.

    They come in fastText's order: from each word on, the bigram, the trigram and so on. Different
    n-grams may share a bucket.
    """
    if n < 1:
        raise ValueError(f"ngram_buckets: n must be at least 1, not {n}")
    if buckets < 1:
        raise ValueError(f"ngram_buckets: there must be at least one bucket, not {buckets}")
    hashes = [fnv1a(word) for word in words]
    hashes = [h - 2**32 if h >= 2**31 else h for h in hashes]  # fastText keeps them as int32
    found = []
    for i, first in enumerate(hashes):
        value = first & _MASK64
        for h in hashes[i + 1 : i + n]:
            value = (value * _STEP + h) & _MASK64
            found.append(value % buckets)
    return found
