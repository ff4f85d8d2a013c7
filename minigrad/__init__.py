"""minigrad: tensors, automatic differentiation and neural networks under PyTorch's names.

`import minigrad as torch` runs PyTorch tutorial code. To read it: `op.py` says how an operation is
declared, `engine.py` how gradients flow back, and `ops/` holds the operations themselves.
"""

import warnings as _warnings

# NumPy warns where torch is silent (log(0), overflow in exp); here it need not.
_warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"minigrad(\.|$)")

from . import dtypes
from . import memory
from . import ops
from .backend import device, get_default_device, set_default_device
from .dtypes import (
    bool,
    can_cast,
    double,
    dtype,
    finfo,
    float,
    float16,
    float32,
    float64,
    get_default_dtype,
    half,
    iinfo,
    int,
    int8,
    int16,
    int32,
    int64,
    long,
    promote_types,
    set_default_dtype,
    short,
    uint8,
    uint16,
    uint32,
    uint64,
)
from .engine import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .generator import Generator
from .legacy import TYPES as _LEGACY_TYPES
from .printing import get_printoptions, set_printoptions
from .size import Size
from .tensor import Tensor

globals().update(_LEGACY_TYPES)

from . import methods  # gives Tensor its methods
from . import amp
from . import autograd
from . import backends
from . import cuda
from . import linalg
from . import nn
from . import optim
from . import random
from . import special
from . import testing
from . import utils
from . import wide  # sums of bfloat16
from .amp.autocast_mode import (
    autocast,
    autocast_decrement_nesting,
    autocast_increment_nesting,
    clear_autocast_cache,
    get_autocast_dtype,
    is_autocast_cache_enabled,
    is_autocast_enabled,
    set_autocast_cache_enabled,
    set_autocast_dtype,
    set_autocast_enabled,
)
from .amp.old_names import cpu
from .backends.precision import get_float32_matmul_precision, set_float32_matmul_precision
from .nn.functional import (
    alpha_dropout,
    avg_pool1d,
    batch_norm,
    bilinear,
    binary_cross_entropy_with_logits,
    celu,
    conv1d,
    conv2d,
    conv_transpose1d,
    cosine_embedding_loss,
    cosine_similarity,
    ctc_loss,
    dropout,
    embedding,
    embedding_bag,
    group_norm,
    hardshrink,
    hinge_embedding_loss,
    instance_norm,
    kl_div,
    layer_norm,
    margin_ranking_loss,
    max_pool1d,
    max_pool2d,
    pairwise_distance,
    poisson_nll_loss,
    relu_,
    rms_norm,
    rrelu,
    selu,
    threshold,
    triplet_margin_loss,
)
from .ops.activation import log_softmax, prelu, relu, softmax
from .ops.compare import *
from .ops.creation import *
from .ops.decompose import *
from .ops.elementwise import *
from .ops.index import *
from .ops.linalg import *
from .ops.random import *
from .ops.reduce import *
from .ops.shape import *
from .ops.sorting import *
from .ops.special import *
from .random import (
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from .serialization import load, save

__version__ = "0.1.0"
memory.keep_freed_memory()
strided = "torch.strided"
contiguous_format = "torch.contiguous_format"
preserve_format = "torch.preserve_format"
from math import e, inf, nan, pi


def result_type(tensor1, tensor2) -> dtype:
    """The dtype of an operation on these two tensors or numbers."""
    operands = [getattr(x, "array", x) for x in (tensor1, tensor2)]
    return dtypes.from_numpy(dtypes.common(operands))


from .kernels import embedding as _embedding_kernels
from .threads import get_num_threads, set_num_threads


def use_deterministic_algorithms(mode, *, warn_only=False) -> None:
    """Every operation gives the same result on every run, unless this is called with False.

    Then embedding's gradient on the GPU adds up rows in whatever order they come.
    """
    _embedding_kernels.deterministic = mode is not False


def are_deterministic_algorithms_enabled() -> bool:
    """True if every operation gives the same result on every run, as is the default."""
    return _embedding_kernels.deterministic


def __getattr__(name):
    if name == "bfloat16":
        return dtypes.bfloat16
    if name == "profiler":
        import importlib

        return importlib.import_module("minigrad.profiler")
    raise AttributeError(f"module 'minigrad' has no attribute '{name}'")
