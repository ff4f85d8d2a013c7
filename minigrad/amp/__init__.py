"""Automatic mixed precision: products in half the bits, what needs the range in float32.

Micikevicius et al., "Mixed Precision Training", ICLR 2018.
"""

from . import old_names, op_lists
from .autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from .grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
