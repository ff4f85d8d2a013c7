"""What computes for minigrad, and its switches, under the names of torch.backends."""

from . import cuda, cudnn, mps

__all__ = ["cuda", "cudnn", "mps"]
