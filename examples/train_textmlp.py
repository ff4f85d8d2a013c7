"""Two classifiers that know no order of words: from word counts, and from the mean word vector.

    python examples/train_textmlp.py --data subj
    python examples/train_textmlp.py --data subj --average

`minigrad train textmlp` and `minigrad train average` do the same with checkpoints and a report.
"""

import argparse

import minigrad as torch
from minigrad import optim
from minigrad.models import AverageMLP, TextMLP
from minigrad.text import build_vocab_from_iterator, get_tokenizer, load, pad_ids
from minigrad.train import EarlyStopping, Trainer, classification_report, evaluate
from minigrad.train.plots import plot_history
from minigrad.train.progress import Progress
from minigrad.utils.data import DataLoader


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="movie_reviews", help="mr, trec, sst2, subj ...")
    parser.add_argument("--average", action="store_true", help="the mean vector, not the counts")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--plot", default="textmlp.png", help="the picture of the run")
    args = parser.parse_args()

    torch.manual_seed(0)
    data = load(args.data)
    train, valid = data.split(0.1, seed=0)
    tokenize = get_tokenizer("words")
    vocab = build_vocab_from_iterator(
        (tokenize(text) for text, _ in train), min_freq=2, specials=["<pad>", "<unk>"]
    )
    vocab.set_default_index(vocab["<unk>"])
    if args.average:
        model = AverageMLP(len(vocab), len(data.labels), embed_dim=100)
    else:
        model = TextMLP(len(vocab), len(data.labels))
    print(model)

    def counts(rows):
        """How often every word occurs in each text: (B, vocabulary)."""
        return torch.stack(
            [
                torch.bincount(torch.tensor(ids, dtype=torch.int64), minlength=len(vocab)).float()
                for ids in rows
            ]
        )

    def join(pairs):
        rows = [ids for ids, _ in pairs]
        inputs = pad_ids(rows) if args.average else counts(rows)
        return inputs, torch.tensor([label for _, label in pairs])

    def loader(pairs, shuffle):
        encoded = [(vocab(tokenize(text)), label) for text, label in pairs]
        return DataLoader(encoded, args.batch_size, shuffle, collate_fn=join, drop_last=shuffle)

    with Progress() as progress:
        trainer = Trainer(
            model,
            optim.Adam(model.parameters(), lr=args.lr),
            early_stopping=EarlyStopping(patience=3),
            progress=progress,
        )
        history = trainer.fit(loader(train, True), loader(valid, False), args.epochs)
    plot_history(history, args.plot, f"{type(model).__name__} on {data.name}")
    _, accuracy, predicted, truth = evaluate(model, loader(data.test or valid, False))
    print(classification_report(truth, predicted, data.labels))
    print(f"{'test' if data.test else 'validation'} accuracy {accuracy:.2%}; see {args.plot}")


if __name__ == "__main__":
    main()
