"""Tools around training, under the names of torch.utils: data, checkpoint."""

from . import checkpoint
from . import data

__all__ = ["checkpoint", "data"]
