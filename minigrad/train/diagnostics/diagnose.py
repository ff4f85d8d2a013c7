"""A text classifier watched while it trains: every diagnostic of it, as tables and pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy

from ... import nn
from ...engine import no_grad
from ...ops.creation import tensor
from ..classification.classifier import Settings, TextClassifier, build_classifier, make_trainer
from ..devices import device_of
from ..history import History
from .measures import (
    Flow,
    StateGradients,
    Units,
    activation_histograms,
    dead_units,
    gradient_flow,
    rectified,
    snapshot,
    state_gradients,
    update_ratios,
    weight_histograms,
)
from .plots import (
    plot_dead_units,
    plot_gradient_flow,
    plot_histograms,
    plot_state_gradients,
    plot_update_ratios,
)


class Watch:
    """Called after every update; measures every so many updates, the first one too."""

    def __init__(self, model, every: int = 20):
        self.every = every
        self.updates = 0
        self.steps: list[int] = []
        self.ratios: list[dict[str, float]] = []
        self.flows: list[list[Flow]] = []
        self.before = snapshot(model)

    def __call__(self, model) -> None:
        self.updates += 1
        if self.before is not None:
            self.steps.append(self.updates)
            self.ratios.append(update_ratios(model, self.before))
            self.flows.append(gradient_flow(model))
            self.before = None
        if (self.updates + 1) % self.every == 0:
            self.before = snapshot(model)


@dataclass
class Diagnosis:
    """What was seen. units and states: by stage, "before training" and "after"."""

    classifier: TextClassifier
    history: History
    watch: Watch
    units: dict[str, list[Units]] = field(default_factory=dict)
    states: dict[str, StateGradients] = field(default_factory=dict)

    def table(self) -> list[str]:
        """Lines: every parameter's gradient and median update ratio, dead units, gradients over time."""
        first = {row.name: row.mean for row in self.watch.flows[0]}
        last = self.watch.flows[-1]
        width = max(len(row.name) for row in last)
        lines = [
            f"{'':{width}}  mean |g| at first    at last    largest  update / weight",
        ]
        for row in last:
            ratios = [found[row.name] for found in self.watch.ratios if row.name in found]
            start, middle = first.get(row.name, math.nan), numpy.median(ratios or [math.nan])
            lines.append(
                f"{row.name:{width}}  {start:17.1e}  {row.mean:9.1e}  {row.largest:9.1e}  {middle:15.1e}"
            )
        for stage, rows in self.units.items():
            lines.append(f"\nunits that are never positive, {stage}:")
            lines += [
                f"{row.name:{width}}  {len(row.dead):4d} of {row.count}; positive {row.active:.1%}"
                for row in rows
            ]
        for stage, found in self.states.items():
            lines.append(
                f"\ngradient of the states, a step back in time, {stage}: x {found.rate:.3f}"
            )
        return lines


def recurrent_layer(model):
    """The model's recurrent layer, if it is a single one in one direction; else None."""
    layers = [m for m in model.modules() if isinstance(m, (nn.RNN, nn.LSTM, nn.GRU))]
    if len(layers) == 1 and layers[0].num_layers == 1 and not layers[0].bidirectional:
        return layers[0]
    return None


def text_vectors(classifier: TextClassifier, texts: Sequence[str], words: int):
    """The first word vectors of the texts that are long enough, (texts, words, size)."""
    rows = [classifier.encode(text) for text in texts]
    rows = [row[:words] for row in rows if len(row) >= words]
    if not rows:
        raise ValueError(f"there is no text of {words} words")
    with no_grad():
        return classifier.model.embedding(tensor(rows, device=device_of(classifier.model)))


def diagnose(
    labels: Sequence[str], train, valid, settings: Settings, every: int = 20, progress=None
) -> Diagnosis:
    """Train as the settings say, and measure: before, every so many updates, and after."""
    classifier = build_classifier(labels, train, valid, valid, settings)
    model = classifier.model
    watch = Watch(model, every)
    trainer, batches = make_trainer(classifier, train, progress=progress, watch=watch)
    check = classifier.batches(valid, shuffle=False)
    found = Diagnosis(classifier, trainer.history, watch)
    layer = recurrent_layer(model)
    lengths = sorted(len(classifier.encode(text)) for text, _ in valid)
    long = lengths[-max(1, len(lengths) // 10)]  # a tenth of the texts have as many words

    def measure(stage):
        if rectified(model):
            found.units[stage] = dead_units(model, check)
        if layer is not None and long > 1:
            vectors = text_vectors(classifier, [text for text, _ in valid], long)
            if not layer.batch_first:
                vectors = vectors.transpose(0, 1)
            found.states[stage] = state_gradients(layer, vectors, lambda h: h.sum())

    measure("before training")
    trainer.fit(batches, check, settings.epochs)
    measure("after training")
    return found


def draw(found: Diagnosis, valid, folder, title: str = "") -> list[str]:
    """All pictures of a diagnosis into a folder; their names."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model, watch = found.classifier.model, found.watch
    update = watch.steps[-1]
    plot_gradient_flow(
        watch.flows[-1], folder / "gradient_flow.png", f"{title}: gradient at update {update}"
    )
    plot_update_ratios(watch.steps, watch.ratios, folder / "update_ratios.png", title)
    plot_histograms(weight_histograms(model), folder / "weights.png", f"{title}: weights")
    outputs = activation_histograms(model, found.classifier.batches(valid[:500], shuffle=False))
    plot_histograms(outputs, folder / "activations.png", f"{title}: outputs of layers")
    written = ["gradient_flow.png", "update_ratios.png", "weights.png", "activations.png"]
    if found.units:
        plot_dead_units(found.units, folder / "dead_units.png", title)
        written.append("dead_units.png")
    if found.states:
        plot_state_gradients({title: found.states}, folder / "state_gradients.png")
        written.append("state_gradients.png")
    return written
