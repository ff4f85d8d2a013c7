"""Pretraining on WikiText-2: its articles, batches, training, the curve beside transformers'."""

import math
import time
from collections import Counter
from collections.abc import Callable

from minigrad.benchmarks.measure import import_torch, say

import minigrad
from minigrad.extra import need
from minigrad.files import atomic
from minigrad.nn.utils import clip_grad_norm_
from minigrad.optim import AdamW
from minigrad.text.datasets import read_text
from minigrad.train.finetuning import get_linear_schedule_with_warmup


def articles() -> list[list[str]]:
    """WikiText-2's validation and test articles, each a list of sentences."""
    found: list[list[str]] = []
    for part in ("valid", "test"):
        for line in read_text(f"wikitext2/{part}.txt").split("\n"):
            line = line.strip()
            if line.startswith("= ") and not line.startswith("= ="):
                found.append([])
            elif line and not line.startswith("="):
                sentences = line.split(" . ")
                found[-1] += [f"{s} ." for s in sentences[:-1]] + sentences[-1:]
    return [article for article in found if len(article) > 1]


def unigram_entropy(documents, tokenizer) -> float:
    """H of the tokens of documents, in nats."""
    counts: Counter = Counter()
    for document in documents:
        for ids in tokenizer(document, add_special_tokens=False)["input_ids"]:
            counts.update(ids)
    total = sum(counts.values())
    return -sum(n / total * math.log(n / total) for n in counts.values())


class Batches:
    """The examples of `train` in batches, each a new draw of what the model must tell.

    A subclass sets `train` and has batch(examples, seed), the model's inputs drawn from a stream of
    their own.
    """

    def batches(self, size: int, epoch: int):
        """The training examples in an epoch's order."""
        order = minigrad.Generator().manual_seed(epoch).permutation(len(self.train)).tolist()
        for place in range(0, len(order) - size + 1, size):
            rows = [self.train[i] for i in order[place : place + size]]
            yield self.batch(rows, 1_000_000 * epoch + place)


def same_curve(
    kind, config, data: Batches, steps: int, size: int, lr: float, prepare: Callable | None = None
) -> float | None:
    """The largest relative difference of the losses of some steps here and in transformers.

    kind: the class of the model. prepare(ours, theirs, torch): what is done to both before.
    """
    torch = import_torch()
    if torch is None:
        return None
    import transformers

    options = {
        name: 0.0 if "dropout" in name and value else value  # their masks are others
        for name, value in config.to_dict().items()
        if name != "model_type"
    }
    torch.manual_seed(0)
    theirs = getattr(transformers, kind.__name__)(
        getattr(transformers, type(config).__name__)(**options)
    )
    ours = kind(type(config)(**options))
    ours.load_state_dict({k: minigrad.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    if prepare is not None:
        prepare(ours, theirs, torch)
    ours.train(), theirs.train()
    optimizer = AdamW(ours.parameters(), lr=lr)
    their_optimizer = torch.optim.AdamW(theirs.parameters(), lr=lr)
    worst = 0.0
    for _, batch in zip(range(steps), data.batches(size, 0), strict=False):
        losses = []
        for model, update, inputs in (
            (ours, optimizer, batch),
            (
                theirs,
                their_optimizer,
                {k: torch.tensor(v.numpy(force=True)) for k, v in batch.items()},
            ),
        ):
            update.zero_grad()
            loss = model(**inputs).loss
            loss.backward()
            update.step()
            losses.append(loss.item())
        worst = max(worst, abs(losses[0] - losses[1]) / losses[1])
    return worst


def fit(
    model, data: Batches, epochs: int, size: int, optimizer, figures: Callable, tell: Callable
) -> list[dict]:
    """Train with warm-up and linear decay; a row of figures for every epoch.

    figures(): those of the articles left out, by name; tell(figures): the same in words.
    """
    steps = epochs * (len(data.train) // size)
    schedule = get_linear_schedule_with_warmup(optimizer, steps // 10, steps)
    rows = []
    begin = time.perf_counter()
    for epoch in range(1, epochs + 1):
        total, count = 0.0, 0
        for batch in data.batches(size, epoch):
            optimizer.zero_grad()
            loss = model(**batch).loss
            loss.backward()
            clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total, count = total + loss.item(), count + 1
        found = figures()
        row = {"epoch": epoch, "steps": epoch * count, "train_loss": total / count, **found}
        rows.append(row | {"minutes": (time.perf_counter() - begin) / 60})
        say(
            f"epoch {epoch}: loss {total / count:.3f}, {tell(found)}, {rows[-1]['minutes']:.1f} min"
        )
    return rows


def draw(
    rows, entropy: float, path, title: str, name="masked_word_loss", label="masked words, left out"
) -> None:
    """A loss of words left out, a figure of the rows, by updates, beside the unigram entropy."""
    pyplot = need("matplotlib.pyplot")
    figure, axis = pyplot.subplots(figsize=(6.4, 4))
    steps = [row["steps"] for row in rows]
    axis.plot(steps, [row[name] for row in rows], label=label)
    axis.axhline(entropy, color="grey", linestyle="--", label="unigram entropy")
    axis.set(xlabel="updates", ylabel="nats a word", title=title)
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    with atomic(path) as file:
        figure.savefig(file, format="png", dpi=120, bbox_inches="tight")
    pyplot.close(figure)
