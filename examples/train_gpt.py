"""A GPT of 0.8 million weights on the characters of Shakespeare: nanoGPT's recipe for a CPU.

    python examples/train_gpt.py                       # 2,000 updates, minutes on two cores
    python examples/train_gpt.py --text my.txt --layers 6 --width 192 --dropout 0.1

nanoGPT's README tells a validation loss of 1.88 for the defaults. Then let it go on:
minigrad generate runs/gpt --prompt "ROMEO:" --temperature 0.8
"""

import argparse
from pathlib import Path

from minigrad.text.language import characters_of_file, tiny_shakespeare
from minigrad.train.gpt import GPTSettings, train_gpt
from minigrad.train.plots import plot_language_history
from minigrad.train.progress import UpdateProgress


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--text", type=Path, help="a text file of your own; its last tenth validates"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/gpt"))
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--context", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=12)
    parser.add_argument("--accumulate", type=int, default=1, help="so many batches an update")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1337)
    parser.add_argument("--resume", action="store_true", help="go on from the folder's checkpoint")
    args = parser.parse_args()

    corpus = tiny_shakespeare() if args.text is None else characters_of_file(args.text)
    settings = GPTSettings(
        n_layer=args.layers, n_head=args.heads, n_embd=args.width, block_size=args.context,
        dropout=args.dropout, batch_size=args.batch_size, learning_rate=args.lr,
        gradient_accumulation_steps=args.accumulate, min_lr=args.lr / 10, max_iters=args.updates,
        lr_decay_iters=args.updates, warmup_iters=min(100, args.updates // 10), seed=args.seed,
    )  # fmt: skip
    print(
        f"{corpus.name}: {len(corpus.train):,} characters to train, {len(corpus.valid):,} to "
        f"validate, {len(corpus.vocab)} different ones"
    )
    tokens = settings.batch_size * settings.block_size * settings.gradient_accumulation_steps
    with UpdateProgress(tokens_per_step=tokens) as progress:
        result = train_gpt(
            corpus,
            settings,
            folder=args.out,
            progress=progress,
            resume=args.out / "last.safetensors" if args.resume else None,
            sample=lambda text: print(f"{'-' * 72}\n{text}\n{'-' * 72}"),
        )
    model = result.language_model
    model.save(args.out)
    result.history.save(args.out / "history.json")
    title = f"GPT of {args.layers} x {args.width} on {corpus.name}"
    plot_language_history(result.history, args.out / "history.png", title, False, "update")

    print(f"\nvalidation loss, nats: {result.history.best.valid_loss:.4f} on random batches,")
    print(f"{result.valid_loss:.4f} on the whole text; all of it is in {args.out}/")
    print(f"perplexity with half a block to look back: {model.perplexity(corpus.valid):.3f}")
    for options in (dict(temperature=0.5), dict(temperature=0.8), dict(top_k=10)):
        said = ", ".join(f"{name} {value}" for name, value in options.items())
        print(f"\n{said}:\n{model.generate('', 300, seed=0, **options)}")


if __name__ == "__main__":
    main()
