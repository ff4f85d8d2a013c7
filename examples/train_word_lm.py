"""The LSTM language model of Zaremba 2014 on the Penn Treebank, step by step.

    python examples/train_word_lm.py                        # 2 x 200, 13 epochs
    python examples/train_word_lm.py --epochs 6 --steady 3  # nearly as good in half the time

The text runs down 20 columns; each step reads 20 rows and hands its state, cut from its graph, to the
next. `minigrad.train.language_model.train_language_model` does the same with checkpoints.
"""

import argparse
import math
import time
from pathlib import Path

import minigrad as torch
from minigrad import nn, optim
from minigrad.models.language_model import ZAREMBA, RecurrentLM, detach_state
from minigrad.text.language import Windows, batchify, load_corpus
from minigrad.train.language_model import LanguageEpoch, LanguageHistory
from minigrad.train.plots import plot_language_history

loss_fn = nn.CrossEntropyLoss()


def evaluate(model, windows):
    """Mean loss over a text that is read from end to end."""
    model.eval()
    total, count, state = 0.0, 0, None
    with torch.no_grad():
        for inputs, targets in windows:
            logits, state = model(inputs, state)
            total += loss_fn(logits.flatten(0, 1), targets.flatten()).item() * targets.numel()
            count += targets.numel()
    return total / count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", default="ptb")
    parser.add_argument("--epochs", type=int, default=13)
    parser.add_argument("--steady", type=int, default=4, help="epochs before the rate is halved")
    parser.add_argument("--limit", type=int, help="only so many words of every part")
    parser.add_argument("--out", type=Path, default=Path("runs/word_lm"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    corpus = load_corpus(args.corpus)
    columns, steps = 20, 20
    train = Windows(batchify(corpus.train[: args.limit], columns), steps)
    valid, test = (
        Windows(batchify(part[: args.limit], 1), 100) for part in (corpus.valid, corpus.test)
    )
    model = RecurrentLM(len(corpus.vocab), **ZAREMBA["small"])
    print(model)
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    scheduler = optim.lr_scheduler.LambdaLR(
        optimizer, lambda epoch: 0.5 ** max(0, epoch + 1 - args.steady)
    )
    history = LanguageHistory()
    for epoch in range(1, args.epochs + 1):
        model.train()
        begin, total, count, state = time.perf_counter(), 0.0, 0, None
        for inputs, targets in train:
            optimizer.zero_grad()
            logits, state = model(inputs, detach_state(state))
            loss = loss_fn(logits.flatten(0, 1), targets.flatten())
            (loss * len(inputs)).backward()  # summed over the steps, averaged over the columns
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            total += loss.item() * targets.numel()
            count += targets.numel()
        seconds = time.perf_counter() - begin
        rate = optimizer.param_groups[0]["lr"]
        scheduler.step()
        history.epochs.append(
            LanguageEpoch(
                epoch, total / count, evaluate(model, valid), rate, seconds, count / seconds
            )
        )
        print(
            f"epoch {epoch}: perplexity {math.exp(total / count):.2f}, validation "
            f"{history.epochs[-1].valid_perplexity:.2f}, rate {rate:.4f}, {count / seconds:,.0f} words/s"
        )
    print(f"test perplexity {math.exp(evaluate(model, test)):.2f}")
    args.out.mkdir(parents=True, exist_ok=True)
    plot_language_history(history, args.out / "perplexity.png", f"LSTM 2 x 200 on {corpus.name}")
    start = torch.tensor(corpus.vocab(["the", "company"]))
    ids, _ = model.generate(start, 30, temperature=0.8, top_k=50)
    print("the company", *corpus.vocab.lookup_tokens(ids.tolist()))


if __name__ == "__main__":
    main()
