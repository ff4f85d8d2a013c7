"""Counting which words stand near each other: the sums over a text of 1 / distance, for pairs of ids.

A table of open addresses, keys (slots,) int64 and sums (slots,) float64, holds one slot a pair: the
key is first * size + second, -1 where nothing is. It grows no more when it is filled: `count_pairs`
then stops, the caller empties it and goes on at the place where it stopped.
"""

import numpy

from .kernel import Kernel, compiled, inlined

FILLED = 0.7  # the share of slots in use above which looking for one takes long
_MIX = 0x9E3779B97F4A7C1  # 2^60 / golden ratio, odd


def count_pairs(ids, begin, window, size, symmetric, harmonic, keys, sums, used):
    """Add the pairs of ids[begin:] to the table; returns (where it stopped, slots in use).

    ids: int64, -1 ends a sentence. Each id makes a pair with each of the up to `window` before it in
    the sentence, that adds 1 / distance (harmonic) or 1. A symmetric pair counts as (smaller, larger),
    else as (id, the one before it). used: slots in use before.
    """
    limit = int(FILLED * len(keys)) - window
    start = begin - window
    for p in range(max(0, start), begin):
        if ids[p] < 0:
            start = p + 1
    start = max(0, start)
    for p in range(begin, len(ids)):
        if used >= limit:
            return p, used
        if ids[p] < 0:
            start = p + 1
            continue
        for q in range(max(start, p - window), p):
            a, b = int(ids[p]), int(ids[q])
            if symmetric and a > b:
                a, b = b, a
            key = a * size + b
            slot = ((key * _MIX) & (2**64 - 1)) >> 20 & (len(keys) - 1)
            while keys[slot] not in (key, -1):
                slot = (slot + 1) & (len(keys) - 1)
            used += int(keys[slot] < 0)
            keys[slot] = key
            sums[slot] += 1 / (p - q) if harmonic else 1
    return len(ids), used


count_pairs = Kernel(count_pairs)


@inlined
def _place(key, mask):
    """Where to look for a key first."""
    return ((key * numpy.int64(_MIX)) >> 20) & mask


@compiled
def _count(ids, begin, window, size, symmetric, harmonic, keys, sums, used, limit):
    mask = keys.size - 1
    start = max(0, begin - window)
    for p in range(start, begin):
        if ids[p] < 0:
            start = p + 1
    for p in range(begin, ids.size):
        if used >= limit:
            return p, used
        here = ids[p]
        if here < 0:
            start = p + 1
            continue
        for q in range(max(start, p - window), p):
            a, b = here, ids[q]
            if symmetric and a > b:
                a, b = b, a
            key = a * size + b
            slot = _place(key, mask)
            while keys[slot] != key and keys[slot] >= 0:
                slot = (slot + 1) & mask
            if keys[slot] < 0:
                keys[slot] = key
                used += 1
            sums[slot] += 1.0 / (p - q) if harmonic else 1.0
    return ids.size, used


@count_pairs.implement("numpy")
def count_pairs_numba(ids, begin, window, size, symmetric, harmonic, keys, sums, used):
    """One look into the table a pair."""
    limit = int(FILLED * len(keys)) - window
    return _count(ids, begin, window, size, symmetric, harmonic, keys, sums, used, limit)
