"""Fine-tuning the published MiniLM encoder (6 layers of 384): sentences, pairs, tags, answers.

The epoch with the best figure on the validation part is measured on the test part. Sets without a
validation part give a tenth of their training part for it. With `all_texts`, the validation part is
trained on too, and the last epoch is measured: its settings are those that were best on validation.
"""

from collections.abc import Callable
from dataclasses import replace

from .experiments import experiment

ARGS = dict(
    epochs=3, batch_size=32, learning_rate=1e-4, warmup=0.1, weight_decay=0.01, all_texts=False,
)  # fmt: skip
MODEL = "MiniLM encoder (all-MiniLM-L6-v2), fine-tuned"


def _named(task: str) -> Callable:
    def make(tokenizer, seed):
        from minigrad.train.finetuning.named import named_task

        return named_task(task, tokenizer, seed)

    return make


def finetune(make_task: Callable, settings: dict, seed: int):
    """Train the published encoder on a task: (trainer, figures of the test part, fractions)."""
    from minigrad.pretrained.minilm_package import minilm_folder
    from minigrad.pretrained.tokenizer import AutoTokenizer
    from minigrad.train.finetuning import TrainingArguments

    tokenizer = AutoTokenizer.from_pretrained(minilm_folder())
    task = make_task(tokenizer, seed)
    best = not settings["all_texts"]
    if not best:
        task = replace(task, train=task.train + task.valid)
    args = TrainingArguments(
        output_dir=f"runs/finetuning/{task.name}", num_train_epochs=settings["epochs"],
        per_device_train_batch_size=settings["batch_size"], per_device_eval_batch_size=64,
        learning_rate=settings["learning_rate"], warmup_ratio=settings["warmup"],
        weight_decay=settings["weight_decay"], group_by_length=True,
        eval_strategy="epoch" if best else "no", save_strategy="epoch" if best else "no",
        save_total_limit=1, save_only_model=True, load_best_model_at_end=best,
        metric_for_best_model=task.measure, greater_is_better=True,
        logging_steps=20, seed=seed,
    )  # fmt: skip
    trainer = task.trainer(minilm_folder(), args, tokenizer)
    trainer.train()
    return trainer, task.test(trainer)


def _enter(name, data, measure, paper, make_task, key, note="", **settings):
    @experiment(
        name, model=MODEL, data=data, measure=measure, paper=paper, settings=ARGS | settings,
        note=note,
    )  # fmt: skip
    def run(settings, seed):
        trainer, figures = finetune(make_task, settings, seed)
        others = {k: round(100 * v, 2) for k, v in figures.items() if k != key}
        best = trainer.state.best_metric
        if best is not None:
            others["validation"] = round(100 * best, 2)
        yield "test", 100 * figures[key], others, trainer.state.log_history


_enter(
    "minilm_sst2", "SST-2, sentences", "accuracy, %", "93.5 (BERT-base, 67,000 phrases; Devlin 2019*)",
    _named("sst2_of_five"), "accuracy",
    "Learned from the same sentences in five classes, by the mean of the states. With these settings, "
    "trained on the training part alone, validation is 87.96; from two classes it was 88.42 (test "
    "88.85).",
    epochs=2, batch_size=16, learning_rate=5e-5, all_texts=True,
)  # fmt: skip
_enter(
    "minilm_trec", "TREC", "accuracy, %", "none found for this encoder", _named("trec"), "accuracy",
    epochs=5,
)  # fmt: skip
_enter(
    "minilm_sick", "SICK, entailment", "accuracy, %", "84.6 (Lai and Hockenmaier 2014)",
    _named("sick"), "accuracy", epochs=4,
)  # fmt: skip
_enter(
    "minilm_conll2003", "CoNLL-2003", "F1 of entities, %", "92.4 (BERT-base, cased; Devlin 2019*)",
    _named("conll2003"), "f1", "The tokenizer makes all letters small: capitals are lost.",
)  # fmt: skip
_enter(
    "minilm_xquad", "XQuAD-en, a fifth of its articles", "F1 of answers, %",
    "83.5 (multilingual BERT, trained on 87,599 questions of SQuAD; Artetxe 2020*)", _named("xquad"),
    "f1", "Trained on 70 % of the 48 articles, some 830 questions.", epochs=5, batch_size=8,
)  # fmt: skip
