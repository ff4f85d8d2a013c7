"""Tools around training, under the names of torch.utils: data, checkpoint."""

from . import checkpoint, data

__all__ = ["checkpoint", "data"]
