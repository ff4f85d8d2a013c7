"""fastText's classifier: words and hashed word n-grams, averaged, and one linear layer.

    python examples/train_fasttext.py --data trec
    python examples/train_fasttext.py --data trec --ngrams 1     # what the bigrams are worth

`minigrad train fasttext` does the same with checkpoints and a report.
"""

import argparse
from itertools import accumulate, chain

import minigrad as torch
from minigrad import optim
from minigrad.models import FastText
from minigrad.text import build_vocab_from_iterator, get_tokenizer, load
from minigrad.text.ngrams import ngram_buckets
from minigrad.train import EarlyStopping, Trainer, classification_report, evaluate
from minigrad.train.plots import plot_history
from minigrad.train.progress import Progress
from minigrad.utils.data import DataLoader


def join(pairs):
    """((ids of all texts in one row, where each text begins), labels)."""
    ids = torch.tensor(list(chain.from_iterable(ids for ids, _ in pairs)), dtype=torch.int64)
    starts = list(accumulate((len(ids) for ids, _ in pairs[:-1]), initial=0))
    return (ids, torch.tensor(starts)), torch.tensor([label for _, label in pairs])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="movie_reviews", help="mr, trec, sst2, subj ...")
    parser.add_argument("--ngrams", type=int, default=2, help="up to so many words in a row")
    parser.add_argument("--buckets", type=int, default=200_000, help="rows for n-grams")
    parser.add_argument("--embed-dim", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--plot", default="fasttext.png", help="the picture of the run")
    args = parser.parse_args()

    torch.manual_seed(0)
    data = load(args.data)
    train, valid = data.split(0.1, seed=0)
    tokenize = get_tokenizer("words")
    vocab = build_vocab_from_iterator((tokenize(text) for text, _ in train), specials=["<unk>"])
    vocab.set_default_index(vocab["<unk>"])

    def encode(text):
        words = tokenize(text)
        grams = ngram_buckets(words, args.ngrams, args.buckets)
        return vocab(words) + [len(vocab) + bucket for bucket in grams]

    def loader(pairs, shuffle):
        encoded = [(encode(text), label) for text, label in pairs]
        return DataLoader(encoded, args.batch_size, shuffle, collate_fn=join)

    model = FastText(len(vocab) + args.buckets, len(data.labels), args.embed_dim)
    print(model)
    with Progress() as progress:
        trainer = Trainer(
            model,
            optim.Adam(model.parameters(), lr=args.lr),
            early_stopping=EarlyStopping(patience=3),
            progress=progress,
        )
        history = trainer.fit(loader(train, True), loader(valid, False), args.epochs)
    plot_history(history, args.plot, f"fastText on {data.name}")
    _, accuracy, predicted, truth = evaluate(model, loader(data.test or valid, False))
    print(classification_report(truth, predicted, data.labels))
    print(f"{'test' if data.test else 'validation'} accuracy {accuracy:.2%}; see {args.plot}")


if __name__ == "__main__":
    main()
