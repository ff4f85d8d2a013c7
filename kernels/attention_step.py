"""A decoder's single step: rotary positions, and attention of one query a head to the keys so far.

q (A, K), keys and values (A', S, K) -> out (A, K); A' divides A, and A / A' heads of queries share a head
of keys and values:

    out[a] = sum over s of p[s] v[s],   p = softmax(scale k q)

Nothing but the keys and values is read that is larger than a row, so the time is that of reading them.
kernels/attention.py is for many queries.

Rotation, of heads as they lie side by side, those of T places one after the other: with the place's
c, s (K/2), (x1, x2) -> (x1 c - x2 s, x2 c + x1 s), x1 and x2 the halves of a head. Su et al. 2021.
"""

import numpy

from .kernel import FLOATS, Kernel, compiled
from .threads import share
from .vector_math import exp

GRAIN = 1 << 15  # multiplications that are not worth a thread of their own


def turn_heads(x, cos, sin):
    """The heads x (T A, K) turned, in place: see the top of this file; cos and sin (T, K/2)."""
    half, heads = x.shape[1] // 2, len(x) // len(cos)
    cos, sin = numpy.repeat(cos, heads, 0), numpy.repeat(sin, heads, 0)
    first, second = x[:, :half].copy(), x[:, half:].copy()
    x[:, :half] = first * cos - second * sin
    x[:, half:] = second * cos + first * sin
    return x


def attend_once(q, keys, values, scale):
    """softmax(scale q k^T) v for one query a head: q (A, K), keys and values (A', S, K) -> (A, K)."""
    shared = q.reshape(keys.shape[0], -1, q.shape[1])  # (A', A / A', K)
    scores = shared @ keys.swapaxes(1, 2) * q.dtype.type(scale)
    weights = numpy.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return (weights @ values).reshape(q.shape)


turn_heads = Kernel(turn_heads)
attend_once = Kernel(attend_once)


@compiled
def _turn(begin, end, x, cos, sin, heads):
    half = cos.shape[1]
    for i in range(begin, end):
        first, second, c, s = x[i, :half], x[i, half:], cos[i // heads], sin[i // heads]
        for j in range(half):
            a, b = first[j], second[j]
            first[j] = a * c[j] - b * s[j]
            second[j] = b * c[j] + a * s[j]


@compiled
def _attend(begin, end, q, group, keys, key_stride, values, value_stride, scale, scores, out):
    """Heads begin .. end; keys and values: rows of K numbers, heads so many numbers apart."""
    f = q.dtype.type
    width, count = q.shape[1], scores.shape[1]
    factor = f(scale)
    for head in range(begin, end):
        query, row, into = q[head], scores[head], out[head]
        at = head // group * key_stride
        top = f(-numpy.inf)
        for s in range(count):
            key, total = keys[at + s * width : at + (s + 1) * width], f(0)
            for j in range(width):
                total += query[j] * key[j]
            total *= factor
            row[s] = total
            top = max(top, total)
        total = f(0)
        for s in range(count):
            p = exp(row[s] - top)
            row[s] = p
            total += p
        for j in range(width):
            into[j] = f(0)
        at = head // group * value_stride
        for s in range(count):
            value, p = values[at + s * width : at + (s + 1) * width], row[s] / total
            for j in range(width):
                into[j] += p * value[j]


def _flat(x):
    """(the memory of x (A, S, K) as one row, numbers from head to head), a copy where it must be."""
    size, base = x.itemsize, x.base
    if x.flags.c_contiguous:
        return x.reshape(-1), x.shape[1] * x.shape[2]
    plain = (
        x.strides[1:] == (x.shape[2] * size, size) and x.strides[0] >= 0 and not x.strides[0] % size
    )
    if plain and type(base) is numpy.ndarray and base.flags.c_contiguous and base.dtype == x.dtype:
        first = x.__array_interface__["data"][0] - base.__array_interface__["data"][0]
        stride = x.strides[0] // size
        flat = base.reshape(-1)[first // size :]
        return flat[: (x.shape[0] - 1) * stride + x.shape[1] * x.shape[2]], stride
    return numpy.ascontiguousarray(x).reshape(-1), x.shape[1] * x.shape[2]


@turn_heads.implement("numpy")
def turn_heads_numba(x, cos, sin):
    """In one pass over x."""
    if x.dtype not in FLOATS or not x.flags.c_contiguous or not cos.dtype == sin.dtype == x.dtype:
        return turn_heads.reference(x, cos, sin)
    cos, sin = numpy.ascontiguousarray(cos), numpy.ascontiguousarray(sin)
    share(_turn, len(x), x, cos, sin, len(x) // len(cos), grain=1 + GRAIN // (4 * x.shape[1]))
    return x


@attend_once.implement("numpy")
def attend_once_numba(q, keys, values, scale):
    """Heads on all threads, where there is enough to do."""
    heads, width = q.shape
    count = keys.shape[1]
    if q.dtype not in FLOATS or not q.dtype == keys.dtype == values.dtype or not q.size * count:
        return attend_once.reference(q, keys, values, scale)
    group = heads // len(keys)
    keys, key_stride = _flat(keys)
    values, value_stride = _flat(values)
    out = numpy.empty((heads, width), q.dtype)
    scores = numpy.empty((heads, count), q.dtype)
    share(
        _attend, heads, numpy.ascontiguousarray(q), group, keys, key_stride, values, value_stride,
        scale, scores, out, grain=1 + GRAIN // (2 * count * width),
    )  # fmt: skip
    return out
