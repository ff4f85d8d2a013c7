"""A BERT of MiniLM's size: minigrad against transformers on torch, two threads, in turn, one process.

    python benchmarks/encoder_speed.py            # writes results/encoder_speed.md

6 layers of 384 with 12 heads, 30,522 words, float32, the same drawn weights: a forward pass without
gradients, and a whole step of fine-tuning with dropout (loss, gradients, clipping, AdamW). transformers
with its default attention (torch's fused one). A ratio below 1 means that minigrad takes less time.
Both sides' losses are compared first, without dropout.
"""

import argparse
from pathlib import Path

from minigrad.benchmarks.measure import (
    alternate,
    describe,
    geometric_mean,
    import_torch,
    machine,
    ratio,
    say,
    spread,
    table,
)

import minigrad
from minigrad.files import atomic
from minigrad.models import BertConfig, BertForSequenceClassification

SIZES = dict(
    vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12,
    intermediate_size=1536, max_position_embeddings=512,
)  # fmt: skip
FORWARD = (1, 16), (32, 16), (32, 64), (8, 256)  # texts, tokens
TRAIN = (32, 32), (16, 64), (8, 128)
RESULTS = Path(__file__).parent / "results" / "encoder_speed.md"


class Side:
    """The model in one library, with its optimizer and the inputs of a batch."""

    def __init__(self, library, model, clip):
        self.library = library
        self.model = model
        self.optimizer = library.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01)
        self.clip = clip

    def batch(self, ids, mask, labels):
        """The model's inputs."""
        names = "input_ids", "attention_mask", "labels"
        return {n: self.library.tensor(v) for n, v in zip(names, (ids, mask, labels), strict=True)}

    def forward(self, inputs):
        """Logits without gradients."""
        self.model.eval()
        with self.library.inference_mode():
            return self.model(**inputs).logits

    def loss(self, inputs) -> float:
        """The loss without dropout."""
        self.model.eval()
        with self.library.no_grad():
            return self.model(**inputs).loss.item()

    def step(self, inputs):
        """One update."""
        self.model.train()
        self.optimizer.zero_grad()
        loss = self.model(**inputs).loss
        loss.backward()
        self.clip(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss.item()


def both_sides(torch):
    """(ours, theirs), ours with the weights of theirs."""
    import transformers

    torch.manual_seed(0)
    theirs = transformers.BertForSequenceClassification(transformers.BertConfig(**SIZES))
    ours = BertForSequenceClassification(BertConfig(**SIZES))
    ours.load_state_dict({k: minigrad.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    return (
        Side(minigrad, ours, minigrad.nn.utils.clip_grad_norm_),
        Side(torch, theirs, torch.nn.utils.clip_grad_norm_),
    )


def inputs(texts: int, tokens: int, seed: int = 0):
    """(ids, mask, labels): every second text is a quarter shorter."""
    import numpy

    draw = numpy.random.default_rng(seed)
    mask = numpy.ones((texts, tokens), numpy.int64)
    mask[::2, tokens - tokens // 4 :] = 0
    return draw.integers(5, SIZES["vocab_size"], (texts, tokens)), mask, draw.integers(0, 2, texts)


def measure(rounds: int) -> tuple[list[list[str]], dict[str, float]]:
    """(rows of the table, geometric mean of the ratios for each kind of work)."""
    torch = import_torch()
    if torch is None:
        raise SystemExit("encoder_speed.py needs torch and transformers")
    sides = both_sides(torch)
    for shape in (*FORWARD, *TRAIN):  # before any training, which draws other dropout masks
        ours, theirs = (side.loss(side.batch(*inputs(*shape))) for side in sides)
        if abs(ours - theirs) > 1e-4 * abs(theirs):
            raise RuntimeError(f"{shape}: the losses are {ours} and {theirs}")
    rows, means = [], {}
    for kind, shapes in (("forward", FORWARD), ("training step", TRAIN)):
        found = []
        for shape in shapes:
            batches = [side.batch(*inputs(*shape)) for side in sides]
            name = "forward" if kind == "forward" else "step"
            programs = [
                lambda s=side, b=batch: getattr(s, name)(b)
                for side, batch in zip(sides, batches, strict=True)
            ]
            times = alternate(programs, rounds, seconds=0.5)
            low, middle, high = ratio(*times)
            found.append(middle)
            rows.append(
                [
                    f"{kind}, {shape[0]} x {shape[1]}",
                    *(spread(*(1000 * q for q in t.quartiles), digits=1) for t in times),
                    spread(low, middle, high),
                ]
            )
            say(f"{rows[-1][0]}: {rows[-1][-1]}")
        means[kind] = geometric_mean(found)
    return rows, means


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    rows, means = measure(args.rounds)
    text = "\n".join(
        [
            "# An encoder of MiniLM's size against transformers on torch",
            "",
            f"`python benchmarks/encoder_speed.py`; {describe(machine())}.",
            "Median milliseconds [quartiles]; ratio below 1: minigrad takes less time.",
            "",
            table(["work, texts x tokens", "minigrad, ms", "torch, ms", "ratio"], rows),
            "",
            *(f"Geometric mean, {kind}: {value:.2f}" for kind, value in means.items()),
            "",
        ]
    )
    with atomic(RESULTS, "w") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    main()
