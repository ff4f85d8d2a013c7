"""Named entities with a BiLSTM-CRF that reads words and letters (Ma & Hovy 2016).

    python examples/train_ner.py                             CoNLL-2003, from $MINIGRAD_DATA
    python examples/train_ner.py --files train dev test      your own: a word and its tag a line, IOB

Prints a table of entities by type, and writes scores.png and the tagger into --folder.
"""

import argparse
from pathlib import Path

from seqeval.metrics import classification_report

from minigrad.text.conll import conll2003, iob1_to_iob2, read_columns
from minigrad.train import Tagger, TaggerSettings, train_tagger
from minigrad.train.plots import plot_scores
from minigrad.train.progress import TagProgress

SENTENCE = "The European Commission said on Thursday it disagreed with Peter Blackburn in Bonn ."


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", nargs=3, metavar=("TRAIN", "VALID", "TEST"))
    parser.add_argument("--model", choices=["bilstm", "bilstm-crf"], default="bilstm-crf")
    parser.add_argument("--characters", choices=["cnn", "lstm", "none"], default="cnn")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--hidden-size", type=int, default=100)
    parser.add_argument("--sentences", type=int, help="train on the first so many only")
    parser.add_argument("--glove", action="store_true", help="start from GloVe vectors")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("ner"))
    args = parser.parse_args()

    if args.files:
        parts = [[(w, iob1_to_iob2(t)) for w, t in read_columns(path)] for path in args.files]
    else:
        data = conll2003()
        parts = [data.train, data.valid, data.test]
    train, valid, test = parts
    vectors = None
    if args.glove:
        from minigrad.text.vectors.glove_package import glove_package
        from minigrad.text.vectors.words import WordVectors

        vectors = WordVectors(*glove_package())

    settings = TaggerSettings(
        model=args.model,
        characters=None if args.characters == "none" else args.characters,
        epochs=args.epochs,
        learning_rate=args.lr,
        hidden_size=args.hidden_size,
        seed=args.seed,
    )
    with TagProgress() as progress:
        result = train_tagger(
            train[: args.sentences], valid, test, settings, vectors=vectors, progress=progress
        )
    print(result.tagger.model)
    print(classification_report([tags for _, tags in test], result.found, digits=4))

    result.tagger.save(args.folder)
    plot_scores(result.trainer.history, args.folder / "scores.png", title="Named entities")
    words = SENTENCE.split()
    (tags,) = Tagger.load(args.folder).predict([words])
    print(
        " ".join(
            word if tag == "O" else f"{word}/{tag}" for word, tag in zip(words, tags, strict=True)
        )
    )


if __name__ == "__main__":
    main()
