"""Random tensors: uniform, normal, integers, permutations, choices, all from minigrad.generator."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING

import numpy

from .. import capture, dtypes
from ..backend import CPU, array_module, made_on, to_device
from ..backend import device as Device
from ..generator import default_generator
from ..kernels import random_bits
from ..kernels.dropout import dropout as kernel
from ..op import Variable, primitive, wrap
from .creation import checked_sizes
from .elementwise import add_arrays, mul

if TYPE_CHECKING:
    from ..dtypes import dtype
    from ..generator import Generator
    from ..tensor import Tensor

__all__ = [
    "bernoulli", "bernoulli_", "binomial", "cauchy_", "exponential_", "geometric_", "log_normal_",
    "multinomial", "normal", "normal_", "poisson", "rand", "rand_like", "randint", "randint_like",
    "randn", "randn_like", "random_", "randperm", "uniform_",
]  # fmt: skip


def _stream(generator):
    return default_generator if generator is None else generator


def _floating(name, dtype):
    dtype = dtypes.default_numpy() if dtype is None else dtypes.to_numpy(dtype)
    if dtype.kind not in "fV":
        raise NotImplementedError(f"{name} needs a floating dtype: not implemented for {dtype}")
    return dtype


def _finish(array, device, requires_grad, out=None, name=""):
    """An array as a tensor, on the device asked for, or else on the default device; or in `out`."""
    if device is None:
        device = made_on.device if out is None else out.device
    if device is not None:
        array = to_device(array, Device(device))
    result = wrap(array)
    if requires_grad:
        result.requires_grad_()
    return result if out is None else out._assign_out(result, name)


def rand(
    *size,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    pin_memory=False,
    **size_kw,
) -> Tensor:
    """Uniform on [0, 1)."""
    shape = checked_sizes("rand", size, size_kw)
    numbers = _stream(generator).uniform(math.prod(shape), _floating("rand", dtype))
    return _finish(numbers.reshape(shape), device, requires_grad, out, "rand")


def randn(
    *size,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    pin_memory=False,
    **size_kw,
) -> Tensor:
    """Normal with mean 0 and variance 1."""
    shape = checked_sizes("randn", size, size_kw)
    numbers = _stream(generator).normal(math.prod(shape), _floating("randn", dtype))
    return _finish(numbers.reshape(shape), device, requires_grad, out, "randn")


def randint(
    *args,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    pin_memory=False,
    **named,
) -> Tensor:
    """randint(low=0, high, size): integers of [low, high), as int64."""
    low, high, size = _randint_arguments(*args, **named)
    low, high = operator.index(low), operator.index(high)
    wanted = dtypes.int64 if dtype is None else dtype
    _check_range(low, high, dtypes.to_numpy(wanted))
    shape = checked_sizes("randint", (size,))
    numbers = _stream(generator).integers(math.prod(shape), low, high)
    numbers = numbers.astype(dtypes.to_numpy(wanted)).reshape(shape)
    return _finish(numbers, device, requires_grad, out, "randint")


def _randint_arguments(*args, low=None, high=None, size=None):
    """low, high and size from (high, size) or (low, high, size), by place or by name."""
    args = list(args)
    if size is None and args and isinstance(args[-1], (list, tuple)):
        size = args.pop()
    if high is None and args:
        high = args.pop()
    if low is None:
        low = args.pop() if args else 0
    if args or high is None or size is None:
        raise TypeError(
            "randint() takes (high, size) or (low, high, size), where size is a tuple of ints"
        )
    return low, high, size


def _check_range(low, high, dtype):
    """The integers of [low, high) must exist, and fit the dtype."""
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    if dtype.kind in "iub":
        least, most = _integer_limits(dtype)
        if not least <= low <= most:
            raise RuntimeError(f"from is out of bounds for {dtype}: {low}")
        if high - 1 > most:
            raise RuntimeError(f"to - 1 is out of bounds for {dtype}: {high - 1}")


def _integer_limits(dtype):
    if dtype.kind == "b":
        return 0, 1
    info = numpy.iinfo(dtype)
    return int(info.min), int(info.max)


def randperm(
    n,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    pin_memory=False,
) -> Tensor:
    """The numbers 0 .. n-1 in random order."""
    n = operator.index(n)
    if n < 0:
        raise RuntimeError(f"randperm: n must be non-negative, got {n}")
    wanted = dtypes.int64.numpy if dtype is None else dtypes.to_numpy(dtype)
    most = _integer_limits(wanted)[1] if wanted.kind in "iub" else _EXACT[wanted.name]
    if n - 1 > most:
        raise RuntimeError(
            f"randperm: n = {n} is too large for {wanted}, whose integers end at {most}"
        )
    order = _stream(generator).permutation(n).astype(wanted, copy=False)
    return _finish(order, device, requires_grad, out, "randperm")


# The integers up to these are exact in each floating dtype.
_EXACT = {"float64": 2**53, "float32": 2**24, "float16": 2**11, "bfloat16": 2**8}


def _empty_like(input, dtype, device):
    """Memory for numbers in the shape of `input`, its dimensions in the same order in memory."""
    wanted = input.array.dtype if dtype is None else dtypes.to_numpy(dtype)
    array = array_module(input.array).empty_like(input.array, wanted)
    return _finish(array, input.device if device is None else device, False)


def _with_gradient(result, requires_grad):
    return result.requires_grad_() if requires_grad else result


def rand_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    memory_format=None,
) -> Tensor:
    """Uniform on [0, 1), in the shape and dtype of `input`."""
    result = uniform_(_empty_like(input, dtype, device), generator=generator)
    return _with_gradient(result, requires_grad)


def randn_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    memory_format=None,
) -> Tensor:
    """Standard normal, in the shape and dtype of `input`."""
    result = normal_(_empty_like(input, dtype, device), generator=generator)
    return _with_gradient(result, requires_grad)


def randint_like(
    input: Tensor,
    low=None,
    high=None,
    *,
    generator: Generator | None = None,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    memory_format=None,
) -> Tensor:
    """Integers of [low, high), or of [0, low), in the shape and dtype of `input`."""
    if low is None or high is None:
        low, high = 0, low if high is None else high
    if high is None:
        raise TypeError("randint_like() takes (input, high) or (input, low, high)")
    result = random_(_empty_like(input, dtype, device), low, high, generator=generator)
    return _with_gradient(result, requires_grad)


def normal(
    mean=0.0,
    std=1.0,
    size=None,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout=None,
    device: Device | str | None = None,
    requires_grad: bool = False,
    pin_memory=False,
) -> Tensor:
    """Normal numbers; mean and std are numbers (with `size`) or tensors, one a place."""
    if not isinstance(mean, Variable) and not isinstance(std, Variable):
        if size is None:
            raise TypeError("normal(): numbers for mean and std need a size")
        shape = checked_sizes("normal", (size,))
        if std < 0:
            raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
        numbers = _stream(generator).normal(math.prod(shape), _floating("normal", dtype), mean, std)
        numbers = numbers.reshape(shape)
        place = CPU if device is None else device  # torch's too knows no default device here
        return _finish(numbers, place, requires_grad, out, "normal")
    if isinstance(std, Variable):
        if (std.array < 0).any():
            raise RuntimeError("normal expects all elements of std >= 0.0")
    elif std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    shapes = [x.array.shape for x in (mean, std) if isinstance(x, Variable)]
    like = mean if isinstance(mean, Variable) else std
    shape = numpy.broadcast_shapes(*shapes)
    result = randn(shape, generator=generator, dtype=like.dtype, device=like.device)
    result = add_arrays(mul(result, std), mean).detach()
    return result if out is None else out._assign_out(result, "normal")


def bernoulli(
    input: Tensor,
    p: float | None = None,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """1 with the probability that each number of the input gives (or p), else 0."""
    if p is None and input.array.dtype.kind not in "fV":
        raise NotImplementedError(f"bernoulli: probabilities must be floating, not {input.dtype}")
    result = wrap(array_module(input.array).empty(input.array.shape, input.array.dtype))
    bernoulli_(result, input if p is None else p, generator=generator)
    return result if out is None else out._assign_out(result, "bernoulli")


def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Indices drawn with probability proportional to the numbers of each row."""
    weights = to_device(input.array, CPU)
    if weights.ndim not in (1, 2):
        raise RuntimeError(f"multinomial: prob_dist must be 1 or 2 dim, got {weights.ndim}")
    if weights.dtype.kind not in "fV":
        raise RuntimeError("multinomial only supports floating-point dtypes for input")
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > weights.shape[-1]:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement: "
            f"{num_samples} > {weights.shape[-1]}"
        )
    if not numpy.isfinite(weights).all() or (weights < 0).any():
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if (weights.sum(-1) <= 0).any():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    stream = _stream(generator)
    rows = weights.reshape(-1, weights.shape[-1])
    if not replacement or num_samples == 1:
        race = _race(rows, stream)
        if num_samples == 1:
            chosen = race.argmax(-1)
        else:
            chosen = numpy.argsort(-race, -1, kind="stable")[:, :num_samples]
    else:
        chosen = numpy.empty((len(rows), num_samples), numpy.int64)
        for row, out_row in zip(rows, chosen, strict=True):
            steps = numpy.cumsum(row, dtype=row.dtype)
            draws = stream.uniform(num_samples, numpy.float64)
            out_row[:] = numpy.searchsorted(steps / steps[-1], draws, side="right")
        numpy.minimum(chosen, rows.shape[1] - 1, out=chosen)
    chosen = chosen.astype(numpy.int64).reshape(*weights.shape[:-1], num_samples)
    return _finish(chosen, input.device, False, out, "multinomial")


def _race(rows, stream):
    """w / e, e exponential: the largest is that of index i with probability w_i / sum w.

    All of e are drawn, but no logarithm is taken for those with w = 0: most, where few tokens of a
    vocabulary may come.
    """
    units = stream.uniform(rows.size, numpy.float64).reshape(rows.shape)
    race = numpy.zeros_like(rows)
    live = rows > 0
    race[live] = rows[live] / -numpy.log1p(-units[live]).astype(rows.dtype)
    return race


def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Poisson counts, one a place, with the rates that the input gives."""
    rates = _floats("poisson", input)
    if (rates < 0).any():
        raise RuntimeError("poisson: invalid Poisson rate, expected rate to be non-negative")
    draw = _stream(generator).poisson
    return _from_list(map(draw, rates.reshape(-1).tolist()), input)


def binomial(count, prob, generator: Generator | None = None) -> Tensor:
    """Successes among `count` trials, each with probability `prob`."""
    trials, chances = numpy.broadcast_arrays(_floats("binomial", count), _floats("binomial", prob))
    pairs = zip(trials.reshape(-1).tolist(), chances.reshape(-1).tolist(), strict=True)
    draw = _stream(generator).binomial
    return _from_list([draw(n, p) for n, p in pairs], count, trials.shape)


def _floats(name, tensor):
    """The numbers of a floating tensor, in main memory."""
    _floating(name, tensor.dtype)
    return to_device(tensor.array, CPU)


def _from_list(numbers, like, shape=None):
    """A tensor of these numbers with the dtype and device of `like`."""
    array = numpy.array(list(numbers), numpy.float64).astype(like.array.dtype)
    return _finish(array.reshape(like.array.shape if shape is None else shape), like.device, False)


# -- in place: torch fills a tensor in the order in which its numbers lie in memory --------------


def _in_memory_order(array, strides):
    """The array with its dimensions sorted by those strides, the widest first."""
    order = sorted(range(array.ndim), key=lambda dim: -abs(strides[dim]))
    return array.transpose(order)


def _write(tensor, numbers):
    """Put new numbers into a tensor's own memory, in that order."""
    xp = array_module(tensor.array)
    memory = _in_memory_order(tensor.array, tensor.array.strides)
    memory[...] = xp.asarray(numbers).reshape(memory.shape)
    tensor.bump()
    return tensor


def uniform_(
    input: Tensor, from_=0.0, to=1.0, *, generator: Generator | None = None, **named
) -> Tensor:
    """Uniform numbers of [from, to)."""
    input._check_in_place("uniform_")
    low = named.get("from", from_)  # `from` is a word of Python's, so it comes as named["from"]
    if low > to:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low} > to={to}"
        )
    kind = _floating("uniform_", input.dtype)
    return _write(input, _stream(generator).uniform(input.array.size, kind, low, to))


def normal_(input: Tensor, mean=0.0, std=1.0, *, generator: Generator | None = None) -> Tensor:
    """Normal numbers."""
    input._check_in_place("normal_")
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    kind = _floating("normal_", input.dtype)
    stream = _stream(generator)
    if input.is_contiguous():
        numbers = stream.normal(input.array.size, kind, mean, std)
    else:
        numbers = stream.normals_singly(input.array.size, mean, std)
    return _write(input, numbers)


def random_(input: Tensor, *bounds, generator: Generator | None = None, **named) -> Tensor:
    """Whole numbers: random_(to) of [0, to), random_(from, to) of [from, to).

    Without an end, up to the largest that the dtype holds (for floats: holds exactly).
    """
    input._check_in_place("random_")
    if len(bounds) > 2:
        raise TypeError(f"random_() takes at most two bounds, but {len(bounds)} were given")
    names = ("to",) if len(bounds) == 1 and "to" not in named else ("from", "to")
    given = dict(zip(names, bounds, strict=False)) | named
    low, high = given.get("from", 0), given.get("to")
    kind = input.array.dtype
    stream = _stream(generator)
    count = input.array.size
    if high is not None:
        _check_range(low, high, kind)
        numbers = stream.integers(count, low, high)
    elif "from" in given:
        most = _integer_limits(kind)[1] if kind.kind in "iub" else _EXACT[kind.name]
        numbers = stream.integers(count, low, most + 1)
    elif kind == numpy.int64:
        numbers = stream.long_words(count) & numpy.uint64(2**63 - 1)
    elif kind == numpy.float64:
        numbers = stream.long_words(count) % numpy.uint64(2**53 + 1)
    else:
        most = _integer_limits(kind)[1] if kind.kind in "iub" else _EXACT[kind.name]
        numbers = stream.words(count) % numpy.uint64(most + 1)
    return _write(input, numbers)


def bernoulli_(input: Tensor, p: float = 0.5, *, generator: Generator | None = None) -> Tensor:
    """1 with probability p (a number, or a tensor of them), else 0."""
    input._check_in_place("bernoulli_")
    stream = _stream(generator)
    shape, strides = input.array.shape, input.array.strides
    if not isinstance(p, Variable):
        if not 0 <= p <= 1:
            raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
        return _write(input, stream.uniform(input.array.size, numpy.float64) < p)
    chances = _floats("bernoulli_", p)
    if not ((chances >= 0) & (chances <= 1)).all():
        raise RuntimeError("bernoulli: expected every probability to be in [0, 1]")
    work = chances.dtype if chances.dtype.itemsize >= 4 else numpy.float32
    chances = _in_memory_order(numpy.broadcast_to(chances, shape), strides)
    draws = stream.uniform(chances.size, work).reshape(chances.shape)
    return _write(input, draws < chances)


def exponential_(
    input: Tensor, lambd: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Exponential numbers with rate lambd."""
    input._check_in_place("exponential_")
    if lambd <= 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    _continuous("exponential_", input)
    return _write(input, _stream(generator).exponential(input.array.size, lambd))


def _continuous(name, tensor):
    if not tensor.is_floating_point():
        raise RuntimeError(
            f"{name}: a continuous distribution needs a floating dtype, not {tensor.dtype}"
        )


def log_normal_(input: Tensor, mean=1.0, std=2.0, *, generator: Generator | None = None) -> Tensor:
    """e to the power of normal numbers."""
    input._check_in_place("log_normal_")
    if std <= 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    _floating("log_normal_", input.dtype)
    numbers = _stream(generator).normals_singly(input.array.size, mean, std)
    return _write(input, numpy.exp(numbers))


def cauchy_(input: Tensor, median=0.0, sigma=1.0, *, generator: Generator | None = None) -> Tensor:
    """Cauchy numbers: median + sigma tan(pi (u - 1/2))."""
    input._check_in_place("cauchy_")
    if sigma <= 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    _continuous("cauchy_", input)
    draws = _stream(generator).uniform(input.array.size, numpy.float64)
    return _write(input, median + sigma * numpy.tan(math.pi * (draws - 0.5)))


def geometric_(input: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """How many trials with success probability p it takes to succeed: ceil(log u / log(1 - p))."""
    input._check_in_place("geometric_")
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    if input.array.dtype.kind == "b":
        raise NotImplementedError("geometric_ is not implemented for bool")
    draws = _stream(generator).uniform(input.array.size, numpy.float64)
    return _write(input, numpy.ceil(numpy.log(draws) / math.log1p(-p)))


def draw_seed(array):
    """One draw of the default generator, from which a hash makes masks: kernels/random_bits.py.

    array: what the mask is for. In a captured graph the seed lies on the GPU: see `capture.py`.
    """
    return capture.draw_seed(array, _draw_seed)


def _draw_seed():
    return int(default_generator.long_words(1)[0]) >> 64 - random_bits.SEED_BITS


def keep_mask(array, shape, p):
    """A mask of 0 and 1 for an array: each place is kept with probability 1 - p; unlike all else, not
    torch's."""
    keep = random_bits.keep_mask(draw_seed(array), math.prod(shape), p, array_module(array))
    return keep.reshape(shape).astype(array.dtype)


@primitive(name="NativeDropout")
def drop(xp, x, *, p, seed):
    """x / (1 - p) where kept, else 0; which are kept follows from the seed."""
    return kernel[xp](x, p, seed)


drop.vjp(x=lambda g, p, seed: drop(g, p=p, seed=seed))
drop.samples(
    lambda rand: [
        (rand(3, 4), {"p": 0.5, "seed": 7}),
        (rand(0, 2), {"p": 0.1, "seed": 1}),
        (rand(), {"p": 0.2, "seed": 1 << 40}),
    ]
)
