"""Fine-tune the published MiniLM encoder on a task, with progress, a curve, and a table at the end.

    python examples/finetune.py trec                    # classes of questions, about five minutes
    python examples/finetune.py sick --epochs 4         # does one sentence follow from the other?
    python examples/finetune.py conll2003 --epochs 3    # names of people, places, organizations
    python examples/finetune.py xquad --epochs 8 --batch-size 8   # answers in paragraphs

The curve is drawn into OUT as the run goes; the epoch with the best validation figure is kept there.
"""

import argparse
from pathlib import Path

from minigrad.models import AutoTokenizer
from minigrad.pretrained.minilm_package import minilm_folder
from minigrad.train.finetuning import TrainingArguments
from minigrad.train.finetuning.named import TASKS, named_task


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=list(TASKS))
    parser.add_argument("--folder", type=Path, help="a published encoder; MiniLM's by default")
    parser.add_argument("--epochs", type=float, default=5)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/finetune"))
    args = parser.parse_args()
    folder = args.folder or minilm_folder()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    task = named_task(args.task, tokenizer)
    arguments = TrainingArguments(
        output_dir=str(args.out / args.task),
        num_train_epochs=args.epochs,
        per_device_train_batch_size=args.batch_size,
        per_device_eval_batch_size=64,
        learning_rate=args.lr,
        warmup_ratio=0.1,
        weight_decay=0.01,
        group_by_length=True,
        logging_steps=20,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model=task.measure,
        seed=args.seed,
    )
    trainer = task.trainer(folder, arguments, tokenizer)
    trainer.train()
    trainer.save_model(args.out / args.task / "best")
    print(f"\n{args.task}, {len(task.train):,} examples to train on; test part:")
    for name, value in task.test(trainer).items():
        print(f"  {name:10s} {value:.2%}")
    print(f"model and curve: {args.out / args.task}")


if __name__ == "__main__":
    main()
