"""The command `minigrad generate`: text written by a language model that has been trained and saved."""

from pathlib import Path

from ..extra import need


def add(app, console) -> None:
    """Add the command to the command line's app."""
    typer = need("typer")

    @app.command()
    def generate(
        folder: Path = typer.Argument(
            ..., help="a language model's folder (examples/train_char_lm.py, train_word_lm.py)"
        ),
        prompt: str = typer.Option("", help="how the text begins"),
        length: int = typer.Option(200, min=1, help="so many words or characters"),
        temperature: float = typer.Option(1.0, help="below 1: likelier choices; above: bolder"),
        top_k: int = typer.Option(None, help="choose among the k likeliest"),
        top_p: float = typer.Option(None, help="choose among the fewest that make up this share"),
        greedy: bool = typer.Option(False, help="always the likeliest"),
        seed: int = typer.Option(0, help="the same seed gives the same text"),
    ):
        """Let a language model go on with a text."""
        from ..train.language_model import LanguageModel

        model = LanguageModel.load(folder)
        text = model.generate(
            prompt, length, seed, temperature=temperature, top_k=top_k, top_p=top_p, greedy=greedy
        )
        between = " " if prompt and model.level == "word" else ""
        console.print(f"{prompt}{between}{text}", markup=False, highlight=False, soft_wrap=True)
