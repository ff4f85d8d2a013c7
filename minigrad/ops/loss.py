"""Losses: how far predictions are from targets, each as its formula.

Most are compositions of other ops. Cross-entropy, where training spends its time, is a kernel, alone
and together with the linear layer before it.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy

from ..autocasting import applies, runs_under_autocast
from ..backend import array_module, native_device
from ..capture import readable
from ..engine import is_grad_enabled
from ..kernels import cross_entropy as kernels
from ..kernels import linear_cross_entropy_cuda  # noqa: F401 (it adds the GPU to that kernel)
from ..op import Variable, primitive, wrap
from .activation import log_of_sigmoid, log_softmax, log_softmax_along, relu
from .elementwise import abs as absolute
from .elementwise import (
    add_arrays,
    choose,
    clamp,
    clamp_min,
    exp,
    log,
    logaddexp,
    mul,
    square,
    sub_arrays,
)
from .index import gather_along, scatter_add_along
from .linalg import euclidean_norm, matmul, vector_norm
from .pad import crop, pad_constant
from .reduce import expand_to, mean, reduce_logsumexp, reduce_sum, restore, sum, take_along
from .shape import broadcast_tensors, expand, join_along, reshape, select_at, transpose, unsqueeze
from .special import xlogy

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_embedding_loss",
    "cosine_similarity", "cross_entropy", "ctc_loss", "gaussian_nll_loss", "hinge_embedding_loss",
    "huber_loss", "kl_div", "l1_loss", "linear_cross_entropy", "margin_ranking_loss", "mse_loss",
    "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss", "nll_loss",
    "pairwise_distance", "poisson_nll_loss", "smooth_l1_loss", "soft_margin_loss",
    "triplet_margin_loss", "triplet_margin_with_distance_loss",
]  # fmt: skip


def _reduction(name, reduction, size_average=None, reduce=None):
    """The reduction asked for, also by torch's old pair of flags."""
    if size_average is not None or reduce is not None:
        size_average = True if size_average is None else size_average
        reduce = True if reduce is None else reduce
        reduction = ("mean" if size_average else "sum") if reduce else "none"
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{reduction}' "
            "instead.",
            stacklevel=3,
        )
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{name}: {reduction} is not a valid value for reduction")
    return reduction


def _reduce(losses, reduction):
    if reduction == "mean":
        return mean(losses)
    return sum(losses) if reduction == "sum" else losses


# -- classification ----------------------------------------------------------------------------


@primitive(name="NllLoss")
def softmax_cross_entropy(xp, logits, *, target, weight, smoothing, ignore_index, reduction):
    """Cross-entropy of logits (N, C) with classes (N), and what its gradient needs: log sum e^x (N).

    Per row: -(1 - s) w_t log p_t - s/C sum_c w_c log p_c, p = softmax(logits), s the smoothing;
    "mean" divides by the sum of w_t over rows that are not ignored. See kernels/cross_entropy.py.
    """
    losses, total = kernels.cross_entropy[xp](logits, target, weight, smoothing, ignore_index)
    if reduction == "none":
        return losses, total
    loss = losses.sum()
    if reduction == "mean":
        loss = loss / _total_weight(xp, target, weight, ignore_index, logits.dtype)
    return loss, total


def _total_weight(xp, target, weight, ignore_index, dtype):
    live = target != ignore_index
    if weight is None:
        return live.sum().astype(dtype)
    return xp.where(live, weight[xp.where(live, target, 0)], 0).sum(dtype=dtype)


def _cross_entropy_gradient(
    g, out, wanted, logits, target, weight, smoothing, ignore_index, reduction
):
    xp = array_module(logits)
    scale = g[0]
    if reduction == "mean":
        scale = scale / _total_weight(xp, target, weight, ignore_index, logits.dtype)
    scale = xp.broadcast_to(xp.asarray(scale, logits.dtype), target.shape)
    options = target, weight, smoothing, ignore_index
    return (kernels.cross_entropy_backward[xp](scale, logits, out[1], *options),)


def _cross_entropy_in_ops(logits, target, weight, smoothing, ignore_index, reduction):
    """-sum_c q_c log p_c, with a weight q for every class of every row."""
    xp = array_module(logits.array)
    live = target != ignore_index
    classes = logits.array.shape[1]
    each = xp.ones(classes, logits.array.dtype) if weight is None else weight
    q = live[:, None] * each * (smoothing / classes)
    rows, own = xp.arange(len(target)), xp.where(live, target, 0)
    q[rows, own] += live * each[own] * (1 - smoothing)
    if reduction == "mean":
        q = q / _total_weight(xp, target, weight, ignore_index, q.dtype)
    dims = (1,) if reduction == "none" else (0, 1)
    return (-reduce_sum(log_softmax_along(logits, dim=1) * wrap(q), dim=dims),)


softmax_cross_entropy.fused(_cross_entropy_gradient, _cross_entropy_in_ops, outputs=1, saved=(1,))
softmax_cross_entropy.samples(
    lambda rand: [
        (
            rand(4, 3),
            {
                "target": rand.ints(3, 4), "weight": None, "smoothing": 0.0, "ignore_index": -100,
                "reduction": reduction,
            },
        )
        for reduction in ("mean", "sum", "none")
    ]
    + [
        (
            rand(4, 3),
            {
                "target": rand.ints(3, 4), "weight": rand(3, low=0.5, high=2), "smoothing": 0.1,
                "ignore_index": 1, "reduction": reduction,
            },
        )
        for reduction in ("sum", "none")
    ]
)  # fmt: skip


@primitive(name="LinearCrossEntropy")
def linear_softmax_cross_entropy(
    xp, h, w, bias, *, target, weight, smoothing, ignore_index, reduction, gradients
):
    """`softmax_cross_entropy` of logits h w^T + bias, which never exist all at once.

    gradients: those of the loss are computed here, along with it, while the logits are at hand; with
    reduction "none", whose loss has no gradient before g is known, backward computes all again.
    """
    options = target, weight, smoothing, ignore_index
    scale = xp.ones(len(target), h.dtype)
    if reduction == "mean":
        scale /= _total_weight(xp, target, weight, ignore_index, h.dtype)
    bias = bias if hasattr(bias, "shape") else None
    now = gradients and reduction != "none"
    losses, *grads = kernels.linear_cross_entropy[xp](h, w, bias, *options, scale, now)
    loss = losses if reduction == "none" else (losses * scale).sum()
    return loss, *(xp.zeros(0, h.dtype) if x is None else x for x in grads)


def _linear_cross_entropy_gradients(
    g, out, wanted, h, w, bias, target, weight, smoothing, ignore_index, reduction, gradients
):
    if reduction == "none":
        options = target, weight, smoothing, ignore_index
        bias = bias if hasattr(bias, "shape") else None
        xp = array_module(h)
        return kernels.linear_cross_entropy[xp](h, w, bias, *options, g[0], True)[1:]
    on_host = isinstance(g[0], numpy.ndarray)  # to look at it would be to wait for a GPU
    return [x if on_host and g[0] == 1 else x * g[0] for x in out[1:]]


def _linear_cross_entropy_in_ops(
    h, w, bias, target, weight, smoothing, ignore_index, reduction, gradients
):
    logits = add_arrays(matmul(h, transpose(w, 0, 1)), bias)
    return _cross_entropy_in_ops(logits, target, weight, smoothing, ignore_index, reduction)


linear_softmax_cross_entropy.fused(
    _linear_cross_entropy_gradients, _linear_cross_entropy_in_ops, outputs=1, saved=(1, 2, 3)
)
linear_softmax_cross_entropy.samples(
    lambda rand: [
        (
            rand(5, 3), rand(4, 3), bias,
            {
                "target": rand.ints(4, 5), "weight": rand(4, low=0.5, high=2), "smoothing": 0.1,
                "ignore_index": 1, "reduction": reduction, "gradients": True,
            },
        )
        for reduction, bias in (("mean", rand(4)), ("sum", 0), ("none", rand(4)))
    ]
)  # fmt: skip


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options=None,
) -> Tensor:
    """cross_entropy(linear(input, linear_weight, linear_bias), target), some rows at a time.

    input (N, D) or (D), linear_weight (C, D), target (N) or () of classes -> as cross_entropy. The
    logits (N, C) of a large vocabulary never exist at once, nor do their gradients: those of the
    input and the weight are computed along with the loss. `options` is torch's and changes nothing:
    this is always so, and derivatives of any order are right. Weights of more dimensions and targets
    that are probabilities go through the logits.
    """
    ignored = -100 if ignore_index is None else ignore_index
    plain = linear_weight.array.ndim == 2 and target.array.dtype.kind in "iu"
    plain = plain and not applies("affine", input.array)  # logits in lower precision, the loss not
    if not plain or input.array.ndim not in (1, 2):
        flat = reshape(linear_weight, (-1, linear_weight.array.shape[-1]))
        logits = matmul(input, transpose(flat, 0, 1))
        if linear_bias is not None:
            logits = logits + reshape(linear_bias, (-1,))
        logits = reshape(logits, (*input.array.shape[:-1], *linear_weight.array.shape[:-1]))
        return cross_entropy(
            logits, target, weight, None, ignored, None, reduction, label_smoothing
        )
    reduction = _reduction("linear_cross_entropy", reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    h, w = input.array, linear_weight.array
    if h.shape[-1] != w.shape[1] or h.dtype != w.dtype:
        raise RuntimeError(
            f"linear_cross_entropy: expected {w.shape[1]} input features of {linear_weight.dtype}, "
            f"got input of shape {tuple(h.shape)}, {input.dtype}"
        )
    if linear_bias is not None and linear_bias.array.shape != w.shape[:1]:
        raise RuntimeError(
            f"linear_cross_entropy: expected a bias of shape {tuple(w.shape[:1])}, got "
            f"{tuple(linear_bias.array.shape)}"
        )
    if target.array.shape != h.shape[:-1]:
        raise ValueError(
            f"linear_cross_entropy: Expected input batch_size {tuple(h.shape[:-1])} to match target "
            f"batch_size {tuple(target.array.shape)}"
        )
    check_labels("linear_cross_entropy", target.array, len(w), ignored)
    if weight is not None and weight.array.shape != w.shape[:1]:
        raise RuntimeError(
            f"linear_cross_entropy: weight tensor should be defined either for all {len(w)} classes "
            f"or no classes but got weight tensor of shape: {list(weight.array.shape)}"
        )
    inputs = input, linear_weight, linear_bias
    losses = linear_softmax_cross_entropy(
        reshape(input, (-1, w.shape[1])),
        linear_weight,
        0 if linear_bias is None else linear_bias,
        target=target.array.reshape(-1),
        weight=None if weight is None else weight.array.astype(h.dtype, copy=False),
        smoothing=label_smoothing,
        ignore_index=ignored,
        reduction=reduction,
        gradients=is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs),
    )[0]
    return reshape(losses, target.array.shape) if reduction == "none" else losses


def check_labels(name, target, classes, ignore_index):
    """IndexError for the first label that is no class, and where it stands."""
    if not readable(target):
        return
    with native_device(target):
        bad = (target != ignore_index) & ((target < 0) | (target >= classes))
        found = bool(bad.any())
    if found:
        xp = array_module(target)
        place = tuple(int(i[0]) for i in xp.nonzero(bad))
        raise IndexError(
            f"{name}: Target {int(target[place])} is out of bounds: at position {place} of the "
            f"target, but there are {classes} classes (0 to {classes - 1})"
        )


def _classes_last(name, input, target):
    """Scores as (N, C) rows and classes as (N), and the shape of the losses."""
    shape = input.array.shape
    if len(shape) == 0:
        raise RuntimeError(f"{name}: expected scores for classes, got a 0-d input")
    if len(shape) == 1:
        if target.array.ndim:
            raise ValueError(
                f"{name}: for scores of one example, shape {tuple(shape)}, the target must be 0-d, "
                f"not {tuple(target.array.shape)}"
            )
        return reshape(input, (1, -1)), target.array.reshape(1), ()
    wanted = (shape[0], *shape[2:])
    if target.array.shape != wanted:
        if target.array.shape[:1] != shape[:1]:
            got = target.array.shape[0] if target.array.ndim else "none"
            raise ValueError(
                f"{name}: Expected input batch_size ({shape[0]}) to match target batch_size ({got}); "
                f"input {tuple(shape)}, target {tuple(target.array.shape)}"
            )
        raise RuntimeError(
            f"{name}: expected a target of shape {wanted} for input {tuple(shape)}, got "
            f"{tuple(target.array.shape)}"
        )
    rows = input if len(shape) == 2 else input.movedim(1, -1).reshape(-1, shape[1])
    return rows, target.array.reshape(-1), wanted


@runs_under_autocast
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average=None,
    ignore_index: int = -100,
    reduce: str | bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(input)[target]: input holds logits (N, C), (C) or (N, C, d...).

    target: classes (N), (), (N, d...) as int64, or probabilities in the shape of the input.
    weight (C) scales each class; targets equal to ignore_index don't count; label_smoothing s mixes
    the target with the uniform distribution. "mean" divides by the sum of the weights of the
    targets. Raises IndexError, with the place, for a label that is no class.
    """
    reduction = _reduction("cross_entropy", reduction, size_average, reduce)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    _check_class_weight("cross_entropy", input, weight)
    if target.array.dtype.kind in "fV":
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    rows, classes, shape = _classes_last("cross_entropy", input, target)
    _check_class_target("cross_entropy", target)
    check_labels("cross_entropy", target.array, rows.array.shape[1], ignore_index)
    losses, _ = softmax_cross_entropy(
        rows,
        target=classes,
        weight=None if weight is None else weight.array.astype(rows.array.dtype, copy=False),
        smoothing=label_smoothing,
        ignore_index=ignore_index,
        reduction=reduction,
    )
    return reshape(losses, shape) if reduction == "none" else losses


def _check_class_weight(name, input, weight):
    if weight is None:
        return
    dim = 1 if input.array.ndim > 1 else 0
    if weight.array.shape != (input.array.shape[dim],):
        raise RuntimeError(
            f"{name}: weight tensor should be defined either for all {input.array.shape[dim]} "
            f"classes or no classes but got weight tensor of shape: {list(weight.array.shape)}"
        )


def _check_class_target(name, target):
    if target.array.dtype.kind not in "iu":
        raise RuntimeError(
            f"{name}: expected scalar type Long but found {target.dtype}: classes are integers"
        )


def _soft_cross_entropy(input, target, weight, reduction, smoothing):
    """Cross-entropy with a distribution for every row: -sum_c w_c t_c log p_c."""
    if target.array.shape != input.array.shape:
        raise RuntimeError(
            "cross_entropy: with probabilities as target, input and target must have the same "
            f"shape, got {tuple(input.array.shape)} and {tuple(target.array.shape)}; classes must be "
            "int64"
        )
    dim = 1 if input.array.ndim > 1 else 0
    classes = input.array.shape[dim]
    if smoothing:
        target = add_arrays(mul(target, 1 - smoothing), smoothing / classes)
    log_p = log_softmax(input, dim)
    if weight is not None:
        spread = reshape(weight, [classes if d == dim else 1 for d in range(input.array.ndim)])
        log_p = mul(log_p, spread)
    losses = -reduce_sum(mul(log_p, target), dim=(dim,))
    if reduction == "mean":
        return sum(losses) / max(losses.array.size, 1)
    return _reduce(losses, reduction)


@runs_under_autocast
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average=None,
    ignore_index: int = -100,
    reduce: str | bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-weight[t] input[t]: the loss for log-probabilities (N, C) and classes (N)."""
    reduction = _reduction("nll_loss", reduction, size_average, reduce)
    _check_class_weight("nll_loss", input, weight)
    rows, classes, shape = _classes_last("nll_loss", input, target)
    _check_class_target("nll_loss", target)
    check_labels("nll_loss", target.array, rows.array.shape[1], ignore_index)
    xp = array_module(rows.array)
    dtype = rows.array.dtype
    live = classes != ignore_index
    safe = xp.where(live, classes, 0)
    scale = xp.ones(len(classes), dtype) if weight is None else weight.array[safe].astype(dtype)
    scale = xp.where(live, scale, xp.zeros((), dtype))
    picked = take_along(rows, index=safe[:, None], dim=1)
    losses = nll_rows(picked, scale=scale)
    if reduction == "none":
        return reshape(losses, shape)
    return nll_total(losses, divide_by=scale.sum() if reduction == "mean" else dtype.type(1))


@primitive(name="NllLoss")
def nll_rows(xp, x, *, scale):
    """-scale x, for a column x."""
    return -scale * x[:, 0]


@primitive(name="NllLossBackward")
def nll_rows_back(xp, g, *, scale):
    """The transpose of `nll_rows`."""
    return (-scale * g)[:, None]


@primitive(name="NllLoss")
def nll_total(xp, x, *, divide_by):
    """sum x / divide_by."""
    return x.sum() / divide_by


nll_rows.vjp(x=lambda g, scale: nll_rows_back(g, scale=scale))
nll_rows_back.vjp(g=lambda gg, scale: nll_rows(gg, scale=scale))
nll_total.vjp(x=lambda g, x_shape, divide_by: expand_to(g / float(divide_by), shape=x_shape))
nll_rows.samples(lambda rand: [(rand(3, 1), {"scale": rand(3)})])
nll_rows_back.samples(lambda rand: [(rand(3), {"scale": rand(3)})])
nll_total.samples(lambda rand: [(rand(3), {"divide_by": 2.0})])


def _same_size(name, input, target):
    if input.array.shape != target.array.shape:
        raise ValueError(
            f"{name}: Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}) is deprecated. Please ensure they have the same size."
        )


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average=None,
    reduce: str | bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-(t log p + (1 - t) log(1 - p)) for probabilities p; logarithms are held above -100."""
    reduction = _reduction("binary_cross_entropy", reduction, size_average, reduce)
    _same_size("binary_cross_entropy", input, target)
    if readable(input.array) and not ((input.array >= 0) & (input.array <= 1)).all():
        raise RuntimeError("binary_cross_entropy: all elements of input should be between 0 and 1")
    losses = bernoulli_nll(input, target)
    return _reduce(losses if weight is None else mul(losses, weight), reduction)


@primitive(name="BinaryCrossEntropy")
def bernoulli_nll(xp, p, t):
    """-(t log p + (1 - t) log(1 - p)); dp = (p - t) / (p (1 - p))."""
    return -(t * xp.maximum(xp.log(p), -100) + (1 - t) * xp.maximum(xp.log1p(-p), -100))


bernoulli_nll.vjp(
    p=lambda g, p, t: g * (p - t) / clamp_min(p * (1 - p), 1e-12),
    t=lambda g, p: g * (clamp_min(log(1 - p), -100.0) - clamp_min(log(p), -100.0)),
)
bernoulli_nll.samples(lambda rand: [(rand(3, 4, low=0.1, high=0.9), rand(3, 4, low=0.1, high=0.9))])


@runs_under_autocast
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average=None,
    reduce: str | bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Binary cross-entropy of sigmoid(input): (1 - t) x + (1 + (w - 1) t) log(1 + e^-x).

    pos_weight w multiplies the loss of positive targets.
    """
    reduction = _reduction("binary_cross_entropy_with_logits", reduction, size_average, reduce)
    if target.array.shape != input.array.shape:
        raise ValueError(
            "binary_cross_entropy_with_logits: Target size "
            f"({target.shape}) must be the same as input size ({input.shape})"
        )
    if pos_weight is None:
        losses = logistic_nll(input, target)
    else:
        scale = add_arrays(mul(sub_arrays(pos_weight, 1), target), 1)
        losses = sub_arrays(mul(sub_arrays(1, target), input), mul(scale, log_of_sigmoid(input)))
    return _reduce(losses if weight is None else mul(losses, weight), reduction)


@primitive(name="BinaryCrossEntropyWithLogits", cast="promote")
def logistic_nll(xp, x, t):
    """max(x, 0) - x t + log(1 + e^-|x|); dx = sigmoid(x) - t."""
    return xp.maximum(x, 0) - x * t + xp.log1p(xp.exp(-xp.abs(x)))


logistic_nll.vjp(x=lambda g, x, t: g * (exp(log_of_sigmoid(x)) - t), t=lambda g, x: -g * x)
logistic_nll.samples(lambda rand: [(rand(3, 4), rand(3, 4, low=0.1, high=0.9))])


# -- regression ------------------------------------------------------------------------------------


def _pair(name, input, target):
    """Input and target broadcast to one shape, with torch's warning where they differ."""
    if input.array.shape != target.array.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
            stacklevel=3,
        )
        return broadcast_tensors(input, target)
    return input, target


def _weighted(losses, weight, reduction):
    """Losses times weights; "mean" then divides by the sum of the weights."""
    if weight is None:
        return _reduce(losses, reduction)
    losses = mul(losses, weight)
    if reduction == "mean":
        return sum(losses) / sum(expand(weight, losses.shape))
    return _reduce(losses, reduction)


@primitive(name="MseLoss", cast="promote")
def squared_error(xp, x, t):
    """(x - t)^2; dx = 2 (x - t)."""
    d = x - t
    return d * d


squared_error.vjp(x=lambda g, x, t: g * (2 * (x - t)), t=lambda g, x, t: g * (2 * (t - x)))
squared_error.samples(lambda rand: [(rand(3, 4), rand(3, 4)), (rand(), rand())])


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average=None,
    reduce: str | bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)^2."""
    reduction = _reduction("mse_loss", reduction, size_average, reduce)
    input, target = _pair("mse_loss", input, target)
    return _weighted(squared_error(input, target), weight, reduction)


@runs_under_autocast
def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average=None,
    reduce: str | bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|input - target|."""
    reduction = _reduction("l1_loss", reduction, size_average, reduce)
    input, target = _pair("l1_loss", input, target)
    return _weighted(absolute(sub_arrays(input, target)), weight, reduction)


@runs_under_autocast
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average=None,
    reduce: str | bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """d^2 / (2 beta) where |d| < beta, else |d| - beta / 2, for d = input - target."""
    reduction = _reduction("smooth_l1_loss", reduction, size_average, reduce)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    input, target = _pair("smooth_l1_loss", input, target)
    size = absolute(sub_arrays(input, target))
    if beta == 0:
        return _reduce(size, reduction)
    near = size.array < beta
    return _reduce(choose(near, square(size) * (0.5 / beta), size - 0.5 * beta), reduction)


@runs_under_autocast
def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2).  Huber 1964."""
    reduction = _reduction("huber_loss", reduction)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    input, target = _pair("huber_loss", input, target)
    size = absolute(sub_arrays(input, target))
    near = size.array <= delta
    losses = choose(near, square(size) * 0.5, (size - 0.5 * delta) * delta)
    return _weighted(losses, weight, reduction)


@runs_under_autocast
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average=None,
    eps: float = 1e-8,
    reduce: str | bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative Poisson log-likelihood, e^x - t x for log-rates x; full adds Stirling's term for t!."""
    reduction = _reduction("poisson_nll_loss", reduction, size_average, reduce)
    losses = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        stirling = target * log(target) - target + 0.5 * log(2 * math.pi * target)
        losses = losses + choose(target.array > 1, stirling, 0)
    return _reduce(losses, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """(log var + (input - target)^2 / var) / 2, var held above eps; full adds log(2 pi) / 2."""
    reduction = _reduction("gaussian_nll_loss", reduction)
    if not isinstance(var, Variable):
        var = wrap(input.array * 0 + var)
    if (var.array < 0).any():
        raise ValueError("gaussian_nll_loss: var has negative entry/entries")
    if var.array.shape != input.array.shape:
        if input.array.shape[:-1] == var.array.shape:
            var = unsqueeze(var, -1)
        elif input.array.shape[:-1] != var.array.shape[:-1] or var.array.shape[-1:] != (1,):
            raise ValueError(
                f"gaussian_nll_loss: var is of incorrect size: {tuple(var.array.shape)} for input "
                f"{tuple(input.array.shape)}"
            )
    held = var + wrap(clamp(var.detach(), min=eps).array - var.array)  # the gradient passes through
    losses = 0.5 * (log(held) + square(input - target) / held)
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return _reduce(losses, reduction)


@runs_under_autocast
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average=None,
    reduce: str | bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """t (log t - input) for log-probabilities `input`; "batchmean" is the divergence proper."""
    if reduction == "batchmean":
        total = kl_div(input, target, reduction="sum", log_target=log_target)
        return total / input.array.shape[0] if input.array.ndim else total
    reduction = _reduction("kl_div", reduction, size_average, reduce)
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math definition."
            "'mean' will be changed to behave the same as 'batchmean' in the next major release.",
            stacklevel=2,
        )
    if log_target:
        return _reduce(exp(target) * (target - input), reduction)
    return _reduce(xlogy(target, target) - target * input, reduction)


# -- similarity and ranking ------------------------------------------------------------------------


@runs_under_autocast
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along dim."""
    x1, x2 = broadcast_tensors(x1, x2)
    axis = dim % x1.array.ndim
    norms = [clamp_min(euclidean_norm(x, dim=(axis,), keepdim=True), eps) for x in (x1, x2)]
    return reduce_sum((x1 / norms[0]) * (x2 / norms[1]), dim=(axis,))


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last dimension."""
    return vector_norm(sub_arrays(x1, x2) + eps, p, -1, keepdim)


@runs_under_autocast
def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    size_average=None,
    reduce: str | bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos where target is 1, max(0, cos - margin) where it is -1."""
    reduction = _reduction("cosine_embedding_loss", reduction, size_average, reduce)
    if input1.array.shape != input2.array.shape:
        raise RuntimeError(
            f"cosine_embedding_loss: inputs of shapes {tuple(input1.array.shape)} and "
            f"{tuple(input2.array.shape)} must have the same shape"
        )
    dim = 0 if target.array.ndim == 0 else 1
    product = reduce_sum(input1 * input2, dim=(dim,))
    squares = [reduce_sum(square(x), dim=(dim,)) + 1e-12 for x in (input1, input2)]
    cosine = product / (squares[0] * squares[1]) ** 0.5
    losses = choose(
        target.array == 1, 1 - cosine, choose(target.array == -1, relu(cosine - margin), 0)
    )
    return _reduce(losses, reduction)


@runs_under_autocast
def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    size_average=None,
    reduce: str | bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -target (input1 - input2) + margin)."""
    reduction = _reduction("margin_ranking_loss", reduction, size_average, reduce)
    if not input1.array.ndim == input2.array.ndim == target.array.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return _reduce(clamp_min(-target * (input1 - input2) + margin, 0), reduction)


@runs_under_autocast
def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average=None,
    reduce: str | bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """input where target is 1, max(0, margin - input) where it is -1."""
    reduction = _reduction("hinge_embedding_loss", reduction, size_average, reduce)
    wanted = target.array
    losses = choose(wanted != 1, relu(margin - input), 0) + choose(wanted != -1, input, 0)
    return _reduce(losses, reduction)


@runs_under_autocast
def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average=None,
    reduce: str | bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + e^(-target input))."""
    reduction = _reduction("soft_margin_loss", reduction, size_average, reduce)
    return _reduce(-log_of_sigmoid(target * input), reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average=None,
    reduce: str | bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over classes of the binary cross-entropy with logits."""
    reduction = _reduction("multilabel_soft_margin_loss", reduction, size_average, reduce)
    losses = logistic_nll(input, target)
    if weight is not None:
        losses = losses * weight
    classes = input.array.shape[-1]
    return _reduce(reduce_sum(losses, dim=(losses.array.ndim - 1,)) / classes, reduction)


@runs_under_autocast
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: float = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average=None,
    reduce: str | bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """sum_{j != y} max(0, margin - x_y + x_j)^p / C."""
    reduction = _reduction("multi_margin_loss", reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("multi_margin_loss: only p == 1 and p == 2 supported")
    single = input.array.ndim == 1
    x = reshape(input, (1, -1)) if single else input
    y = target.array.reshape(-1)
    classes = x.array.shape[1]
    check_labels("multi_margin_loss", y, classes, None)
    own = take_along(x, index=y[:, None], dim=1)
    xp = array_module(y)
    others = xp.arange(classes) != y[:, None]
    gaps = choose(others, relu(margin - own + x), 0)
    gaps = gaps if p == 1 else square(gaps)
    if weight is not None:
        gaps = gaps * unsqueeze(wrap(weight.array[y]), 1)
    losses = reduce_sum(gaps, dim=(1,)) / classes
    return _reduce(reshape(losses, ()) if single else losses, reduction)


@runs_under_autocast
def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average=None,
    reduce: str | bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """sum over labels y and other classes i of max(0, 1 - (x_y - x_i)) / C; -1 ends the labels."""
    reduction = _reduction("multilabel_margin_loss", reduction, size_average, reduce)
    single = input.array.ndim == 1
    x = reshape(input, (1, -1)) if single else input
    y = target.array.reshape(x.array.shape)
    xp = array_module(y)
    classes = x.array.shape[1]
    live = xp.cumsum(y < 0, 1) == 0
    check_labels("multilabel_margin_loss", xp.where(live, y, 0), classes, None)
    is_label = xp.zeros(y.shape, bool)
    rows, columns = xp.nonzero(live)
    is_label[rows, y[rows, columns]] = True
    own = gather_along(x, index=xp.where(live, y, 0), dim=1)
    gaps = relu(1 - (unsqueeze(own, 2) - unsqueeze(x, 1)))
    counted = live[:, :, None] & ~is_label[:, None, :]
    losses = reduce_sum(choose(counted, gaps, 0), dim=(1, 2)) / classes
    return _reduce(reshape(losses, ()) if single else losses, reduction)


@runs_under_autocast
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average=None,
    reduce: str | bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, |anchor - positive| - |anchor - negative| + margin).

    swap: the negative's distance is the smaller of those to the anchor and to the positive.
    """
    reduction = _reduction("triplet_margin_loss", reduction, size_average, reduce)
    if margin <= 0:
        raise ValueError(f"triplet_margin_loss: margin must be greater than 0, got {margin}")
    return triplet_margin_with_distance_loss(
        anchor, positive, negative,
        distance_function=lambda a, b: pairwise_distance(a, b, p, eps), margin=margin, swap=swap,
        reduction=reduction,
    )  # fmt: skip


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function=None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """The triplet loss with a distance of the caller's."""
    reduction = _reduction("triplet_margin_with_distance_loss", reduction)
    distance = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        other = distance(positive, negative)
        far = choose(far.array <= other.array, far, other)
    return _reduce(clamp_min(near - far + margin, 0), reduction)


# -- CTC -------------------------------------------------------------------------------------------


IMPOSSIBLE = -1e30  # the logarithm of 0, kept finite so that differences of two of them are not NaN


@primitive(name="CtcLoss")
def ctc_rows(xp, log_probs, *, targets, input_lengths, target_lengths, blank):
    """-log P(target | input) per example, by the forward recursion.  Graves et al. 2006, eq. 6-8.

    log_probs (T, N, C), targets (N, S).
    """
    total = _ctc_forward(log_probs, targets, input_lengths, target_lengths, blank)[1]
    return xp.where(total < IMPOSSIBLE / 2, math.inf, -total).astype(log_probs.dtype)


def _ctc_labels(targets, target_lengths, blank):
    """Labels with blanks between and around them (N, 2 S + 1); where a label may be skipped to; which
    places belong to the target; where a path may end."""
    xp = array_module(targets)
    batch, longest = targets.shape
    labels = xp.full((batch, 2 * longest + 1), blank, targets.dtype)
    labels[:, 1::2] = targets
    skip = xp.zeros(labels.shape, bool)
    skip[:, 3::2] = targets[:, 1:] != targets[:, :-1]
    place = xp.arange(labels.shape[1])
    end = (2 * target_lengths)[:, None]
    return labels, skip, place <= end, (place == end) | (place == end - 1)


def _shift(x, by):
    """x moved by some places along its last dimension, `IMPOSSIBLE` coming in."""
    widths = ((0, 0), (max(by, 0), max(-by, 0)))
    moved = pad_constant(x, widths=widths, value=IMPOSSIBLE)
    return crop(moved, widths=(widths[0], widths[1][::-1]))


def _ctc_forward(log_probs, targets, input_lengths, target_lengths, blank):
    """(alpha_t (N, 2 S + 1) for every time t, log-likelihoods (N)), in ops.

    alpha_t(s) sums the paths that stand at label s at time t: they stood there before, or one label
    earlier, or two where the label between is a blank between different labels.
    """
    labels, skip, inside, ending = _ctc_labels(targets, target_lengths, blank)
    lattice = []
    xp = array_module(labels)
    dtype = getattr(log_probs, "array", log_probs).dtype
    last = xp.full(labels.shape, IMPOSSIBLE, dtype)
    for time in range(log_probs.shape[0]):
        emit = gather_along(select_at(log_probs, dim=0, index=time), index=labels, dim=1)
        if time == 0:
            alpha = choose(inside & (xp.arange(labels.shape[1]) < 2), emit, IMPOSSIBLE)
        else:
            before = lattice[-1]
            arriving = logaddexp(before, _shift(before, 1))
            arriving = logaddexp(arriving, choose(skip, _shift(before, 2), IMPOSSIBLE))
            alpha = choose(inside, arriving + emit, IMPOSSIBLE)
        lattice.append(alpha)
        last = choose((input_lengths - 1 == time)[:, None], alpha, last)
    total = reduce_logsumexp(choose(ending, last, IMPOSSIBLE), dim=(1,))
    no_frames = (input_lengths == 0) & (target_lengths == 0)
    return lattice, choose(no_frames, 0.0, total)


def _ctc_gradient(log_probs, targets, input_lengths, target_lengths, blank):
    """d(-log P) / d(log_probs): minus the probability of each label at each time, given the target.

    With beta, the same recursion from the end: alpha_t(s) beta_t(s) / P sums the paths through label s
    at time t. Written in ops, so that it can be differentiated again.
    """
    labels, skip, inside, ending = _ctc_labels(targets, target_lengths, blank)
    lattice, total = _ctc_forward(log_probs, targets, input_lengths, target_lengths, blank)
    steps, batch, classes = log_probs.shape
    total = restore(total, shape=(batch, 1))
    possible = getattr(total, "array", total) > IMPOSSIBLE / 2
    skip_out = _shift(skip.astype("float64"), -2) > 0
    xp = array_module(labels)
    dtype = getattr(log_probs, "array", log_probs).dtype
    onward = xp.where(ending, 0.0, IMPOSSIBLE).astype(dtype)
    rows = []
    for time in reversed(range(steps)):
        leaving = logaddexp(onward, _shift(onward, -1))
        leaving = logaddexp(leaving, choose(skip_out, _shift(onward, -2), IMPOSSIBLE))
        is_last = (input_lengths - 1 == time)[:, None]
        running = (time < input_lengths - 1)[:, None]
        beta = choose(is_last & ending, 0.0, choose(running & inside, leaving, IMPOSSIBLE))
        share = choose(possible, exp(lattice[time] + beta - total), 0)
        row = scatter_add_along(-share, index=labels, dim=1, shape=(batch, classes))
        rows.append(restore(row, shape=(1, batch, classes)))
        emit = gather_along(select_at(log_probs, dim=0, index=time), index=labels, dim=1)
        onward = beta + emit
    return join_along(*reversed(rows), dim=0) if rows else 0 * log_probs


ctc_rows.vjp(
    log_probs=lambda g, log_probs, targets, input_lengths, target_lengths, blank: (
        restore(g, shape=(1, targets.shape[0], 1))
        * _ctc_gradient(log_probs, targets, input_lengths, target_lengths, blank)
    )
)
ctc_rows.samples(
    lambda rand: [
        (
            rand(5, 2, 3, low=-3, high=-0.5),
            {
                "targets": rand.ints(2, 2, 2) + 1, "input_lengths": rand.ints(1, 2) + [5, 4],
                "target_lengths": rand.ints(1, 2) + [2, 1], "blank": 0,
            },
        )
    ]
)  # fmt: skip


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths,
    target_lengths,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the probability that the frames spell the target, over all alignments with blanks.

    log_probs (T, N, C) or (T, C); targets (N, S), or all of them end to end in one vector; lengths
    (N) as tensors or tuples. "mean" divides each loss by its target's length. zero_infinity: targets
    that cannot be aligned count as 0. Graves et al. 2006.
    """
    reduction = _reduction("ctc_loss", reduction)
    single = log_probs.array.ndim == 2
    if single:
        log_probs = unsqueeze(log_probs, 1)
    xp = array_module(log_probs.array)
    steps, batch, classes = log_probs.array.shape
    lengths = []
    for name, given in (("input_lengths", input_lengths), ("target_lengths", target_lengths)):
        array = xp.asarray(given.array if isinstance(given, Variable) else given).reshape(-1)
        if array.shape != (batch,):
            raise RuntimeError(
                f"ctc_loss: {name} must be of size batch_size {batch}, got {array.size}"
            )
        lengths.append(array.astype("int64"))
    frames, sizes = lengths
    if (frames > steps).any():
        raise RuntimeError(
            f"ctc_loss: Expected input_lengths to have value at most {steps}, but got {int(frames.max())}"
        )
    given = targets.array
    if not 0 <= blank < classes:
        raise RuntimeError(
            f"ctc_loss: blank must be in label range 0 to {classes - 1}, got {blank}"
        )
    longest = int(sizes.max()) if batch else 0
    table = xp.full((batch, longest), blank, "int64")
    if given.ndim == 1 and not single:
        starts = xp.cumsum(sizes) - sizes
        if int(sizes.sum()) != given.size:
            raise RuntimeError(
                f"ctc_loss: target_lengths sum to {int(sizes.sum())}, but there are {given.size} targets"
            )
    for row in range(batch):
        n = int(sizes[row])
        if single:
            table[row, :n] = given.reshape(-1)[:n]
        elif given.ndim == 1:
            table[row, :n] = given[int(starts[row]) : int(starts[row]) + n]
        else:
            if n > given.shape[1]:
                raise RuntimeError(
                    f"ctc_loss: target_lengths[{row}] is {n}, but targets have {given.shape[1]} columns"
                )
            table[row, :n] = given[row, :n]
    check_labels("ctc_loss", table, classes, None)
    losses = ctc_rows(
        log_probs, targets=table, input_lengths=frames, target_lengths=sizes, blank=blank
    )
    if zero_infinity:
        losses = choose(losses.array == math.inf, 0, losses)
    if reduction == "mean":
        scale = xp.maximum(sizes, 1).astype(log_probs.array.dtype)
        return mean(losses / wrap(scale))
    losses = reshape(losses, ()) if single else losses
    return _reduce(losses, reduction)
