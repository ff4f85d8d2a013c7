"""Subject lines of mails (AESLC): a small BART, trained on the mails alone, beside their first words."""

from .experiments import experiment

SETTINGS = dict(
    vocab_size=4000, d_model=128, layers=2, heads=4, init_std=0.08, dropout=0.1, max_source=96,
    max_target=24, restoring_steps=2200, restoring_length=48, epochs=5, batch_size=32,
    learning_rate=1e-3, warmup_steps=200, weight_decay=0.01, label_smoothing=0.1, beams=4,
    length_penalties=(0.6, 1.0, 2.0), shortest=(1, 4, 6, 8),
)  # fmt: skip


def best_lead(valid) -> int:
    """The number of first words that have the highest ROUGE-1 on the validation part."""
    from minigrad.train.summarisation import leads, rouge

    texts, subjects = [row.text for row in valid], [row.summary for row in valid]
    return max(range(8, 24, 2), key=lambda n: rouge(leads(texts, n), subjects)["rouge1"])


def first_sentences(texts) -> list[str]:
    """The first line of each mail: AESLC has a sentence a line."""
    return [text.split("\n")[0] for text in texts]


@experiment(
    "aeslc_bart", model="BART, small, trained on the mails alone", data="AESLC, subjects of mails",
    measure="ROUGE-1, F1, %", settings=SETTINGS,
    paper="23.67 (Zhang and Tetreault 2019*), 15.04 (Transformer-base, trained on the mails alone; "
    "Zhang 2020*)",
    note="First it restores mails (text infilling, sentence permutation), then it learns subjects. "
    "Beside it the first words of a mail, as many as are best on validation, and its first sentence.",
    also=("rouge2", "rougeL", "first words", "first sentence"),
)  # fmt: skip
def aeslc_bart(settings, seed):
    import itertools

    import minigrad
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

    data = aeslc()
    tokenizer = mail_tokenizer(data.train, settings["vocab_size"])
    minigrad.manual_seed(seed)
    width, layers, heads = settings["d_model"], settings["layers"], settings["heads"]
    model = new_bart(
        tokenizer, d_model=width, encoder_layers=layers, decoder_layers=layers,
        encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width, dropout=settings["dropout"], init_std=settings["init_std"],
    )  # fmt: skip
    shared = dict(
        per_device_train_batch_size=settings["batch_size"], per_device_eval_batch_size=64,
        learning_rate=settings["learning_rate"], warmup_steps=settings["warmup_steps"],
        weight_decay=settings["weight_decay"], logging_steps=50, save_strategy="no", seed=seed,
        disable_tqdm=True,
    )  # fmt: skip
    if settings["restoring_steps"]:
        args = TrainingArguments(
            output_dir="runs/aeslc/restoring", max_steps=settings["restoring_steps"], **shared
        )
        restore_mails(model, tokenizer, data.train, args, settings["restoring_length"])
    args = TrainingArguments(
        output_dir="runs/aeslc/subjects", num_train_epochs=settings["epochs"],
        eval_strategy="epoch", group_by_length=True,
        label_smoothing_factor=settings["label_smoothing"], **shared,
    )  # fmt: skip
    sizes = (settings["max_source"], settings["max_target"])
    train, valid = (encode(rows, tokenizer, *sizes) for rows in (data.train, data.valid))
    trainer = subject_trainer(model, tokenizer, train, valid, args)
    trainer.train()
    model.save_pretrained("runs/aeslc/model")
    tokenizer.save_pretrained("runs/aeslc/model")

    def write(rows, penalty, shortest):
        texts = [row.text for row in rows]
        return summarise(
            model, tokenizer, texts, settings["max_source"], num_beams=settings["beams"],
            length_penalty=penalty, min_new_tokens=shortest,
            max_new_tokens=settings["max_target"],
        )  # fmt: skip

    def score(rows, summaries):
        return rouge(summaries, [row.summary for row in rows])

    few = data.valid[:600]
    grid = itertools.product(settings["length_penalties"], settings["shortest"])
    best = max(grid, key=lambda choice: score(few, write(few, *choice))["rouge1"])
    texts = [row.text for row in data.test]
    words = best_lead(data.valid)
    first_words, sentence = leads(texts, words), first_sentences(texts)
    found = write(data.test, *best)
    figures = score(data.test, found)
    others = {name: round(figures[name], 2) for name in ("rouge2", "rougeL")}
    for name, summaries in (("first words", first_words), ("first sentence", sentence)):
        scores = {key: round(value, 2) for key, value in score(data.test, summaries).items()}
        others |= {name: scores.pop("rouge1")} | {f"{name}, {k}": v for k, v in scores.items()}
    logs = trainer.state.log_history
    losses = [row["eval_loss"] for row in logs if "eval_loss" in row]
    others |= {"validation loss, labels smoothed": round(losses[-1], 3), "words": words}
    others |= {"length_penalty": best[0], "min_new_tokens": best[1]}
    for row, ours in list(zip(data.test, found, strict=True))[:20]:
        print(f"{row.summary!r}: {ours!r}", flush=True)
    yield "test", figures["rouge1"], others, logs
