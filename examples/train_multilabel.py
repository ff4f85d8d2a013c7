"""Several labels for one text: TREC's questions, each with its coarse and its fine kind of answer.

    python examples/train_multilabel.py --model textcnn

"Who killed Gandhi ?" has the labels HUM and HUM:ind. Every label is a yes or no of its own: binary
cross-entropy, and a label is predicted where its probability exceeds a threshold.
"""

import argparse

from minigrad.text import load
from minigrad.train import train_text_classifier
from minigrad.train.classification.models import MODELS, settings_for
from minigrad.train.classification.multilabel import f1_scores
from minigrad.train.plots import plot_history
from minigrad.train.progress import Progress


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="textcnn", choices=sorted(MODELS))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--plot", default="multilabel.png", help="the picture of the run")
    args = parser.parse_args()

    coarse, fine = load("trec"), load("trec", fine=True)
    labels = coarse.labels + fine.labels
    first = len(coarse.labels)  # the number of the first fine label

    def sets(one, other):
        return [(text, {a, first + b}) for (text, a), (_, b) in zip(one, other, strict=True)]

    train, test = sets(coarse.train, fine.train), sets(coarse.test, fine.test)
    cut = len(train) // 10
    settings = settings_for(
        args.model, multilabel=True, tokenizer="words", epochs=args.epochs, learning_rate=args.lr
    )
    with Progress() as progress:
        result = train_text_classifier(
            labels, train[cut:], train[:cut], test, settings, progress=progress
        )
    print(result.report)
    plot_history(result.trainer.history, args.plot, f"{args.model}, coarse and fine labels of TREC")

    found = result.classifier.probabilities([text for text, _ in test]).numpy()
    truth = [[number in chosen for number in range(len(labels))] for _, chosen in test]
    print("\nthreshold  micro F1  macro F1")
    for threshold in (0.2, 0.3, 0.4, 0.5, 0.6):
        scores = f1_scores(truth, found > threshold)
        print(f"{threshold:9.1f}  {scores['micro']:8.3f}  {scores['macro']:8.3f}")
    print(f"\nthe whole set right: {result.test_accuracy:.2%} of the questions; see {args.plot}")
    for text in ("Who wrote Hamlet ?", "How far is the moon ?"):
        print(text, result.classifier.predict_sets([text])[0])


if __name__ == "__main__":
    main()
