"""What published models have in common: configurations, folders, outputs, losses of heads."""

from .activations import activation
from .config import PretrainedConfig
from .encoding import BatchEncoding
from .heads import (
    ForMultipleChoice,
    ForQuestionAnswering,
    ForSequenceClassification,
    ForTokenClassification,
)
from .model import PreTrainedModel
from .outputs import (
    BaseModelOutput,
    BaseModelOutputWithPooling,
    MaskedLMOutput,
    ModelOutput,
    MultipleChoiceModelOutput,
    NextSentencePredictorOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
    may_return_tuple,
)
from .tasks import classification_loss, span_loss, token_loss
from .tokenizer import AutoTokenizer, PreTrainedTokenizerFast

__all__ = [
    "AutoTokenizer",
    "BaseModelOutput",
    "BaseModelOutputWithPooling",
    "BatchEncoding",
    "ForMultipleChoice",
    "ForQuestionAnswering",
    "ForSequenceClassification",
    "ForTokenClassification",
    "MaskedLMOutput",
    "ModelOutput",
    "MultipleChoiceModelOutput",
    "NextSentencePredictorOutput",
    "PreTrainedModel",
    "PreTrainedTokenizerFast",
    "PretrainedConfig",
    "QuestionAnsweringModelOutput",
    "SequenceClassifierOutput",
    "TokenClassifierOutput",
    "activation",
    "classification_loss",
    "may_return_tuple",
    "span_loss",
    "token_loss",
]
