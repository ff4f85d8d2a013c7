"""GloVe's training: one AdaGrad step for each pair of words that occur together.

    d = w_i . c_j + b_i + b'_j - log x_ij          J = sum f(x_ij) d^2, f(x) = min(1, (x / xmax)^alpha)

Pennington, Socher and Manning 2014. A step takes half of the gradient of one summand, g = f d c_j for
w_i, g = f d w_i for c_j, g = f d for the biases, and

    w -= lr g / sqrt(G);    G += (lr g)^2,    G begins at 1, a number for each of w

which are the rules of the authors' program. Words are dealt to STRIPES stripes, id mod STRIPES. Pairs
lie in blocks by the stripes of their two words; STRIPES blocks without a stripe in common, a round, can
be worked on at once: no two threads write to the same row, and the results are the same for any
number of threads (Gemulla et al. 2011, "Large-scale matrix factorization with distributed stochastic
gradient descent").
"""

from math import sqrt

import numpy

from .kernel import FLOATS, Kernel, compiled
from .random_bits import keep_bits
from .threads import share

STRIPES = 16


def glove_blocks(rows, columns, values, symmetric, seed):
    """(rows, columns, values, starts): the pairs in blocks, in each block in random order.

    rows, columns (n,) int32, values (n,) float32. Symmetric ones hold each pair once: both orders
    come out, and twice the value for a pair of equals. Block number (shift * STRIPES + s) has the
    rows of stripe s and the columns of stripe s + shift; it begins at starts[number].
    """
    if symmetric:
        equal = rows == columns
        values = numpy.where(equal, 2 * values, values)
        rows, columns = (
            numpy.concatenate([rows, columns[~equal]]),
            numpy.concatenate([columns, rows[~equal]]),
        )
        values = numpy.concatenate([values, values[~equal]])
    blocks = (columns - rows) % STRIPES * STRIPES + rows % STRIPES
    starts = numpy.zeros(STRIPES**2 + 1, numpy.int64)
    numpy.cumsum(numpy.bincount(blocks, minlength=STRIPES**2), out=starts[1:])
    order = numpy.random.default_rng(seed).permutation(len(rows))
    order = order[numpy.argsort(blocks[order], kind="stable")]
    return rows[order], columns[order], values[order], starts


def glove_round(first, starts, rows, columns, weights, logs, tables, lr):
    """The steps of the blocks first .. first + STRIPES; the sum of f d^2 / 2 before each step.

    rows, columns, weights = f(x), logs = log x: (n,). tables: (w, G of w, c, G of c) (V, D + 1): the
    last column holds the biases. They are changed in place.
    """
    w, gw, c, gc = tables
    loss = 0.0
    for k in range(starts[first], starts[first + STRIPES]):
        i, j = rows[k], columns[k]
        d = w[i, :-1] @ c[j, :-1] + w[i, -1] + c[j, -1] - logs[k]
        loss += 0.5 * float(weights[k]) * float(d) ** 2
        to_w = lr * weights[k] * d * numpy.append(c[j, :-1], 1).astype(w.dtype)
        to_c = lr * weights[k] * d * numpy.append(w[i, :-1], 1).astype(w.dtype)
        w[i] -= to_w / numpy.sqrt(gw[i])
        c[j] -= to_c / numpy.sqrt(gc[j])
        gw[i] += to_w**2
        gc[j] += to_c**2
    return loss


glove_blocks = Kernel(glove_blocks)
glove_round = Kernel(glove_round)


@compiled
def _deal(rows, columns, values, symmetric, starts, to_rows, to_columns, to_values):
    """Count first, where there is no room in to_rows; then put each pair where its block is."""
    counting = to_rows.size == 0
    for k in range(rows.size):
        i, j, x = rows[k], columns[k], values[k]
        block = ((j - i) % STRIPES) * STRIPES + i % STRIPES
        if counting:
            starts[block] += 1
        else:
            place = starts[block]
            to_rows[place], to_columns[place] = i, j
            to_values[place] = x + x if symmetric and i == j else x
            starts[block] += 1
        if symmetric and i != j:
            block = ((i - j) % STRIPES) * STRIPES + j % STRIPES
            if not counting:
                place = starts[block]
                to_rows[place], to_columns[place], to_values[place] = j, i, x
            starts[block] += 1


@compiled
def _shuffle(begin, end, starts, seed, rows, columns, values):
    """Fisher and Yates's shuffle of each block, its bits from the places of the pairs."""
    for block in range(begin, end):
        last = starts[block + 1]
        for k in range(starts[block], last - 1):
            other = k + ((numpy.int64(keep_bits(seed, k)) * (last - k)) >> 32)
            rows[k], rows[other] = rows[other], rows[k]
            columns[k], columns[other] = columns[other], columns[k]
            values[k], values[other] = values[other], values[k]


@glove_blocks.implement("numpy")
def glove_blocks_numba(rows, columns, values, symmetric, seed):
    """By counting, then block by block; no array of places is needed. Another order than the reference's."""
    rows, columns = (numpy.ascontiguousarray(x, numpy.int32) for x in (rows, columns))
    values = numpy.ascontiguousarray(values)
    counts = numpy.zeros(STRIPES**2, numpy.int64)
    none = rows[:0], columns[:0], values[:0]
    _deal(rows, columns, values, symmetric, counts, *none)
    starts = numpy.zeros(STRIPES**2 + 1, numpy.int64)
    numpy.cumsum(counts, out=starts[1:])
    kinds = numpy.int32, numpy.int32, values.dtype
    found = tuple(numpy.empty(starts[-1], kind) for kind in kinds)
    _deal(rows, columns, values, symmetric, starts[:-1].copy(), *found)
    share(_shuffle, STRIPES**2, starts, seed, *found)
    return *found, starts


@compiled
def _steps(begin, end, first, starts, rows, columns, weights, logs, w, gw, c, gc, lr, losses):
    size = w.shape[1] - 1
    one = w.dtype.type(1)
    for s in range(begin, end):
        loss = 0.0
        for k in range(starts[first + s], starts[first + s + 1]):
            i, j = rows[k], columns[k]
            wi, ci, gwi, gci = w[i], c[j], gw[i], gc[j]
            d = wi[size] + ci[size] - logs[k]
            dot = lr * 0
            for n in range(size):
                dot += wi[n] * ci[n]
            d += dot
            step = weights[k] * d
            loss += 0.5 * step * d
            step *= lr
            for n in range(size):
                to_w, to_c = step * ci[n], step * wi[n]
                a, b = sqrt(gwi[n]), sqrt(gci[n])
                t = one / (a * b)  # one division does for 1/a and 1/b
                wi[n] -= to_w * (b * t)
                ci[n] -= to_c * (a * t)
                gwi[n] += to_w * to_w
                gci[n] += to_c * to_c
            wi[size] -= step / sqrt(gwi[size])
            ci[size] -= step / sqrt(gci[size])
            gwi[size] += step * step
            gci[size] += step * step
        losses[s] = loss


@glove_round.implement("numpy")
def glove_round_numba(first, starts, rows, columns, weights, logs, tables, lr):
    """A block at a time for each thread."""
    dtype = tables[0].dtype
    if dtype not in FLOATS:
        return glove_round.reference(first, starts, rows, columns, weights, logs, tables, lr)
    losses = numpy.zeros(STRIPES)
    share(
        _steps, STRIPES, first, starts, rows, columns, weights, logs, *tables, dtype.type(lr), losses
    )  # fmt: skip
    return float(losses.sum())
