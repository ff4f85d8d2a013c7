"""word2vec and fastText: one pass of stochastic gradient descent over a stretch of text, word by word.

A word w is predicted from a vector h: the centre word's (skip-gram: each word around it is predicted
in turn) or the mean of those around it (CBOW: the centre word is predicted). With subwords a word's
vector is the mean of several rows of the input table. The prediction's loss is one of

    negative sampling      -log s(h . out[w])  - sum over k drawn words q of log s(-h . out[q])
    hierarchical softmax   -sum over w's path of log s((1 - 2 code) h . out[point])

s the logistic function, and so for each row u = out[...] of either, with the label 1 or 0 that it
should have, g = lr (label - s(h . u)),

    u += g h,        and each input row that h is the mean of gets  += sum of g u.

All scores h . u of a prediction are taken before anything changes, so this is one step of gradient
descent on its loss (a word that is drawn twice has moved a little the second time), but for one
thing: the true gradient of a mean of n rows is 1/n of that for each. word2vec, fastText and gensim
leave 1/n out, and so does this, unless `corrected` (Irsoy, Benton, Stratos 2021, "Corrected CBOW
Performs as well as Skip-gram"). Mikolov et al. 2013, "Distributed Representations of Words and
Phrases and their Compositionality"; Bojanowski et al. 2017, "Enriching Word Vectors with Subword
Information".

Words are left out at random, frequent ones often; each window is 1 to `window` words to either side.
All draws come from one xorshift64* sequence (Vigna 2016), so a call repeats itself exactly. Several
threads may run on the same tables at once, with nothing that keeps them apart ("Hogwild", Niu et al.
2011): then some updates get lost, and results depend on chance.
"""

import numpy

from .kernel import FAST, FLOATS, Kernel, Loop, compiled
from .vector_math import sigmoid

LONGEST = 10_000  # words that a sentence may have; a longer one counts as several
DEEPEST = 128  # a longer path in a Huffman tree would take more than 1.6^128 words of text
WHOLE = 1 << 32
MASK = (1 << 64) - 1


class Draws:
    """The random numbers of a call."""

    def __init__(self, seed):
        self.state = int(seed)

    def next(self):
        """64 random bits."""
        s = self.state
        s ^= s >> 12
        s ^= s << 25 & MASK
        s ^= s >> 27
        self.state = s
        return s * 2685821657736338717 & MASK

    def below(self, n):
        """A number from 0 to n - 1."""
        return (self.next() >> 32) * n >> 32

    def by_alias(self, share, alias):
        """A word drawn by Walker's method: number i with chance share[i], or else alias[i]."""
        bits = self.next()
        i = (bits >> 32) * len(share) >> 32
        return i if bits & WHOLE - 1 < share[i] else int(alias[i])


def word2vec(ids, keep, inputs, outputs, made_of, predict, options, rates, seed):
    """Train on `ids`, in place; gives (the sum of the losses, the number of predictions).

    ids: words, int32, -1 after each sentence. keep (words,) uint32: word w stays with chance
    keep[w] / 2^32, always where that is 2^32 - 1. inputs, outputs: tables (rows, size).
    made_of: (starts, rows), word w's vector is the mean of inputs[rows[starts[w] : starts[w + 1]]];
    both empty where it is inputs[w].
    predict: (share, alias) of the words drawn by negative sampling, uint32 and int32; or
    (starts, points, codes), each word's path: int64, int32, int8.
    options: (skip_gram, window, number of words drawn, corrected, whether to sum up losses).
    rates: (learning rate at the start, how much it falls a word, the least). seed: 1 to 2^64 - 1.
    """
    skip_gram, window, negative, corrected, measure = options
    draws = Draws(seed)
    rate, fall, least = rates
    starts, parts = made_of
    rows_of = lambda w: parts[starts[w] : starts[w + 1]] if len(starts) else numpy.array([w])
    losses, count = 0.0, 0

    def learn(h, word, lr):
        """Predict the word from h, change the outputs, give the change of h."""
        nonlocal losses, count
        if len(predict) == 2:
            targets = [(word, 1)]
            for _ in range(negative):
                drawn = draws.by_alias(*predict)
                if drawn != word:
                    targets.append((drawn, 0))
        else:
            begin, end = predict[0][word], predict[0][word + 1]
            codes = [1 - int(code) for code in predict[2][begin:end]]
            targets = zip(predict[1][begin:end], codes, strict=True)
        targets = list(targets)
        scores = [h @ outputs[target] for target, _ in targets]
        change = numpy.zeros_like(h)
        for (target, label), score in zip(targets, scores, strict=True):
            if measure:
                losses += float(numpy.logaddexp(0, -score if label else score))
            g = (lr * (label - 1 / (1 + numpy.exp(-score)))).astype(h.dtype)
            change += g * outputs[target]
            outputs[target] += g * h
        count += 1
        return change

    for begin, sentence in _sentences(ids, keep, draws):
        lr = max(rate - fall * begin, least)
        for centre, word in enumerate(sentence):
            reach = 1 + draws.below(window)
            left, right = sentence[max(0, centre - reach) : centre], sentence[centre + 1 :][:reach]
            around = left + right
            if skip_gram:
                rows = rows_of(word)
                h = inputs[rows].mean(axis=0)
                total = numpy.zeros_like(h)
                for other in around:
                    change = learn(h, other, lr)
                    change = change / len(rows) if corrected else change
                    h = h + change
                    total += change
                numpy.add.at(inputs, rows, total)
            elif around:
                rows = numpy.concatenate([rows_of(other) for other in around])
                change = learn(inputs[rows].mean(axis=0), word, lr)
                numpy.add.at(inputs, rows, change / len(rows) if corrected else change)
    return losses, count


def _sentences(ids, keep, draws):
    """(where it begins, the words of a sentence that stay)."""
    place = 0
    while place < len(ids):
        begin, sentence = place, []
        while place < len(ids) and ids[place] >= 0 and len(sentence) < LONGEST:
            word = int(ids[place])
            if keep[word] == WHOLE - 1 or draws.next() >> 32 < keep[word]:
                sentence.append(word)
            place += 1
        if place < len(ids) and ids[place] < 0:
            place += 1
        yield begin, sentence


word2vec = Kernel(word2vec)


def part(function):
    """A piece of the loops below, compiled into each of them."""
    return Loop(function, FAST, inline=True)


@part
def _draw(state):
    s = state[0]
    s ^= s >> numpy.uint64(12)
    s ^= s << numpy.uint64(25)
    s ^= s >> numpy.uint64(27)
    state[0] = s
    return s * numpy.uint64(2685821657736338717)


@part
def _below(bits, n):
    return numpy.int64(((bits >> numpy.uint64(32)) * numpy.uint64(n)) >> numpy.uint64(32))


@part
def _learn(
    h, change, word, outputs, share, alias, paths, points, codes,
    negative, lr, measure, losses, state, targets, slopes,
):  # fmt: skip
    """Predict the word from h; `change` becomes the sum of g u."""
    f = h.dtype.type
    if share.size > 0:
        targets[0] = word
        count = 1
        for _ in range(negative):
            bits = _draw(state)
            drawn = _below(bits, share.size)
            if bits & numpy.uint64(0xFFFFFFFF) >= share[drawn]:
                drawn = numpy.int64(alias[drawn])
            if drawn != word:
                targets[count] = drawn
                count += 1
        first = numpy.int64(0)
    else:
        first = paths[word]
        count = paths[word + 1] - first
        for k in range(count):
            targets[k] = points[first + k]
    for k in range(count):
        row = outputs[targets[k]]
        score = f(0)
        for d in range(h.size):
            score += h[d] * row[d]
        slopes[k] = score
    for k in range(count):
        if share.size > 0:
            label = f(1) if k == 0 else f(0)
        else:
            label = f(1 - codes[first + k])
        score = slopes[k]
        if measure:
            bad = numpy.float64(-score if label > f(0) else score)
            losses[0] += max(bad, 0.0) + numpy.log1p(numpy.exp(-abs(bad)))
        slopes[k] = lr * (label - sigmoid(score))
    for d in range(h.size):
        change[d] = f(0)
    for k in range(count):
        row, g = outputs[targets[k]], slopes[k]
        for d in range(h.size):
            u = row[d]
            change[d] += g * u
            row[d] = u + g * h[d]
    losses[1] += 1


@part
def _next_sentence(ids, place, keep, sentence, state):
    """(the number of words that stay, where the next sentence begins)."""
    count = 0
    whole = numpy.uint32(0xFFFFFFFF)
    while place < ids.size and ids[place] >= 0 and count < sentence.size:
        word = ids[place]
        if keep[word] == whole or (_draw(state) >> numpy.uint64(32)) < keep[word]:
            sentence[count] = word
            count += 1
        place += 1
    if place < ids.size and ids[place] < 0:
        place += 1
    return count, place


@part
def _add_mean(h, inputs, word, starts, rows):
    """Add the rows of a word to h; their number."""
    if starts.size == 0:
        row = inputs[word]
        for d in range(h.size):
            h[d] += row[d]
        return 1
    for k in range(starts[word], starts[word + 1]):
        row = inputs[rows[k]]
        for d in range(h.size):
            h[d] += row[d]
    return starts[word + 1] - starts[word]


@part
def _spread(change, inputs, word, starts, rows):
    """Add the change to the rows of a word."""
    if starts.size == 0:
        row = inputs[word]
        for d in range(change.size):
            row[d] += change[d]
    else:
        for k in range(starts[word], starts[word + 1]):
            row = inputs[rows[k]]
            for d in range(change.size):
                row[d] += change[d]


@compiled
def _skip_gram(
    ids, keep, inputs, outputs, starts, rows, share, alias, paths, points, codes,
    window, negative, corrected, measure, rate, fall, least, sentence, work, losses, state, targets, slopes,
):  # fmt: skip
    f = inputs.dtype.type
    change, mean, total = work[0], work[1], work[2]
    place = 0
    while place < ids.size:
        lr = f(max(rate - fall * place, least))
        count, place = _next_sentence(ids, place, keep, sentence, state)
        for centre in range(count):
            reach = 1 + _below(_draw(state), window)
            first, last = max(0, centre - reach), min(count, centre + reach + 1)
            if last - first < 2:
                continue
            word, h, scale = numpy.int64(sentence[centre]), mean, f(1)
            if starts.size == 0:
                h = inputs[word]
            else:
                for d in range(h.size):
                    h[d] = total[d] = f(0)
                n = f(_add_mean(h, inputs, word, starts, rows))
                for d in range(h.size):
                    h[d] /= n
                if corrected:
                    scale = f(1) / n
            for other in range(first, last):
                if other == centre:
                    continue
                _learn(
                    h, change, numpy.int64(sentence[other]), outputs, share, alias, paths, points, codes,
                    negative, lr, measure, losses, state, targets, slopes,
                )  # fmt: skip
                if starts.size == 0:
                    for d in range(h.size):
                        h[d] += change[d]
                else:
                    for d in range(h.size):
                        h[d] += scale * change[d]
                        total[d] += scale * change[d]
            if starts.size > 0:
                _spread(total, inputs, word, starts, rows)


@compiled
def _cbow(
    ids, keep, inputs, outputs, starts, rows, share, alias, paths, points, codes,
    window, negative, corrected, measure, rate, fall, least, sentence, work, losses, state, targets, slopes,
):  # fmt: skip
    f = inputs.dtype.type
    change, h = work[0], work[1]
    place = 0
    while place < ids.size:
        lr = f(max(rate - fall * place, least))
        count, place = _next_sentence(ids, place, keep, sentence, state)
        for centre in range(count):
            reach = 1 + _below(_draw(state), window)
            first, last = max(0, centre - reach), min(count, centre + reach + 1)
            if last - first < 2:
                continue
            for d in range(h.size):
                h[d] = f(0)
            n = 0
            for other in range(first, last):
                if other != centre:
                    n += _add_mean(h, inputs, numpy.int64(sentence[other]), starts, rows)
            scale = f(1) / f(n)
            for d in range(h.size):
                h[d] *= scale
            _learn(
                h, change, numpy.int64(sentence[centre]), outputs, share, alias, paths, points, codes,
                negative, lr, measure, losses, state, targets, slopes,
            )  # fmt: skip
            if corrected:
                for d in range(h.size):
                    change[d] *= scale
            for other in range(first, last):
                if other != centre:
                    _spread(change, inputs, numpy.int64(sentence[other]), starts, rows)


@word2vec.implement("numpy")
def word2vec_numba(ids, keep, inputs, outputs, made_of, predict, options, rates, seed):
    """One compiled loop, outside the GIL: threads of Python may each run one."""
    if inputs.dtype not in FLOATS or outputs.dtype != inputs.dtype:
        return word2vec.reference(
            ids, keep, inputs, outputs, made_of, predict, options, rates, seed
        )
    skip_gram, window, negative, corrected, measure = options
    if len(predict) == 2:
        share, alias = predict
        paths, points, codes = _NONE
    else:
        share, alias = numpy.empty(0, numpy.uint32), numpy.empty(0, numpy.int32)
        paths, points, codes = predict
    work = numpy.zeros((3, inputs.shape[1]), inputs.dtype)
    losses, room = numpy.zeros(2), max(1 + negative, DEEPEST)
    (_skip_gram if skip_gram else _cbow)(
        ids, keep, inputs, outputs, *made_of, share, alias, paths, points, codes,
        int(window), int(negative), bool(corrected), bool(measure), *map(float, rates),
        numpy.empty(LONGEST, numpy.int32), work, losses, numpy.array([seed], numpy.uint64),
        numpy.empty(room, numpy.int64), numpy.empty(room, inputs.dtype),
    )  # fmt: skip
    return float(losses[0]), int(losses[1])


_NONE = numpy.empty(0, numpy.int64), numpy.empty(0, numpy.int32), numpy.empty(0, numpy.int8)
