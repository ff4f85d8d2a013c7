"""What goes on inside a network: gradient by layer and by time step, updates, dead units, histograms.

Each function measures one thing and returns plain numbers; `diagnostic_plots` draws them.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy

from ... import nn
from ...autograd import grad
from ...engine import no_grad
from ...nn import functional as F
from ...ops.shape import split
from ..devices import brought_to
from ..trainer import apply


@dataclass
class Flow:
    """The gradient of one parameter: mean and largest |g|, its norm, the share of entries that are 0."""

    name: str
    shape: tuple[int, ...]
    mean: float
    largest: float
    norm: float
    zeros: float


def gradient_flow(model: nn.Module) -> list[Flow]:
    """The gradients that the last `backward()` left, parameter by parameter, input to output.

    Means that fall by orders of magnitude towards the input: the gradient vanishes on its way back.
    Parameters that don't learn are left out; ValueError if none has a gradient.
    """
    rows = []
    for name, p in model.named_parameters():
        if not p.requires_grad or p.grad is None:
            continue
        g = numpy.abs(p.grad.numpy(force=True)).astype("float64")
        rows.append(
            Flow(
                name, tuple(p.shape), float(g.mean()), float(g.max()),
                float(numpy.sqrt((g**2).sum())), float((g == 0).mean()),
            )
        )  # fmt: skip
    if not rows:
        raise ValueError("gradient_flow: no parameter has a gradient; call loss.backward() first")
    return rows


# -- updates -------------------------------------------------------------------------------------


def snapshot(model: nn.Module) -> dict[str, numpy.ndarray]:
    """Copies of the weights, to be compared after an update."""
    return {name: p.numpy(force=True).copy() for name, p in model.named_parameters()}


def update_ratios(model: nn.Module, before: dict[str, numpy.ndarray]) -> dict[str, float]:
    """||w_after - w_before|| / ||w_before|| of every parameter that learns.

    About 1e-3 an update is usual; far more is too fast, far less hardly learns. A parameter that was
    all zero has no ratio.
    """
    ratios = {}
    for name, p in model.named_parameters():
        size = numpy.linalg.norm(before[name])
        if p.requires_grad and size > 0:
            change = numpy.linalg.norm(p.numpy(force=True) - before[name])
            ratios[name] = float(change / size)
    return ratios


# -- activations ---------------------------------------------------------------------------------


@contextmanager
def watch(layers: dict[str, nn.Module], see: Callable) -> Iterator[None]:
    """Within the block, see(name, output array) is called at every forward of each layer."""

    def hook_of(name):
        def hook(module, inputs, output):
            first = output[0] if isinstance(output, tuple) else output
            see(
                name, first.data.numpy(force=True)
            )  # .data: a tensor's numbers, or a packed sequence's

        return hook

    handles = [layer.register_forward_hook(hook_of(name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def rectified(model: nn.Module) -> dict[str, nn.Module]:
    """The layers whose outputs are, or go through, ReLU: the model's nn.ReLU layers by name.

    Models that call F.relu have no such layer: then their norms after convolutions, or else the
    convolutions themselves, whose outputs are positive where ReLU's are. Empty if there are none.
    """
    for kinds in ((nn.ReLU,), (nn.BatchNorm1d, nn.BatchNorm2d), (nn.Conv1d, nn.Conv2d)):
        found = {name: m for name, m in model.named_modules() if isinstance(m, kinds)}
        if found:
            return found
    return {}


@dataclass
class Units:
    """The units of one layer over a data set: how many, which are never positive, how often they are."""

    name: str
    count: int
    dead: list[int]
    active: float

    @property
    def share(self) -> float:
        """The share of dead units."""
        return len(self.dead) / self.count


def dead_units(
    model: nn.Module,
    batches: Iterable,
    layers: dict[str, nn.Module] | None = None,
    dim: int = 1,
) -> list[Units]:
    """The units that are not positive for any example: behind ReLU they have no gradient, and stay so.

    batches: (inputs, labels) or inputs. dim: which dimension of the outputs numbers the units: 1 for
    (B, H) and (B, C, T), -1 for (B, T, H).
    """
    layers = rectified(model) if layers is None else layers
    if not layers:
        raise ValueError(
            f"dead_units: {type(model).__name__} has no ReLU layer and no convolution; name the "
            "layers to look at"
        )
    alive: dict[str, numpy.ndarray] = {}
    positive: dict[str, list[int]] = {name: [0, 0] for name in layers}

    def see(name, output):
        rows = numpy.moveaxis(output, dim, 0).reshape(output.shape[dim], -1) > 0
        alive[name] = rows.any(1) | alive.get(name, False)
        positive[name][0] += int(rows.sum())
        positive[name][1] += rows.size

    _forward(model, batches, layers, see)
    if not alive:
        raise ValueError("dead_units: there are no examples, or none of the layers was called")
    return [
        Units(name, len(ok), numpy.flatnonzero(~ok).tolist(), positive[name][0] / positive[name][1])
        for name, ok in alive.items()
    ]


def _forward(model, batches, layers, see):
    """All batches through the model in evaluation mode, its layers watched."""
    was_training = model.training
    model.eval()
    with watch(layers, see), no_grad():
        for batch in brought_to(model, batches):
            apply(model, batch[0] if isinstance(batch, (tuple, list)) else batch)
    model.train(was_training)


@dataclass
class Histogram:
    """Counts between edges (one more than counts), with mean and standard deviation."""

    counts: numpy.ndarray
    edges: numpy.ndarray
    mean: float
    deviation: float


def histogram(values, bins: int = 60) -> Histogram:
    """The distribution of an array's values, in fewer bins if they are few.

    ValueError if there are infinities or NaN among them.
    """
    values = numpy.asarray(values, "float64").ravel()
    if not numpy.isfinite(values).all():
        wrong = int((~numpy.isfinite(values)).sum())
        raise ValueError(f"histogram: {wrong} of {values.size} values are infinite or NaN")
    counts, edges = numpy.histogram(values, min(bins, 5 + math.isqrt(values.size)))
    return Histogram(counts, edges, float(values.mean()), float(values.std()))


def weight_histograms(model: nn.Module, bins: int = 60) -> dict[str, Histogram]:
    """The distribution of every parameter."""
    return {name: histogram(p.numpy(force=True), bins) for name, p in model.named_parameters()}


def activation_histograms(
    model: nn.Module, batches: Iterable, layers: dict[str, nn.Module] | None = None, bins: int = 60
) -> dict[str, Histogram]:
    """The distribution of the outputs of every layer (those without layers inside, unless named)."""
    if layers is None:
        layers = {n: m for n, m in model.named_modules() if n and not list(m.children())}
    seen: dict[str, list] = {}
    _forward(
        model, batches, layers, lambda name, out: seen.setdefault(name, []).append(out.ravel())
    )
    return {name: histogram(numpy.concatenate(parts), bins) for name, parts in seen.items()}


# -- time steps ----------------------------------------------------------------------------------


def unroll(layer: nn.Module, x):
    """The states of an RNN, LSTM or GRU one by one, each a node of the graph: (T states, T memories).

    x (B, T, D). States h_t are (B, H); memories c_t are LSTM's, for the others an empty list. The fused
    layer gives the same h_t, but keeps what is between them to itself.
    """
    w_ih, w_hh, *biases = layer.all_weights[0]
    b_ih, b_hh = biases if biases else (None, None)
    h = x.new_zeros(x.shape[0], layer.hidden_size)
    c = x.new_zeros(x.shape[0], layer.hidden_size)
    states, memories = [], []
    for t in range(x.shape[1]):
        into, back = F.linear(x[:, t], w_ih, b_ih), F.linear(h, w_hh, b_hh)
        if isinstance(layer, nn.LSTM):
            i, f, g, o = split(into + back, layer.hidden_size, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            memories.append(c)
        elif isinstance(layer, nn.GRU):
            (r, z, n), (hr, hz, hn) = (split(a, layer.hidden_size, dim=1) for a in (into, back))
            z = (z + hz).sigmoid()
            h = (1 - z) * (n + (r + hr).sigmoid() * hn).tanh() + z * h
        else:
            h = into + back
            h = h.relu() if layer.nonlinearity == "relu" else h.tanh()
        states.append(h)
    return states, memories


@dataclass
class StateGradients:
    """||dL/dh_t|| for t = 1 .. T, and ||dL/dc_t|| for an LSTM; means over the batch."""

    states: list[float]
    memories: list[float]

    @property
    def rate(self) -> float:
        """By what factor the norm changes with a step back in time, on average (of the memory, if any)."""
        norms = self.memories or self.states
        if norms[0] == 0 or norms[-1] == 0:
            return 0.0
        return float((norms[0] / norms[-1]) ** (1 / max(1, len(norms) - 1)))


def state_gradients(layer: nn.Module, x, loss_of: Callable) -> StateGradients:
    """How much of the gradient of loss_of(h_T) reaches each earlier state of a recurrent layer.

    One layer in one direction; x (B, T, D), or (T, B, D) where the layer is not batch_first. An RNN's
    gradient is multiplied by diag(tanh') W at every step: it vanishes or explodes geometrically (Bengio,
    Simard and Frasconi 1994); LSTM's memory passes it on by its forget gate (Hochreiter and
    Schmidhuber 1997).
    """
    if layer.num_layers != 1 or layer.bidirectional:
        raise ValueError("state_gradients: the layer must be a single one, in one direction")
    x = x if layer.batch_first else x.transpose(0, 1)
    states, memories = unroll(layer, x.detach().requires_grad_())
    gradients = grad(loss_of(states[-1]), states + memories)
    norms = [float(g.norm(dim=1).mean()) for g in gradients]
    return StateGradients(norms[: len(states)], norms[len(states) :])
