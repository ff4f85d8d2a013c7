"""The command `minigrad translate`: sentences through a translator that has been trained and saved."""

import sys
from pathlib import Path

from ..extra import need


def add(app, console) -> None:
    """Add the command to the command line's app."""
    typer = need("typer")

    @app.command()
    def translate(
        folder: Path = typer.Argument(
            ..., help="a translator's folder, as Translator.save wrote it"
        ),
        texts: list[str] = typer.Argument(None, help="sentences; without any, the lines of stdin"),
        beam: int = typer.Option(5, min=1, help="hypotheses; 1 is greedy search"),
        alpha: float = typer.Option(1.0, min=0, help="length normalisation; 0: none"),
        copy: bool = typer.Option(False, help="copy source words where the translation is <unk>"),
        plot: Path = typer.Option(None, help="draw the first sentence's attention into this PNG"),
        heads: Path = typer.Option(None, help="draw that of each head of a Transformer"),
    ):
        """Translate sentences, one line each."""
        from ..train.attention_plots import plot_heads
        from ..train.translation.attention_plots import plot_attention
        from ..train.translation.translator import Translator

        translator = Translator.load(folder)
        texts = texts or [line.strip() for line in sys.stdin if line.strip()]
        for line in translator.translate(texts, beam, alpha, copy):
            typer.echo(line)
        if plot is not None:
            plot_attention(*translator.attention(texts[0], beam=beam), plot, texts[0])
        if heads is not None:
            source, target, weights = translator.heads(texts[0], beam=beam)
            plot_heads(weights.cross, target, heads, source, texts[0])
