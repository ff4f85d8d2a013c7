"""GloVe on all the running text at hand, or on a file, step by step.

    python examples/train_glove.py --epochs 25
    python examples/train_glove.py --text my.txt --dim 50 --out my.vectors.txt

`--autograd` trains the same model (minigrad.models.GloVe) by autograd and Adagrad in batches, as a
tutorial would. Without it the loop of minigrad.train.vectors.glove takes a step for each pair, several times
as fast.
"""

import argparse
import time

import minigrad as torch
from minigrad import optim
from minigrad.models import GloVe
from minigrad.text import WordVectors
from minigrad.text.cooccurrence import count_cooccurrences
from minigrad.text.corpora import english
from minigrad.text.vectors.files import save_vectors
from minigrad.text.vectors.word_similarity import evaluate_similarity
from minigrad.train.vectors.glove import train_glove
from minigrad.train.vectors.map import plot_map


def train_by_autograd(counts, dim, epochs, x_max, seed, batch_size=4096):
    """The module, an optimizer, batches of random pairs."""
    torch.manual_seed(seed)
    rows, columns, values = map(torch.from_numpy, counts.pairs())
    model = GloVe(len(counts.words), dim, x_max)
    optimizer = optim.Adagrad(model.parameters(), lr=0.05)
    for epoch in range(1, epochs + 1):
        total = 0.0
        for batch in torch.randperm(len(values)).split(batch_size):
            loss = model(rows[batch], columns[batch], values[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        print(f"epoch {epoch:2d}   loss {total / len(values):.5f}", flush=True)
    return WordVectors(counts.words, model.vectors().numpy())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", help="a text file, a sentence a line; by default all at hand")
    parser.add_argument("--pieces", nargs="*", help="only these pieces of the text at hand")
    parser.add_argument("--dim", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--window", type=int, default=10)
    parser.add_argument("--min-count", type=int, default=5)
    parser.add_argument("--x-max", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--autograd", action="store_true")
    parser.add_argument("--out", default="glove.vectors.txt")
    parser.add_argument("--map", default="glove.png")
    args = parser.parse_args()

    begin = time.perf_counter()
    corpus = args.text or english(args.pieces)
    counts = count_cooccurrences(corpus, args.window, args.min_count)
    print(f"{counts} in {time.perf_counter() - begin:.1f} s")
    begin = time.perf_counter()
    if args.autograd:
        vectors = train_by_autograd(counts, args.dim, args.epochs, args.x_max, args.seed)
    else:
        vectors = train_glove(
            counts, args.dim, args.epochs, x_max=args.x_max, seed=args.seed,
            each_epoch=lambda n, loss: print(f"epoch {n:2d}   loss {loss:.5f}", flush=True),
        )  # fmt: skip
    print(f"trained in {time.perf_counter() - begin:.1f} s")
    save_vectors(vectors, args.out)

    for result in evaluate_similarity(vectors, ["WS-353", "MEN", "SimLex-999"]):
        print(result)
    shown = vectors.known("good bad film music king queen two three paris london".split())
    for word in shown[:5]:
        print(f"{word:>8}: {', '.join(near for near, _ in vectors.nearest(word, 8))}")
    if len(shown) > 2:
        plot_map(vectors, {w: [w] for w in shown}, args.map, "tsne", neighbours=5, title="GloVe")
    print(f"written: {args.out}, {args.map}")


if __name__ == "__main__":
    main()
