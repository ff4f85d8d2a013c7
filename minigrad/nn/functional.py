"""torch.nn.functional: the layers as functions, without parameters of their own."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

from ..autocasting import applies, runs_under_autocast
from ..backend import array_module
from ..op import wrap
from ..ops.activation import (
    clip_between,
    cut_small,
    exponential_linear,
    gelu_exact,
    gelu_tanh,
    hard_sigmoid,
    hard_swish,
    keep_above,
    leaky,
    log_of_sigmoid,
    mish_of,
    prelu,
    shrink,
    soft_plus,
    swish,
)
from ..ops.activation import log_softmax as _log_softmax
from ..ops.activation import relu as _relu
from ..ops.activation import softmax as _softmax
from ..ops.attention import attend, scaled_dot_product_attention
from ..ops.conv import conv1d, conv1d_relu_max, conv2d, conv_transpose1d
from ..ops.creation import zeros
from ..ops.elementwise import add_arrays, choose, clamp_min, mul
from ..ops.elementwise import tanh as _tanh
from ..ops.embedding import embedding, embedding_bag
from ..ops.index import scatter
from ..ops.linalg import affine, multiply_matrices, times_transposed, vector_norm
from ..ops.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cosine_embedding_loss,
    cosine_similarity,
    cross_entropy,
    ctc_loss,
    gaussian_nll_loss,
    hinge_embedding_loss,
    huber_loss,
    kl_div,
    l1_loss,
    linear_cross_entropy,
    margin_ranking_loss,
    mse_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    nll_loss,
    pairwise_distance,
    poisson_nll_loss,
    smooth_l1_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from ..ops.norm import normalise, normalise_channels, standardise
from ..ops.pad import pad
from ..ops.pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_max_pool1d,
    avg_pool1d,
    avg_pool2d,
    lp_pool1d,
    max_pool1d,
    max_pool2d,
)
from ..ops.random import draw_seed, drop, keep_mask
from ..ops.shape import cat, chunk, expand, reshape, transpose, unsqueeze
from ..ops.special import sigmoid as _sigmoid

if TYPE_CHECKING:
    from ..dtypes import dtype
    from ..tensor import Tensor

# -- linear ------------------------------------------------------------------------------------


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b: input (*, in), weight (out, in) or (in), bias (out) -> (*, out) or (*)."""
    x_shape, w_shape = input.array.shape, weight.array.shape
    if len(w_shape) not in (1, 2):
        raise RuntimeError(f"linear: weight must be (out, in) or (in), got {tuple(w_shape)}")
    if not x_shape or x_shape[-1] != w_shape[-1]:
        raise RuntimeError(
            f"linear: expected {w_shape[-1]} input features, got x of shape {tuple(x_shape)} (mat1 "
            f"and mat2 shapes cannot be multiplied: weight has shape {tuple(w_shape)})"
        )
    if input.array.dtype != weight.array.dtype and not applies("affine", input.array):
        raise RuntimeError(
            f"linear: mat1 and mat2 must have the same dtype, but got {input.dtype} and {weight.dtype}"
        )
    if (
        bias is not None
        and len(x_shape) > 1
        and bias.array.shape == w_shape[:1]
        and bias.array.dtype == weight.array.dtype
    ):
        return affine(input, weight, bias)
    if len(w_shape) == 1:
        out = input @ weight
    elif len(x_shape) == 1:
        out = reshape(times_transposed(reshape(input, (1, -1)), weight), (w_shape[0],))
    else:
        out = times_transposed(input, weight)
    return out if bias is None else add_arrays(out, bias)


@runs_under_autocast
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """out_o = x1^T W_o x2 + b_o: input1 (*, m), input2 (*, n), weight (o, m, n) -> (*, o)."""
    m, n = weight.array.shape[1:]
    a, b = input1.array.shape, input2.array.shape
    if a[-1:] != (m,) or b[-1:] != (n,) or a[:-1] != b[:-1]:
        raise RuntimeError(
            f"bilinear: expected inputs (*, {m}) and (*, {n}) with equal batch sizes, got {tuple(a)} "
            f"and {tuple(b)}"
        )
    rows = multiply_matrices(reshape(input1, (1, -1, m)), weight)  # (o, batch, n)
    out = (rows * reshape(input2, (1, -1, n))).sum(-1)
    out = reshape(transpose(out, 0, 1), (*a[:-1], weight.array.shape[0]))
    return out if bias is None else out + bias


# -- activations -----------------------------------------------------------------------------------


def _replace(input, result, inplace, name):
    """The result, written over the input where that was asked for."""
    return input._assign(result, name) if inplace else result


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0)."""
    return _replace(input, _relu(input), inplace, "relu_")


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """x held between 0 and 6."""
    return hardtanh(input, 0.0, 6.0, inplace)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """x held between min_val and max_val."""
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val {min_val} cannot be greater than max_val {max_val}")
    return _replace(input, clip_between(input, low=min_val, high=max_val), inplace, "hardtanh_")


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope * x."""
    return _replace(input, leaky(input, slope=negative_slope), inplace, "leaky_relu_")


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha (e^x - 1).  Clevert et al. 2016."""
    return _replace(input, exponential_linear(input, alpha=alpha), inplace, "elu_")


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """max(0, x) + min(0, alpha (e^(x / alpha) - 1)).  Barron 2017."""
    if alpha == 0:
        raise ZeroDivisionError("celu: alpha cannot be 0 for CELU")
    out = exponential_linear(input, alpha=alpha, input_scale=1 / alpha)
    return _replace(input, out, inplace, "celu_")


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """scale elu(x, alpha), with the constants that keep mean 0 and variance 1.  Klambauer et al. 2017."""
    out = exponential_linear(
        input, alpha=1.6732632423543772848170429916717, scale=1.0507009873554804934193349852946
    )
    return _replace(input, out, inplace, "selu_")


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x Phi(x), or GPT-2's tanh approximation of it.  Hendrycks & Gimpel 2016."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError("gelu: approximate argument must be either none or tanh.")
    return gelu_tanh(input) if approximate == "tanh" else gelu_exact(input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x sigmoid(x).  Elfwing et al. 2017."""
    return _replace(input, swish(input), inplace, "silu_")


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(softplus(x)).  Misra 2019."""
    return _replace(input, mish_of(input), inplace, "mish_")


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + e^-x)."""
    return _sigmoid(input)


def tanh(input: Tensor) -> Tensor:
    """(e^x - e^-x) / (e^x + e^-x)."""
    return _tanh(input)


def logsigmoid(input: Tensor) -> Tensor:
    """log(1 / (1 + e^-x)), without overflow."""
    return log_of_sigmoid(input)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + e^(beta x)) / beta; x itself where beta x > threshold."""
    return soft_plus(input, beta=beta, threshold=threshold)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return input / (input.abs() + 1)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)."""
    return input - _tanh(input)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved towards 0 by lambd, 0 within lambd of it."""
    if lambd < 0:
        raise RuntimeError(
            f"softshrink: lambda must be greater or equal to 0, but found to be {lambd}."
        )
    return shrink(input, lambd=lambd)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, else 0."""
    return cut_small(input, lambd=lambd)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """(x + 3) / 6 held between 0 and 1."""
    return _replace(input, hard_sigmoid(input), inplace, "hardsigmoid_")


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x hardsigmoid(x).  Howard et al. 2019."""
    return _replace(input, hard_swish(input), inplace, "hardswish_")


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, else value."""
    return _replace(
        input, keep_above(input, threshold=threshold, value=value), inplace, "threshold_"
    )


def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """Leaky ReLU with a slope drawn from [lower, upper] for each number; their mean in evaluation."""
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    slopes = input.detach().clone().uniform_(lower, upper)
    out = choose(input.array > 0, input, input * slopes)
    return _replace(input, out, inplace, "rrelu_")


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a sigmoid(b), a and b the halves along dim.  Dauphin et al. 2017."""
    size = input.array.shape[dim] if input.array.ndim else 0
    if input.array.ndim == 0 or size % 2:
        raise RuntimeError(
            f"glu: Halving dimension must be even, but dimension {dim} is size {size}"
        )
    a, b = chunk(input, 2, dim)
    return a * _sigmoid(b)


def _softmax_dim(name, ndim, stacklevel):
    """torch's guess where no dim is given, and its warning."""
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include "
        "dim=X as an argument.",
        stacklevel=stacklevel + 1,
    )
    return 0 if ndim in (0, 1, 3) else 1


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel=3, dtype: dtype | None = None
) -> Tensor:
    """e^x_i / sum_j e^x_j along dim."""
    dim = _softmax_dim("softmax", input.array.ndim, _stacklevel) if dim is None else dim
    return _softmax(input, dim, dtype)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel=3, dtype: dtype | None = None
) -> Tensor:
    """softmax(-x)."""
    dim = _softmax_dim("softmin", input.array.ndim, _stacklevel) if dim is None else dim
    return _softmax(-input, dim, dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel=3, dtype: dtype | None = None
) -> Tensor:
    """log softmax(x), without overflow."""
    dim = _softmax_dim("log_softmax", input.array.ndim, _stacklevel) if dim is None else dim
    return _log_softmax(input, dim, dtype)


def gumbel_softmax(
    logits: Tensor, tau: float = 1.0, hard=False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """softmax((logits + Gumbel noise) / tau): a differentiable draw of a class.  Jang et al. 2017.

    hard: one-hot in the forward pass, the soft gradient in the backward one.
    """
    noise = -logits.detach().clone().exponential_().log()
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    index = soft.max(dim, keepdim=True).indices
    one = scatter(soft.detach() * 0, dim, index, value=1.0)
    return one - soft.detach() + soft


def one_hot(tensor, num_classes: int = -1) -> Tensor:
    """int64 zeros with a 1 at each class: (*) -> (*, num_classes)."""
    classes = tensor.array
    if classes.dtype != "int64":
        raise RuntimeError(
            f"one_hot is only applicable to index tensor of type LongTensor, got {tensor.dtype}"
        )
    if classes.size and classes.min() < 0:
        raise RuntimeError("one_hot: Class values must be non-negative.")
    if num_classes == -1:
        if classes.size == 0:
            raise RuntimeError("one_hot: Can not infer total number of classes from empty tensor.")
        num_classes = int(classes.max()) + 1
    elif classes.size and classes.max() >= num_classes:
        raise RuntimeError(
            f"one_hot: Class values must be smaller than num_classes: {int(classes.max())} >= "
            f"{num_classes}"
        )
    xp = array_module(classes)
    return wrap((classes[..., None] == xp.arange(num_classes)).astype("int64"))


# -- dropout ---------------------------------------------------------------------------------------


def _check_p(name, p):
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{name}: dropout probability has to be between 0 and 1, but got {p}")


def _drop(input, p, mask_shape):
    if mask_shape == input.array.shape:
        return drop(input, p=p, seed=draw_seed(input.array))
    keep = keep_mask(input.array, mask_shape, p)
    if p < 1:
        keep *= keep.dtype.type(1 / (1 - p))
    return mul(input, wrap(keep))


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeros with probability p, the rest divided by 1 - p; the input itself in evaluation.

    Srivastava et al. 2014. The masks come from the default generator, but are not torch's.
    """
    _check_p("dropout", p)
    out = _drop(input, p, input.array.shape) if training and p > 0 else input
    return _replace(input, out, inplace and training, "dropout_")


def _channel_shape(name, input):
    ndim = input.array.ndim
    if ndim not in (2, 3):
        raise RuntimeError(f"{name}: Expected 2D or 3D input, but received a {ndim}D input")
    return (*input.array.shape[:-1], 1)


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Whole channels (B, C, L) or (C, L) set to zero with probability p."""
    _check_p("dropout1d", p)
    shape = _channel_shape("dropout1d", input)
    out = _drop(input, p, shape) if training and p > 0 else input
    return _replace(input, out, inplace and training, "dropout1d_")


def _alpha_drop(input, p, mask_shape):
    """Dropped numbers become SELU's negative limit; a x + b then restores mean 0 and variance 1."""
    limit = -1.7580993408473766
    a = (1 / math.sqrt((1 - p) * (1 + p * limit * limit))) if p < 1 else 0.0
    keep = keep_mask(input.array, mask_shape, p)
    shift = (1 - keep) * (limit * a) - a * p * limit
    return add_arrays(mul(input, wrap(keep * input.array.dtype.type(a))), wrap(shift))


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Dropout that keeps the mean and variance of SELU networks.  Klambauer et al. 2017."""
    _check_p("alpha_dropout", p)
    out = _alpha_drop(input, p, input.array.shape) if training and p > 0 else input
    return _replace(input, out, inplace and training, "alpha_dropout_")


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Alpha dropout of whole channels (dimension 1)."""
    _check_p("feature_alpha_dropout", p)
    shape = (*input.array.shape[:2], *[1] * (input.array.ndim - 2))
    out = _alpha_drop(input, p, shape) if training and p > 0 else input
    return _replace(input, out, inplace and training, "feature_alpha_dropout_")


# -- normalisation ---------------------------------------------------------------------------------


def _scale_and_shift(out, weight, bias):
    out = out if weight is None else mul(out, weight)
    return out if bias is None else add_arrays(out, bias)


def _last_dims(name, input, normalized_shape, weight, bias=None):
    wanted = tuple(normalized_shape)
    if not wanted or input.array.shape[-len(wanted) :] != wanted:
        raise RuntimeError(
            f"{name}: Given normalized_shape={list(wanted)}, expected input with shape "
            f"[*, {', '.join(map(str, wanted))}], but got input of size {list(input.array.shape)}"
        )
    for what, x in (("weight", weight), ("bias", bias)):
        if x is not None and x.array.shape != wanted:
            raise RuntimeError(
                f"{name}: Expected {what} to be of same shape as normalized_shape, but got {what} of "
                f"shape {list(x.array.shape)} and normalized_shape = {list(wanted)}"
            )
    ndim = input.array.ndim
    return tuple(range(ndim - len(wanted), ndim))


def layer_norm(
    input: Tensor,
    normalized_shape,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) over the last dimensions, times weight plus bias.  Ba et al. 2016."""
    dim = _last_dims("layer_norm", input, normalized_shape, weight, bias)
    weight, bias = (0 if x is None else x for x in (weight, bias))
    return normalise(input, weight, bias, ndim=len(dim), eps=eps)


def rms_norm(
    input: Tensor, normalized_shape, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """x / sqrt(mean(x^2) + eps) over the last dimensions, times weight.  Zhang & Sennrich 2019."""
    dim = _last_dims("rms_norm", input, normalized_shape, weight)
    if eps is None:
        eps = float(array_module(input.array).finfo(input.array.dtype).eps)
    weight = 0 if weight is None else weight
    return normalise(input, weight, 0, ndim=len(dim), eps=eps, centred=False)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Layer norm over each group of channels (dimension 1) and all places.  Wu & He 2018."""
    shape = input.array.shape
    if len(shape) < 2 or shape[1] % num_groups:
        raise RuntimeError(
            "group_norm: Expected number of channels in input to be divisible by num_groups, but got "
            f"input of shape {list(shape)} and num_groups={num_groups}"
        )
    grouped = reshape(input, (shape[0], num_groups, math.prod(shape[1:]) // num_groups))
    out = normalise(grouped, 0, 0, ndim=1, eps=eps)
    per_channel = (1, -1, *[1] * (len(shape) - 2))
    return _scale_and_shift(
        reshape(out, shape),
        None if weight is None else reshape(weight, per_channel),
        None if bias is None else reshape(bias, per_channel),
    )


def batch_norm(
    input: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) for each channel (dimension 1).  Ioffe & Szegedy 2015.

    In training, mean and variance are the batch's, and the running ones move towards them by
    `momentum` (the variance with n - 1); otherwise the running ones are used.
    """
    shape = input.array.shape
    if len(shape) < 2:
        raise ValueError(f"batch_norm: expected at least 2D input, got shape {tuple(shape)}")
    for what, x in (("weight", weight), ("bias", bias), ("running_mean", running_mean)):
        if x is not None and x.array.shape != shape[1:2]:
            raise RuntimeError(
                f"batch_norm: {what} should contain {shape[1]} elements not {x.array.size}"
            )
    weight, bias = (0 if x is None else x for x in (weight, bias))
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError("batch_norm: running_mean and running_var are needed in evaluation")
        fixed = {"mean": running_mean.array, "rstd": (running_var.array + eps) ** -0.5}
        return normalise_channels(input, weight, bias, eps=eps, **fixed)[0]
    count = input.array.size // max(shape[1], 1)
    if count <= 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {input.shape}"
        )
    out, mean, rstd = normalise_channels(input, weight, bias, eps=eps)
    if running_mean is not None:
        variance = (rstd.array**-2 - eps) * (count / (count - 1))
        for running, now in ((running_mean, mean.array), (running_var, variance)):
            running.array += momentum * (now - running.array)
            running.bump()
    return out


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats=True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Batch norm of every example by itself.  Ulyanov et al. 2016."""
    shape = input.array.shape
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if math.prod(shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size {input.shape}"
        )
    dim = tuple(range(2, len(shape)))
    out, mean, rstd = standardise(input, dim=dim, eps=eps)
    if running_mean is not None:
        count = math.prod(shape[2:])
        variance = (rstd.array**-2 - eps) * (count / (count - 1))
        for running, now in ((running_mean, mean.array), (running_var, variance)):
            running.array += momentum * (now.reshape(shape[:2]).mean(0) - running.array)
            running.bump()
    per_channel = (1, -1, *[1] * (len(shape) - 2))
    return _scale_and_shift(
        out,
        None if weight is None else reshape(weight, per_channel),
        None if bias is None else reshape(bias, per_channel),
    )


def normalize(
    input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """x / max(|x|_p, eps) along dim."""
    length = clamp_min(vector_norm(input, p, dim, True), eps)
    result = input / expand(length, input.shape)
    return result if out is None else out._assign_out(result, "normalize")


# -- multi-head attention --------------------------------------------------------------------------


def _additive(mask, name, like):
    """A mask as numbers to add to the scores: bools, True meaning "not allowed", become -inf."""
    if mask is None or mask.array.dtype.kind in "fV":
        return mask
    if mask.array.dtype.kind != "b":
        raise AssertionError(
            f"only bool and floating types of {name} are supported, not {mask.dtype}"
        )
    blocked = zeros(mask.shape, dtype=like.dtype, device=mask.device)
    blocked.array[mask.array] = -math.inf
    return blocked


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check,
    num_heads: int,
    in_proj_weight,
    in_proj_bias,
    bias_k,
    bias_v,
    add_zero_attn,
    dropout_p: float,
    out_proj_weight,
    out_proj_bias,
    training: bool = True,
    key_padding_mask=None,
    need_weights=True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight=False,
    q_proj_weight=None,
    k_proj_weight=None,
    v_proj_weight=None,
    static_k=None,
    static_v=None,
    average_attn_weights=True,
    is_causal: bool = False,
):
    """Attention with several heads, each on its own part of the projected features.

    query (L, N, E), key and value (S, N, E), or without N -> (L, N, E) and the weights (N, L, S),
    averaged over heads, or None. key_padding_mask (N, S) and attn_mask (L, S) or (N heads, L, S):
    True, or -inf, forbids. A query that may attend to nothing gives zero weights, not NaN. static_k
    and static_v are not supported: pass them as key and value.
    """
    if static_k is not None or static_v is not None:
        raise NotImplementedError("multi_head_attention_forward: static_k and static_v")
    batched = query.array.ndim == 3
    if query.array.ndim not in (2, 3) or key.array.ndim != query.array.ndim:
        raise AssertionError(
            "query should be unbatched 2D or batched 3D and key and value likewise, but received "
            f"{query.array.ndim}-D query and {key.array.ndim}-D key"
        )
    if not batched:
        query, key, value = (unsqueeze(x, 1) for x in (query, key, value))
        if key_padding_mask is not None:
            key_padding_mask = unsqueeze(key_padding_mask, 0)
    target, batch, width = query.array.shape
    source = key.array.shape[0]
    if width != embed_dim_to_check:
        raise AssertionError(
            f"was expecting embedding dimension of {embed_dim_to_check}, but got {width}"
        )
    head = width // num_heads
    if head * num_heads != width:
        raise AssertionError(f"embed_dim {width} not divisible by num_heads {num_heads}")
    if key.array.shape[:2] != value.array.shape[:2]:
        raise AssertionError(
            f"key's sequence and batch dims {tuple(key.array.shape[:2])} do not match value's "
            f"{tuple(value.array.shape[:2])}"
        )
    if use_separate_proj_weight:
        weights = (q_proj_weight, k_proj_weight, v_proj_weight)
    else:
        weights = chunk(in_proj_weight, 3, 0)
    biases = (None,) * 3 if in_proj_bias is None else chunk(in_proj_bias, 3, 0)
    if query is key and key is value and not use_separate_proj_weight:
        q, k, v = chunk(linear(query, in_proj_weight, in_proj_bias), 3, -1)
    else:
        q, k, v = (
            linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True)
        )

    attn_mask = _additive(attn_mask, "attn_mask", q)
    if attn_mask is not None:
        allowed = ((target, source), (batch * num_heads, target, source))
        if attn_mask.array.shape not in allowed:
            raise RuntimeError(
                f"The shape of the attn_mask is {tuple(attn_mask.array.shape)}, but should be "
                f"{allowed[0]} or {allowed[1]}."
            )
        if attn_mask.array.ndim == 3:
            attn_mask = reshape(attn_mask, (batch, num_heads, target, source))
    elif is_causal:
        raise RuntimeError("Need attn_mask if specifying the is_causal hint.")
    if key_padding_mask is not None:
        if key_padding_mask.array.shape != (batch, source):
            raise AssertionError(
                f"expecting key_padding_mask shape of {(batch, source)}, but got "
                f"{tuple(key_padding_mask.array.shape)}"
            )
        padding = _additive(key_padding_mask, "key_padding_mask", q)
        padding = reshape(padding, (batch, 1, 1, source))
        attn_mask = padding if attn_mask is None else attn_mask + padding

    extra = 0
    if bias_k is not None:
        k = cat([k, expand(bias_k, (1, batch, width))])
        v = cat([v, expand(bias_v, (1, batch, width))])
        extra += 1
    # (T, N, E) -> (N, heads, T, head)
    q, k, v = (
        reshape(x, (x.array.shape[0], batch, num_heads, head)).permute(1, 2, 0, 3)
        for x in (q, k, v)
    )
    if add_zero_attn:
        nothing = zeros(batch, num_heads, 1, head, dtype=q.dtype, device=q.device)
        k, v = cat([k, nothing], 2), cat([v, nothing], 2)
        extra += 1
    if extra and attn_mask is not None:
        attn_mask = pad(attn_mask, (0, extra))

    drop = dropout_p if training else 0.0
    if need_weights:
        attention = attend(q, k, v, attn_mask, drop, False)
        context = attention @ v
    else:
        context = scaled_dot_product_attention(q, k, v, attn_mask, drop)
    merged = reshape(context.permute(2, 0, 1, 3), (target, batch, width))
    out = linear(merged, out_proj_weight, out_proj_bias)
    if not need_weights:
        return (out if batched else out.squeeze(1)), None
    shown = attention.mean(1) if average_attn_weights else attention
    return (out, shown) if batched else (out.squeeze(1), shown.squeeze(0))


# -- in-place names --------------------------------------------------------------------------------


def relu_(input: Tensor) -> Tensor:
    """relu, in place."""
    return relu(input, inplace=True)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """elu, in place."""
    return elu(input, alpha, inplace=True)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """leaky_relu, in place."""
    return leaky_relu(input, negative_slope, inplace=True)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """hardtanh, in place."""
    return hardtanh(input, min_val, max_val, inplace=True)


def selu_(input: Tensor) -> Tensor:
    """selu, in place."""
    return selu(input, inplace=True)


def threshold_(input: Tensor, threshold_value, value: float) -> Tensor:
    """threshold, in place."""
    return threshold(input, threshold_value, value, inplace=True)
