"""The command `minigrad vectors`: train word vectors, ask them, measure them, draw and convert them."""

import contextlib
import time
from pathlib import Path

from ..extra import need


class TextFile:
    """The sentences of a text file, lower-case words and numbers, read anew at every iteration."""

    def __init__(self, path: Path):
        self.path = path

    def __iter__(self):
        from ..text.corpora import sentences

        with open(self.path, "rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield from sentences(line.decode("utf-8"))
                except UnicodeDecodeError as error:
                    raise ValueError(f"{self.path}:{number}: the line is not UTF-8") from error


def read_vectors(source: str):
    """Vectors of a file, or the published GloVe vectors for the name "glove"."""
    from ..text.vectors.files import load_vectors
    from ..text.vectors.glove_package import glove_package
    from ..text.vectors.words import WordVectors

    if source == "glove" and not Path(source).exists():
        return WordVectors(*glove_package())
    return load_vectors(source)


@contextlib.contextmanager
def unknown_words_are_told():
    """An unknown word is an error that the command tells in a line."""
    from ..text.vectors.words import UnknownWord

    try:
        yield
    except UnknownWord as error:
        raise ValueError(str(error)) from error


def add(app, console) -> None:
    """Add the commands to the command line's app."""
    typer = need("typer")
    vectors_app = typer.Typer(no_args_is_help=True, help="Word vectors: train, ask, measure, draw.")
    app.add_typer(vectors_app, name="vectors")
    source = typer.Argument(..., help="a file of vectors, or glove: the published ones, 6B 50d")

    def table(*rows, header=("word", "cosine")):
        found = need("rich.table").Table(*header)
        for row in rows:
            found.add_row(*(f"{x:.4f}" if isinstance(x, float) else str(x) for x in row))
        console.print(found)

    @vectors_app.command()
    def train(
        text: str = typer.Argument(..., help="a text file, or english: all text at hand"),
        out: Path = typer.Option(Path("vectors.txt"), help="the file for the vectors"),
        model: str = typer.Option("glove", help="glove, skipgram, cbow or fasttext"),
        dim: int = typer.Option(100, min=1, help="numbers a vector has"),
        epochs: int = typer.Option(None, min=1, help="by default what the model's trainer takes"),
        window: int = typer.Option(None, min=1, help="words on each side"),
        min_count: int = typer.Option(5, min=1, help="words must occur so many times"),
        format: str = typer.Option(None, help="text, glove, binary or fasttext"),
        seed: int = typer.Option(0),
    ):
        """Train word vectors on a text."""
        from ..text.corpora import english
        from ..text.vectors.files import save_vectors

        sentences = english() if text == "english" else TextFile(Path(text))
        options = dict(dim=dim, epochs=epochs, window=window, min_count=min_count, seed=seed)
        options = {name: value for name, value in options.items() if value is not None}
        begin = time.perf_counter()
        vectors = _trained(model, sentences, options, console)
        save_vectors(vectors, out, format)
        console.print(f"{vectors} in {time.perf_counter() - begin:.1f} s, written to {out}")

    @vectors_app.command()
    def nearest(
        vectors: str = source,
        words: list[str] = typer.Argument(..., help="the words"),
        topn: int = typer.Option(10, min=1),
    ):
        """The nearest words of each word."""
        found = read_vectors(vectors)
        with unknown_words_are_told():
            for word in words:
                console.print(f"[bold]{word}[/]")
                table(*found.nearest(word, topn))

    @vectors_app.command()
    def analogy(
        vectors: str = source,
        a: str = typer.Argument(...),
        b: str = typer.Argument(...),
        c: str = typer.Argument(...),
        topn: int = typer.Option(5, min=1),
        method: str = typer.Option("add", help="add (3CosAdd) or mul (3CosMul)"),
    ):
        """A is to B as C is to ?"""
        with unknown_words_are_told():
            found = read_vectors(vectors).analogy(a, b, c, topn, method)
        console.print(f"{a} : {b} = {c} : [bold]{found[0][0] if found else 'nothing'}[/]")
        table(*found, header=("word", "score"))

    @vectors_app.command()
    def evaluate(
        vectors: str = source,
        among: int = typer.Option(30_000, min=1, help="analogies among the first so many words"),
        unseen: str = typer.Option("skip", help="pairs with unseen words: skip, or zero"),
    ):
        """Spearman's correlation with people's ratings, and analogies, by section."""
        from ..text.vectors.word_similarity import evaluate_analogies, evaluate_similarity

        found = read_vectors(vectors)
        results = evaluate_similarity(found, unseen=unseen)
        rows = [(r.name, r.spearman, f"{r.used} of {r.pairs}", len(r.unseen)) for r in results]
        table(*rows, header=("pairs of words", "Spearman", "pairs", "words unseen"))
        result = evaluate_analogies(found, among=among)
        sections = [*result.sections, result.semantic, result.syntactic, result.total]
        rows = [(s.name, f"{s.accuracy:.2%}", s.right, s.asked, s.questions) for s in sections]
        table(*rows, header=("analogies", "accuracy", "right", "asked", "questions"))

    @vectors_app.command(name="map")
    def draw(
        vectors: str = source,
        words: list[str] = typer.Argument(..., help="the words, at least 3 with their neighbours"),
        out: Path = typer.Option(Path("vectors.png"), help="the picture"),
        method: str = typer.Option("pca", help="pca or tsne"),
        neighbours: int = typer.Option(0, min=0, help="draw so many neighbours of each word too"),
        seed: int = typer.Option(0),
    ):
        """Draw words as points of a plane."""
        from ..train.vectors.map import plot_map

        groups = {word: [word] for word in words} if neighbours else words
        with unknown_words_are_told():
            plot_map(read_vectors(vectors), groups, out, method, neighbours, seed=seed)
        console.print(f"written: {out}")

    @vectors_app.command()
    def convert(
        vectors: str = source,
        target: Path = typer.Argument(..., help="the file to write"),
        format: str = typer.Option(
            None, help="text, glove, binary, fasttext; by default binary for .bin, else text"
        ),
        limit: int = typer.Option(None, min=1, help="only the first so many words"),
    ):
        """Write vectors in another format."""
        from ..text.vectors.files import save_vectors

        found = read_vectors(vectors)
        if limit is not None:
            found = found.chosen(found.words[:limit])
        save_vectors(found, target, format)
        console.print(f"{found} written to {target}")


def _trained(model: str, sentences, options: dict, console):
    """The vectors of one of the trainers, with a line for each epoch."""
    if model == "glove":
        from ..train.vectors.glove import train_glove

        say = lambda epoch, loss: console.print(f"epoch {epoch}: loss {loss:.5f}")
        return train_glove(sentences, **options, each_epoch=say)
    from ..train.vectors.word2vec import train_fasttext, train_word2vec

    if model == "fasttext":
        return train_fasttext(sentences, **options, progress=True)
    if model in ("skipgram", "cbow"):
        return train_word2vec(sentences, **options, sg=model == "skipgram", progress=True)
    raise ValueError(
        f"vectors train: model must be glove, skipgram, cbow or fasttext, not {model!r}"
    )
