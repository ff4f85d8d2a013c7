"""Generation: from a model that scores the next token to whole texts."""

from .cache import DynamicCache, EncoderDecoderCache

__all__ = ["DynamicCache", "EncoderDecoderCache"]
