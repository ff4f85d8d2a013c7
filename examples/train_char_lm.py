"""A character LSTM on Shakespeare that shows after every epoch how it writes by now.

    python examples/train_char_lm.py                        # 2 x 256, 8 epochs, validation 1.49 nats
    python examples/train_char_lm.py --text my.txt --epochs 20 --hidden 128

Then let it go on: minigrad generate runs/char_lm --prompt "ROMEO:" --temperature 0.8
"""

import argparse
from pathlib import Path

from minigrad.text.language import characters_of_file, tiny_shakespeare
from minigrad.train.language_model import train_language_model
from minigrad.train.language_settings import characters
from minigrad.train.plots import plot_language_history
from minigrad.train.progress import LanguageProgress


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--text", type=Path, help="a text file of your own; its last tenth validates"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/char_lm"))
    parser.add_argument("--cell", default="lstm", choices=["lstm", "gru", "rnn"])
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on from the folder's checkpoint")
    args = parser.parse_args()

    corpus = tiny_shakespeare() if args.text is None else characters_of_file(args.text)
    settings = characters(
        cell=args.cell, hidden_size=args.hidden, num_layers=args.layers, epochs=args.epochs,
        learning_rate=args.lr, seed=args.seed,
    )  # fmt: skip
    print(
        f"{corpus.name}: {len(corpus.train):,} characters to train, {len(corpus.valid):,} to "
        f"validate, {len(corpus.vocab)} different ones"
    )
    with LanguageProgress(tokens_per_step=settings.columns * settings.steps) as progress:
        result = train_language_model(
            corpus,
            settings,
            folder=args.out,
            progress=progress,
            resume=args.out / "last.safetensors" if args.resume else None,
            sample=lambda text: print(f"{'-' * 72}\n{text}\n{'-' * 72}"),
        )
    result.language_model.save(args.out)
    result.history.save(args.out / "history.json")
    title = f"{args.cell.upper()} {args.layers} x {args.hidden} on {corpus.name}"
    plot_language_history(result.history, args.out / "history.png", title, perplexity=False)

    print(
        f"\nvalidation loss {result.valid_loss:.4f} nats a character; all of it is in {args.out}/"
    )
    for options in (dict(temperature=0.5), dict(temperature=1.0), dict(top_p=0.9)):
        said = ", ".join(f"{name} {value}" for name, value in options.items())
        print(f"\n{said}:\n{result.language_model.generate('', 200, seed=0, **options)}")


if __name__ == "__main__":
    main()
