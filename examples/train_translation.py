"""Train a German-English translator on Multi30k: python examples/train_translation.py --epochs 10."""

import argparse
from pathlib import Path

from minigrad.text.translation import multi30k, read_pairs
from minigrad.train.attention_plots import plot_heads
from minigrad.train.plots import plot_history
from minigrad.train.progress import Progress
from minigrad.train.translation.attention_plots import bleu_by_length, plot_attention
from minigrad.train.translation.settings import Seq2SeqSettings, TransformerSettings
from minigrad.train.translation.training import train_seq2seq
from minigrad.train.translation.translator import bleu


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="de", help="de or en")
    parser.add_argument("--pairs", help="a file of 'source TAB target' lines instead of Multi30k")
    parser.add_argument("--model", default="recurrent", choices=["recurrent", "transformer"])
    parser.add_argument("--cell", default="gru", choices=["gru", "lstm"])
    parser.add_argument("--attention", default="general", help="bahdanau, general, concat or none")
    parser.add_argument("--context", action="store_true", help="without attention: Cho's decoder")
    parser.add_argument("--hidden", type=int, default=256, help="numbers a state")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--limit", type=int, help="train on the first LIMIT pairs only")
    parser.add_argument("--folder", type=Path, default=Path("translator"), help="for the model")
    parser.add_argument("--resume", help="the last.safetensors to go on from")
    return parser.parse_args()


def parts(args):
    """Training, validation and test pairs; of a file of one's own every tenth pair is held out."""
    if args.pairs:
        pairs = read_pairs(args.pairs)
        held = pairs[::10]
        rest = [pair for i, pair in enumerate(pairs) if i % 10]
        return rest[: args.limit], held[::2], held[1::2]
    corpus = multi30k(args.source, "en" if args.source == "de" else "de")
    return corpus.train[: args.limit], corpus.valid, corpus.test


def chosen(args):
    """The settings of the model asked for."""
    if args.model == "transformer":
        return TransformerSettings(
            d_model=args.hidden,
            inner_dropout=0.1,
            norm_first=True,
            tied=False,
            learning_rate=0.5,
            warmup=500,
            batch_size=64,
            epochs=args.epochs,
        )
    return Seq2SeqSettings(
        cell=args.cell,
        attention=None if args.attention == "none" else args.attention,
        context=args.context,
        readout=256 if args.context or args.attention == "bahdanau" else None,
        hidden_size=args.hidden,
        batch_size=64,
        epochs=args.epochs,
        decay_after=6,
    )


def main():
    args = options()
    train, valid, test = parts(args)
    settings = chosen(args)
    with Progress() as progress:
        result = train_seq2seq(train, valid, settings, args.folder, progress, args.resume)
    translator = result.translator
    translator.save(args.folder)
    plot_history(result.trainer.history, args.folder / "history.png", "Multi30k")

    sources = [translator.tokenize(source) for source, _ in test]
    references = [translator.tokenize(target) for _, target in test]
    print("search     BLEU")
    for name, beam in (("greedy", 1), (f"beam {args.beam}", args.beam)):
        found = translator.translate_words(sources, beam=beam, alpha=1.0)
        print(f"{name:8} {bleu(found, references):6.2f}")
    print("words  sentences   BLEU")
    for lengths, count, value in bleu_by_length(sources, found, references):
        print(f"{lengths:>5}  {count:9}  {value:5.2f}")
    for (source, target), words in list(zip(test, found, strict=True))[:3]:
        print(f"\nsource     {source}\nreference  {target}\nfound      {translator.join(words)}")
    text = test[0][0]
    if args.model == "transformer":
        source, target, weights = translator.heads(text)
        plot_heads(weights.cross, target, args.folder / "heads.png", source, text)
    if args.model == "transformer" or settings.attention:
        plot_attention(*translator.attention(text), args.folder / "attention.png", text)
    print(f"\nThe model and its pictures are in {args.folder}.")


if __name__ == "__main__":
    main()
