"""Automatic differentiation as users call it, under the names of torch.autograd."""

from ..engine import (
    Node,
    detect_anomaly,
    enable_grad,
    inference_mode,
    no_grad,
    set_detect_anomaly,
    set_grad_enabled,
)
from . import functional
from .function import Function
from .gradients import Variable, backward, grad
from .gradcheck import GradcheckError, gradcheck, gradgradcheck

__all__ = [
    "Function",
    "GradcheckError",
    "Node",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]


def __getattr__(name):
    if name == "profiler":
        import importlib

        return importlib.import_module("minigrad.autograd.profiler")
    raise AttributeError(f"module 'minigrad.autograd' has no attribute '{name}'")
