"""Parts of speech with a BiLSTM that reads words and letters, on Universal Dependencies.

    python examples/train_pos.py                             English-EWT, from $MINIGRAD_DATA
    python examples/train_pos.py --files train dev test      any other treebank's .conllu files

Prints a table by tag, and writes scores.png, confusion.png and the tagger into --folder.
"""

import argparse
from pathlib import Path

from minigrad.text.conll import read_conllu, ud_en_ewt
from minigrad.train import (
    Tagger,
    TaggerSettings,
    classification_report,
    confusion_matrix,
    train_tagger,
)
from minigrad.train.plots import plot_confusion, plot_scores
from minigrad.train.progress import TagProgress

SENTENCE = "Time flies like an arrow , but fruit flies like a banana ."


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", nargs=3, metavar=("TRAIN", "VALID", "TEST"))
    parser.add_argument("--column", default="upos", help="upos, xpos or another column")
    parser.add_argument("--model", choices=["bilstm", "bilstm-crf"], default="bilstm")
    parser.add_argument("--characters", choices=["cnn", "lstm", "none"], default="cnn")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--hidden-size", type=int, default=100)
    parser.add_argument("--sentences", type=int, help="train on the first so many only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("pos"))
    args = parser.parse_args()

    if args.files:
        train, valid, test = (read_conllu(path, args.column) for path in args.files)
    else:
        data = ud_en_ewt(args.column)
        train, valid, test = data.train, data.valid, data.test
    settings = TaggerSettings(
        model=args.model,
        entities=False,
        characters=None if args.characters == "none" else args.characters,
        caps=False,
        epochs=args.epochs,
        learning_rate=args.lr,
        hidden_size=args.hidden_size,
        seed=args.seed,
    )
    with TagProgress() as progress:
        result = train_tagger(train[: args.sentences], valid, test, settings, progress=progress)
    print(result.tagger.model)

    truth = [tag for _, tags in test for tag in tags]
    found = [tag for tags in result.found for tag in tags]
    names = sorted({*truth, *found})
    number = {name: i for i, name in enumerate(names)}
    truth, found = [number[tag] for tag in truth], [number[tag] for tag in found]
    print(classification_report(truth, found, names))

    result.tagger.save(args.folder)
    plot_scores(result.trainer.history, args.folder / "scores.png", "accuracy", "Parts of speech")
    counts = confusion_matrix(truth, found, len(names))
    plot_confusion(counts, names, args.folder / "confusion.png", "Parts of speech")
    words = SENTENCE.split()
    (tags,) = Tagger.load(args.folder).predict([words])
    print(" ".join(f"{word}/{tag}" for word, tag in zip(words, tags, strict=True)))


if __name__ == "__main__":
    main()
