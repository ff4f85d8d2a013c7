"""word2vec or fastText on all the running text at hand, or on a file of any size, step by step.

    python examples/train_word2vec.py                        # skip-gram, negative sampling
    python examples/train_word2vec.py --model cbow --hs
    python examples/train_word2vec.py --model fasttext --text my.txt.gz --out my.vectors.txt

`--autograd` trains the same model (minigrad.models.SkipGram) by autograd and sparse Adam in batches, as
a tutorial would, for `--epochs` of 100,000 pairs. Without it the loops of minigrad.train.vectors.word2vec run
on all cores, at millions of pairs a second.
"""

import argparse
import time

import numpy

import minigrad as torch
from minigrad import optim
from minigrad.models import NegativeSampling, SkipGram
from minigrad.text import WordVectors
from minigrad.text.corpora import english
from minigrad.text.encoded import END, encode
from minigrad.text.vectors.files import save_vectors
from minigrad.text.vectors.word_similarity import evaluate_similarity
from minigrad.train.vectors.map import plot_map
from minigrad.train.vectors.word2vec import Trainer


def pairs(corpus, window, count, draw):
    """(centre, around): so many pairs of words that stand at most `window` apart in a sentence."""
    ids = numpy.concatenate([corpus.piece(k) for k in range(len(corpus))])
    place = draw.integers(window, len(ids) - window, 3 * count)
    other = place + draw.integers(1, window + 1, len(place)) * draw.choice([-1, 1], len(place))
    ends = numpy.cumsum(ids == END)
    good = (ids[place] != END) & (ids[other] != END) & (ends[place] == ends[other])
    return ids[place[good]][:count].astype("int64"), ids[other[good]][:count].astype("int64")


def train_by_autograd(corpus, dim, window, epochs, seed, batch_size=1024):
    """The module, an optimizer, batches of random pairs."""
    torch.manual_seed(seed)
    draw = numpy.random.default_rng(seed)
    model = SkipGram(len(corpus.words), dim, NegativeSampling(corpus.counts.tolist(), dim))
    for table in (model.embedding, model.head.out):
        table.sparse = True  # gradients of the rows in a batch alone
    optimizer = optim.SparseAdam(model.parameters(), lr=0.005)
    for epoch in range(1, epochs + 1):
        total, (centre, around) = 0.0, map(torch.from_numpy, pairs(corpus, window, 100_000, draw))
        for words, others in zip(centre.split(batch_size), around.split(batch_size), strict=True):
            loss = model(words, others)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(words)
        print(f"epoch {epoch:2d}   loss {total / len(centre):.4f}", flush=True)
    return WordVectors(corpus.words, model.embedding.weight.detach().numpy())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", nargs="*", help="text files, a sentence a line; else all at hand")
    parser.add_argument("--pieces", nargs="*", help="only these pieces of the text at hand")
    parser.add_argument("--model", choices=["skipgram", "cbow", "fasttext"], default="skipgram")
    parser.add_argument("--hs", action="store_true", help="hierarchical softmax")
    parser.add_argument("--autograd", action="store_true")
    parser.add_argument("--dim", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--window", type=int, default=5)
    parser.add_argument("--min-count", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="word2vec.vectors.txt")
    args = parser.parse_args()

    begin = time.perf_counter()
    corpus = encode(args.text or english(args.pieces), args.min_count)
    print(f"{corpus.tokens:,} tokens, {len(corpus.words):,} words")
    if args.autograd:
        vectors = train_by_autograd(corpus, args.dim, args.window, args.epochs, args.seed)
    else:
        trainer = Trainer(
            corpus, args.dim, args.window, sg=args.model != "cbow", hs=args.hs, seed=args.seed,
            subwords=(3, 6, 2_000_000) if args.model == "fasttext" else None,
        )  # fmt: skip
        trainer.train(args.epochs, progress=True)
        vectors = trainer.vectors()
    print(f"read and trained in {time.perf_counter() - begin:.1f} s")
    save_vectors(vectors, args.out)

    for result in evaluate_similarity(vectors, ["WS-353", "MEN", "SimLex-999"]):
        print(result)
    shown = vectors.known("good bad film music king queen two three paris london".split())
    for word in shown[:5]:
        print(f"{word:>8}: {', '.join(near for near, _ in vectors.nearest(word, 8))}")
    names = {word: [word] for word in shown}
    plot_map(vectors, names, "word2vec.png", "tsne", neighbours=5, title=args.model)
    print(f"written: {args.out}, word2vec.png")


if __name__ == "__main__":
    main()
