"""minigrad: tensors, automatic differentiation and neural networks under PyTorch's names."""

import warnings as _warnings

# numpy speaks up where torch is silent (log of 0, overflow in exp); only within this package.
_warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"minigrad(\.|$)")

from . import dtypes, ops
from .backend import device
from .dtypes import (
    can_cast, dtype, finfo, float16, float32, float64, get_default_dtype, iinfo, int8, int16, int32, int64, promote_types, set_default_dtype, uint8, uint16, uint32, uint64, half, double, short, int, long, float, bool,
)
from .engine import *
from .engine import enable_grad, inference_mode, is_grad_enabled, is_inference_mode_enabled, no_grad, set_grad_enabled
from .size import Size
from .tensor import Tensor
from . import methods
globals().update(ops.public_functions())
import importlib as _i
for _n in "autograd nn optim utils random linalg special text train".split():
    try: globals()[_n] = _i.import_module("minigrad." + _n)
    except ModuleNotFoundError as _e: print("DEV: minigrad", _n, "missing:", _e)
try:
    from .random import manual_seed, seed, initial_seed, get_rng_state, set_rng_state, default_generator
    from .generator import Generator
except ImportError: pass
try:
    from .printing import set_printoptions
    from .serialization import save, load
except ImportError: pass
