"""Training word vectors: words a second against gensim's, on the same text, settings and threads.

    python benchmarks/word2vec_speed.py [--rounds 5] [--tokens 4000000] [--only skip-gram] [--out FILE]

Each side is a process of its own that reads the text and counts the words first. Then they take
turns: an epoch each. Words a second are all tokens of the text by the time of that epoch, as gensim
counts them. gensim gets lists of tokens in memory, which it takes less time for than for a file.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

THREADS = 2
SETTINGS = dict(window=5, min_count=5, sample=1e-3)
METHODS = {
    "skip-gram, 5 negative": dict(sg=1, hs=0, negative=5),
    "CBOW, 5 negative": dict(sg=0, hs=0, negative=5),
    "skip-gram, hierarchical softmax": dict(sg=1, hs=1, negative=0),
    "fastText skip-gram, 5 negative": dict(sg=1, hs=0, negative=5, fasttext=True),
}


def gensim_epochs(path, dim, fasttext=False, **options):
    """A function that trains for an epoch."""
    from gensim.models import FastText, Word2Vec

    model = (FastText if fasttext else Word2Vec)(
        vector_size=dim, workers=THREADS, seed=1, **SETTINGS, **options
    )
    with open(path, encoding="utf-8") as file:
        sentences = [line.split() for line in file]
    model.build_vocab(sentences)
    return lambda: model.train(sentences, total_examples=model.corpus_count, epochs=1)


def minigrad_epochs(path, dim, fasttext=False, **options):
    """The same."""
    from minigrad.train.vectors.word2vec import Trainer

    subwords = (3, 6, 2_000_000) if fasttext else None
    trainer = Trainer(path, dim, threads=THREADS, seed=1, subwords=subwords, **SETTINGS, **options)
    return lambda: trainer.train(1)


class Side:
    """A process that trains an epoch when it is told to, and says how long that took."""

    def __init__(self, name, method, path, dim):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--side", name, method, path, str(dim)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.answer()

    def answer(self):
        """What the process says next."""
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process ended with {self.process.wait()}")
        return json.loads(line)

    def epoch(self):
        """(seconds, seconds of processor time) of an epoch."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def serve(name, method, path, dim):
    """The life of such a process."""
    make = {"gensim": gensim_epochs, "minigrad": minigrad_epochs}[name]
    epoch = make(path, int(dim), **METHODS[method])
    epoch()  # compiled, and in the caches
    print("0", flush=True)
    for _ in sys.stdin:
        begin, used = time.perf_counter(), time.process_time()
        epoch()
        found = time.perf_counter() - begin, time.process_time() - used
        print(json.dumps(found), flush=True)


def write_text(path, tokens):
    """Sentences of the text at hand, about so many tokens; (their number, the pieces)."""
    from minigrad.text.corpora import english

    count, corpus = 0, english()
    with open(path, "w", encoding="utf-8") as file:
        for sentence in corpus:
            file.write(" ".join(sentence) + "\n")
            count += len(sentence)
            if count >= tokens:
                break
    return count, corpus.names


def measure(method, path, dim, rounds):
    """(ours, theirs): for each round the seconds, and the seconds of processor time."""
    sides = [Side(name, method, path, dim) for name in ("minigrad", "gensim")]
    found = [[], []]
    order = [0, 1]
    for _ in range(rounds):
        for k in order:
            found[k].append(sides[k].epoch())
        order.reverse()
    for side in sides:
        side.close()
    return found


def run(tokens=4_000_000, rounds=5, dim=100, only=None):
    """The results as Markdown."""
    import gensim
    import numpy
    from minigrad.benchmarks.measure import describe, machine, say, spread, table

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "text")
        count, _ = write_text(path, tokens)
        for method in METHODS:
            if only is not None and only not in method:
                continue
            ours, theirs = map(numpy.array, measure(method, path, dim, rounds))
            used = numpy.median(theirs[:, 1]) / numpy.median(ours[:, 1])
            ours, theirs = ours[:, 0], theirs[:, 0]
            speeds = [
                spread(*numpy.percentile(count / x / 1000, (25, 50, 75)), 0) for x in (ours, theirs)
            ]
            low, _, high = numpy.percentile(theirs / ours, (25, 50, 75))
            ratio = spread(low, numpy.median(theirs) / numpy.median(ours), high)
            rows.append([method, *speeds, ratio, f"{used:.2f}"])
            say(f"{method}: {speeds[0]}, gensim {speeds[1]}, ratio {ratio}, {used:.2f}")
    settings = ", ".join(f"{name} {value}" for name, value in SETTINGS.items())
    header = [
        "method",
        "minigrad, 1000 words/s",
        f"gensim {gensim.__version__}",
        "minigrad / gensim",
        "by processor time",
    ]
    return "\n".join(
        [
            "# Training word vectors: speed against gensim",
            "",
            f"`python benchmarks/word2vec_speed.py --rounds {rounds}`: {count:,} tokens of the text at hand,",
            f"{dim} numbers a word, {settings}, {THREADS} threads each; thousand words",
            "a second, median [quartiles] of epochs taken in turn. Ratios above 1 say that we are faster;",
            "the last column counts seconds of processor time, which other programs disturb less.",
            "",
            f"{describe(machine())}, {platform.system()}",
            "",
            table(header, rows),
            "",
        ]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=4_000_000)
    parser.add_argument("--dim", type=int, default=100)
    parser.add_argument("--only", help="methods whose name contains this")
    parser.add_argument("--out", type=Path, help="the file to write; else the screen")
    parser.add_argument("--side", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        serve(*args.side)
        return
    text = run(args.tokens, args.rounds, args.dim, args.only)
    print(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
