"""Write the subject line of a mail: train a small BART on AESLC, then give it mails of one's own.

    python examples/summarise_mail.py                      # trains, half an hour on one core
    python examples/summarise_mail.py --mail mail.txt      # uses what was trained

The model first restores mails in which spans are masked and sentences moved (Lewis et al. 2020,
section 2.2), then learns to write their subjects. Prints the loss, draws it into the folder, and
compares ROUGE on the test part with that of each mail's first words.
"""

import argparse
from pathlib import Path

import minigrad
from minigrad.models import BartForConditionalGeneration
from minigrad.pretrained import AutoTokenizer
from minigrad.text.summaries import aeslc
from minigrad.train.finetuning import TrainingArguments
from minigrad.train.summarisation import (
    encode,
    leads,
    mail_tokenizer,
    new_bart,
    restore_mails,
    rouge,
    subject_trainer,
    summarise,
)


def train(args):
    """Train on AESLC, and print figures of its test part."""
    data = aeslc()
    tokenizer = mail_tokenizer(data.train, args.vocab_size)
    minigrad.manual_seed(args.seed)
    model = new_bart(tokenizer, init_std=0.08)
    print(f"{len(data.train):,} mails, {model.num_parameters():,} parameters", flush=True)
    shared = dict(
        per_device_train_batch_size=32,
        per_device_eval_batch_size=64,
        learning_rate=1e-3,
        warmup_steps=200,
        weight_decay=0.01,
        logging_steps=50,
        save_strategy="no",
        seed=args.seed,
    )
    restoring = TrainingArguments(str(args.out / "restoring"), max_steps=args.steps, **shared)
    restore_mails(model, tokenizer, data.train, restoring, length=48)
    learning = TrainingArguments(
        str(args.out),
        num_train_epochs=args.epochs,
        eval_strategy="epoch",
        group_by_length=True,
        label_smoothing_factor=0.1,
        **shared,
    )
    mails, valid = encode(data.train, tokenizer), encode(data.valid, tokenizer)
    subject_trainer(model, tokenizer, mails, valid, learning).train()
    model.save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)
    texts, subjects = [row.text for row in data.test], [row.summary for row in data.test]
    for name, summaries in (
        ("model", summarise(model, tokenizer, texts, num_beams=args.beam)),
        ("first 14 words", leads(texts, 14)),
    ):
        figures = rouge(summaries, subjects)
        print(f"{name:15s} " + ", ".join(f"{key} {value:.2f}" for key, value in figures.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mail", type=Path, help="a text file; its subject is printed")
    parser.add_argument("--out", type=Path, default=Path("runs/summarise_mail"))
    parser.add_argument("--steps", type=int, default=2200, help="of restoring mails")
    parser.add_argument("--epochs", type=float, default=5, help="of learning subjects")
    parser.add_argument("--vocab-size", type=int, default=4000)
    parser.add_argument("--beam", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.mail is None:
        train(args)
    else:
        model = BartForConditionalGeneration.from_pretrained(args.out)
        tokenizer = AutoTokenizer.from_pretrained(args.out)
        mail = args.mail.read_text(encoding="utf-8")
        print(summarise(model, tokenizer, [mail], num_beams=args.beam)[0])


if __name__ == "__main__":
    main()
