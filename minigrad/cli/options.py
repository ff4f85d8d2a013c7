"""A Recipe's options on the command line: one --option for each field, none of them needed."""

import inspect
import types
from collections.abc import Callable
from dataclasses import fields

from ..train.recipe import DECOUPLED, OPTIMIZERS, Recipe
from ..train.schedule import SCHEDULES

HELP = {
    "optimizer": ", ".join(OPTIMIZERS),
    "learning_rate": "the highest learning rate",
    "momentum": "of sgd and rmsprop",
    "nesterov": "Nesterov's momentum, for sgd",
    "l2": "weight decay as a term of the gradient",
    "weight_decay": f"decoupled weight decay, for {', '.join(DECOUPLED)}",
    "dropout": "the probability of dropout",
    "batch_norm": "batch norm, in models that have it",
    "label_smoothing": "the share of a label that is spread over all",
    "class_weights": "balanced, or a weight for each class: 1,2.5",
    "clip_norm": "the largest norm of the gradient",
    "clip_value": "the largest entry of the gradient",
    "accumulate": "so many batches make up one update",
    "schedule": ", ".join(SCHEDULES),
    "warmup": "updates, or share of all updates, in which the rate rises",
    "step_size": "schedule step: epochs until the rate falls",
    "gamma": "schedules step and plateau: what the rate is multiplied by",
    "plateau_patience": "schedule plateau: epochs without a lower loss that pass",
    "freeze_epochs": "epochs in which embeddings stay as they are",
    "average": "ema or swa: average the weights",
    "average_decay": "of ema",
    "average_from": "the first epoch of swa",
    "epochs": "at most so many epochs",
    "patience": "stop after so many epochs without progress; 0: never",
    "keep_best": "end with the weights of the best epoch, not the last",
}


def read_options(given: dict) -> dict:
    """The options that were given, as a Recipe takes them."""
    found = {name: value for name, value in given.items() if value is not None}
    weights = found.get("class_weights")
    if weights is not None and weights != "balanced":
        try:
            found["class_weights"] = tuple(float(w) for w in weights.split(","))
        except ValueError:
            raise ValueError(
                f"class_weights must be 'balanced' or numbers as 1,2.5, not {weights!r}"
            ) from None
    if found.get("patience") == 0:
        found["patience"] = None
    return found


def with_recipe(command: Callable) -> Callable:
    """A typer command that takes a Recipe's options too; it gets those given as the dict `recipe`."""
    from ..extra import need

    typer = need("typer")
    own = [p for p in inspect.signature(command).parameters.values() if p.name != "recipe"]
    extra = []
    for field in fields(Recipe):
        if field.name not in HELP:
            continue
        kind = field.type
        if isinstance(kind, types.UnionType):  # as in int | None
            kind = str if field.name == "class_weights" else kind.__args__[0]
        default = "" if field.default is None else f" (default: {field.default})"
        option = typer.Option(None, help=HELP[field.name] + default, show_default=False)
        extra.append(
            inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=option)
            .replace(annotation=kind)
        )  # fmt: skip

    def run(**given):
        options = {p.name: given.pop(p.name) for p in extra}
        return command(**given, recipe=read_options(options))

    own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature(own + extra)
    run.__annotations__ = {p.name: p.annotation for p in own + extra}
    return run
