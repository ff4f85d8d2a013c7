"""What published models have in common: configurations, folders, outputs, losses of heads."""

from .activations import activation
from .collators import (
    DataCollatorForLanguageModeling,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
)
from .config import PretrainedConfig
from .encoding import BatchEncoding
from .heads import (
    ForMaskedLM,
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
from .pretraining_data import next_sentence_pairs, sentence_order_pairs, static_masking
from .tasks import classification_loss, span_loss, token_loss
from .tokenizer import AutoTokenizer, PreTrainedTokenizerFast
from .training_tokenizers import train_tokenizer

__all__ = [
    "AutoTokenizer",
    "BaseModelOutput",
    "BaseModelOutputWithPooling",
    "BatchEncoding",
    "DataCollatorForLanguageModeling",
    "DataCollatorForTokenClassification",
    "DataCollatorWithPadding",
    "ForMaskedLM",
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
    "next_sentence_pairs",
    "sentence_order_pairs",
    "span_loss",
    "static_masking",
    "token_loss",
    "train_tokenizer",
]
