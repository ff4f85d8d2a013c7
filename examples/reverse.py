"""Learn to copy, reverse or sort strings of letters: python examples/reverse.py --task reverse."""

import argparse
import random
import string

from minigrad.train.progress import Progress
from minigrad.train.translation.attention_plots import plot_attention
from minigrad.train.translation.settings import Seq2SeqSettings
from minigrad.train.translation.training import train_seq2seq

TASKS = {
    "copy": lambda text: text,
    "reverse": lambda text: text[::-1],
    "sort": lambda text: "".join(sorted(text)),
}

SETTINGS = dict(
    tokenizer="characters",
    min_freq=1,
    embed_dim=32,
    hidden_size=64,
    dropout=0.0,
    label_smoothing=0.0,
    batch_size=64,
    learning_rate=5e-3,
    decay_after=4,
    max_norm=1.0,
    epochs=8,
)


def strings(task, count, longest, seed):
    """Different strings of 1 to `longest` letters, each with what the task makes of it."""
    draw = random.Random(seed)
    found = set()
    while len(found) < count:
        found.add("".join(draw.choices(string.ascii_lowercase, k=draw.randint(1, longest))))
    texts = sorted(found)
    draw.shuffle(texts)
    return [(text, TASKS[task](text)) for text in texts]


def learn(task, count=8000, longest=10, held_out=500, progress=None, **changes):
    """A translator trained on all but `held_out` strings, and the share of those it gets right."""
    pairs = strings(task, count, longest, seed=0)
    train, test = pairs[held_out:], pairs[:held_out]
    settings = Seq2SeqSettings(**SETTINGS | changes)
    translator = train_seq2seq(train, test[:100], settings, progress=progress).translator
    answers = translator.translate([text for text, _ in test], beam=1)
    right = sum(answer == target for answer, (_, target) in zip(answers, test, strict=True))
    return translator, right / held_out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=TASKS, default="reverse")
    parser.add_argument("--attention", default="general", help="bahdanau, general, concat or none")
    parser.add_argument("--longest", type=int, default=10, help="letters")
    parser.add_argument("--text", default="minigrad")
    parser.add_argument("--plot", help="draw the attention of TEXT into this PNG")
    args = parser.parse_args()
    attention = None if args.attention == "none" else args.attention
    with Progress() as progress:
        translator, right = learn(
            args.task, longest=args.longest, progress=progress, attention=attention
        )
    print(f"{args.task}: {right:.1%} of the held-out strings are right")
    print(f"{args.text} -> {translator.translate([args.text])[0]}")
    if args.plot:
        plot_attention(*translator.attention(args.text), args.plot, title=args.task)


if __name__ == "__main__":
    main()
