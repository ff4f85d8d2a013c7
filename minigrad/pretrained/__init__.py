"""What published models have in common: configurations, folders, outputs, losses of heads."""

from .activations import activation
from .collators import (
    DataCollatorForLanguageModeling,
    DataCollatorForTokenClassification,
    DataCollatorForWholeWordMask,
    DataCollatorWithPadding,
)
from .config import PretrainedConfig
from .encoding import BatchEncoding
from .gap_sentences import (
    choose_gaps,
    gap_sentence_examples,
    principal_sentences,
    rouge1_f1,
    stretches,
)
from .heads import (
    ForMaskedLM,
    ForMultipleChoice,
    ForQuestionAnswering,
    ForSequenceClassification,
    ForTokenClassification,
)
from .infilling import DataCollatorForDenoising, infill, permute, restore
from .last_token import ForLastTokenClassification
from .masks import causal_mask, masked_softmax
from .model import PreTrainedModel
from .outputs import (
    BaseModelOutput,
    BaseModelOutputWithPast,
    BaseModelOutputWithPastAndCrossAttentions,
    BaseModelOutputWithPooling,
    CausalLMOutputWithCrossAttentions,
    CausalLMOutputWithPast,
    MaskedLMOutput,
    ModelOutput,
    MultipleChoiceModelOutput,
    NextSentencePredictorOutput,
    QuestionAnsweringModelOutput,
    Seq2SeqLMOutput,
    Seq2SeqModelOutput,
    Seq2SeqQuestionAnsweringModelOutput,
    Seq2SeqSequenceClassifierOutput,
    SequenceClassifierOutput,
    SequenceClassifierOutputWithPast,
    TokenClassifierOutput,
    seq2seq_fields,
    given_encoder_output,
    may_return_tuple,
)
from .packing import pack_documents, pack_texts
from .pretraining_data import next_sentence_pairs, sentence_order_pairs, static_masking
from .seq2seq_collator import DataCollatorForSeq2Seq
from .span_corruption import (
    DataCollatorForSpanCorruption,
    compute_input_and_target_lengths,
    random_spans_noise_mask,
)
from .tasks import (
    classification_loss,
    next_token_loss,
    shift_tokens_right,
    span_loss,
    token_loss,
)
from .tokenizer import AutoTokenizer, PreTrainedTokenizerFast
from .training_tokenizers import train_tokenizer

__all__ = [
    "AutoTokenizer",
    "BaseModelOutput",
    "BaseModelOutputWithPast",
    "BaseModelOutputWithPastAndCrossAttentions",
    "BaseModelOutputWithPooling",
    "BatchEncoding",
    "CausalLMOutputWithCrossAttentions",
    "CausalLMOutputWithPast",
    "DataCollatorForDenoising",
    "DataCollatorForLanguageModeling",
    "DataCollatorForSeq2Seq",
    "DataCollatorForSpanCorruption",
    "DataCollatorForTokenClassification",
    "DataCollatorForWholeWordMask",
    "DataCollatorWithPadding",
    "ForLastTokenClassification",
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
    "Seq2SeqLMOutput",
    "Seq2SeqModelOutput",
    "Seq2SeqQuestionAnsweringModelOutput",
    "Seq2SeqSequenceClassifierOutput",
    "SequenceClassifierOutput",
    "SequenceClassifierOutputWithPast",
    "TokenClassifierOutput",
    "activation",
    "causal_mask",
    "choose_gaps",
    "classification_loss",
    "compute_input_and_target_lengths",
    "gap_sentence_examples",
    "given_encoder_output",
    "infill",
    "masked_softmax",
    "may_return_tuple",
    "next_sentence_pairs",
    "next_token_loss",
    "pack_documents",
    "pack_texts",
    "permute",
    "principal_sentences",
    "random_spans_noise_mask",
    "restore",
    "rouge1_f1",
    "sentence_order_pairs",
    "seq2seq_fields",
    "shift_tokens_right",
    "span_loss",
    "static_masking",
    "stretches",
    "token_loss",
    "train_tokenizer",
]
