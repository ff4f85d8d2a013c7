"""Pretraining a small encoder on WikiText-2: masked words, and next sentence (BERT) or order (ALBERT).

    python benchmarks/pretraining.py nsp        # writes results/pretraining_nsp.{json,png}
    python benchmarks/pretraining.py sop

First 50 steps without dropout in minigrad and, where torch and transformers are installed, in
transformers, from the same weights on the same batches: the largest difference of their losses. Then
training with dropout. The mean loss of masked words on articles left out is held against the unigram
entropy of the training text, H = -sum_w p(w) ln p(w): what a model can do that knows only how often
words occur.
"""

import argparse
import math
import time
from collections import Counter
from pathlib import Path

from minigrad.benchmarks.measure import describe, import_torch, machine, say, write_json

import minigrad
from minigrad.extra import need
from minigrad.files import atomic
from minigrad.models import AlbertConfig, AlbertForPreTraining, BertConfig, BertForPreTraining
from minigrad.nn import functional as F
from minigrad.nn.utils import clip_grad_norm_
from minigrad.optim import AdamW
from minigrad.pretrained.collators import DataCollatorForLanguageModeling
from minigrad.pretrained.pretraining_data import next_sentence_pairs, sentence_order_pairs
from minigrad.pretrained.training_tokenizers import train_tokenizer
from minigrad.text.datasets import read_text
from minigrad.train.finetuning import get_linear_schedule_with_warmup

RESULTS = Path(__file__).parent / "results"
SIZES = dict(
    hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=512,
    max_position_embeddings=64,
)  # fmt: skip
# objective: (configuration, model, its pairs, the pairs' label, logits of the pairs)
OBJECTIVES = {
    "nsp": (
        BertConfig, BertForPreTraining, next_sentence_pairs, "next_sentence_label",
        "seq_relationship_logits",
    ),
    "sop": (
        AlbertConfig, AlbertForPreTraining, sentence_order_pairs, "sentence_order_label",
        "sop_logits",
    ),
}  # fmt: skip


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


class Data:
    """Batches of pairs, anew masked every time, from one seed."""

    def __init__(self, objective: str, vocab_size: int, seed: int):
        _, _, make, self.label, _ = OBJECTIVES[objective]
        documents = articles()
        cut = len(documents) // 10
        self.held_out, self.documents = documents[:cut], documents[cut:]
        texts = [sentence for document in self.documents for sentence in document]
        self.tokenizer = train_tokenizer(texts, "wordpiece", vocab_size=vocab_size)
        minigrad.manual_seed(seed)
        length = SIZES["max_position_embeddings"]
        self.train = make(self.documents, self.tokenizer, length)
        self.valid = make(self.held_out, self.tokenizer, length)
        self.entropy = unigram_entropy(self.documents, self.tokenizer)

    def batch(self, rows, generator_seed: int) -> dict:
        """The model's inputs for some examples, masked by a stream of its own."""
        collate = DataCollatorForLanguageModeling(self.tokenizer, seed=generator_seed)
        return dict(collate([dict(row) for row in rows]))

    def batches(self, size: int, epoch: int):
        """The training examples in an epoch's order."""
        order = minigrad.Generator().manual_seed(epoch).permutation(len(self.train)).tolist()
        for place in range(0, len(order) - size + 1, size):
            rows = [self.train[i] for i in order[place : place + size]]
            yield self.batch(rows, 1_000_000 * epoch + place)


def same_curve(objective, data, config, steps: int, size: int) -> float | None:
    """The largest relative difference of the losses of some steps here and in transformers."""
    torch = import_torch()
    if torch is None:
        return None
    import transformers

    _, kind, *_ = OBJECTIVES[objective]
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
    ours.train(), theirs.train()
    optimizer = AdamW(ours.parameters(), lr=5e-4)
    their_optimizer = torch.optim.AdamW(theirs.parameters(), lr=5e-4)
    worst = 0.0
    for _, batch in zip(range(steps), data.batches(size, 0), strict=False):
        losses = []
        for model, update, inputs in (
            (ours, optimizer, batch),
            (theirs, their_optimizer, {k: torch.tensor(v.numpy()) for k, v in batch.items()}),
        ):
            update.zero_grad()
            loss = model(**inputs).loss
            loss.backward()
            update.step()
            losses.append(loss.item())
        worst = max(worst, abs(losses[0] - losses[1]) / losses[1])
    return worst


def measure(model, data, objective, size: int = 64) -> tuple[float, float]:
    """(loss of a masked word in nats, share of pairs told right) on the articles left out."""
    *_, label, logits = OBJECTIVES[objective]
    model.eval()
    total, words, right, count = 0.0, 0, 0, 0
    with minigrad.no_grad():
        for place in range(0, len(data.valid), size):
            batch = data.batch(data.valid[place : place + size], place)
            output = model(**batch)
            labels = batch["labels"].flatten()
            total += F.cross_entropy(
                output.prediction_logits.flatten(0, 1), labels, reduction="sum"
            ).item()
            words += int((labels != -100).sum())
            right += int((output[logits].argmax(1) == batch[label].flatten()).sum())
            count += len(output[logits])
    model.train()
    return total / words, right / count


def train(model, data, objective, epochs: int, size: int, lr: float) -> list[dict]:
    """Train with AdamW, warm-up and linear decay; a row of figures for every epoch."""
    steps = epochs * (len(data.train) // size)
    optimizer = AdamW(model.parameters(), lr=lr, weight_decay=0.01)
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
        valid, told = measure(model, data, objective)
        rows.append(
            {
                "epoch": epoch,
                "steps": epoch * count,
                "train_loss": total / count,
                "masked_word_loss": valid,
                "pairs_right": told,
                "minutes": (time.perf_counter() - begin) / 60,
            }
        )
        say(
            f"epoch {epoch}: loss {total / count:.3f}, a masked word {valid:.3f} nats, pairs "
            f"{told:.1%}, {rows[-1]['minutes']:.1f} min"
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("objective", choices=list(OBJECTIVES))
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--vocab-size", type=int, default=5000)
    parser.add_argument("--steps", type=int, default=50, help="of the comparison with transformers")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    data = Data(args.objective, args.vocab_size, args.seed)
    config_class, kind, *_ = OBJECTIVES[args.objective]
    config = config_class(vocab_size=len(data.tokenizer), **SIZES)
    say(f"{len(data.train):,} pairs to train on, unigram entropy {data.entropy:.3f} nats")
    difference = same_curve(args.objective, data, config, args.steps, args.batch_size)
    say(f"largest relative difference of {args.steps} losses: {difference}")
    minigrad.manual_seed(args.seed)
    model = kind(config)
    rows = train(model, data, args.objective, args.epochs, args.batch_size, args.lr)
    name = f"pretraining_{args.objective}"
    record = {
        "settings": vars(args) | SIZES,
        "machine": describe(machine()),
        "pairs": len(data.train),
        "unigram entropy, nats": data.entropy,
        f"largest relative difference of {args.steps} losses to transformers": difference,
        "epochs": rows,
    }
    write_json(RESULTS / f"{name}.json", record)
    title = f"{kind.__name__}, {model.num_parameters():,} parameters, WikiText-2"
    draw(rows, data.entropy, RESULTS / f"{name}.png", title)
    last = rows[-1]
    print(
        f"masked words {last['masked_word_loss']:.3f} nats (unigram entropy {data.entropy:.3f}), "
        f"pairs told right {last['pairs_right']:.1%}; largest difference to transformers' curve "
        f"{difference}"
    )


if __name__ == "__main__":
    main()
