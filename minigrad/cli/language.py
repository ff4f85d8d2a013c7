"""The command `minigrad lm`: a small GPT trained on a text; generate.py lets it write."""

from pathlib import Path

from ..extra import need


def add(app, console) -> None:
    """Add the commands to the command line's app."""
    typer = need("typer")

    @app.command()
    def lm(
        text: Path = typer.Argument(None, help="a text file; tiny-Shakespeare without one"),
        out: Path = typer.Option(Path("runs/gpt"), help="the folder for model, plot, checkpoint"),
        updates: int = typer.Option(2000, min=1, help="so many updates; the rate falls over them"),
        layers: int = typer.Option(4, min=1),
        heads: int = typer.Option(4, min=1),
        width: int = typer.Option(128, min=1, help="of the model; a multiple of the heads"),
        context: int = typer.Option(64, min=1, help="so many characters back the model sees"),
        batch_size: int = typer.Option(12, min=1),
        dropout: float = typer.Option(0.0, min=0.0, max=1.0),
        lr: float = typer.Option(1e-3, help="the highest learning rate"),
        seed: int = typer.Option(1337),
        resume: bool = typer.Option(False, help="go on from the checkpoint in the folder"),
    ):
        """Train a small GPT on the characters of a text, by nanoGPT's recipe for a CPU."""
        from ..text.language import characters_of_file, tiny_shakespeare
        from ..train.gpt import GPTSettings, train_gpt
        from ..train.plots import plot_language_history
        from ..train.progress import UpdateProgress

        corpus = tiny_shakespeare() if text is None else characters_of_file(text)
        settings = GPTSettings(
            n_layer=layers, n_head=heads, n_embd=width, block_size=context, dropout=dropout,
            batch_size=batch_size, learning_rate=lr, min_lr=lr / 10, max_iters=updates,
            lr_decay_iters=updates, warmup_iters=min(100, updates // 10), seed=seed,
        )  # fmt: skip
        with UpdateProgress(console, settings.batch_size * settings.block_size) as progress:
            result = train_gpt(
                corpus, settings, out, progress, out / "last.safetensors" if resume else None
            )
        result.language_model.save(out)
        result.history.save(out / "history.json")
        title = f"GPT of {layers} x {width} on {corpus.name}"
        plot_language_history(result.history, out / "history.png", title, False, "update")
        console.print(
            f"\nvalidation loss, whole text: [bold]{result.valid_loss:.4f}[/] nats; all is in {out}/"
        )
        console.print(f'Try: minigrad generate {out} --prompt "The " --temperature 0.8')
