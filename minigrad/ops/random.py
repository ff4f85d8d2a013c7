"""Random tensors: uniform, normal, integers, permutations, choices, all from minigrad.generator."""

import math
import operator

import numpy

from .. import dtypes
from ..backend import array_module, to_device
from ..backend import device as Device
from ..generator import default_generator
from ..op import Variable, wrap
from .elementwise import add_arrays, mul
from .shape import sizes_of

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
        raise RuntimeError(f'"{name}" not implemented for \'{dtype}\': it needs a floating dtype')
    return dtype


def _shape(name, size, keywords):
    if not size and "size" in keywords:
        size = (keywords["size"],)
    shape = sizes_of(name, size)
    if min(shape, default=0) < 0:
        raise RuntimeError(f"{name}: Trying to create tensor with negative dimension: {list(shape)}")
    return shape


def _finish(array, device, requires_grad, out=None, name=""):
    if device is not None:
        array = to_device(array, Device(device))
    result = wrap(array)
    if requires_grad:
        result.requires_grad_()
    return result if out is None else out._assign_out(result, name)


def rand(
    *size, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False,
    pin_memory=False, **size_kw,
):  # fmt: skip
    """Uniform on [0, 1)."""
    shape = _shape("rand", size, size_kw)
    numbers = _stream(generator).uniform(math.prod(shape), _floating("rand", dtype))
    return _finish(numbers.reshape(shape), device, requires_grad, out, "rand")


def randn(
    *size, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False,
    pin_memory=False, **size_kw,
):  # fmt: skip
    """Normal with mean 0 and variance 1."""
    shape = _shape("randn", size, size_kw)
    numbers = _stream(generator).normal(math.prod(shape), _floating("randn", dtype))
    return _finish(numbers.reshape(shape), device, requires_grad, out, "randn")


def randint(*args, generator=None, dtype=None, device=None, requires_grad=False, out=None, **named):
    """randint(low=0, high, size): integers of [low, high), as int64."""
    args = list(args)
    size = named.get("size")
    if size is None:
        size = args.pop()
    low = named.get("low", 0)
    high = named.get("high")
    if high is None:
        high = args.pop()
    if args:
        low = args.pop()
    low, high = operator.index(low), operator.index(high)
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    shape = _shape("randint", (size,), {})
    numbers = _stream(generator).integers(math.prod(shape), low, high)
    wanted = dtypes.int64.numpy if dtype is None else dtypes.to_numpy(dtype)
    return _finish(numbers.astype(wanted).reshape(shape), device, requires_grad, out, "randint")


def randperm(
    n, *, generator=None, out=None, dtype=None, device=None, requires_grad=False, pin_memory=False
):
    """The numbers 0 .. n-1 in random order."""
    if n < 0:
        raise RuntimeError(f"n must be non-negative, got {n}")
    wanted = dtypes.int64.numpy if dtype is None else dtypes.to_numpy(dtype)
    order = _stream(generator).permutation(operator.index(n)).astype(wanted, copy=False)
    return _finish(order, device, requires_grad, out, "randperm")


def _like(input, dtype, device):
    return (
        input.dtype if dtype is None else dtype,
        input.device if device is None else device,
    )


def rand_like(input, *, generator=None, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None):
    """Uniform on [0, 1), in the shape and dtype of `input`."""
    dtype, device = _like(input, dtype, device)
    return rand(
        input.shape, generator=generator, dtype=dtype, device=device, requires_grad=requires_grad
    )


def randn_like(input, *, generator=None, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None):
    """Standard normal, in the shape and dtype of `input`."""
    dtype, device = _like(input, dtype, device)
    return randn(
        input.shape, generator=generator, dtype=dtype, device=device, requires_grad=requires_grad
    )


def randint_like(input, low, high=None, *, generator=None, dtype=None, device=None, requires_grad=False):
    """Integers of [low, high), or of [0, low), in the shape and dtype of `input`."""
    low, high = (0, low) if high is None else (low, high)
    dtype, device = _like(input, dtype, device)
    return randint(
        low, high, input.shape, generator=generator, dtype=dtype, device=device,
        requires_grad=requires_grad,
    )  # fmt: skip


def normal(mean, std=1.0, size=None, *, generator=None, out=None, dtype=None, device=None, requires_grad=False):
    """Normal numbers; mean and std are numbers (with `size`) or tensors, one a place."""
    if not isinstance(mean, Variable) and not isinstance(std, Variable):
        if size is None:
            raise TypeError("normal(): numbers for mean and std need a size")
        shape = _shape("normal", (size,), {})
        if std < 0:
            raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
        numbers = _stream(generator).normal(math.prod(shape), _floating("normal", dtype), mean, std)
        return _finish(numbers.reshape(shape), device, requires_grad, out, "normal")
    if isinstance(std, Variable) and (std.array < 0).any():
        raise RuntimeError("normal expects all elements of std >= 0.0")
    shapes = [x.array.shape for x in (mean, std) if isinstance(x, Variable)]
    like = mean if isinstance(mean, Variable) else std
    result = randn(numpy.broadcast_shapes(*shapes), generator=generator, dtype=like.dtype)
    result = add_arrays(mul(result, std), mean).detach()
    return result if out is None else out._assign_out(result, "normal")


def bernoulli(input, p=None, *, generator=None, out=None):
    """1 with the probability that each number of the input gives (or p), else 0."""
    chances = input.array if p is None else p
    if p is None and input.array.size and not ((input.array >= 0) & (input.array <= 1)).all():
        raise RuntimeError("Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
    result = wrap(_coin(input.array, chances, _stream(generator)))
    return result if out is None else out._assign_out(result, "bernoulli")


def _coin(array, chances, stream):
    wanted = numpy.float64 if not hasattr(chances, "dtype") else chances.dtype
    wanted = wanted if wanted in (numpy.float32, numpy.float64) else numpy.float32
    draws = stream.uniform(array.size, wanted).reshape(array.shape)
    return (draws < chances).astype(array.dtype)


def multinomial(input, num_samples, replacement=False, *, generator=None, out=None):
    """Indices drawn with probability proportional to the numbers of each row."""
    weights = input.array
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
        # the smallest of exponential variables with rates w is index i with probability w_i / sum w
        race = rows / stream.exponential(rows.size).reshape(rows.shape).astype(rows.dtype)
        chosen = numpy.argsort(-race, -1, kind="stable")[:, :num_samples]
    else:
        chosen = numpy.empty((len(rows), num_samples), numpy.int64)
        for row, out_row in zip(rows, chosen, strict=True):
            steps = numpy.cumsum(row, dtype=row.dtype)
            draws = stream.uniform(num_samples, numpy.float64)
            out_row[:] = numpy.searchsorted(steps / steps[-1], draws, side="right")
        numpy.minimum(chosen, rows.shape[1] - 1, out=chosen)
    result = wrap(chosen.astype(numpy.int64).reshape(*weights.shape[:-1], num_samples))
    return result if out is None else out._assign_out(result, "multinomial")


def poisson(input, generator=None):
    """Poisson counts, one a place, with the rates that the input gives."""
    if (input.array < 0).any():
        raise RuntimeError("poisson: invalid Poisson rate, expected rate to be non-negative")
    return wrap(_stream(generator).numpy_generator().poisson(input.array).astype(input.array.dtype))


def binomial(count, prob, generator=None):
    """Successes among `count` trials, each with probability `prob`."""
    numbers = _stream(generator).numpy_generator().binomial(count.array.astype("int64"), prob.array)
    return wrap(numbers.astype(prob.array.dtype))


# -- in place ----------------------------------------------------------------------------------------


def _write(tensor, numbers, name):
    """Put new numbers into a tensor's own memory."""
    tensor._check_in_place(name)
    xp = array_module(tensor.array)
    tensor.array[...] = xp.asarray(numbers).reshape(tensor.array.shape)
    tensor.bump()
    return tensor


def uniform_(input, from_=0.0, to=1.0, *, generator=None, **named):
    """Uniform numbers of [from, to)."""
    low = named.get("from", named.get("a", from_))
    high = named.get("b", to)
    if low > high:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low} > to={high}"
        )
    kind = _floating("uniform_", input.dtype)
    return _write(input, _stream(generator).uniform(input.array.size, kind, low, high), "uniform_")


def normal_(input, mean=0.0, std=1.0, *, generator=None):
    """Normal numbers."""
    if std < 0:
        raise RuntimeError(f"normal_ expects std >= 0.0, but found std {std}")
    kind = _floating("normal_", input.dtype)
    return _write(input, _stream(generator).normal(input.array.size, kind, mean, std), "normal_")


def random_(input, from_=0, to=None, *, generator=None, **named):
    """Whole numbers of [from, to), of [0, from), or of all that the dtype holds exactly."""
    low, high = named.get("from", from_), named.get("to", to)
    kind = input.array.dtype
    stream = _stream(generator)
    count = input.array.size
    if high is None and low:
        low, high = 0, low
    if high is not None:
        if low >= high:
            raise RuntimeError(
                f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
            )
        return _write(input, stream.integers(count, low, high), "random_")
    if kind == numpy.int64:
        return _write(input, stream.long_words(count) & numpy.uint64(2**63 - 1), "random_")
    if kind == numpy.float64:
        return _write(input, stream.long_words(count) % numpy.uint64(2**53 + 1), "random_")
    limits = {"float32": 2**24, "float16": 2**11, "bfloat16": 2**8, "bool": 1, "int32": 2**31 - 1}
    limits |= {"int16": 2**15 - 1, "int8": 2**7 - 1, "uint8": 2**8 - 1}
    return _write(input, stream.words(count) % numpy.uint64(limits[kind.name] + 1), "random_")


def bernoulli_(input, p=0.5, *, generator=None):
    """1 with probability p (a number, or a tensor of them), else 0."""
    chances = p.array if isinstance(p, Variable) else p
    if not hasattr(chances, "dtype") and not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
    return _write(input, _coin(input.array, chances, _stream(generator)), "bernoulli_")


def exponential_(input, lambd=1.0, *, generator=None):
    """Exponential numbers with rate lambd."""
    if lambd <= 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    return _write(input, _stream(generator).exponential(input.array.size, lambd), "exponential_")


def log_normal_(input, mean=1.0, std=2.0, *, generator=None):
    """e to the power of normal numbers."""
    stream = _stream(generator)
    numbers = [math.exp(stream.one_normal() * std + mean) for _ in range(input.array.size)]
    return _write(input, numpy.array(numbers), "log_normal_")


def cauchy_(input, median=0.0, sigma=1.0, *, generator=None):
    """Cauchy numbers."""
    draws = _stream(generator).uniform(input.array.size, numpy.float64)
    return _write(input, median + sigma * numpy.tan(math.pi * (draws - 0.5)), "cauchy_")


def geometric_(input, p, *, generator=None):
    """How many trials with success probability p it takes to succeed."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    draws = _stream(generator).uniform(input.array.size, numpy.float64)
    return _write(input, numpy.ceil(numpy.log1p(-draws) / math.log1p(-p)), "geometric_")


def keep_mask(shape, p, dtype, xp):
    """A dropout mask of 0 and 1: each place is kept with probability 1 - p.

    Each place uses 16 bits of the default generator's stream, so p is rounded to a multiple of 2^-16
    and the masks, unlike everything else here, are not torch's.
    """
    count = math.prod(shape)
    halves = default_generator.words((count + 1) // 2).astype(numpy.uint32).view(numpy.uint16)
    keep = halves[:count] >= round(p * 65536)
    return xp.asarray(keep.reshape(shape).astype(dtype))
