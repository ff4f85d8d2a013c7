"""The accuracy of TextCNN with random embeddings against Kim 2014, table 2 (CNN-rand).

    python benchmarks/textcnn_accuracy.py mr            # 10-fold cross-validation; Kim: 76.1 %
    python benchmarks/textcnn_accuracy.py trec          # the official test set;    Kim: 91.2 %

Sets without a test part are cut into ten folds; a tenth of each training part is for early
stopping, as in the paper. `--folds 3` runs the first three folds only. Needs the data (see
minigrad/text).
"""

import argparse
import statistics
import time

from minigrad.text.datasets import load
from minigrad.train.classifier import Settings, train_text_classifier

KIM = {"mr": 76.1, "trec": 91.2, "sst2": 82.7, "subj": 89.6}
# what differs from the defaults below, by data set
CHOICES = {"trec": {"tokenizer": "words", "embed_dim": 300, "epochs": 25, "patience": 6}}


def parts(name, folds):
    """(train, valid, test) of every fold, or of the official split."""
    data = load(name)
    if data.test:
        train, valid = (data.train, data.valid) if data.valid else data.split(0.1, seed=0)
        yield train, valid, data.test
        return
    for k, (train, test) in enumerate(data.folds(10, seed=0)):
        if k == folds:
            return
        cut = len(train) // 10
        yield train[cut:], train[:cut], test


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", choices=sorted(KIM))
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=1, help="runs with different seeds per fold")
    parser.add_argument("--embed-dim", type=int)
    parser.add_argument("--epochs", type=int)
    args = parser.parse_args()
    labels = load(args.data).labels
    chosen = dict(CHOICES.get(args.data, {}))
    chosen |= {k: v for k in ("embed_dim", "epochs") if (v := getattr(args, k)) is not None}
    print(f"TextCNN on {args.data}; settings: {Settings(**chosen)}", flush=True)
    accuracies = []
    begin = time.perf_counter()
    for k, (train, valid, test) in enumerate(parts(args.data, args.folds)):
        for seed in range(args.seeds):
            settings = Settings(**chosen, seed=seed)
            result = train_text_classifier(labels, train, valid, test, settings)
            accuracies.append(100 * result.test_accuracy)
            best = result.trainer.history.best
            print(
                f"fold {k} seed {seed}: test {accuracies[-1]:.2f} %, validation "
                f"{100 * best.valid_accuracy:.2f} % in epoch {best.number}; "
                f"{time.perf_counter() - begin:.0f} s so far",
                flush=True,
            )
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
    print(
        f"{args.data}: mean {statistics.mean(accuracies):.2f} %, standard deviation {spread:.2f}, "
        f"{len(accuracies)} runs; Kim 2014, CNN-rand: {KIM[args.data]} %"
    )


if __name__ == "__main__":
    main()
