"""Kim's TextCNN on movie review sentences, step by step, in the style of a PyTorch tutorial.

    python examples/train_textcnn.py --epochs 6
    python examples/train_textcnn.py --vectors glove                # or glove-static
    python examples/train_textcnn.py --vectors glove --channels 2   # one table stays, one learns

`minigrad train textcnn` does the same with progress bars, checkpoints, plots and a report.
"""

import argparse
import time

import minigrad as torch
from minigrad import nn, optim
from minigrad.models import TextCNN
from minigrad.text import (
    BucketBatchSampler,
    WordVectors,
    build_vocab_from_iterator,
    collate_classification,
    get_tokenizer,
    load,
)
from minigrad.text.vectors.glove_package import glove_package
from minigrad.utils.data import DataLoader


def batches(pairs, tokenize, vocab, batch_size, shuffle):
    """(ids, labels) batches, sentences of similar length together."""
    encoded = [(vocab(tokenize(text)), label) for text, label in pairs]
    sampler = BucketBatchSampler([len(ids) for ids, _ in encoded], batch_size, shuffle)
    return DataLoader(
        encoded, batch_sampler=sampler, collate_fn=collate_classification(min_length=5)
    )


def accuracy(model, loader):
    """The share of texts that the model labels correctly."""
    model.eval()
    right = count = 0
    with torch.no_grad():
        for ids, labels in loader:
            right += (model(ids).argmax(1) == labels).sum().item()
            count += len(labels)
    return right / count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", default="movie_reviews", help="mr, trec, sst2, subj, movie_reviews"
    )
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--embed-dim", type=int, default=128)
    parser.add_argument("--vectors", choices=["random", "glove", "glove-static"], default="random")
    parser.add_argument("--channels", type=int, choices=[1, 2], default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    data = load(args.data)
    train, test = (data.train, data.test) if data.test else data.split(0.1, seed=args.seed)
    tokenize = get_tokenizer("kim")
    vocab = build_vocab_from_iterator((tokenize(t) for t, _ in train), specials=["<pad>", "<unk>"])
    vocab.set_default_index(vocab["<unk>"])
    train_loader = batches(train, tokenize, vocab, args.batch_size, shuffle=True)
    test_loader = batches(test, tokenize, vocab, args.batch_size, shuffle=False)

    vectors = None
    if args.vectors != "random":  # words without a vector get random ones of the same variance
        vectors = WordVectors(*glove_package()).matrix(vocab, lower=True)
    model = TextCNN(
        len(vocab),
        len(data.labels),
        embed_dim=args.embed_dim,
        embeddings=vectors,
        freeze=args.vectors == "glove-static",
        multichannel=args.channels == 2,
        wide=True,
    )
    print(model)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(train):,} sentences")
    loss_fn = nn.CrossEntropyLoss()
    optimizer = optim.Adam([p for p in model.parameters() if p.requires_grad], lr=args.lr)
    for epoch in range(1, args.epochs + 1):
        model.train()
        begin, total = time.perf_counter(), 0.0
        for ids, labels in train_loader:
            optimizer.zero_grad()
            loss = loss_fn(model(ids), labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
        print(
            f"epoch {epoch}: training loss {total / len(train):.4f}, "
            f"test accuracy {accuracy(model, test_loader):.2%}, {time.perf_counter() - begin:.1f} s"
        )


if __name__ == "__main__":
    main()
