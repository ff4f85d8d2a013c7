"""The `minigrad` command: train a model on real text, use it, check every gradient, time it."""

import sys
from pathlib import Path

from . import finetune, generate, language, pipeline, translate, vectors
from ..extra import need


def _split(dataset, seed):
    """(train, valid, test) of a data set: its own parts, or one tenth each cut off at random."""
    train, valid, test = dataset.train, dataset.valid, dataset.test
    if not test:
        train, test = dataset.split(0.1, seed=1234)
    if not valid:
        order = type(dataset)(dataset.name, dataset.labels, train)
        train, valid = order.split(0.1, seed=seed)
    return train, valid, test


def _load(name):
    """A data set by name; "auto": mr if it is at hand, else movie_reviews."""
    from ..text.datasets import DataNotFound, load

    if name != "auto":
        return load(name)
    try:
        return load("mr")
    except DataNotFound:
        return load("movie_reviews")


def _app():
    typer = need("typer")
    from ..train.classification.models import MODELS, settings_for
    from .options import with_recipe

    console = need("rich.console").Console()
    app = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        help="minigrad: a deep-learning framework to learn NLP with.",
    )

    @app.command()
    @with_recipe
    def train(
        model: str = typer.Argument("textcnn", help=f"which model: {', '.join(MODELS)}"),
        data: str = typer.Option(
            "auto",
            help="mr, trec, sst2, sst5, subj, imdb, movie_reviews; auto: mr if it is at hand",
        ),
        out: Path = typer.Option(Path("runs/textcnn"), help="the folder for model, plots, report"),
        batch_size: int = typer.Option(50, min=1),
        embed_dim: int = typer.Option(None, min=1, help="the size of word vectors"),
        vectors: str = typer.Option(None, help="start from pretrained word vectors: glove"),
        static: bool = typer.Option(None, help="pretrained vectors stay as they are"),
        pooling: str = typer.Option(None, help="rnn, lstm, gru: last, max, mean, kmax, attention"),
        bidirectional: bool = typer.Option(None, help="rnn, lstm, gru: in both directions"),
        seed: int = typer.Option(0),
        resume: bool = typer.Option(False, help="go on from the last checkpoint in the folder"),
        recipe=None,
    ):
        """Train a text classifier on real sentences, with early stopping, plots and a report."""
        from ..train.classification.classifier import train_text_classifier
        from ..train.plots import plot_confusion, plot_history
        from ..train.progress import Progress

        given = {
            "embed_dim": embed_dim, "vectors": vectors, "static": static, "pooling": pooling,
            "bidirectional": bidirectional,
        }  # fmt: skip
        given = {name: value for name, value in given.items() if value is not None}
        settings = settings_for(model, batch_size=batch_size, seed=seed, **given, **recipe)
        dataset = _load(data)
        parts = _split(dataset, seed)
        counts = " / ".join(f"{len(part):,}" for part in parts)
        console.print(
            f"[bold]{model}[/] on [bold]{dataset.name}[/]: {counts} texts to train / validate / test, "
            f"labels: {', '.join(dataset.labels)}"
        )
        out.mkdir(parents=True, exist_ok=True)
        checkpoint = out / "last.safetensors" if resume else None
        with Progress(console) as progress:
            result = train_text_classifier(
                dataset.labels, *parts, settings, folder=out, progress=progress, resume=checkpoint
            )
        result.classifier.save(out)
        history = result.trainer.history
        history.save(out / "history.json")
        title = f"{model} on {dataset.name}"
        plot_history(history, out / "history.png", title)
        plot_confusion(result.confusion, dataset.labels, out / "confusion.png", title)
        (out / "report.txt").write_text(result.report + "\n", encoding="utf-8")
        console.print(f"\nBest epoch: {history.best.number}. On the test set:\n")
        console.print(result.report, highlight=False)
        console.print(
            f"\ntest accuracy [bold]{result.test_accuracy:.2%}[/]; all of it is in {out}/"
        )
        console.print(f'Try: minigrad predict --model {out} "a warm and funny film"')

    @app.command()
    def predict(
        texts: list[str] = typer.Argument(..., help="the texts to classify"),
        model: Path = typer.Option(Path("runs/textcnn"), help="the folder that train wrote"),
    ):
        """Classify texts with a trained model."""
        from ..train.classification.classifier import TextClassifier

        classifier = TextClassifier.load(model)
        table = need("rich.table").Table("text", "label", "probability")
        for text, (label, probability) in zip(texts, classifier.predict(texts), strict=True):
            table.add_row(text, label, f"{probability:.1%}")
        console.print(table)

    @app.command()
    def tag(
        sentences: list[str] = typer.Argument(..., help="sentences, their words apart by blanks"),
        model: Path = typer.Option(..., help="the folder of a tagger (examples/train_ner.py)"),
    ):
        """Tag the words of sentences with a trained tagger."""
        from ..train.tagging.tagger import Tagger

        rows = [sentence.split() for sentence in sentences]
        for words, tags in zip(rows, Tagger.load(model).predict(rows), strict=True):
            pairs = zip(words, tags, strict=True)
            print(" ".join(f"{word}/{tag}" for word, tag in pairs))

    @app.command()
    @with_recipe
    def diagnose(
        model: str = typer.Argument("textcnn", help=f"which model: {', '.join(MODELS)}"),
        data: str = typer.Option("auto", help="as for train"),
        out: Path = typer.Option(Path("runs/diagnose"), help="the folder for the pictures"),
        every: int = typer.Option(20, min=1, help="measure every so many updates"),
        batch_size: int = typer.Option(50, min=1),
        seed: int = typer.Option(0),
        recipe=None,
    ):
        """Train for two epochs (--epochs) and show gradients, updates, dead units, histograms."""
        from ..train.diagnostics.diagnose import diagnose as run
        from ..train.diagnostics.diagnose import draw
        from ..train.progress import Progress

        options = {"epochs": 2, "patience": None, "keep_best": False} | recipe
        settings = settings_for(model, batch_size=batch_size, seed=seed, **options)
        dataset = _load(data)
        training, valid, _ = _split(dataset, seed)
        with Progress(console) as progress:
            found = run(dataset.labels, training, valid, settings, every, progress)
        for line in found.table():
            console.print(line, highlight=False, markup=False)
        written = draw(found, valid, out, f"{model} on {dataset.name}")
        console.print(f"written to {out}/: {', '.join(written)}")

    @app.command()
    def gradcheck(
        html: Path = typer.Option(None, help="also write the table as a page"),
        op: list[str] = typer.Option(None, help="only these ops"),
        order: int = typer.Option(2, min=1, max=2, help="check up to this order of derivative"),
    ):
        """Check the gradient of every op against finite differences; exit with 1 if one fails."""
        from .. import checks
        from .. import report

        rows = checks.run_checks(op or None, tuple(range(1, order + 1)))
        report.print_table(rows, console)
        if html is not None:
            report.write_html(rows, html)
            console.print(f"written: {html}")
        if not all(row.ok for row in rows):
            raise typer.Exit(1)

    @app.command()
    def bench(
        only: list[str] = typer.Option(None, help="only these training steps"),
        growth: bool = typer.Option(False, help="also how times grow with batch, length, width"),
        out: Path = typer.Option(Path("runs/bench"), help="the folder for figures and pictures"),
        rounds: int = typer.Option(7, min=1, help="how often both sides take their turn"),
        apart: bool = typer.Option(False, help="each side in a process of its own"),
        small: bool = typer.Option(False, help="tiny sizes: to see that it works, not how fast"),
        explain: str = typer.Option(
            None,
            help="instead: this fused op beside its formula in plain ops (lstm, attention ...)",
        ),
    ):
        """Time whole training steps against torch, where it is installed; a table and pictures."""
        from ..benchmarks import growth as growing
        from ..benchmarks import pictures, steps
        from ..benchmarks.measure import write_json

        if explain is not None:
            from ..benchmarks import explain as explaining

            print(explaining.show(explaining.explain(explain, rounds, small)))
            return
        out.mkdir(parents=True, exist_ok=True)
        results = steps.run(only, rounds, apart=apart, small=small)
        print(steps.show(results))
        write_json(out / "bench.json", results)
        pictures.bars(results, out / "bench.png")
        written = "bench.json, bench.png"
        if growth:
            results = growing.run(rounds=min(rounds, 3), small=small)
            print(f"\n{growing.show(results)}")
            write_json(out / "growth.json", results)
            pictures.curves(results, out / "growth.png")
            written += ", growth.json, growth.png"
        print(f"\nwritten to {out}/: {written}")

    for module in (finetune, generate, language, pipeline, translate, vectors):
        module.add(app, console)
    return app


def main() -> None:
    """Run the command; expected errors are one line on stderr and exit status 2."""
    try:
        _app()()
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        print(f"minigrad: {error}", file=sys.stderr)
        sys.exit(2)
