"""Initialisers: functions that fill a tensor, in place, from the random stream, and return it.

A layer of n inputs with weights of variance g^2 / n keeps the variance of its signal where it was,
g being the gain of the non-linearity before it. "Xavier" balances this between the forward and the
backward pass (Glorot & Bengio 2010), "Kaiming" takes one of the two and accounts for the ReLU
(He et al. 2015). The random numbers are drawn in PyTorch's order, so that under the same
`manual_seed` a layer starts from the same weights.
"""

import math
import warnings
from contextlib import contextmanager

from ..backend import array_module
from ..engine import no_grad
from ..generator import Generator
from ..op import wrap
from ..ops.index import where
from ..ops.random import randperm
from ..tensor import Tensor

LINEAR_NAMES = (
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "sigmoid",
)


_drawing = True


def is_drawing() -> bool:
    """False within `undrawn`."""
    return _drawing


@contextmanager
def undrawn():
    """Within it new layers keep whatever their memory holds: for weights that a file will replace.

    U(a, b) and N(mean, std^2) draw nothing, and the random stream stays where it is.
    """
    global _drawing
    before, _drawing = _drawing, False
    try:
        yield
    finally:
        _drawing = before


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights grow to make up for what a non-linearity takes away.

    1 for linear maps, convolutions and the sigmoid, 5/3 for tanh, sqrt(2) for relu,
    sqrt(2 / (1 + slope^2)) for leaky_relu (`param` is the slope, 0.01 by default), 3/4 for selu.
    """
    if nonlinearity in LINEAR_NAMES:
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


@no_grad()
def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Fill from U(a, b)."""
    return tensor.uniform_(a, b, generator=generator) if _drawing else tensor


@no_grad()
def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Fill from N(mean, std^2)."""
    return tensor.normal_(mean, std, generator=generator) if _drawing else tensor


@no_grad()
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Fill from N(mean, std^2), drawing again what falls outside [a, b].

    Where the interval holds less than 30 % of the mass, candidates come from U(a, b) instead and
    are accepted with probability pdf(x) / max pdf.
    """

    def below(x):
        return (1 + math.erf((x - mean) / std / math.sqrt(2))) / 2

    def log_density(x):
        return -0.5 * ((x - mean) / std) ** 2

    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=3,
        )
    if below(b) - below(a) > 0.3:
        tensor.normal_(mean, std, generator=generator)
        # the bounds as the tensor's dtype represents them
        low, high = tensor.new_tensor(a).item(), tensor.new_tensor(b).item()
        while (outside := (tensor < low) | (tensor > high)).any():
            again = tensor.detach().clone().normal_(mean, std, generator=generator)
            tensor.copy_(where(outside, again, tensor))
        return tensor
    peak = log_density(max(a, min(mean, b)))
    pending = None
    while pending is None or pending.any():
        candidates = tensor.detach().clone().uniform_(a, b, generator=generator)
        tensor.copy_(candidates if pending is None else where(pending, candidates, tensor))
        luck = tensor.detach().clone().uniform_(generator=generator).log()
        refused = luck > log_density(candidates) - peak
        pending = refused if pending is None else refused & pending
    return tensor


@no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value."""
    return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with 1."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with 0."""
    return constant_(tensor, 0.0)


@no_grad()
def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with the identity: a Linear that passes its inputs on."""
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    tensor.zero_()
    for i in range(min(tensor.shape)):
        tensor[i, i] = 1
    return tensor


@no_grad()
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a convolution's weight so that it passes on its input channels, group by group."""
    if tensor.dim() not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if tensor.shape[0] % groups != 0:
        raise ValueError("dim 0 must be divisible by groups")
    per_group = tensor.shape[0] // groups
    middle = tuple(n // 2 for n in tensor.shape[2:])
    tensor.zero_()
    for group in range(groups):
        for i in range(min(per_group, tensor.shape[1])):
            tensor[(group * per_group + i, i, *middle)] = 1
    return tensor


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """Connections into one output and out of one input: channels times the width of the kernel."""
    if tensor.dim() < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions"
        )
    width = math.prod(tensor.shape[2:])
    return tensor.shape[1] * width, tensor.shape[0] * width


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    modes = ("fan_in", "fan_out")
    if mode.lower() not in modes:
        raise ValueError(f"Mode {mode} not supported, please use one of {list(modes)}")
    return _calculate_fan_in_and_fan_out(tensor)[modes.index(mode.lower())]


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """U(-a, a), a = gain sqrt(6 / (fan_in + fan_out)).  Glorot & Bengio 2010, eq. 16."""
    std = gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor)))
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """N(0, std^2), std = gain sqrt(2 / (fan_in + fan_out)).  Glorot & Bengio 2010."""
    std = gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return normal_(tensor, 0.0, std, generator)


def _kaiming_std(tensor, a, mode, nonlinearity):
    """gain / sqrt(fan), or None, with a warning, where there is nothing to fill."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return None
    fan = _calculate_correct_fan(tensor, mode)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """U(-b, b), b = gain sqrt(3 / fan).  He et al. 2015.

    a: the slope of the leaky ReLU that follows. mode: "fan_in" keeps the variance of the forward
    pass, "fan_out" that of the backward pass.
    """
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    if std is None:
        return tensor
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """N(0, gain^2 / fan).  He et al. 2015, eq. 14; the arguments as in `kaiming_uniform_`."""
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    return tensor if std is None else normal_(tensor, 0.0, std, generator)


@no_grad()
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """A random (semi-)orthogonal matrix times `gain`: it keeps lengths.  Saxe et al. 2014.

    Q of the QR decomposition of a normal matrix, with the signs of R's diagonal, which makes it
    uniform over the orthogonal group (Mezzadri 2007). More than two dimensions count as
    (first, all others).
    """
    if tensor.dim() < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    rows = tensor.shape[0]
    cols = tensor.numel() // rows
    matrix = tensor.new_empty((rows, cols)).normal_(0, 1, generator=generator)
    if rows < cols:
        matrix = matrix.t()
    xp = array_module(matrix.array)
    q, r = xp.linalg.qr(matrix.array)
    q = q * xp.sign(xp.diagonal(r))
    if rows < cols:
        q = q.T
    return tensor.copy_(wrap(q.reshape(tensor.shape))).mul_(gain)


@no_grad()
def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None
) -> Tensor:
    """N(0, std^2), a share `sparsity` of each column set to 0 at random.  Martens 2010."""
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, cols = tensor.shape
    zeros = math.ceil(sparsity * rows)
    tensor.normal_(0, std, generator=generator)
    for col in range(cols):
        tensor[randperm(rows)[:zeros], col] = 0
    return tensor


def _deprecated(function):
    """The name without underscore, which PyTorch keeps for old code."""
    old = function.__name__[:-1]

    def fill(*args, **kwargs):
        warnings.warn(
            f"`nn.init.{old}` is now deprecated in favor of `nn.init.{old}_`.",
            FutureWarning,
            stacklevel=2,
        )
        return function(*args, **kwargs)

    fill.__name__ = fill.__qualname__ = old
    fill.__doc__ = f"The old name of `{old}_`."
    return fill


uniform = _deprecated(uniform_)
normal = _deprecated(normal_)
constant = _deprecated(constant_)
eye = _deprecated(eye_)
dirac = _deprecated(dirac_)
xavier_uniform = _deprecated(xavier_uniform_)
xavier_normal = _deprecated(xavier_normal_)
kaiming_uniform = _deprecated(kaiming_uniform_)
kaiming_normal = _deprecated(kaiming_normal_)
orthogonal = _deprecated(orthogonal_)
sparse = _deprecated(sparse_)
