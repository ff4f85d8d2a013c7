"""pipeline(task, model): a task by its name."""

from .base import Pipeline
from .feature_extraction import FeatureExtractionPipeline
from .fill_mask import FillMaskPipeline
from .question_answering import QuestionAnsweringPipeline
from .text_classification import TextClassificationPipeline
from .token_classification import TokenClassificationPipeline
from .zero_shot_classification import ZeroShotClassificationPipeline

TASKS: dict[str, type[Pipeline]] = {
    "feature-extraction": FeatureExtractionPipeline,
    "fill-mask": FillMaskPipeline,
    "ner": TokenClassificationPipeline,
    "question-answering": QuestionAnsweringPipeline,
    "sentiment-analysis": TextClassificationPipeline,
    "text-classification": TextClassificationPipeline,
    "token-classification": TokenClassificationPipeline,
    "zero-shot-classification": ZeroShotClassificationPipeline,
}


def pipeline(task: str, model=None, tokenizer=None, **options) -> Pipeline:
    """A pipeline for a task: `pipeline("fill-mask", "folder")("Paris is the [MASK] of France.")`.

    model: a local folder, or a model, with its tokenizer. options: as for Pipeline, and the task's.
    Raises ValueError for a task that there isn't, and without a model.
    """
    if task not in TASKS:
        raise ValueError(f"there is no task {task!r}; there are: {', '.join(TASKS)}")
    if model is None:
        raise ValueError(f"{task}: no model is chosen for you; pass model=, a folder or a model")
    return TASKS[task](model, tokenizer, **options)
