"""Hashes of the character n-grams of many words at once: see minigrad/text/vectors/subwords.py."""

import numpy

from .kernel import Kernel, compiled


@compiled
def _scan(text, ends, minn, maxn, buckets, starts, found):
    """Count the n-grams of every word, and where `found` has room for them, hash them.

    A byte from 128 to 191 goes on with a character of UTF-8; none begins or ends there.
    """
    count = 0
    begin = 0
    for word in range(len(ends)):
        end = ends[word]
        starts[word] = count
        for first in range(begin, end):
            if 128 <= text[first] < 192:
                continue
            h, length = 2166136261, 0
            for place in range(first, end):
                byte = text[place]
                h = ((h ^ (byte if byte < 128 else byte + 0xFFFFFF00)) * 16777619) & 0xFFFFFFFF
                if place + 1 < end and 128 <= text[place + 1] < 192:
                    continue
                length += 1
                if length > maxn:
                    break
                if length >= minn and (length > 1 or begin < first < end - 1):
                    if len(found) > 0:
                        found[count] = h % buckets
                    count += 1
        begin = end
    starts[len(ends)] = count


def subword_buckets(text, ends, minn, maxn, buckets):
    """(starts, found): word i's n-grams fall into the buckets found[starts[i] : starts[i + 1]].

    text: all words' UTF-8 bytes, each between < and >, as int64; ends (words,): where each ends.
    """
    return _buckets(_scan.function, text, ends, minn, maxn, buckets)


def _buckets(scan, text, ends, minn, maxn, buckets):
    starts = numpy.zeros(len(ends) + 1, numpy.int64)
    scan(text, ends, minn, maxn, buckets, starts, numpy.empty(0, numpy.int64))
    found = numpy.empty(starts[-1], numpy.int64)
    scan(text, ends, minn, maxn, buckets, starts, found)
    return starts, found


subword_buckets = Kernel(subword_buckets)


@subword_buckets.implement("numpy")
def subword_buckets_numba(text, ends, minn, maxn, buckets):
    """The same, compiled."""
    return _buckets(_scan, text, ends, int(minn), int(maxn), int(buckets))
