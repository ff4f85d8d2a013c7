"""Tasks on texts in one line: pipeline(task, model)(texts)."""

from .base import Pipeline
from .feature_extraction import FeatureExtractionPipeline
from .fill_mask import FillMaskPipeline
from .masked_lm_scoring import MaskedLMScorer
from .question_answering import QuestionAnsweringPipeline
from .spans import Span, Window, answer_or_none, best_of_windows, best_spans, no_answer_score
from .tasks import TASKS, pipeline
from .text_classification import TextClassificationPipeline
from .token_classification import TokenClassificationPipeline
from .zero_shot_classification import ZeroShotClassificationPipeline

__all__ = [
    "TASKS",
    "FeatureExtractionPipeline",
    "FillMaskPipeline",
    "MaskedLMScorer",
    "Pipeline",
    "QuestionAnsweringPipeline",
    "Span",
    "TextClassificationPipeline",
    "TokenClassificationPipeline",
    "Window",
    "ZeroShotClassificationPipeline",
    "answer_or_none",
    "best_of_windows",
    "best_spans",
    "no_answer_score",
    "pipeline",
]
