"""Random bits by counting: the bits of place `index` are a hash of (seed, index), nothing is stored.

    keep_bits(seed, index)           32 bits, for compiled loops; index from 0 to 2^32, then again
    keeps(seed, index, least)        True with probability 1 - p, where least = threshold(p)
    random_bits(seed, begin, count)  the bits of the places begin .. begin + count, an array
    keep_mask(seed, count, p)        which of the places 0 .. count are kept, an array

In a loop over a slice of a row both vectorise (0.4 ns a number); over a whole array by index they may
not. So a dropout mask takes no memory: backward computes it again from the seed. Any thread finds the bits
of its own places, whoever computes the others (Salmon et al. 2011, "Parallel random numbers: as easy
as 1, 2, 3"). The hash is three rounds of "multiply, fold the high half onto the low one" with the
multipliers of C. Wellons' triple32 (2018, found by a search for the least bias). The seed's low half
is put in before the first round and, mixed with the high half, after it again: the streams of two
seeds are no shifts of each other.
"""

import numpy

from .kernel import inlined

uint32 = numpy.uint32
SEED_BITS = 62  # a seed is a number from 0 to 2^62
_MIX = 0x9E3779B97F4A7C1  # 2^60 / golden ratio, odd


@inlined
def keep_bits(seed, index):
    """32 random bits for a place; seed and index are int64, which is as good as their low bits."""
    x = uint32(uint32(index) + uint32(seed))
    x = uint32(x ^ (x >> uint32(17)))
    x = uint32(x * uint32(0xED5AD4BB))
    x = uint32(x ^ (x >> uint32(11)))
    x = uint32(x + uint32((seed * numpy.int64(_MIX)) >> 30))
    x = uint32(x * uint32(0xAC4C1B51))
    x = uint32(x ^ (x >> uint32(15)))
    x = uint32(x * uint32(0x31848BAB))
    return uint32(x ^ (x >> uint32(14)))


@inlined
def keeps(seed, index, least):
    """True where a place is kept: the upper 24 bits are at least `least`, which is threshold(p)."""
    return numpy.int32(keep_bits(seed, index) >> uint32(8)) >= numpy.int32(least)


def threshold(p: float) -> int:
    """p as a multiple of 2^-24: what the upper 24 bits of a place must reach, or it is dropped."""
    return round(p * (1 << 24))


def _halves(seed):
    """What is put in before the first round and after it; arrays for a seed in the GPU's memory."""
    if isinstance(seed, int):
        return uint32(seed & 0xFFFFFFFF), uint32((seed * _MIX) >> 30 & 0xFFFFFFFF)
    words = seed.array.view("uint64")
    return words.astype(uint32), ((words * numpy.uint64(_MIX)) >> numpy.uint64(30)).astype(uint32)


def random_bits(seed, begin: int, count: int, xp=numpy):
    """`keep_bits` of the places begin .. begin + count, as uint32; xp: numpy or cupy.

    seed: a number, or a `capture.Seed`, which lies on the GPU.
    """
    low, mixed = _halves(seed)
    x = xp.arange(begin, begin + count).astype(uint32)
    x += low
    x ^= x >> uint32(17)
    x *= uint32(0xED5AD4BB)
    x ^= x >> uint32(11)
    x += mixed
    x *= uint32(0xAC4C1B51)
    x ^= x >> uint32(15)
    x *= uint32(0x31848BAB)
    x ^= x >> uint32(14)
    return x


def keep_mask(seed, count: int, p: float, xp=numpy):
    """Which of the places 0 .. count are kept, each with probability 1 - p, as bools."""
    return (random_bits(seed, 0, count, xp) >> uint32(8)) >= threshold(p)
