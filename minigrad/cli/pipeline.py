"""The command `minigrad pipeline`: a task on texts by a fine-tuned or published model, as a table."""

from pathlib import Path

from ..extra import need


def add(app, console) -> None:
    """Add the command to the command line's app."""
    typer = need("typer")
    from ..pipelines import TASKS

    @app.command()
    def pipeline(
        task: str = typer.Argument(..., help=", ".join(TASKS)),
        texts: list[str] = typer.Argument(..., help="the texts"),
        model: Path = typer.Option(..., help="a model's folder: of finetune, or published"),
        question: str = typer.Option(None, help="question-answering: what is asked of every text"),
        labels: str = typer.Option(None, help="zero-shot-classification: sports,politics,..."),
        top_k: int = typer.Option(None, min=1, help="so many answers, labels or words for a text"),
        batch_size: int = typer.Option(8, min=1, help="texts that go through the model together"),
    ):
        """Classify texts, find names or answers in them, fill in words, give vectors."""
        from ..pipelines import pipeline as make

        if task not in TASKS:
            raise ValueError(f"there is no task {task!r}; there are: {', '.join(TASKS)}")
        kind = TASKS[task].task
        _check(kind, question=question, labels=labels, top_k=top_k)
        pipe = make(task, str(model), batch_size=batch_size)
        header, rows = TABLES[kind](pipe, texts, question, labels, top_k)
        table = need("rich.table").Table(*header)
        for row in rows:
            table.add_row(*(need("rich.text").Text(cell) for cell in row))
        console.print(table)


# option: the task that needs it
NEEDED = {"question": "question-answering", "labels": "zero-shot-classification"}
RANKED = ("fill-mask", "question-answering", "text-classification")


def _check(kind: str, **options) -> None:
    """ValueError for an option that a task lacks, or that is another task's."""
    for name, owner in NEEDED.items():
        if kind == owner and options[name] is None:
            raise ValueError(f"{kind} needs --{name}")
        if kind != owner and options[name] is not None:
            raise ValueError(f"--{name} is for {owner}, not for {kind}")
    if options["top_k"] is not None and kind not in RANKED:
        raise ValueError(f"--top-k is for {', '.join(RANKED)}, not for {kind}")


# -- tables: (pipeline, texts, question, labels, top_k) -> header, rows of strings -----------------


def _classes(pipe, texts, question, labels, top_k):
    found = pipe(texts, top_k=top_k or 1)
    rows = [
        (text, one["label"], f"{one['score']:.1%}")
        for text, ranked in zip(texts, found, strict=True)
        for one in ranked
    ]
    return ("text", "label", "score"), rows


def _entities(pipe, texts, question, labels, top_k):
    found = pipe(texts, aggregation_strategy="simple")
    rows = [
        (text, text[one["start"] : one["end"]], one["entity_group"], f"{one['score']:.1%}")
        for text, entities in zip(texts, found, strict=True)
        for one in entities
    ]
    return ("text", "entity", "kind", "score"), rows


def _answers(pipe, texts, question, labels, top_k):
    rows = []
    for text in texts:
        found = pipe(question=question, context=text, top_k=top_k or 1)
        for one in [found] if isinstance(found, dict) else found:
            rows.append((text, one["answer"], f"{one['score']:.1%}"))
    return ("text", question, "score"), rows


def _zero_shot(pipe, texts, question, labels, top_k):
    rows = [
        (text, label, f"{score:.1%}")
        for text, found in zip(texts, pipe(texts, candidate_labels=labels), strict=True)
        for label, score in zip(found["labels"], found["scores"], strict=True)
    ]
    return ("text", "label", "score"), rows


def _words(pipe, texts, question, labels, top_k):
    rows = []
    for text in texts:
        found = pipe(text, top_k=top_k or 5)
        masks = found if isinstance(found[0], list) else [found]  # one list for each mask
        for number, ranked in enumerate(masks, start=1):
            for one in ranked:
                rows.append((text, str(number), one["token_str"], f"{one['score']:.1%}"))
    return ("text", "mask", "word", "score"), rows


def _vectors(pipe, texts, question, labels, top_k):
    import minigrad as torch

    states = [one[0] for one in pipe(texts, return_tensors=True)]  # (T, H) each
    means = torch.stack([state.mean(0) for state in states])
    units = torch.nn.functional.normalize(means, dim=-1)
    cosines = (units @ units.mT).tolist()
    rows = [
        (
            text,
            f"{state.shape[0]} x {state.shape[1]}",
            " ".join(f"{x:.3f}" for x in mean[:4].tolist()) + " ...",
            " ".join(f"{x:.2f}" for x in line),
        )
        for text, state, mean, line in zip(texts, states, means, cosines, strict=True)
    ]
    return ("text", "tokens x numbers", "mean over tokens", "cosines of means"), rows


TABLES = {
    "feature-extraction": _vectors,
    "fill-mask": _words,
    "question-answering": _answers,
    "text-classification": _classes,
    "token-classification": _entities,
    "zero-shot-classification": _zero_shot,
}
