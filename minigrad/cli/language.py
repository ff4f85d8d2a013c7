"""The commands `minigrad lm` and `minigrad generate`: a small GPT trained on a text; text written."""

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

    @app.command()
    def generate(
        folder: Path = typer.Argument(
            ..., help="a language model's folder (minigrad lm; examples/train_*lm.py)"
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
        from ..train.gpt import load_language_model

        model = load_language_model(folder)
        text = model.generate(
            prompt, length, seed, temperature=temperature, top_k=top_k, top_p=top_p, greedy=greedy
        )
        between = " " if prompt and model.level == "word" else ""
        console.print(f"{prompt}{between}{text}", markup=False, highlight=False, soft_wrap=True)
