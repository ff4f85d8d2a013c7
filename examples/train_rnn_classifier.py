"""An RNN, LSTM or GRU over the words of a text, its states pooled to one vector.

    python examples/train_rnn_classifier.py --data trec --cell gru --bidirectional --pooling attention

`minigrad train lstm` (or gru, rnn) does the same with checkpoints and a report.
"""

import argparse

import minigrad as torch
from minigrad import optim
from minigrad.models import RNNClassifier
from minigrad.text import (
    BucketBatchSampler,
    build_vocab_from_iterator,
    get_tokenizer,
    load,
    pad_ids,
)
from minigrad.train import EarlyStopping, Trainer, classification_report, evaluate
from minigrad.train.plots import plot_history
from minigrad.train.progress import Progress
from minigrad.utils.data import DataLoader


def join(pairs):
    """((ids (B, T), lengths (B,)), labels (B,))."""
    rows = [ids for ids, _ in pairs]
    lengths = torch.tensor([len(ids) for ids in rows])
    return (pad_ids(rows), lengths), torch.tensor([label for _, label in pairs])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="movie_reviews", help="mr, trec, sst2, subj ...")
    parser.add_argument("--cell", default="lstm", help="rnn, lstm, gru")
    parser.add_argument("--pooling", default="max", help="last, max, mean, kmax, attention")
    parser.add_argument("--bidirectional", action="store_true")
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--hidden-size", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--plot", default="rnn_classifier.png", help="the picture of the run")
    args = parser.parse_args()

    torch.manual_seed(0)
    data = load(args.data)
    train, valid = data.split(0.1, seed=0)
    tokenize = get_tokenizer("words")
    vocab = build_vocab_from_iterator(
        (tokenize(text) for text, _ in train), specials=["<pad>", "<unk>"]
    )
    vocab.set_default_index(vocab["<unk>"])

    def loader(pairs, shuffle):
        encoded = [(vocab(tokenize(text)) or [vocab["<unk>"]], label) for text, label in pairs]
        lengths = [len(ids) for ids, _ in encoded]
        sampler = BucketBatchSampler(lengths, args.batch_size, shuffle)
        return DataLoader(encoded, batch_sampler=sampler, collate_fn=join)

    model = RNNClassifier(
        len(vocab), len(data.labels), args.cell, 100, args.hidden_size, args.layers,
        args.bidirectional, args.pooling,
    )  # fmt: skip
    print(model)
    with Progress() as progress:
        trainer = Trainer(
            model,
            optim.Adam(model.parameters(), lr=args.lr),
            early_stopping=EarlyStopping(patience=3),
            progress=progress,
        )
        history = trainer.fit(loader(train, True), loader(valid, False), args.epochs)
    plot_history(history, args.plot, f"{args.cell} with {args.pooling} pooling on {data.name}")
    _, accuracy, predicted, truth = evaluate(model, loader(data.test or valid, False))
    print(classification_report(truth, predicted, data.labels))
    print(f"{'test' if data.test else 'validation'} accuracy {accuracy:.2%}; see {args.plot}")


if __name__ == "__main__":
    main()
