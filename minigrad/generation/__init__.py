"""Generation: from a model that scores the next token to whole texts."""

from .cache import DynamicCache, EncoderDecoderCache
from .config import GenerationConfig
from .mixin import GenerationMixin
from .processors import LogitsProcessor, LogitsProcessorList
from .stopping import StoppingCriteria, StoppingCriteriaList

__all__ = [
    "DynamicCache",
    "EncoderDecoderCache",
    "GenerationConfig",
    "GenerationMixin",
    "LogitsProcessor",
    "LogitsProcessorList",
    "StoppingCriteria",
    "StoppingCriteriaList",
]
